"""`invoke build` from end to end: choose, say what and why, build, push, sum up."""

import shlex
import sys
from collections.abc import Iterable, Sequence

from msgspec import structs

from kiln import announced, columns, console, family, foreign, plan, plan_report, process, publish, runtime, workspace
from kiln import build as building
from kiln import engine as engines
from kiln.build import Outcome
from kiln.console import say, seconds
from kiln.engine import STORE_REMEDY, Engine
from kiln.errors import CommandError, EngineError, SelectionError
from kiln.matrix import Matrix
from kiln.plan import Options, Wanted


def dry_run(  # noqa: PLR0913 - what the command line gives
    matrix: Matrix, globs: Sequence[str], platforms: Sequence[str], options: Options, *, push: bool, machine: bool
) -> str:
    """Return the plan; with `machine`, as JSON with the bake definition.

    Nothing is fetched that takes long, nothing built. Raises SelectionError if nothing of what was
    asked for can be built from here.
    """
    engine = engines.seen()
    if engine:
        _check_builder(engine, options.builder)
    native = engine.platform if engine else engines.native_platform()
    resolved, failed = [], []
    for one in _placed(_wanted(matrix, globs, platforms, engine, options), engine, options):
        try:
            resolved.append(plan.foresee(one, matrix, options, engine))
        except SelectionError as error:
            failed.append((one, str(error)))
    if not resolved:
        raise SelectionError("\n".join(reason for _, reason in failed))
    builds, folder = [one.build for one in resolved], workspace.home() / "dry-run"
    kept = options.artifacts.foresee_all(builds, engine, anew=options.no_cache) if options.artifacts else {}
    told = [one.told for one in kept.values()]
    if machine:
        definition = building.definition(builds, native, folder, options, kept)
        return plan_report.document(resolved, failed, told, definition, push=push)
    width = console.width()
    lines = [plan_report.text(resolved, width), plan_report.not_built(failed, width)]
    lines += [columns.fill(f"  {line}", width, indent=" " * 4) for line in told]
    return "\n".join([*filter(None, lines), columns.fill(f"  {_ending(push)}", width, indent=" " * 4)])


def _ending(push: bool) -> str:
    """Return what follows the builds, and where the details are."""
    then = "what passes its tests is pushed with all its tags; " if push else ""
    return f"{then}nothing was built; --json has the details and the bake definition"


def build(
    matrix: Matrix, globs: Sequence[str], platforms: Sequence[str], options: Options, *, push: bool
) -> tuple[str, bool]:
    """Build what was asked for; return the summary and whether anything failed."""
    # What was asked for is checked before an engine is brought, which may take minutes.
    found = engines.find()
    wanted = _wanted(matrix, globs, platforms, found, options)
    engine = found or engines.start()
    _check(engine, options)
    cannot = foreign.ready(dict.fromkeys(one.platform for one in wanted), engine, options.builder)
    possible = _placed([one for one in wanted if one.platform not in cannot], engine, options)
    resolved, failed = plan.resolve_all(possible, matrix, engine, options)
    failed |= {one.name: cannot[one.platform] for one in wanted if one.platform in cannot}
    if resolved:
        say(plan_report.text(resolved, console.width(sys.stderr)))
    outcomes = building.run(resolved, engine, options)
    outcomes += [Outcome(name=name, result="failed", error=reason) for name, reason in failed.items()]
    width = console.width()
    lines = [_summary(outcomes, width)]
    refused = False
    if push:
        built = [one.record for one in outcomes if one.record]
        text, refused = publish.push(wanted, built, matrix, engine)
        lines += ["", columns.fill(text, width, indent="  ")]
    if runtime.repeats:
        lines += ["", f"started again, because the container runtime failed: {len(runtime.repeats)} times"]
    lines += _how_to_run(outcomes, matrix, engine)
    return "\n".join(lines), refused or any(one.result == "failed" for one in outcomes)


def _check(engine: Engine, options: Options) -> None:
    """Raise KilnError for an engine or a builder that minutes of compiling would be lost on."""
    if not engine.containerd_store:
        raise EngineError(f"Docker {engine.server} keeps no manifests in its classic image store; {STORE_REMEDY}")
    _check_builder(engine, options.builder)


def _check_builder(engine: Engine, name: str) -> None:
    """Raise SelectionError for a builder that buildx does not know."""
    if not name:
        return
    try:
        process.run(engine.buildx("inspect", name), env=engine.env)
    except CommandError as error:
        raise SelectionError(f"--builder {name}: {error}; `docker buildx ls` lists builders") from error


def _wanted(
    matrix: Matrix, globs: Sequence[str], platforms: Sequence[str], engine: Engine | None, options: Options
) -> list[Wanted]:
    if options.jobs < 1:
        raise SelectionError(f"--jobs {options.jobs}: at least one build must run; give 1 or more")
    native = engine.platform if engine else engines.native_platform()
    if globs:
        wanted = plan.choose(matrix, globs, platforms, native)
        images = {one.image.id: one.image for one in wanted}
        ready = {one.id for one in announced.without(matrix, globs, images.values(), options.sources)}
        return [one for one in wanted if one.image.id in ready]
    if list(platforms) not in ([], [native]):
        raise SelectionError("--platform needs the images it is for; name them, or give --all")
    image, reason = plan.default(matrix, native, options.sources, engine)
    say(f"building {reason}")
    return [Wanted(image=image, platform=native)]


def _placed(wanted: Iterable[Wanted], engine: Engine | None, options: Options) -> list[Wanted]:
    """Return builds with the platform that compiles for each, where it is another one than its own."""
    native = engine.platform if engine else engines.native_platform()
    builds = list(wanted)
    if all(one.platform == native for one in builds):
        return builds
    nodes = foreign.inspect(engine, options.builder) if engine else foreign.known(None)
    return [
        structs.replace(one, toolchain=foreign.toolchain(one.image.target, one.platform, nodes)) for one in builds
    ]  # fmt: skip


def _summary(outcomes: Sequence[Outcome], width: int | None) -> str:
    """Return a line for each build, with result, time, size and digest, and what went wrong.

    An error of several lines, such as a list of origins, stands below, once for all its builds.
    """
    # What a narrow terminal has no room for: the digest, then the size.
    table = columns.fit([_row(one) for one in outcomes], width, drop=(4, 3))
    long = dict.fromkeys(one.error for one in outcomes if "\n" in one.error)
    return "\n".join(["", *table.blocks, *(columns.fill(f"\n{error}", width) for error in long)])


def _row(one: Outcome) -> tuple[str, ...]:
    size, digest = (f"{one.record.size / 1e6:>6.1f} MB", one.record.digest) if one.record else ("", "")
    error = one.error.partition("\n")[0].rstrip(":")
    return one.name, f"{one.result:<10}", f"{seconds(one.seconds):>7}", size, digest, error


def _how_to_run(outcomes: Sequence[Outcome], matrix: Matrix, engine: Engine) -> list[str]:
    """Return what to type next, for the first image that was built."""
    built = [one.record for one in outcomes if one.record is not None]
    able = engine.platforms if built else []
    record = next((one for one in built if one.platform in able), None)
    if record is None:
        return []
    prefix = engine.shell
    return [
        "",
        f"run it:   {prefix} run --rm -it {record.reference}",
        f"test it:  ./run nox -s test-images --{family.option(matrix.file)} {shlex.quote(record.id)}",
    ]
