"""How planning and rendering grow with the matrix: one of `invoke bench`'s figures."""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from msgspec import UNSET
from msgspec.structs import replace

from kiln import bake, catalog, render
from kiln.bake import Build, Inputs
from kiln.image import Image
from kiln.matrix import Matrix, expand
from kiln.model import Artifact, Catalog, Release
from kiln.timing import Finding, Section, Timing, clocks

SIZES = (10, 100, 1_000, 10_000)
"""How many images the generated families have."""


def planning(family: Catalog, runs: int, sizes: Sequence[int] = SIZES) -> Section:
    """Measure how planning and rendering grow with the matrix: file to bake definition, in one process."""
    wall: dict[int, list[float]] = {}
    work: dict[int, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = {size: Path(folder, f"{size}.json") for size in sizes}
        for size, path in files.items():
            path.write_text(catalog.dumps(grown(family, size)), encoding="utf-8")
        # What a process does once, such as compiling templates, is no part of what an image costs.
        counts = {size: plan_all(path) for size, path in files.items()}
        for _ in range(runs):
            for size, path in files.items():
                # A small family is done in milliseconds: repeated until the clock can tell.
                taken, spent = clocks(partial(plan_all, path), max(1, sizes[-1] // 10 // size))
                wall.setdefault(counts[size], []).append(taken)
                work.setdefault(counts[size], []).append(spent)
    return _planned(
        {count: Timing(name=f"{count:,} images", seconds=tuple(found)) for count, found in wall.items()},
        {count: Timing(name=f"{count:,}, processor time", seconds=tuple(found)) for count, found in work.items()},
    )


def _planned(wall: Mapping[int, Timing], work: Mapping[int, Timing]) -> Section:
    each = {count: one.median / count for count, one in work.items()}
    least, most, cheapest = min(each), max(each), min(each.values())
    findings = [
        Finding(
            name=f"{most:,} images planned and rendered",
            value=wall[most].median,
            unit="s",
            bound=10,
            spread=wall[most].spread,
        )
    ]
    for count, value in each.items():
        if count != least:
            name = f"an image of {count:,} against one of {least:,}"
            findings.append(Finding(name=name, value=value / each[least], unit="x"))
    findings.append(Finding(name=f"an image of {most:,} against the cheapest", value=each[most] / cheapest, unit="x"))
    findings += [Finding(name=f"an image of {count:,}", value=value, unit="s") for count, value in each.items()]
    note = (
        "1x is linear, and in a small family what a family costs at all counts more; "
        "an image's time is processor time, which other work on the machine stretches less"
    )
    return Section(name="plan", findings=tuple(findings), timings=(*wall.values(), *work.values()), notes=(note,))


def grown(family: Catalog, size: int) -> Catalog:
    """Return a family of `size` images or a few more: the family's targets, and as many releases as that takes."""
    per_release = sum(len(target.variants) for target in family.targets.values())
    releases = [_release(family, f"3.{11 + number // 50}.{number % 50}") for number in range(-(-size // per_release))]
    # Packages, defaults and `latest` may ask for series that it does not have.
    return replace(family, releases=releases, exclusions=[], packages={}, default_targets=UNSET, latest=UNSET)


def _release(family: Catalog, version: str) -> Release:
    """Return the family's first release under another version, for all targets."""
    artifact = Artifact(file=f"Python-{version}.tar.xz", sha256=hashlib.sha256(version.encode()).hexdigest())
    # Windows images are not compiled, and nobody has imagined installers.
    targets = [name for name, target in family.targets.items() if target.distribution != "windows"]
    return replace(family.releases[0], version=version, artifacts=[artifact], flavours=["default"], targets=targets)


def plan_all(path: Path) -> int:
    """Go from a family's file to the bake definition of all its images; return how many there are."""
    matrix = expand(catalog.load(path), path)
    builds = [_imagined(image, matrix) for image in matrix.images]
    bake.dumps(bake.definition(builds, native="", folder=path.parent, secrets={}))
    return len(builds)


def _imagined(image: Image, matrix: Matrix) -> Build:
    """Return the build of an image whose sources and base are of no account."""
    platform, sha256 = image.platforms[0], image.release.artifacts[0].sha256
    inputs = Inputs(base="base", base_digest=f"sha256:{sha256}", source="source", source_sha256=sha256)
    return Build(
        image=image, repository=matrix.repository, platform=platform, inputs=inputs,
        compile_key=render.compile_key(image, platform, matrix.catalog),
        dockerfile=render.dockerfile(image, matrix.catalog),
    )  # fmt: skip
