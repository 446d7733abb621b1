"""Releases that are announced: pinned and listed, while no origin serves their sources yet."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from kiln import sources, stages
from kiln.console import say
from kiln.errors import SelectionError
from kiln.image import Image, names
from kiln.matrix import Matrix

REASON = "announced, and no origin serves the sources yet"


def without(matrix: Matrix, globs: Sequence[str], images: Iterable[Image], folder: Path | None) -> list[Image]:
    """Return images without those of announced releases, of which one line is said; `folder` is one of tarballs.

    What a glob without * and ? names stays, for whoever names it is to know why it cannot be built.
    Raises SelectionError if nothing is left.
    """
    chosen = list(images)
    named = {image.id for image in chosen if set(names(image)) & set(globs)}
    waiting = _waiting([image for image in chosen if image.id not in named], matrix, folder)
    left = [image for image in chosen if image.id in named or _source(image) not in waiting]
    if chosen and not left:
        raise SelectionError(f"{_listed(waiting)}: {REASON}; try again later, or see `invoke doctor`")
    if waiting:
        say(f"passed over: {_listed(waiting)}: {REASON}")
    return left


def _waiting(images: Iterable[Image], matrix: Matrix, folder: Path | None) -> list[tuple[str, bool]]:
    """Return what is announced of the images' sources: version, and whether it is the installer for Windows."""
    found = {_source(image): image for image in images if not stages.lack(image)}
    return [key for key, image in found.items() if _is(image, matrix, folder)]


def _is(image: Image, matrix: Matrix, folder: Path | None) -> bool:
    return sources.look(stages.made_from(image), matrix.catalog.sources, folder=folder).announced


def _source(image: Image) -> tuple[str, bool]:
    return image.release.version, image.target.distribution == "windows"


def _listed(waiting: Iterable[tuple[str, bool]]) -> str:
    return ", ".join(f"{version}'s installer for Windows" if windows else version for version, windows in waiting)
