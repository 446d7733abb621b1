"""The store of sources: one folder for each digest, with the one file that has it."""

import shutil
from functools import lru_cache
from pathlib import Path

from kiln import download, paths
from kiln.download import disk_errors
from kiln.errors import SourceError
from kiln.model import Artifact


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
    with disk_errors(target), paths.lock(lock_name(artifact)):
        if not target.exists():
            _copy(path, target, part=into / f".{target.name}.part")
        elif digest(target) != artifact.sha256:
            raise SourceError(
                f"{target}: another file of this name is there; remove it, or choose another folder"
            )
    return target


def digest(path: Path) -> str:
    """Return a file's sha256; within a process it is read again only if the file changed."""
    status = path.stat()
    return _digest(path, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _digest(path: Path, _inode: int, _size: int, _changed: int) -> str:
    """Return a file's sha256; the further arguments tell one state of the file from another."""
    return download.digest(path)


def _copy(source: Path, target: Path, *, part: Path) -> None:
    """Copy a file whole or not at all; `part` is on the target's file system."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, part)
    part.replace(target)


def _note(artifact: Artifact) -> Path:
    """Return the file that says where an artifact of the store came from."""
    return paths.folder("sources") / f"{artifact.sha256}.origin"
