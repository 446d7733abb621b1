"""A family's file and its folder: which file a name means, and that the folder is its own."""

import json
import shlex
from pathlib import Path

from kiln import catalog, matrix, paths
from kiln.errors import CatalogError
from kiln.matrix import Matrix

FILE = "versions.json"
"""What a family's file is usually called; one of this name owns its folder."""


def locate(name: str | Path) -> Path:
    """Return the file that a name means: a folder stands for the `versions.json` in it."""
    path = Path(name)
    return path / FILE if path.is_dir() else path


def load(name: str | Path) -> Matrix:
    """Return the family of a file or folder, expanded. Raises CatalogError for what is no family."""
    path = locate(name)
    return matrix.expand(catalog.load(path), path)


def option(file: Path) -> str:
    """Return what a command that is printed needs to be about a file's family: nothing for the checkout's own."""
    if file == paths.ROOT / FILE:
        return ""
    return f" --versions {shlex.quote(str(file.parent if file.name == FILE else file))}"


def own(family: Matrix) -> Matrix:
    """Return a family whose files may be written; raise CatalogError if its folder belongs to another one."""
    others = [path for path in sorted(family.folder.glob("*.json")) if _rival(path, family.file)]
    if family.file.name != FILE and others:
        raise CatalogError(
            f"{family.file}: its folder holds the files of {others[0].name}, which would be overwritten; "
            f"move {family.file.name} to a folder of its own"
        )
    return family


def _rival(path: Path, file: Path) -> bool:
    """Tell whether a file beside a family's is another family's."""
    return path.exists() and not path.samefile(file) and (path.name == FILE or _describes(path))


def _describes(path: Path) -> bool:
    """Tell whether a file describes a family, whatever is wrong with it otherwise."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and {"releases", "targets", "variants"} <= found.keys()
