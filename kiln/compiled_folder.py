"""Compiled interpreters in a folder: each an OCI image layout, put there whole and checked when it is taken."""

import contextlib
import shutil
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from kiln import oci
from kiln.errors import BuildError, KilnError

_KILLED_SECONDS = 24 * 3600


def copy(source: Path, into: Path, platform: str, labels: Mapping[str, str]) -> str:
    """Copy a layout or an archive of one to the new folder `into`; return the manifest's digest.

    BuildError where a blob is not what its digest says, or the image is not for that platform with these labels.
    """
    oci.compose([source], into)
    found = oci.images(into)
    if len(found) != 1:
        raise BuildError(f"{source}: holds {len(found)} images, not one")
    facts = {"platform": found[0].platform, **found[0].labels}
    for key, value in {"platform": platform, **labels}.items():
        if facts.get(key) != value:
            raise BuildError(f"{source}: {key} is {facts.get(key)}, not {value}")
    return found[0].digest


def put(archive: Path, layout: Path, platform: str, labels: Mapping[str, str], *, anew: bool) -> None:
    """Make an archive the layout at a path, whole or not at all; without `anew`, one that is there and as good stays.

    Any number of processes may do it at once.
    """
    _sweep(layout)
    temporary = [layout.with_name(f".{layout.name}.{uuid.uuid4().hex}") for _ in range(3)]
    mine, theirs, old = temporary
    copy(archive, mine, platform, labels)
    try:
        if anew and layout.exists():
            layout.rename(old)
        elif layout.exists():
            try:
                copy(layout, theirs, platform, labels)
            except KilnError:
                layout.rename(old)
        if not layout.exists():
            mine.rename(layout)
    except OSError as error:
        # Somebody else was faster, and what they put there is as good.
        if not layout.is_dir():
            raise BuildError(f"{layout}: cannot be written ({error.strerror or error})") from error
    finally:
        for path in temporary:
            _remove(path)


def _sweep(layout: Path) -> None:
    """Remove what killed processes left beside a layout, a day after."""
    for path in layout.parent.glob(f".{layout.name}.*"):
        # Another process may sweep, too.
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - _KILLED_SECONDS:
                _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
