"""`invoke build` from end to end: choose, say what and why, build, push, sum up."""

from collections.abc import Sequence

from kiln import bake, plan, publish
from kiln import build as building
from kiln import engine as engines
from kiln.build import Outcome
from kiln.console import say, seconds
from kiln.engine import Engine
from kiln.errors import SelectionError
from kiln.matrix import Matrix
from kiln.plan import Options, Resolved, Wanted


def dry_run(matrix: Matrix, globs: Sequence[str], platforms: Sequence[str], options: Options) -> str:
    """Return the plan and the bake definition as text; nothing is fetched that takes long, nothing built."""
    native = engines.native_platform()
    wanted = _wanted(matrix, globs, platforms, native, options)
    resolved = [plan.foresee(one, matrix, options) for one in wanted]
    definition = building.definition([one.build for one in resolved], matrix.repository, native)
    return f"{_table(resolved)}\n{bake.dumps(definition)}"


def build(  # noqa: PLR0913 - what the command line gives
    matrix: Matrix, globs: Sequence[str], platforms: Sequence[str], options: Options, *, push: bool, versions: str
) -> tuple[str, bool]:
    """Build what was asked for; return the summary and whether anything failed."""
    if options.jobs < 1:
        raise SelectionError(f"--jobs {options.jobs}: at least one build must run; give 1 or more")
    # What was asked for is checked before an engine is brought, which may take minutes.
    wanted = _wanted(matrix, globs, platforms, engines.native_platform(), options)
    engine = engines.bring()
    resolved, failed = plan.resolve_all(wanted, matrix, engine, options)
    if resolved:
        say(_table(resolved))
    outcomes = building.run(resolved, matrix, engine, options)
    outcomes += [Outcome(name=name, result="failed", error=reason) for name, reason in failed.items()]
    lines = [_summary(outcomes)]
    refused = False
    if push:
        text, refused = publish.push([one.record for one in outcomes if one.record], matrix, engine, versions)
        lines.append(text)
    lines += _how_to_run(outcomes, engine)
    return "\n".join(lines), refused or any(one.result == "failed" for one in outcomes)


def _wanted(
    matrix: Matrix, globs: Sequence[str], platforms: Sequence[str], native: str, options: Options
) -> list[Wanted]:
    if globs:
        return plan.choose(matrix, globs, platforms, native)
    if list(platforms) not in ([], [native]):
        raise SelectionError("--platform needs the images it is for; name them, or give --all")
    image, reason = plan.default(matrix, native, options.sources)
    say(f"building {reason}")
    return [Wanted(image=image, platform=native)]


def _table(resolved: Sequence[Resolved]) -> str:
    """Return the plan: each build with its compile, its base and its sources."""
    keys = {one.build.compile_target for one in resolved}
    lines = [f"plan: {len(resolved)} builds, {len(keys)} compiles"]
    lines += [
        f"  {one.build.name}: {one.build.compile_target}; base: {one.base}; sources: {one.source}" for one in resolved
    ]
    return "\n".join(lines)


def _summary(outcomes: Sequence[Outcome]) -> str:
    """Return a line for each build, with result, time, digest and size, and what went wrong."""
    width = max((len(one.name) for one in outcomes), default=0)
    lines = [""]
    for one in outcomes:
        line = f"{one.name:<{width}}  {one.result:<10}"
        if one.record is not None:
            size = f"{one.record.size / 1e6:.1f} MB"
            line += f"  {seconds(one.record.seconds):>7}  {size:>9}  {one.record.digest}"
        lines.append(line.rstrip() if not one.error else f"{line}  {one.error}")
    return "\n".join(lines)


def _how_to_run(outcomes: Sequence[Outcome], engine: Engine) -> list[str]:
    """Return what to type next, for the first image that was built."""
    record = next((one.record for one in outcomes if one.record is not None), None)
    if record is None:
        return []
    prefix = engine.shell
    return [
        "",
        f"run it:   {prefix} run --rm -it {record.reference}",
        f"test it:  ./run nox -s test-images -- {record.id}",
    ]
