"""What a user waits for before Python runs: its cold start, and the bytes to pull."""

import tempfile
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from kiln import bake, layers, oci, paths
from kiln import build as building
from kiln.bench_pair import Pair, resolved, run
from kiln.buildx import Buildx
from kiln.engine import Engine
from kiln.errors import CommandError
from kiln.matrix import Matrix
from kiln.model import Compression
from kiln.oci import Descriptor
from kiln.plan import Options
from kiln.timing import Finding, Section, Size, in_turn, ratio
from kiln.workspace import workspace

GZIP = Compression(algorithm="gzip", level=12)
IMPORTS = "import asyncio, json, ssl, sqlite3, email, http.client, logging, unittest"
# Bash has a clock of its own, so that nothing but Python is started between its two looks at it. What
# the engine takes to make a container is not in it: that is the same for both, and varies more than Python.
_CLOCK = 'begin=$EPOCHREALTIME; python3 -c "$0" || exit; echo "$begin $EPOCHREALTIME"'


def start(pair: Pair, runs: int) -> Section:
    """Measure Python's cold start: a process with common imports, each time in a fresh container."""
    ours, theirs = in_turn(
        {
            "python3 -c in a fresh container, kiln": partial(_start, pair.engine, pair.ours.reference),
            "python3 -c in a fresh container, reference": partial(_start, pair.engine, pair.theirs),
        },
        runs,
    )
    finding = ratio("cold start against the reference", ours, theirs, 0.2)
    how = (
        f"python3 -c '{IMPORTS}', from fork to end by bash's clock in the container: the engine's own start is "
        "not counted, and nothing is left of the run before but the files in the host's memory"
    )
    return Section(name="start", findings=(finding,), timings=(ours, theirs), notes=(pair.note, how), trial=pair.trial)


def _start(engine: Engine, reference: str) -> float:
    """Return the seconds of one cold start."""
    command = ("run", "--rm", "--pull", "never", "--network", "none", "--entrypoint", "bash", reference)
    said = engine.run(*command, "-c", _CLOCK, IMPORTS).split()
    try:
        begin, end = (float(word.replace(",", ".")) for word in said)
    except ValueError:
        raise CommandError(f"bash in {reference} printed {' '.join(said)[:100]!r} in place of two times") from None
    return end - begin


def size(pair: Pair, matrix: Matrix) -> Section:
    """Weigh the images as they are pulled, layer by layer; the reference has gzip layers, as the official images."""
    weighed = {
        "kiln, as pulled": _saved(pair.engine, pair.ours.reference),
        "kiln, gzip": _built(pair, matrix, GZIP),
        "reference, gzip": _exported(pair.engine, pair.theirs),
    }
    sizes = [
        Size(name=f"{name}: {part}", bytes=count)
        for name, layers in weighed.items()
        for part, count in [("all", _sum(layers)), *((_layer(n, one), one.size) for n, one in enumerate(layers, 1))]
    ]
    pulled, plain, reference = (_sum(layers) for layers in weighed.values())
    findings = (
        _weight("size as pulled against the reference", pulled, reference, 0.75),
        _weight("size, both with gzip layers", plain, reference, 1.0),
    )
    how = (
        "compressed layers, without the configuration; both stand on the same base, which is in the sums; "
        "for the second figure ours is built with gzip, as `compression` in versions.json has it, "
        "and the reference's layers get it from BuildKit, where they come without"
    )
    return Section(name="size", findings=findings, sizes=tuple(sizes), notes=(pair.note, how), trial=pair.trial)


def _weight(name: str, ours: int, theirs: int, bound: float) -> Finding:
    raw = f"{ours / 1e6:.1f} MB against {theirs / 1e6:.1f} MB"
    return Finding(name=name, value=ours / theirs, unit="x", bound=bound, raw=raw)


def _sum(layers: list[Descriptor]) -> int:
    return sum(layer.size for layer in layers)


def _layer(count: int, layer: Descriptor) -> str:
    kind = layer.media_type.rpartition("+")[2] if "+" in layer.media_type else layer.media_type.rpartition(".")[2]
    return f"layer {count} ({kind})"


def _saved(engine: Engine, reference: str) -> list[Descriptor]:
    """Return an image's layers as the engine holds them, and pushes them."""
    with tempfile.TemporaryDirectory(dir=paths.folder("tmp")) as folder:
        archive = Path(folder) / "image.tar"
        engine.run("save", "--output", archive, reference)
        return oci.layers(archive, engine.platform)


def _built(pair: Pair, matrix: Matrix, wanted: Compression) -> list[Descriptor]:
    """Return the layers of our image as it is built with another compression; it is neither loaded nor recorded."""
    other = replace(matrix, catalog=replace(matrix.catalog, compression=wanted))
    build = resolved(other, pair.ours.id, pair.engine, quick=pair.ours.quick)
    with workspace() as place:
        text = building.definition([build], pair.engine.platform, place.folder, Options(quick=build.quick))
        paths.write_whole(place.folder / "definition.json", text)
        buildx = Buildx(pair.engine, place.folder / "definition.json", place)
        for target in (build.compile_target, build.target):
            buildx.bake(target, lambda _: None)
        archive = bake.archive(build, place.folder)
        if not build.quick:
            layers.recompress(archive, wanted)
        return oci.layers(archive, pair.engine.platform)


def _exported(engine: Engine, reference: str) -> list[Descriptor]:
    """Return an image's layers with gzip by BuildKit, where they have another compression."""
    with tempfile.TemporaryDirectory(dir=paths.folder("tmp")) as name:
        folder = Path(name)
        (folder / "Dockerfile").write_text("FROM image\n", encoding="utf-8")
        output = f"type=oci,dest={folder / 'image.tar'},compression=gzip,force-compression=true"
        context = ("--build-context", f"image=docker-image://{reference}")
        run(engine.buildx("build", *context, "--provenance=false", "--output", output, folder), engine.env)
        return oci.layers(folder / "image.tar", engine.platform)
