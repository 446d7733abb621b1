"""The matrix as a list: what `invoke matrix` prints, for people and for machines."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kiln import bases, columns, foreign, render, sources, stages
from kiln import engine as engines
from kiln.foreign import Node
from kiln.image import Image
from kiln.matrix import Matrix

_CROSS = "+"
_TITLES = ("ID", "COMPILE KEY", "PLATFORMS", "SOURCES", "BASE", "TAGS")
# What a narrow terminal has no room for, the first to go first: the compile key, then the tags.
_DROP = (1, 5)
_SOURCES = {"available": "yes", "announced": "announced", "unreachable": "no", "unpinned": "no source is pinned"}
"""How the table says a state."""


def rows(matrix: Matrix, images: Iterable[Image], folder: Path | None) -> list[dict[str, Any]]:
    """Return a mapping for each image: id, tags, platforms, compile keys, origins of its parts."""
    engine = engines.seen()
    origins: dict[tuple[str, bool], sources.Found] = {}
    found: dict[tuple[str, str], str | None] = {}
    nodes = foreign.known(engine)
    listed = []
    for image in images:
        source = image.release.version, image.target.distribution == "windows"
        if source not in origins:
            origins[source] = sources.look(stages.made_from(image), matrix.catalog.sources, folder=folder)
        for platform in image.platforms:
            key = image.target_name, platform
            if key not in found:
                found[key] = bases.available(image.target, platform, engine=engine)
        listed.append(
            {
                "id": image.id,
                "version": image.python,
                "target": image.target_name,
                "variant": image.variant,
                "dockerfile": f"{render.FOLDER}/{image.folder}/Dockerfile",
                "tags": {"specific": list(image.tags.specific), "shared": list(image.tags.shared)},
                "platforms": list(image.platforms),
                "compiled": {p: foreign.how(image.target, p, nodes) for p in image.platforms},
                "compile_keys": {p: _key(image, p, matrix, nodes) for p in image.platforms},
                "profile_guided": {
                    p: render.profile_guided(matrix.catalog, cross=bool(foreign.toolchain(image.target, p, nodes)))
                    for p in image.platforms
                },
                "pinned": not stages.lack(image),
                "sources": origins[source].origin,
                "state": _state(image, origins[source]),
                "bases": {p: found[image.target_name, p] for p in image.platforms},
            }
        )
    return listed


def _state(image: Image, source: sources.Found) -> str:
    """Return `unpinned`, `available`, `announced` (no origin serves the sources yet) or `unreachable`."""
    if stages.lack(image):
        return "unpinned"
    return "available" if source.origin else "announced" if source.announced else "unreachable"


def _key(image: Image, platform: str, matrix: Matrix, nodes: Sequence[Node]) -> str | None:
    cross = bool(foreign.toolchain(image.target, platform, nodes))
    return render.compile_key(image, platform, matrix.catalog, cross=cross) or None


def table(listed: list[dict[str, Any]], width: int | None = None) -> str:
    """Return the rows as aligned columns that fit a width; a compile key is that of the first platform."""
    lines = []
    for row in listed:
        tags = [*row["tags"]["specific"][1:], *row["tags"]["shared"]]
        lines.append(
            (
                row["id"],
                next(iter(row["compile_keys"].values())) or "-",
                ",".join(_here(p, row) for p in row["platforms"]),
                _SOURCES[row["state"]],
                "yes" if any(row["bases"].values()) else "no",
                " ".join(tags),
            )
        )
    fitted = columns.fit(lines, width, titles=_TITLES, drop=_DROP)
    buildable = sum(bool(row["sources"] and any(row["bases"].values())) for row in listed)
    legend = f"{len(listed)} images, {buildable} of them can be built from here; (platform): its base cannot be had"
    crossed = [(row, p) for row in listed for p in row["platforms"] if row["compiled"][p] == "cross"]
    if crossed:
        unguided = any(not row["profile_guided"][p] for row, p in crossed)
        legend += f"; {_CROSS}: cross compiled{', not profile-guided' if unguided else ''}"
    if fitted.dropped:
        names = " and ".join(_TITLES[column].lower() for column in sorted(fitted.dropped))
        legend += f"; not shown for want of room: {names} (--json has everything)"
    return f"{fitted}\n{columns.fill(legend, width)}"


def _here(platform: str, row: dict[str, Any]) -> str:
    """Return a platform, in brackets where its base cannot be had from here, with a mark where it is cross compiled."""
    name = platform.removeprefix("linux/") + (_CROSS if row["compiled"][platform] == "cross" else "")
    return name if row["bases"][platform] else f"({name})"
