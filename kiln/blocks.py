"""The README's blocks: facts from the matrix and the committed results, words from templates.

A tick stands for stored test results of published builds alone: what `--quick` built is shown as
such where nothing else was tested, and counts for no tick and no size.
"""

from collections.abc import Mapping
from urllib.parse import quote

from jinja2 import TemplateError
from msgspec import UNSET, Struct
from packaging.version import Version

from kiln import markdown, render
from kiln.errors import ReadmeError
from kiln.markdown import code, escape
from kiln.matrix import Image, Matrix
from kiln.model import Exclusion
from kiln.results import Results

CHECK, CROSS, ABSENT, QUICK = "&check;", "&cross;", "&ndash;", "quick"
NAMES = ("status", "tags", "platforms", "sizes")
_NOTES = ("prerelease", "kept", "prerelease target")
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Column(Struct, frozen=True, kw_only=True):
    """One Python of a family: a release in one flavour."""

    series: str
    """With the flavour's letter: `3.13`, `3.14t`."""
    python: str
    """The version with the flavour's letter: `3.13.5`."""
    images: tuple[Image, ...]

    @property
    def notes(self) -> list[str]:
        """Return what a reader must know of it, as keys of the footnotes."""
        image = self.images[0]
        kept = image.tags.python == image.python
        return ["prerelease"] * image.release.parsed.is_prerelease + ["kept"] * kept

    def on(self, target: str) -> list[Image]:
        """Return its images on a target, one for each variant."""
        return [image for image in self.images if image.target_name == target]


def blocks(matrix: Matrix, results: Results) -> dict[str, str]:
    """Return the text of each block by its name, its lines ended by a newline character each."""
    columns = _columns(matrix)
    facts: dict[str, Mapping[str, object]] = {
        "status": _status(columns, results),
        "tags": {"columns": columns},
        "platforms": _platforms(matrix),
        "sizes": _sizes(matrix, results),
    }
    return {name: _text(name, facts[name]) for name in NAMES}


def _text(block: str, facts: Mapping[str, object]) -> str:
    template = f"readme/{block}.md.j2"
    helpers = {"code": code, "md": escape, "quote": quote, "folder": render.FOLDER}
    try:
        return render.environment().get_template(template).render({**helpers, **facts})
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise ReadmeError(f"templates/{template}{f':{line}' if line else ''}: {error}; correct the template") from error


def _columns(matrix: Matrix) -> list[Column]:
    """Return the family's Pythons: newest series first, in it the newest release first."""
    pythons: dict[str, list[Image]] = {}
    for image in matrix.images:
        pythons.setdefault(image.python, []).append(image)
    groups = sorted(pythons.values(), key=lambda images: _age(images[0]), reverse=True)
    return [Column(series=_series(images[0]), python=images[0].python, images=tuple(images)) for images in groups]


def _age(image: Image) -> tuple[Version, bool, Version]:
    return Version(image.release.series), image.flavour == "default", image.release.parsed


def _series(image: Image) -> str:
    return image.release.series + image.python.removeprefix(image.release.version)


def _targets(matrix: Matrix) -> dict[str, list[Image]]:
    """Return each target's images, targets in the order of the releases."""
    found: dict[str, list[Image]] = {}
    for image in matrix.images:
        found.setdefault(image.target_name, []).append(image)
    return found


def _status(columns: list[Column], results: Results) -> dict[str, object]:
    """Return the status table, in the style of infra7/python, and its footnotes."""
    targets = {image.target_name: image.target for column in columns for image in column.images}
    early = [name for name, target in targets.items() if target.prerelease is True]
    used = {note for column in columns for note in column.notes} | ({"prerelease target"} if early else set())
    marks = {note: str(place).translate(_SUPERSCRIPTS) for place, note in enumerate(_ordered(used), start=1)}
    releases = [column.python + " ".join(marks[note] for note in column.notes) for column in columns]
    rows = [
        [escape(target.title) + (marks["prerelease target"] if name in early else "")]
        + [cell(column.on(name), results) for column in columns]
        for name, target in targets.items()
    ]
    head = ["Python version →", *(column.series for column in columns)]
    return {"table": markdown.table(head, [["Target ↓ / Release →", *releases], *rows]), "marks": marks}


def _ordered(notes: set[str]) -> list[str]:
    return [note for note in _NOTES if note in notes]


def cell(images: list[Image], results: Results) -> str:
    """Return what the status table says of a release on a target: all its variants and platforms."""
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


def _platforms(matrix: Matrix) -> dict[str, object]:
    rows = []
    for images in _targets(matrix).values():
        target = images[0].target
        platforms = {platform for image in images for platform in image.platforms}
        variants = {image.variant for image in images}
        rows.append([
            escape(target.title),
            code(target.base.image),
            ", ".join(code(name) for name in matrix.catalog.variants if name in variants),
            ", ".join(code(name) for name in target.platforms if name in platforms),
        ])  # fmt: skip
    table = markdown.table(["Target", "Base", "Variants", "Platforms"], rows)
    excluded = [(_rule(rule), escape(rule.reason)) for rule in matrix.catalog.exclusions]
    return {"table": table, "excluded": excluded}


def _rule(rule: Exclusion) -> str:
    """Return what an exclusion leaves out: `release 3.11.*, platform linux/arm64`."""
    parts = [(name, getattr(rule, name)) for name in ("release", "flavour", "target", "variant", "platform")]
    given = [f"{name} {escape(glob)}" for name, glob in parts if glob is not UNSET]
    return ", ".join(given) or "everything"


def _sizes(matrix: Matrix, results: Results) -> dict[str, object]:
    """Return the table of the published images' sizes, of those whose tests passed."""
    sizes = {
        (image.id, platform): f"{outcome.size / 1e6:.1f}"
        for image in matrix.images
        for platform in image.platforms
        if (outcome := results.get(image.id, platform)) and not outcome.quick and not outcome.failed
    }
    measured = {place for pair in sizes for place in pair}
    platforms = [name for name in _all_platforms(matrix) if name in measured]
    images = [image.id for image in matrix.images if image.id in measured]
    rows = [[code(name), *(sizes.get((name, platform), "") for platform in platforms)] for name in images]
    head = ["Image", *(code(platform) for platform in platforms)]
    return {"table": markdown.table(head, rows, right=True) if rows else ""}


def _all_platforms(matrix: Matrix) -> list[str]:
    return list(dict.fromkeys(name for image in matrix.images for name in image.platforms))
