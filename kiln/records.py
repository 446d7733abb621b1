"""What was built and how its tests ended, kept under the user's cache folder, one file each."""

import re
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from kiln import paths
from kiln.errors import BuildError

_T = TypeVar("_T")


class Record(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One build that succeeded."""

    id: str
    platform: str
    repository: str
    reference: str
    """What `docker run` takes for it: `kiln/python:3.13.5-slim-trixie`."""
    digest: str
    """`sha256:...` of the platform's manifest."""
    size: int
    """Bytes to pull: config and compressed layers."""
    inputs: str
    """`bake.Build.digest`."""
    base: str
    """Where the base came from."""
    source: str
    """Where the sources came from."""
    quick: bool
    toolchain: str = ""
    """For a cross compile: `sha256:...` of the system that compiled."""
    profile_guided: bool = True
    """Whether it would be, were it not quick."""
    built: str
    """When, in UTC: `2026-11-21T00:48:00Z`."""
    seconds: float
    """How long the build took."""


class Result(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the tests of one image, as named by its digest, ended."""

    id: str
    platform: str
    digest: str
    tests: str
    """A digest of the tests that ran."""
    passed: int
    failed: tuple[str, ...]
    """The names of the checks that failed, none of them if all is well."""
    tested: str
    """When, in UTC."""
    repeats: int = 0
    """How often something in its containers was started again, because the container runtime had failed."""


def _read(path: Path, kind: type[_T]) -> _T | None:
    """Return what a file holds; a file of another version of Kiln counts as none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _write(path: Path, value: Struct) -> None:
    paths.write_whole(path, msgspec.json.format(msgspec.json.encode(value), indent=2))


def _records(repository: str) -> Path:
    return paths.folder("records", re.sub(r"[^a-z0-9.-]+", "-", repository))


def _record(repository: str, image_id: str, platform: str) -> Path:
    return _records(repository) / f"{image_id}_{platform.replace('/', '-')}.json"


def save(record: Record) -> None:
    """Keep what was built, in place of what was built before for the same id and platform."""
    _write(_record(record.repository, record.id, record.platform), record)


def find(repository: str, image_id: str, platform: str) -> Record | None:
    """Return the last build of an image on a platform."""
    return _read(_record(repository, image_id, platform), Record)


def every(repository: str) -> list[Record]:
    """Return the last build of each image and platform of a repository, sorted by id."""
    found = [_read(path, Record) for path in sorted(_records(repository).glob("*.json"))]
    return [record for record in found if record is not None]


def save_result(result: Result) -> None:
    """Keep how an image's tests ended."""
    _write(_result(result.digest), result)


def result(digest: str) -> Result | None:
    """Return how the tests of the image with this digest ended, or nothing if none ran."""
    return _read(_result(digest), Result)


def _result(digest: str) -> Path:
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise BuildError(f"{digest!r} is not the digest of an image; build the image again")
    return paths.folder("results") / f"{digest.removeprefix('sha256:')}.json"
