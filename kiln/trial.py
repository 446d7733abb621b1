"""A small part of the matrix to try on this machine: what `invoke build --trial` builds, and plain `nox` tests."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from msgspec import Struct
from packaging.version import Version

from kiln import engine as engines
from kiln.console import say
from kiln.errors import SelectionError
from kiln.image import Image
from kiln.matrix import Matrix, newest_stable
from kiln.model import DISTROLESS
from kiln.packages import installed
from kiln.parts import Here, lacking

PACKAGES = 2
"""How many packages are tried."""


class Group(Struct, frozen=True, kw_only=True):
    """Some images, and why they are tried."""

    images: tuple[Image, ...]
    reason: str

    def __str__(self) -> str:
        """Return the line that people read."""
        return f"{self.reason}: {', '.join(image.id for image in self.images)}"


def here(
    matrix: Matrix, globs: Sequence[str], folder: Path | None, *, packages: bool = False, start: bool = True
) -> list[Image]:  # fmt: skip
    """Return the images to try of those that globs select, and print why these; empty if none can be built from here.

    `packages`: every package once, and nothing else. `start`: start an engine if none runs, for it knows registries.
    """
    engine = engines.bring() if start else engines.seen()
    platform = engine.platform if engine else engines.native_platform()
    given = [image for image in matrix.select(globs or ["*"]) if platform in image.platforms]
    known = Here(matrix.catalog, platform, engine, folder)
    possible = [image for image in given if not known.lack(image)]
    groups = every_package(possible) if packages else choose(possible)
    chosen = [image for group in groups for image in group.images]
    passed_over = lacking(known.lack(image) for image in given)
    for line in report(groups, len(possible), passed_over):
        say(line)
    return chosen


def report(groups: Sequence[Group], possible: int, passed_over: str) -> list[str]:
    """Return the lines that people read: what is tried and why, and why nothing else is."""
    if not groups:
        return [f"trial: nothing; {passed_over or 'nothing of it is in the matrix for this platform'}"]
    count = sum(len(group.images) for group in groups)
    lines = [*map(str, groups), *([f"passed over: {passed_over}"] if passed_over else [])]
    return [f"trial: {count} of {possible} images that can be built from here", *(f"  {line}" for line in lines)]


def ids(matrix: Matrix, globs: Sequence[str], folder: Path | None, *, start: bool) -> list[str]:
    """Return the ids that `here` returns; SelectionError if nothing can be built from here."""
    if found := here(matrix, globs, folder, start=start):
        return [image.id for image in found]
    raise SelectionError("nothing can be built from here; see `invoke doctor`")


def choose(possible: Sequence[Image]) -> list[Group]:
    """Return what to try of the images that can be built: nine at most, of four compiles at most.

    The newest and the oldest series, on two targets; a free-threaded Python; a distroless image; two
    packages; fewer if there are fewer. What shares a compile goes before what does not.
    """
    cells = _cells([image for image in possible if not image.installed])
    groups: list[Group] = []
    if cells:
        plain = [cell for cell in cells if cell[0].flavour == "default"] or cells
        newest = Group(images=_variants(plain[0], 2), reason="the newest series")
        groups = [newest, *_oldest(plain), *_freethreaded(cells, plain[0])]
    pythons = [image for group in groups for image in group.images]
    return groups + _packages(possible, pythons, PACKAGES)


def every_package(possible: Sequence[Image]) -> list[Group]:
    """Return each package once, on the Python that the trial has if it is offered on that."""
    pythons = [image for group in choose(possible) for image in group.images if not image.installed]
    return _packages(possible, pythons, len(possible))


_Cell = list[Image]
"""The variants of a Python on a target, in the matrix's order."""


def _cells(images: Sequence[Image]) -> list[_Cell]:
    """Return what can be built by Python and target, the newest first; prereleases only if there is nothing else."""
    found: dict[tuple[str, str], _Cell] = {}
    for image in newest_stable(images) or sorted(images, key=_version, reverse=True):
        found.setdefault((image.python, image.target_name), []).append(image)
    return list(found.values())


def _version(image: Image) -> Version:
    return image.release.parsed


def _oldest(plain: Sequence[_Cell]) -> list[Group]:
    """Return the oldest series, on another target than the newest; if it has no other, another target by itself."""
    newest = plain[0]
    series = min((cell[0].release.series for cell in plain), key=Version)
    old = [cell for cell in plain if cell[0].release.series == series and cell is not newest]
    older = series != newest[0].release.series
    if found := _elsewhere(old, newest):
        covered = any(image.variant in DISTROLESS for image in newest)
        reason = "the oldest series, on another target" if older else "another target"
        return [Group(images=_variants(found[0], 2, distroless=not covered), reason=reason)]
    alone = {"the oldest series": old if older else [], "another target": _elsewhere(plain, newest)}
    return [
        Group(images=_variants(cells[0], 1, distroless=False), reason=reason)
        for reason, cells in alone.items()
        if cells
    ]


def _elsewhere(cells: Iterable[_Cell], cell: _Cell) -> list[_Cell]:
    return [one for one in cells if one[0].target_name != cell[0].target_name]


def _freethreaded(cells: Iterable[_Cell], newest: _Cell) -> list[Group]:
    found = [cell for cell in cells if cell[0].flavour == "freethreaded" and cell is not newest]
    if not found:
        return []
    # The release and the target of the newest one, whose sources and base are at hand, go first.
    beside = (newest[0].release, newest[0].target_name)
    cell = next((cell for cell in found if (cell[0].release, cell[0].target_name) == beside), found[0])
    return [Group(images=_variants(cell, 1), reason="free-threaded")]


def _variants(cell: _Cell, systems: int, *, distroless: bool = True) -> tuple[Image, ...]:
    """Return so many variants with a whole system, slim first, and a distroless one if wanted or all there is."""
    whole = sorted((one for one in cell if one.variant not in DISTROLESS), key=lambda one: one.variant != "slim")
    bare = [one for one in cell if one.variant in DISTROLESS]
    return (*whole[:systems], *(bare[:1] if distroless or not whole else ()))


def _packages(possible: Iterable[Image], pythons: Iterable[Image], count: int) -> list[Group]:
    """Return packages, those that answer requests first: a worker needs a broker, which is built for its tests."""
    tried = {image.id for image in pythons}
    by_name: dict[str, list[Image]] = {}
    for image in possible:
        if image.installed:
            by_name.setdefault(image.installed.name, []).append(image)
    # Of equals, the first stays first: the family's first packages, and the newest version of each.
    ordered = sorted(by_name.values(), key=lambda images: installed(images[0]).package.test.kind != "http")
    chosen = tuple(min(images, key=lambda image: _cost(image, tried)) for images in ordered[:count])
    return [Group(images=chosen, reason="packages")] if chosen else []


def _cost(image: Image, tried: Collection[str]) -> tuple[bool, bool, bool]:
    """Sort images with a package by what else they need: a Python that is built anyway, and little in it."""
    return installed(image).python not in tried, image.variant == "full", image.variant != "slim"
