"""The fixed paths, and files that are written whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from kiln import console
from kiln.errors import KilnError

ROOT = Path(__file__).resolve().parent.parent


def home() -> Path:
    """Return the folder of everything Kiln keeps: `KILN_HOME`, or the user's cache folder."""
    configured = os.environ.get("KILN_HOME")
    path = Path(configured) if configured else platformdirs.user_cache_path("kiln")
    path = path.expanduser().absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KilnError(
            f"{path}: cannot make Kiln's folder ({error.strerror}); set KILN_HOME to a folder that you may write to"
        ) from error
    return path


def folder(*names: str) -> Path:
    """Return a folder below `home()`, made if it is missing."""
    path = home().joinpath(*names)
    path.mkdir(parents=True, exist_ok=True)
    return path


def log(name: str) -> Path:
    """Return the path of the log file `name`, below `home()`."""
    return folder("logs") / f"{name}.log"


def write_whole(path: Path, content: str | bytes, *, mode: int = 0o644) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        error.filename = str(path)
        raise
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def lock(name: str, *, waiting: str = "") -> Iterator[None]:
    """Hold a lock that other Kiln processes of this user honour; freed by the kernel on death.

    `waiting` is said once if another one holds it, so that nobody watches a silent prompt.
    """
    held = FileLock(folder("locks") / f"{name}.lock")
    try:
        held.acquire(timeout=0)
    except Timeout:
        if waiting:
            console.say(waiting)
        held.acquire()
    try:
        yield
    finally:
        held.release()
