"""What `invoke bench` measures: figures against bounds and other programs, both sides in turn, on this machine."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from kiln import bench_compile, bench_images, bench_own, bench_pair, bench_speed, machine
from kiln import engine as engines
from kiln.bench_pair import Ask
from kiln.bench_plan import planning
from kiln.bench_results import FIGURES
from kiln.console import step
from kiln.errors import SelectionError
from kiln.matrix import Matrix
from kiln.timing import Report, Section

_IMAGES = {"compile", "family", "cross", "speed", "start", "size"}
_FLAGS = {
    "image": _IMAGES,
    "quick": _IMAGES - {"cross"},
    "recorded": {"compile", "family"},
    "runs": {*FIGURES} - {"size"},
}
"""The figures that make something of a flag."""


def run(names: Sequence[str], matrix: Matrix, ask: Ask, keep: Callable[[Report], object]) -> Report:
    """Measure the named figures, or all of them, and hand each to `keep` as soon as it is there.

    Raises SelectionError for a name that is none, and where an image must be built first.
    """
    unknown = next((name for name in names if name not in FIGURES), None)
    if unknown is not None:
        raise SelectionError(f"{unknown!r} is no benchmark; there are {', '.join(FIGURES)}")
    if ask.runs < 0:
        raise SelectionError(f"--runs {ask.runs}: nothing would be measured; give 1 or more")
    chosen = [name for name in FIGURES if name in names or not names]
    _check_flags(ask, chosen)
    work = _work(matrix, ask, chosen)
    facts: dict[str, str] = {}
    if {*chosen} - {"plan", "cli"}:
        # What is missing is said before anything is measured, which would be lost.
        if "compile" not in chosen:
            _look(chosen, matrix, ask)
        engine = engines.bring()
        if "cross" in chosen:
            bench_compile.crossed(matrix, ask, engine)
        facts = machine.engine_facts(engine)
    before = {**machine.facts(), **facts}
    sections = []
    for name in chosen:
        now = {**machine.facts(), **facts}
        with step(f"bench {name}"):
            sections.append(work[name]())
        # What took an hour is not lost where a later figure fails.
        keep(Report(machine=now, sections=(sections[-1],)))
    return Report(machine=before, sections=tuple(sections))


def _check_flags(ask: Ask, chosen: Sequence[str]) -> None:
    """Raise SelectionError for a flag that none of the figures takes, or that takes back another."""
    for flag, figures in _FLAGS.items():
        if getattr(ask, flag) and not figures & {*chosen}:
            raise SelectionError(f"--{flag}: no use for {', '.join(chosen)}; leave it out")
    if ask.whole and ask.recorded:
        raise SelectionError("--whole --recorded: compile every reference, or take the times of before? leave one out")


def _look(chosen: Sequence[str], matrix: Matrix, ask: Ask) -> None:
    """Raise SelectionError where a figure needs an image that is not there."""
    if {"noop", "tests"} & {*chosen}:
        engine, built = bench_own.built(matrix)
        if "noop" in chosen:
            bench_own.up_to_date(built, matrix, engine)
    if {"speed", "start", "size"} & {*chosen}:
        bench_pair.find(matrix, ask, inside=bool({"speed", "start"} & {*chosen}))


def _work(matrix: Matrix, ask: Ask, chosen: Sequence[str]) -> dict[str, Callable[[], Section]]:
    """Return what measures each figure, with as many runs as fit it where none are asked for."""

    def noop() -> Section:
        engine, built = bench_own.built(matrix)
        return bench_own.noop(bench_own.up_to_date(built, matrix, engine), engine, matrix.file, ask.times(5))

    def tests() -> Section:
        engine, built = bench_own.built(matrix)
        return bench_own.image_tests(built[-1], engine, matrix.file, ask.times(5))

    return {
        "compile": lambda: bench_compile.compiling(matrix, ask),
        # What `compile` has just measured need not be compiled again.
        "family": lambda: bench_compile.family(
            matrix, replace(ask, recorded=True) if "compile" in chosen else ask
        ),
        "cross": lambda: bench_compile.crossing(matrix, ask),
        "speed": lambda: bench_speed.speed(bench_pair.find(matrix, ask, inside=True), ask.times(11)),
        "start": lambda: bench_images.start(bench_pair.find(matrix, ask, inside=True), ask.times(15)),
        "size": lambda: bench_images.size(bench_pair.find(matrix, ask, inside=False), matrix),
        "plan": lambda: planning(matrix.catalog, ask.times(5)),
        "cli": lambda: bench_own.cli(ask.times(5)),
        "noop": noop,
        "tests": tests,
    }  # fmt: skip
