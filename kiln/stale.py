"""Which of the recorded images would change if they were built today, and why."""

import re
import shlex
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct
from msgspec.structs import replace

from kiln import bases, candidates, container, contents, paths, plan, records, registry
from kiln import engine as engines
from kiln.bake import Inputs
from kiln.build import held_digests
from kiln.contents import Contents
from kiln.engine import Engine
from kiln.errors import BaseError, EngineError, KilnError, SelectionError
from kiln.image import Image
from kiln.matrix import Matrix
from kiln.plan import Options, Wanted
from kiln.records import Record
from kiln.verdicts import Change, Verdict

_JOBS = 4


class Subject(Struct, frozen=True, kw_only=True):
    """A recorded image that is still in the matrix, with what is in it."""

    image: Image
    record: Record
    contents: Contents


def judge(matrix: Matrix, globs: Sequence[str]) -> list[Verdict]:
    """Judge the recorded images that globs select, by id and platform in the matrix's order.

    Raises SelectionError if none is recorded, and KilnError if none can be judged.
    """
    chosen = _recorded(matrix, globs)
    engine = engines.bring()
    found: list[Subject | Verdict]
    with container.lease(engine) as token, ThreadPoolExecutor(_JOBS) as pool:
        found = _looked(chosen, engine, token, pool)
        groups = _grouped(one for one in found if isinstance(one, Subject))
        answers = list(pool.map(lambda group: _group(group, matrix, engine, token), groups))
    judged = {id(subject): verdict for group in answers for subject, verdict in group}
    verdicts = [one if isinstance(one, Verdict) else judged[id(one)] for one in found]
    if all(one.state == "unknown" for one in verdicts):
        raise KilnError(f"no image can be judged: {verdicts[0].id} {verdicts[0].platform}: {verdicts[0].reasons[0]}")
    return verdicts


def changes(inside: Contents, base: dict[str, str] | None, newest: dict[str, str]) -> tuple[Change, ...]:
    """Return the packages that a build on a base would install in other versions.

    `base` has the packages of the base image of today: nothing upgrades them. None: the base is made
    of the archive's newest packages, too. `newest` is what the archive has.
    """
    found = []
    for package in inside.packages:
        if package.held:
            continue
        if base is not None and package.name in base:
            new = base[package.name]
            change = new != package.version
        else:
            new = newest.get(package.name, package.version)
            change = candidates.later(inside.system, new, package.version)
        if change:
            found.append(Change(name=package.name, old=package.version, new=new))
    return tuple(sorted(found, key=lambda change: change.name))


def _recorded(matrix: Matrix, globs: Sequence[str]) -> list[tuple[Image, Record]]:
    images = matrix.select(globs or ["*"])
    found = {(record.id, record.platform): record for name in matrix.repositories for record in records.every(name)}
    chosen = [
        (image, found[image.id, platform])
        for image in images for platform in image.platforms if (image.id, platform) in found
    ]  # fmt: skip
    if not chosen:
        which = f"no image of {' '.join(globs)}" if globs else "no image"
        raise SelectionError(
            f"{which} is recorded as built; `{shlex.join(['invoke', 'build', *globs])}` builds and records"
        )
    return chosen


def _looked(
    chosen: Sequence[tuple[Image, Record]], engine: Engine, token: str, pool: ThreadPoolExecutor
) -> list[Subject | Verdict]:
    """Return the images with what is in them; a verdict for those that nobody can look into."""
    unread = [record.reference for _, record in chosen if contents.find(record.digest) is None]
    held = held_digests(engine, unread) if unread else {}

    def one(image: Image, record: Record) -> Subject | Verdict:
        inside = contents.find(record.digest)
        try:
            if inside is None:
                if held.get(record.reference) != record.digest:
                    raise EngineError("the engine no longer has what was built; `invoke build` makes it again")
                inside = contents.look(engine, record.digest, record.platform, token=token, key=record.digest)
        except KilnError as error:
            return _unknown(record, str(error))
        return Subject(image=image, record=record, contents=inside)

    return list(pool.map(lambda pair: one(*pair), chosen))


def _grouped(subjects: Iterable[Subject]) -> list[list[Subject]]:
    """Return what asks one archive for one platform, together; its lists are then read once."""
    groups: dict[object, list[Subject]] = {}
    for one in subjects:
        sources = tuple(sorted(one.contents.files.items()))
        groups.setdefault((one.image.target_name, one.record.platform, sources), []).append(one)
    return list(groups.values())


def _group(
    group: Sequence[Subject], matrix: Matrix, engine: Engine, token: str
) -> list[tuple[Subject, Verdict]]:  # fmt: skip
    first = group[0]
    names = {package.name for one in group for package in one.contents.packages}
    try:
        base = _base(first.image, first.record.platform, engine, token)
        # An image without a package manager names no source of packages; they are those of its base.
        inside = first.contents if first.contents.files else replace(first.contents, files=base.files)
        newest = candidates.newest(first.image.target, first.record.platform, inside, names)
    except KilnError as error:
        return [(one, _unknown(one.record, str(error))) for one in group]
    return [(one, _verdict(one, base, newest, matrix)) for one in group]


def _verdict(subject: Subject, base: "_Base", newest: dict[str, str], matrix: Matrix) -> Verdict:
    record = subject.record
    try:
        packages = changes(subject.contents, base.versions, newest)
        reasons = (*_other_base(subject, base), *_other_inputs(subject, matrix))
    except KilnError as error:
        return _unknown(record, str(error))
    return Verdict(
        id=record.id, platform=record.platform, reference=record.reference, built=record.built,
        state="stale" if packages or reasons else "fresh", packages=packages, reasons=reasons,
    )  # fmt: skip


def _unknown(record: Record, reason: str) -> Verdict:
    return Verdict(
        id=record.id, platform=record.platform, reference=record.reference, built=record.built, state="unknown",
        reasons=(reason,),
    )  # fmt: skip


class _Base(Struct, frozen=True, kw_only=True):
    """The base that a build would take today."""

    digest: str = ""
    versions: dict[str, str] | None = None
    """Its packages, if a registry has it; None if it would be made of the archive's."""
    files: dict[str, bytes] = {}
    """Where it has packages from, if a registry has it."""


def _base(image: Image, platform: str, engine: Engine, token: str) -> _Base:
    """Return the base that a build would take today.

    Raises BaseError where it can neither be asked for nor made of an archive that is asked anyway.
    """
    target = image.target
    reference = registry.reference(target.base)
    if bases.available(target, platform, engine=engine) != "registry":
        if target.distribution == "debian":
            return _Base()
        asked = registry.known(reference)
        raise BaseError(
            f"its base {reference} cannot be asked for: {asked.reason if asked else 'KILN_BASES=bootstrap'}"
        )
    digest = registry.look(reference, engine).digest
    key = f"{digest}-{platform.replace('/', '-')}"
    # Beside a digest, a tag says nothing, and not every command of docker's takes both.
    name = f"{re.sub(r':[^:/]+$', '', target.base.image)}@{digest}"
    # Whoever pulled it removes it.
    with paths.lock("contents-base"):
        inside = contents.find(key) or contents.look(engine, name, platform, token=token, key=key, pull=True)
    versions = {package.name: package.version for package in inside.packages}
    return _Base(digest=digest, versions=versions, files=inside.files)


def _other_base(subject: Subject, base: _Base) -> list[str]:
    """Return that the base's tag has moved, if a registry says so."""
    old = subject.contents.base
    if not base.digest or base.digest == old:
        return []
    return [f"its base {subject.image.target.base.image} is now {base.digest}, and was {old or 'another one'}"]


def _other_inputs(subject: Subject, matrix: Matrix) -> list[str]:
    """Return that what the image is built from, beside its base, is not what it was; the network is not asked."""
    image, record = subject.image, subject.record
    wanted = Wanted(image=image, platform=record.platform)
    for artifact in image.release.artifacts:
        inputs = Inputs(
            base="",
            base_digest=subject.contents.base,
            source="",
            source_sha256=artifact.sha256,
            toolchain_digest=record.toolchain,
        )
        if plan.expected(wanted, matrix, inputs, Options(quick=record.quick)).digest == record.inputs:
            return []
    return ["its Dockerfile, the commit of it, or another input is not what it was built from"]
