"""What `invoke bench` measures: against bounds and other programs, both sides in turn, on this machine."""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from kiln import bake, machine, network, paths, plan, records
from kiln import build as building
from kiln import engine as engines
from kiln.bake import Build
from kiln.bench_plan import planning
from kiln.console import step
from kiln.engine import Engine
from kiln.errors import CommandError, SelectionError
from kiln.matrix import Matrix
from kiln.plan import Options, Wanted
from kiln.records import Record
from kiln.timing import Finding, Report, Section, Timing, clocks

_KILN = (sys.executable, "-m", "invoke")
_PYTEST = (sys.executable, "-m", "pytest", "tests/images", "--force", "-q")


def run(names: Sequence[str], matrix: Matrix, *, runs: int, versions: str) -> Report:
    """Run the named benchmarks, or all of them, each side of each `runs` times.

    Raises SelectionError for a name that is none, and where an image must be built first.
    """
    known = ("plan", "start", "noop", "tests")
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise SelectionError(f"{unknown!r} is no benchmark; there are {', '.join(known)}")
    if runs < 1:
        raise SelectionError(f"--runs {runs}: nothing would be measured; give 1 or more")
    chosen = [name for name in known if name in names or not names]
    facts: dict[str, str] = {}
    work: dict[str, Callable[[], Section]] = {
        "plan": lambda: planning(matrix.catalog, runs),
        "start": lambda: start(runs),
    }
    if {"noop", "tests"} & {*chosen}:
        # What is missing is said before anything is measured, which would be lost.
        engine, built = _built(matrix)
        facts = machine.engine_facts(engine)
        file = Path(versions).absolute()
        work["tests"] = lambda: image_tests(built[-1], engine, file, runs)
        if "noop" in chosen:
            current = _up_to_date(built, matrix, engine)
            work["noop"] = lambda: noop(current, engine, file, runs)
    facts = {**machine.facts(), **facts}
    sections = [_section(name, work[name]) for name in chosen]
    return Report(machine=facts, sections=tuple(sections))


def _section(name: str, work: Callable[[], Section]) -> Section:
    with step(f"bench {name}"):
        return work()


def start(runs: int) -> Section:
    """Measure how long `invoke --list` takes, against what importing invoke takes anyway."""
    # They take a fraction of a second each, and vary by tenths of it.
    ours, bare = _in_turn(
        {
            "invoke --list": partial(_run, (*_KILN, "--list")),
            "python -c 'import invoke'": partial(_run, (sys.executable, "-c", "import invoke")),
        },
        runs * 3,
    )
    findings = (
        Finding(name="invoke --list against import invoke", value=ours.median / bare.median, unit="x"),
        Finding(name="invoke --list", value=ours.median, unit="s", bound=0.4),
    )
    return Section(name="start", findings=findings, timings=(ours, bare))


def _built(matrix: Matrix) -> tuple[Engine, list[Record]]:
    """Return the engine and its own platform's images that Kiln built and it holds, smallest first."""
    found = [record for record in records.every(matrix.repository) if matrix.get(record.id)]
    advice = "build one: ./run invoke build (others need none: ./run invoke bench plan start)"
    if not found:
        raise SelectionError(f"no image is recorded here; {advice}")
    engine = engines.bring()
    held = building.held_digests(engine, [record.reference for record in found])
    native = [one for one in found if one.platform == engine.platform and held.get(one.reference) == one.digest]
    if not native:
        raise SelectionError(f"the engine holds no recorded image for {engine.platform}; {advice}")
    return engine, sorted(native, key=lambda record: record.size)


def _up_to_date(built: Sequence[Record], matrix: Matrix, engine: Engine) -> Build:
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
        ours, exporting, looking = _in_turn(
            {
                "invoke build": partial(_run, kiln),
                "buildx bake": partial(_run, bare, env),
                "buildx bake without its export": partial(_run, (*bare, "--set", "*.output=type=cacheonly"), env),
            },
            runs,
        )
    ratio = Finding(name="invoke build against bare bake", value=ours.median / exporting.median, unit="x", bound=1.5)
    strict = Finding(name="... against bake that exports nothing", value=ours.median / looking.median, unit="x")
    note = f"{build.name}; bake writes the image's archive each time, Kiln sees that the engine has the image"
    return Section(name="noop", findings=(ratio, strict), timings=(ours, exporting, looking), notes=(note,))


def image_tests(built: Record, engine: Engine, versions: Path, runs: int) -> Section:
    """Measure the tests of one image, the largest, less what pytest and a container take to start."""
    command = (*_PYTEST, "--platform", built.platform, "--versions", str(versions), built.id)
    container = engine.docker("run", "--rm", "--pull", "never", built.reference, "true")
    said: list[str] = []
    whole, collecting, starting = _in_turn(
        {
            "pytest": lambda: said.append(_run(command, accept=(0, 1))),
            "pytest --collect-only": partial(_run, (*command, "--collect-only")),
            "docker run": partial(_run, container, engine.env),
        },
        runs,
    )
    value = whole.median - collecting.median - starting.median
    finding = Finding(name="tests of an image beyond both starts", value=value, unit="s", bound=5)
    notes = (line for line in said[-1].splitlines() if re.search(r"; \d+ docker exec$| (passed|failed).* in ", line))
    return Section(name="tests", findings=(finding,), timings=(whole, collecting, starting), notes=tuple(notes))


def _run(command: Sequence[str], env: Mapping[str, str] | None = None, *, accept: Sequence[int] = (0,)) -> str:
    """Run a program as a user would and return what it prints; CommandError where it fails."""
    done = subprocess.run(
        command, cwd=paths.ROOT, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in accept:
        last = (done.stdout.strip().splitlines() or ["no output"])[-1]
        raise CommandError(f"{shlex.join(command)}: failed with exit code {done.returncode}: {last}")
    return done.stdout


def _in_turn(sides: Mapping[str, Callable[[], object]], runs: int) -> list[Timing]:
    """Measure several things in turn, so that what disturbs one disturbs the others; each once before, unmeasured."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for work in sides.values():
        work()
    for _ in range(runs):
        for name, work in sides.items():
            taken[name].append(clocks(work, 1)[0])
    return [Timing(name=name, seconds=tuple(found)) for name, found in taken.items()]
