"""`invoke add` and `invoke drop` from end to end: look up, show what changes, write all of it or nothing."""

import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from kiln import add_package, add_release, add_target, console, drop, family, history, named, paths, proposal
from kiln import catalog as catalogs
from kiln.add_release import Choice
from kiln.errors import CommandError, SelectionError, UpdateError
from kiln.image import PACKAGES as FOLDER
from kiln.matrix import Matrix
from kiln.named import Named
from kiln.update_plan import Plan


def adding(file: Path, words: Sequence[str], choice: Choice, *, dry_run: bool) -> str:
    """Add what words name to a family; return what a person is told."""
    wanted = named.parse(words, "add")
    _check_flag("--like", choice.like, wanted.releases or wanted.targets, "releases and targets")
    _check_flag("--prerelease", choice.prerelease, wanted.releases, "releases")
    _check_flag("--announced", choice.announced, wanted.releases, "releases")
    _check_flag("--python-org", choice.home, wanted.releases, "releases")
    matrix, file = _load(file)
    plan = Plan(catalog=matrix.catalog)
    if wanted.releases:
        plan = add_release.plan(plan.catalog, wanted.releases, choice)
    for name in wanted.targets:
        step = add_target.plan(plan.catalog, name, choice.like)
        plan = Plan(catalog=step.catalog, remarks=(*plan.remarks, *step.remarks))
    files: dict[str, str] = {}
    for word in wanted.packages:
        made = add_package.make(plan.catalog, word, matrix.folder / FOLDER)
        plan = Plan(catalog=made.plan.catalog, remarks=(*plan.remarks, *made.plan.remarks))
        files |= made.files
    _say(plan)
    change = proposal.make(file, catalogs.dumps(plan.catalog), lambda copy: _put(copy, files))
    return proposal.conclude(change, dry_run=dry_run, after=_next(wanted, file))


def _check_flag(flag: str, given: object, about: Sequence[str], kinds: str) -> None:
    """Raise SelectionError for a flag that would be ignored, because none of its kinds is named."""
    if given and not about:
        raise SelectionError(f"{flag}: is about {kinds}, and none is named; leave it out")


def _next(wanted: Named, file: Path) -> str:
    """Return the commands that build and test what was added."""
    globs = [f"{word}*" for word in wanted.releases] + [f"*-{name}" for name in wanted.targets]
    globs += [f"{word.partition('[')[0]}:*" for word in wanted.packages]
    words = shlex.join(globs)
    about = family.option(file.absolute())
    return f"./run invoke build {words}{about} && ./run nox -s test-images -- {words}{about}"


def dropping(file: Path, words: Sequence[str], *, dry_run: bool, discard: bool) -> str:
    """Drop what words name from a family, with all that refers to it; return what a person is told."""
    wanted = named.parse(words, "drop")
    _check_flag("--discard", discard, wanted.packages, "packages")
    matrix, file = _load(file)
    plan = drop.plan(matrix.catalog, wanted)
    folders = [matrix.folder / FOLDER / name for name in wanted.packages]
    if not discard:
        for folder in folders:
            _committed(folder)
    _say(plan)
    names = [folder.name for folder in folders]
    made = proposal.make(file, catalogs.dumps(plan.catalog), lambda copy: _remove(copy, names))
    return proposal.conclude(made, dry_run=dry_run, after="look at `git diff`, and commit")


def _load(file: Path) -> tuple[Matrix, Path]:
    file = family.locate(file)
    return family.load(file), file


def _say(plan: Plan) -> None:
    for remark in plan.remarks:
        console.say(remark)


def _put(copy: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        paths.write_whole(copy / name, text, mode=0o755 if name.endswith("/start") else 0o644)


def _remove(copy: Path, names: Sequence[str]) -> None:
    for name in names:
        shutil.rmtree(copy / FOLDER / name, ignore_errors=True)


def _committed(folder: Path) -> None:
    """Raise UpdateError for a folder with something in it that git could not bring back."""
    if not folder.is_dir():
        return
    remedy = "commit it first, or drop it with --discard"
    try:
        found = history.unsaved(folder.parent, [folder.name], ignored=True)
    except CommandError:
        raise UpdateError(f"{folder}: no git keeps it, and it would be lost; {remedy}") from None
    if changed := [name for name in found if "__pycache__" not in name]:
        raise UpdateError(f"{folder}: has changes that would be lost ({changed[0]}); {remedy}")
