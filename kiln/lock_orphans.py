"""Locks, and folders of packages, that nothing in the family uses any more."""

from collections.abc import Container, Sequence
from pathlib import Path

from kiln.image import PACKAGES
from kiln.matrix import Matrix

TITLE = "# Made by `invoke lock`; changes made here are lost."
"""The first line of every lock, which says whose file it is."""


def find(family: Path, wanted: Container[Path], names: Sequence[str]) -> list[Path]:
    """Return the locks in a family's folder, of the packages of `names` or of all, that are not wanted."""
    folder = family / PACKAGES
    files = (file for name in names or ["*"] for file in folder.glob(f"{name}/locks/*/py*.txt"))
    return sorted(file for file in files if file not in wanted)


def problem(file: Path, family: Path) -> str:
    """Return one line about a lock that nothing uses, with what to do."""
    remedy = "`invoke lock` removes it" if ours(file) else "`invoke lock` did not write it, so delete it yourself"
    return f"{file.relative_to(family)}: is the lock of nothing in the family; {remedy}"


def ours(file: Path) -> bool:
    """Tell whether `invoke lock` wrote a file."""
    return file.read_text("utf-8", errors="replace").startswith(TITLE)


def remove(file: Path, family: Path) -> None:
    """Remove a lock, and the folders around it that are empty without it."""
    file.unlink()
    for folder in file.relative_to(family / PACKAGES).parents[:-1]:
        around = family / PACKAGES / folder
        if any(around.iterdir()):
            return
        around.rmdir()


def dropped(matrix: Matrix) -> list[str]:
    """Return a line for each folder of a package that the family no longer has, with what to do about it."""
    known = matrix.catalog.packages or {}
    # Names of packages begin with a letter or digit; what caches call themselves does not.
    folders = sorted(path for path in (matrix.folder / PACKAGES).glob("[A-Za-z0-9]*") if path.is_dir())
    # What people wrote, such as `start` and the example, is theirs to delete.
    return [
        f"{PACKAGES}/{path.name}: {path.name} is no package of the family; delete the folder, or add the package again"
        for path in folders
        if path.name not in known
    ]
