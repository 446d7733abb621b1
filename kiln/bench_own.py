"""What Kiln itself costs: its command line, builds with nothing to do, and the tests of an image."""

import re
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from kiln import bake, network, paths, plan, records
from kiln import build as building
from kiln import engine as engines
from kiln.bake import Build
from kiln.bench_pair import run, timed
from kiln.engine import Engine
from kiln.errors import SelectionError
from kiln.matrix import Matrix
from kiln.plan import Options, Wanted
from kiln.records import Record
from kiln.timing import Finding, Section, in_turn, ratio

_KILN = (sys.executable, "-m", "invoke")
_PYTEST = (sys.executable, "-m", "pytest", "tests/images", "--force", "-q")


def cli(runs: int) -> Section:
    """Measure how long `invoke --list` takes, against what importing invoke takes anyway."""
    # They take a fraction of a second each, and vary by tenths of it.
    ours, bare = in_turn(
        {
            "invoke --list": timed(partial(run, (*_KILN, "--list"))),
            "python -c 'import invoke'": timed(partial(run, (sys.executable, "-c", "import invoke"))),
        },
        runs * 3,
    )
    findings = (
        ratio("invoke --list against import invoke", ours, bare),
        Finding(name="invoke --list", value=ours.median, unit="s", bound=0.4, spread=ours.spread),
    )
    return Section(name="cli", findings=findings, timings=(ours, bare))


def built(matrix: Matrix) -> tuple[Engine, list[Record]]:
    """Return the engine and its own platform's images that Kiln built and it holds, smallest first."""
    found = [record for record in records.every(matrix.repository) if matrix.get(record.id)]
    advice = "build one: ./run invoke build (others need none: ./run invoke bench plan cli)"
    if not found:
        raise SelectionError(f"no image is recorded here; {advice}")
    engine = engines.bring()
    held = building.held_digests(engine, [record.reference for record in found])
    native = [one for one in found if one.platform == engine.platform and held.get(one.reference) == one.digest]
    if not native:
        raise SelectionError(f"the engine holds no recorded image for {engine.platform}; {advice}")
    return engine, sorted(native, key=lambda record: record.size)


def up_to_date(built: Sequence[Record], matrix: Matrix, engine: Engine) -> Build:
    """Return the smallest build that would have nothing to do: bake exports it each time, which takes long."""
    for record in built:
        image = matrix.get(record.id)
        if image is not None:
            wanted = Wanted(image=image, platform=record.platform)
            build = plan.resolve(wanted, matrix, engine, Options(quick=record.quick)).build
            if build.digest == record.inputs:
                return build
    smallest = f"{'--quick ' if built[0].quick else ''}{built[0].id}"
    raise SelectionError(f"no recorded image is up to date; build one again: ./run invoke build {smallest}")


def noop(build: Build, engine: Engine, versions: Path, runs: int) -> Section:
    """Measure a build with nothing to do, against bake on the same definition, with everything in its cache."""
    quick = ("--quick",) if build.quick else ()
    kiln = (*_KILN, "build", *quick, "--versions", str(versions), build.image.id)
    with tempfile.TemporaryDirectory(dir=paths.folder("tmp")) as name:
        folder = Path(name)
        definition = bake.definition([build], native=engine.platform, folder=folder, secrets=network.secrets())
        paths.write_whole(folder / "bake.json", bake.dumps(definition))
        paths.write_whole(bake.dockerfile_folder(build, folder) / "Dockerfile", build.dockerfile)
        bake.archive(build, folder).parent.mkdir()
        bare = (*engine.buildx("bake", "--progress", "plain", "--file", folder / "bake.json"), build.target)
        env = {**engine.env, "BUILDX_BAKE_ENTITLEMENTS_FS": "0"}
        ours, exporting, looking = in_turn(
            {
                "invoke build": timed(partial(run, kiln)),
                "buildx bake": timed(partial(run, bare, env)),
                "buildx bake without its export": timed(partial(run, (*bare, "--set", "*.output=type=cacheonly"), env)),
            },
            runs,
        )
    findings = (
        ratio("invoke build against bare bake", ours, exporting, 1.5),
        ratio("... against bake that exports nothing", ours, looking),
    )
    note = f"{build.name}; bake writes the image's archive each time, Kiln sees that the engine has the image"
    return Section(name="noop", findings=findings, timings=(ours, exporting, looking), notes=(note,))


def image_tests(built: Record, engine: Engine, versions: Path, runs: int) -> Section:
    """Measure the tests of one image, the largest, less what pytest and a container take to start."""
    command = (*_PYTEST, "--platform", built.platform, "--versions", str(versions), built.id)
    start = partial(engine.run, "run", "--rm", "--pull", "never", built.reference, "true")
    said: list[str] = []
    whole, collecting, starting = in_turn(
        {
            "pytest": timed(lambda: said.append(run(command, accept=(0, 1)))),
            "pytest --collect-only": timed(partial(run, (*command, "--collect-only"))),
            "docker run": timed(start),
        },
        runs,
    )
    value = whole.median - collecting.median - starting.median
    finding = Finding(name="tests of an image beyond both starts", value=value, unit="s", bound=5, spread=whole.spread)
    notes = (line for line in said[-1].splitlines() if re.search(r"; \d+ docker exec$| (passed|failed).* in ", line))
    return Section(name="tests", findings=(finding,), timings=(whole, collecting, starting), notes=tuple(notes))
