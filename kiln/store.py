"""Sources on disk: the store, a folder for each digest with the one file that has it, and a user's folder."""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from kiln import paths, transfer
from kiln.errors import SourceError
from kiln.model import Artifact, Release

# How tarballs begin: gzip, xz, bzip2, zstandard. Other files of a user's folder are not read through.
MAGIC = (b"\x1f\x8b", b"\xfd7zXZ\x00", b"BZh", b"\x28\xb5\x2f\xfd")
LARGEST = 500_000_000


class DiskError(SourceError):
    """The store cannot be written; no other origin would help."""


class WrongBytesError(SourceError):
    """A URL served other bytes than the pinned ones; never passed over in silence."""


def place(artifact: Artifact) -> Path:
    """Return where the store has an artifact, or will have it."""
    return paths.folder("sources") / artifact.sha256 / artifact.file


def part(artifact: Artifact) -> Path:
    """Return where an artifact's bytes gather before they have their name."""
    return paths.folder("sources") / f"{artifact.sha256}.part"


def lock_name(artifact: Artifact) -> str:
    """Return the name of the lock under which an artifact's files are written."""
    return f"source-{artifact.sha256}"


def origin(artifact: Artifact) -> str:
    """Return where the store's bytes came from, for people to read."""
    note = _note(artifact)
    return note.read_text("utf-8") if note.exists() else "the store"


def write_origin(artifact: Artifact, text: str) -> None:
    """Keep where an artifact's bytes came from."""
    paths.write_whole(_note(artifact), text)


def adopt(path: Path, artifact: Artifact) -> Path:
    """Copy a user's file into the store, where it cannot change under a build, and return the copy."""
    target = place(artifact)
    with paths.lock(lock_name(artifact)):
        _copy(path, target, part=part(artifact))
        write_origin(artifact, str(path.absolute()))
    return target


def export(path: Path, artifact: Artifact, into: Path) -> Path:
    """Copy a file of the store to a folder and return the copy; a file that is there stays as it is.

    Raises `SourceError` if that file is another one.
    """
    target = into / artifact.file
    with disk_errors(target, "name another folder"), paths.lock(lock_name(artifact)):
        if not target.exists():
            _copy(path, target, part=into / f".{target.name}.part")
        elif digest(target) != artifact.sha256:
            raise SourceError(f"{target}: another file of this name is there; remove it, or choose another folder")
    return target


def find(release: Release, folder: Path) -> tuple[Path, Artifact] | None:
    """Return a file of `folder` with the digest of one of the release's artifacts.

    Raises `WrongBytesError` if a file has the name of an artifact, but not its digest.
    """
    if not folder.is_dir():
        raise SourceError(f"--sources {folder}: no such folder; give the one that holds the tarballs")
    wanted = {artifact.sha256: artifact for artifact in release.artifacts}
    named = [path for artifact in release.artifacts if (path := folder / artifact.file).is_file()]
    for path in named:
        if digest(path) not in wanted:
            pinned = " or ".join(a.sha256 for a in release.artifacts if a.file == path.name)
            raise WrongBytesError(
                f"DIGEST MISMATCH: {path} has sha256 {digest(path)}, but versions.json pins {pinned}. "
                "It may be cut short, tampered with, or made again under the same version: "
                "remove it, or fetch it anew"
            )
    for path in [*named, *_tarballs(folder)]:
        if digest(path) in wanted:
            return path, wanted[digest(path)]
    return None


def _tarballs(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder that begin like a compressed tarball and are no larger than one."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and os.access(path, os.R_OK) and path.stat().st_size <= LARGEST:
            with path.open("rb") as file:
                if file.read(6).startswith(MAGIC):
                    yield path


def digest(path: Path) -> str:
    """Return a file's sha256; within a process it is read again only if the file changed."""
    status = path.stat()
    return _digest(path, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _digest(path: Path, _inode: int, _size: int, _changed: int) -> str:
    """Return a file's sha256; the further arguments tell one state of the file from another."""
    return read_digest(path)


def _copy(source: Path, target: Path, *, part: Path) -> None:
    """Copy a file whole or not at all; `part` is on the target's file system."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, part)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _note(artifact: Artifact) -> Path:
    """Return the file that says where an artifact of the store came from."""
    return paths.folder("sources") / f"{artifact.sha256}.origin"


def read_digest(path: Path) -> str:
    """Return the sha256 of a file's content, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def disk_errors(path: Path, other: str = "set KILN_HOME to another folder") -> Iterator[None]:
    """Turn what the disk at `path` refuses into a `DiskError` that says what to do, `other` if need be."""
    try:
        yield
    except OSError as error:
        # Of a copy, the second name is the new file's.
        name = Path(str(error.filename2 or error.filename or path))
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            there = next(folder for folder in (name, *name.absolute().parents) if folder.exists())
            free = transfer.size(shutil.disk_usage(there).free)
            what = f"the disk is full ({free} free); make room, or {other}, on another disk"
        else:
            what = f"{error.strerror or error}; look at its permissions, or {other}"
        raise DiskError(f"{name}: {what}") from error
