"""How long images take to build from nothing, against the reference's recipe or an emulated compiler."""

import time
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from kiln import build as building
from kiln import engine as engines
from kiln import foreign, phases, plan, reference
from kiln.bench_pair import Ask, image
from kiln.build import Outcome
from kiln.engine import Engine
from kiln.errors import BuildError, EngineError, SelectionError
from kiln.image import Image
from kiln.matrix import Matrix
from kiln.phases import Phase
from kiln.plan import Options, Resolved, Wanted
from kiln.reference import Compiled
from kiln.timing import Section, Timing, ratio

SUITES = 2
"""On how many releases of Debian the family is built."""
VARIANTS = ("full", "slim", "distroless")
"""What the family consists of there, as far as the matrix has it."""
_TRIAL = "a quick build of ours, without optimisation"
_NOTHING = (
    "from nothing: no step is cached on either side, both install their packages, and both times end with the image "
    "in the engine; sources and base are at hand for both, and what apt has downloaded before is at hand for ours"
)


class _Built(Struct, frozen=True, kw_only=True):
    """One run of ours."""

    seconds: float
    phases: tuple[Phase, ...]


def compiling(matrix: Matrix, ask: Ask) -> Section:
    """Measure one image, from nothing to the engine, against the reference."""
    engine = engines.bring()
    mine = _resolve(matrix, [_chosen(matrix, ask, engine)], engine, ask)
    ours, theirs, notes = [], [], [_NOTHING]
    for _ in range(ask.times(1)):
        ours.append(_built(mine, engine, ask))
        other, note = _reference(mine[0], engine, ask)
        theirs.append(other)
        notes += [note] if note else []
    left = Timing(name=f"kiln, {mine[0].build.name}", seconds=tuple(one.seconds for one in ours))
    right = Timing(name=f"reference, {theirs[0].image}", seconds=tuple(one.seconds for one in theirs))
    notes += [f"kiln: {phases.words(ours[-1].phases)}", f"reference: {phases.words(theirs[-1].phases)}"]
    bare, their_bare = (
        Timing(name=f"{name}, compile alone", seconds=tuple(alone(one.phases) for one in found))
        for name, found in (("kiln", ours), ("reference", theirs))
    )
    findings = (
        ratio("optimised build against the reference", left, right, 0.35),
        ratio("the compile alone, without packages and export", bare, their_bare),
    )
    return Section(
        name="compile", findings=findings, timings=(left, right, bare, their_bare), notes=tuple(notes),
        trial=_TRIAL if ask.quick else "",
    )  # fmt: skip


def family(matrix: Matrix, ask: Ask) -> Section:
    """Measure a family, from nothing to the engine, against the reference for as many images."""
    engine = engines.bring()
    images = members(matrix, _chosen(matrix, ask, engine))
    mine = _resolve(matrix, images, engine, ask)
    ours, theirs, notes = [], [], [_NOTHING]
    for _ in range(ask.times(1)):
        ours.append(_built(mine, engine, ask))
        needed, said = _references(mine, engine, ask)
        theirs.append(needed)
        notes += said
    left = Timing(name=f"kiln, {len(images)} images", seconds=tuple(one.seconds for one in ours))
    right = Timing(name=f"reference, {len(images)} images", seconds=tuple(theirs))
    names = ", ".join(one.id for one in images)
    notes += [
        f"images: {names}",
        f"kiln, all steps of all images, some at the same time: {phases.words(ours[-1].phases)}",
    ]
    finding = ratio(f"{len(images)} images against the reference", left, right, 0.13)
    return Section(
        name="family", findings=(finding,), timings=(left, right), notes=tuple(notes),
        trial=_TRIAL if ask.quick else "",
    )  # fmt: skip


def crossed(matrix: Matrix, ask: Ask, engine: Engine) -> tuple[Image, str]:
    """Return an image and one of its platforms that it is cross compiled for, with an emulator for that at hand.

    Raises SelectionError where there is no such platform, and EngineError where it cannot be emulated.
    """
    chosen, nodes = _chosen(matrix, ask, engine), foreign.inspect(engine)
    platform = next((one for one in chosen.platforms if foreign.toolchain(chosen.target, one, nodes)), "")
    if not platform:
        raise SelectionError(f"{chosen.id}: is cross compiled for no platform here; name another one with --image")
    if reason := foreign.ready([platform], engine).get(platform):
        raise EngineError(reason)
    return chosen, platform


def crossing(matrix: Matrix, ask: Ask) -> Section:
    """Measure a cross compiled image, from nothing to the engine, against the same one compiled under emulation.

    Both are quick builds, for the other one takes hours with optimisation.
    """
    engine = engines.bring()
    quick = replace(ask, quick=True)
    chosen, platform = crossed(matrix, ask, engine)
    sides = (engine.platform, "")
    options = Options(quick=True)
    mine, emulated = (
        [plan.resolve(Wanted(image=chosen, platform=platform, toolchain=one), matrix, engine, options)] for one in sides
    )
    ours, theirs = [], []
    for _ in range(ask.times(1)):
        # The cross compiled one is last: it is what stays in the engine.
        theirs.append(_built(emulated, engine, quick))
        ours.append(_built(mine, engine, quick))
    names = (f"kiln, {mine[0].build.name}", f"emulated, {mine[0].build.name}")
    left, right = (
        Timing(name=name, seconds=tuple(one.seconds for one in found))
        for name, found in zip(names, (ours, theirs), strict=True)
    )
    how = (
        "quick builds on both sides, from nothing: no step is cached, both install their packages, and both times end "
        "with the image in the engine; sources and bases are at hand"
    )
    taken = [f"{name}: {phases.words(found[-1].phases)}" for name, found in (("kiln", ours), ("emulated", theirs))]
    finding = ratio("cross compiled against emulated", left, right, 0.2)
    return Section(name="cross", findings=(finding,), timings=(left, right), notes=(how, *taken))


def members(matrix: Matrix, first: Image) -> list[Image]:
    """Return the images of one release on two suites, which are the family that is measured."""
    mine = [
        one for one in matrix.images
        if one.release == first.release and one.flavour == first.flavour and one.target.distribution == "debian"
        and one.variant in VARIANTS and not one.installed
    ]  # fmt: skip
    suites = list(dict.fromkeys([first.target_name, *(one.target_name for one in mine)]))[:SUITES]
    return [one for one in mine if one.target_name in suites]


def _chosen(matrix: Matrix, ask: Ask, engine: Engine) -> Image:
    """Return the image that was asked for, or the newest slim one that can be built from here."""
    return image(matrix, ask.image) if ask.image else plan.default(matrix, engine.platform, None, engine)[0]


def _resolve(matrix: Matrix, images: Sequence[Image], engine: Engine, ask: Ask) -> list[Resolved]:
    """Return builds with their parts at hand, so that no download is measured."""
    options = Options(quick=ask.quick)
    found = [plan.resolve(Wanted(image=one, platform=engine.platform), matrix, engine, options) for one in images]
    for one in found:
        reference.name(one.build)  # an image without a reference is said before anything is built
    return found


def _built(mine: Sequence[Resolved], engine: Engine, ask: Ask) -> _Built:
    """Build images as `invoke build --no-cache` does."""
    begin = time.monotonic()
    outcomes = building.run(mine, engine, Options(quick=ask.quick, no_cache=True))
    taken = round(time.monotonic() - begin, 1)
    failed = next((one for one in outcomes if one.result != "built"), None)
    if failed:
        raise BuildError(f"{failed.name}: {failed.result}: {failed.error}")
    return _Built(seconds=taken, phases=together(mine, outcomes))


def together(mine: Sequence[Resolved], outcomes: Sequence[Outcome]) -> tuple[Phase, ...]:
    """Return the phases of builds: those of a compile stage, which several share, once."""
    compiled = {one.build.compile_target: found.compiled for one, found in zip(mine, outcomes, strict=True)}
    own = [[Phase(name=f"image: {one.name}", seconds=one.seconds) for one in found.phases] for found in outcomes]
    return phases.add(*compiled.values(), *own)


def _reference(one: Resolved, engine: Engine, ask: Ask) -> tuple[Compiled, str]:
    """Return the reference's compile, of now or of before, and what to know of it."""
    before = reference.recorded(one.build) if ask.recorded else None
    if before:
        return before, f"{before.image} was not compiled in this run: its time is of {before.taken}, on this machine"
    return reference.compile_anew(one.build, engine), ""


def _references(mine: Sequence[Resolved], engine: Engine, ask: Ask) -> tuple[float, list[str]]:
    """Return the seconds that the reference needs for as many images, and what to know of them."""
    suites: dict[str, list[Resolved]] = {}
    for one in mine:
        suites.setdefault(one.build.image.target_name, []).append(one)
    seconds, notes = 0.0, []
    for suite, group in suites.items():
        if ask.whole:
            taken = [reference.compile_anew(one.build, engine).seconds for one in group]
            notes.append(f"reference on {suite}: compiled {len(taken)} times")
        else:
            done, note = _reference(group[0], engine, ask)
            taken = [done.seconds] * len(group)
            words = f"reference on {suite}: compiled once ({done.seconds:.0f} s) and counted {len(group)} times"
            notes += [f"{words}, for its recipe compiles for each image (--whole really does)", *([note] * bool(note))]
        seconds += sum(taken)
    return seconds, notes


# What is no part of the compile: what the network and the exporter take, and what an image does for itself.
_APART = ("packages", "purge", "export")


def alone(found: Sequence[Phase]) -> float:
    """Return the seconds of the phases between the packages and the image."""
    kept = (one.seconds for one in found if one.name not in _APART and not one.name.startswith("image: "))
    return round(sum(kept), 1)
