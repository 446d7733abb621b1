"""The status table of a page, in the style of infra7/python: what was tested of each Python on each target.

A tick stands for stored test results of published builds alone: what `--quick` built is shown as
such where nothing else was tested, and counts for no tick.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct
from packaging.version import Version

from kiln.image import Image
from kiln.results import Results

CHECK, CROSS, ABSENT, QUICK = "&check;", "&cross;", "&ndash;", "quick"
_NOTES = ("prerelease", "kept", "ended", "prerelease target")
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Python(Struct, frozen=True, kw_only=True):
    """A column: a release in one flavour."""

    series: str
    """With the flavour's letter: `3.13`, `3.14t`."""
    version: str
    """With the flavour's letter: `3.13.5`."""
    marks: str
    """The marks of its footnotes, with a space between two; empty where it has none."""
    ids: list[str]
    """The ids of its images, as `images` has them."""


class Row(Struct, frozen=True, kw_only=True):
    """A row: a target."""

    target: str
    """Its key in `targets`: `trixie`."""
    title: str
    """`Debian 13 (trixie)`."""
    distribution: str
    """`debian`."""
    mark: str
    """The mark of its footnote, or empty."""
    cells: list[str]
    """A cell for each Python: `&check;`, `&cross;`, `1/4`, `quick`, `&ndash;` (not offered), or empty (not tested)."""


class Status(Struct, frozen=True, kw_only=True):
    """The whole table."""

    pythons: list[Python]
    """Newest series first, in it the newest release first."""
    rows: list[Row]
    """In the order of the releases."""
    notes: dict[str, str]
    """The marks of the footnotes that apply, by reason: `prerelease`, `kept`, `ended`, `prerelease target`."""


def status(images: Iterable[Image], results: Results) -> Status:
    """Return the status table of a family's Python images, or of those with one package."""
    columns = _columns(images)
    targets = {image.target_name: image.target for column in columns for image in column}
    early = {name for name, target in targets.items() if target.prerelease is True}
    used = {note for column in columns for note in _notes(column[0])} | ({"prerelease target"} if early else set())
    notes = {note: str(place).translate(_SUPERSCRIPTS) for place, note in enumerate(_ordered(used), start=1)}
    pythons = [
        Python(
            series=_series(column[0]), version=column[0].python, ids=[image.tags.specific[0] for image in column],
            marks=" ".join(notes[note] for note in _notes(column[0])),
        )
        for column in columns
    ]  # fmt: skip
    rows = [
        Row(
            target=name, title=target.title, distribution=target.distribution,
            mark=notes["prerelease target"] if name in early else "",
            cells=[cell([image for image in column if image.target_name == name], results) for column in columns],
        )
        for name, target in targets.items()
    ]  # fmt: skip
    return Status(pythons=pythons, rows=rows, notes=notes)


def cell(images: Sequence[Image], results: Results) -> str:
    """Return what the table says of a release on a target: all its variants and platforms."""
    builds = [results.get(image.id, platform) for image in images for platform in image.platforms]
    tested = [outcome for outcome in builds if outcome is not None]
    published = [outcome for outcome in tested if not outcome.quick]
    if not builds:
        return ABSENT
    if any(outcome.failed for outcome in published):
        return CROSS
    if published:
        return CHECK if len(published) == len(builds) else f"{len(published)}/{len(builds)}"
    return QUICK if any(not outcome.failed for outcome in tested) else ""


def _columns(images: Iterable[Image]) -> list[list[Image]]:
    """Return the images of each Python: newest series first, in it the newest release first."""
    pythons: dict[str, list[Image]] = {}
    for image in images:
        pythons.setdefault(image.python, []).append(image)
    return sorted(pythons.values(), key=lambda alike: _age(alike[0]), reverse=True)


def _age(image: Image) -> tuple[Version, bool, Version]:
    return Version(image.release.series), image.flavour == "default", image.release.parsed


def _series(image: Image) -> str:
    return image.release.series + image.python.removeprefix(image.release.version)


def _notes(image: Image) -> list[str]:
    """Return what a reader must know of an image's Python, as reasons of footnotes."""
    version = image.release.parsed
    kept = image.tags.python == image.python
    return ["prerelease"] * version.is_prerelease + ["kept"] * kept + ["ended"] * (version.major < 3)


def _ordered(notes: set[str]) -> list[str]:
    return [note for note in _NOTES if note in notes]
