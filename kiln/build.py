"""Run a plan: one bake target at a time, each compile once, each result recorded."""

import datetime
import json
import os
import subprocess
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from msgspec import Struct, structs

from kiln import bake, compiled, layers, network, oci, paths, process, records, store
from kiln.bake import Build
from kiln.buildx import Buildx
from kiln.compiled import Kept
from kiln.engine import Engine
from kiln.errors import BuildError, KilnError
from kiln.os_version import set_os_version
from kiln.phases import Phase
from kiln.plan import Options, Resolved
from kiln.progress import Board
from kiln.records import Record
from kiln.workspace import Workspace, workspace


class Outcome(Struct, frozen=True, kw_only=True):
    """How one build ended: with a record, or with an error."""

    name: str
    result: str
    """`built`, `up to date` or `failed`."""
    seconds: float = 0
    """How long it took this time."""
    record: Record | None = None
    error: str = ""
    compiled: tuple[Phase, ...] = ()
    """Where the time of the compile stage went, which images of one compile key share."""
    phases: tuple[Phase, ...] = ()
    """Where the time of the image's own steps went."""


def definition(
    builds: Iterable[Build], native: str, folder: Path, options: Options, kept: Mapping[str, Kept] | None = None
) -> str:
    """Write what some builds need to `folder`, and return the text of the bake definition that uses it.

    `native` is the engine's own platform; `kept` tells of the compile targets that were looked for.
    """
    chosen = list(builds)
    for build in bake.with_parents(chosen):
        paths.write_whole(bake.dockerfile_folder(build, folder) / "Dockerfile", build.dockerfile)
    secrets = network.secrets(pip=any(build.image.release.pins or build.on for build in chosen))
    contexts = {target: one.context for target, one in (kept or {}).items() if one.context}
    found = bake.definition(
        chosen, native=native, folder=folder, secrets=secrets, no_cache=options.no_cache, compiled=contexts
    )
    if options.artifacts:
        found["target"] |= options.artifacts.targets(chosen, folder, found["target"])
    return bake.dumps(found)


def run(resolved: Iterable[Resolved], engine: Engine, options: Options) -> list[Outcome]:
    """Build everything that is not up to date; return how each build ended, in the plan's order.

    A failure ends the images that need what failed, and no other.
    """
    plan = list(resolved)
    outcomes = {} if options.no_cache else _up_to_date(plan, engine)
    if rest := [one for one in plan if one.build.name not in outcomes]:
        with store.disk_errors(paths.home()), workspace() as place:
            outcomes |= _Runner(rest, engine, options, place).run()
    return [outcomes[one.build.name] for one in plan]


def _up_to_date(plan: Iterable[Resolved], engine: Engine) -> dict[str, Outcome]:
    """Return the builds whose inputs are those of the last time and whose image is still there."""
    found = {
        one.build.name: record
        for one in plan
        if (record := records.find(one.build.repository, one.build.image.id, one.build.platform))
        and record.inputs == one.build.digest
    }
    if not found:
        return {}
    held = held_digests(engine, [record.reference for record in found.values()])
    return {
        name: Outcome(name=name, result="up to date", record=record)
        for name, record in found.items()
        if held.get(record.reference) == record.digest
    }


def held_digests(engine: Engine, references: list[str]) -> dict[str, str]:
    """Return the manifest digests of the images that the engine holds, by reference."""
    done = subprocess.run(
        engine.docker("image", "inspect", "--format", "{{.Id}}|{{json .RepoTags}}", *references),
        env={**os.environ, **engine.env}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    held = {}
    for line in done.stdout.splitlines():
        digest, _, tags = line.partition("|")
        # For an image that is not there the client prints an empty line.
        held.update(dict.fromkeys(json.loads(tags or "[]") or (), digest))
    return held


class _Runner:
    """One run of a plan. Each compile key's compile goes first, and its images after it."""

    def __init__(self, plan: list[Resolved], engine: Engine, options: Options, place: Workspace) -> None:
        self._plan = plan
        self._engine = engine
        self._jobs = options.jobs
        self._folder = place.folder
        self._outcomes: dict[str, Outcome] = {}
        self._began: dict[str, float] = {}
        self._compiled: dict[str, tuple[Phase, ...]] = {}
        self._store, self._anew = options.artifacts, options.no_cache
        builds = [one.build for one in plan]
        self._kept = self._store.find_all(builds, engine, place.folder, anew=options.no_cache) if self._store else {}
        text = definition(builds, engine.platform, place.folder, options, self._kept)
        paths.write_whole(place.folder / "definition.json", text)
        self._buildx = Buildx(engine, place.folder / "definition.json", place, options.builder)

    def run(self) -> dict[str, Outcome]:
        groups: dict[str, list[Resolved]] = {}
        for one in self._plan:
            groups.setdefault(one.build.compile_target, []).append(one)
        with Board([one.build.name for one in self._plan]) as self._board:
            self._schedule(groups)
        return self._outcomes

    def _schedule(self, groups: dict[str, list[Resolved]]) -> None:
        """Start compiles as workers get free, and images as their compile ends."""
        with ThreadPoolExecutor(self._jobs) as pool:
            pending: dict[Future[None], tuple[str, list[Resolved]]] = {}
            for target, group in groups.items():
                pending[pool.submit(self._compile, target, group)] = (target, group)
            try:
                while pending:
                    for done in wait(pending, return_when=FIRST_COMPLETED).done:
                        target, group = pending.pop(done)
                        done.result()
                        if target and not any(one.build.name in self._outcomes for one in group):
                            for one in group:
                                pending[pool.submit(self._image, one)] = ("", [one])
            except BaseException:
                # Leaving the pool waits for what runs.
                self._buildx.stop()
                for future in pending:
                    future.cancel()
                raise

    def _compile(self, target: str, group: list[Resolved]) -> None:
        names = [one.build.name for one in group]
        for name in names:
            self._began[name] = time.monotonic()
        kept = self._kept.get(target)
        if kept and kept.context:
            self._compiled[target] = ()
            return
        try:
            name = compiled.wrapped(target) if kept else target
            self._compiled[target] = self._buildx.bake(name, lambda phase: self._board.phase(names, phase))
            if self._store and kept:
                self._board.phase(names, "keep")
                self._store.keep(group[0].build, self._engine, self._folder, anew=self._anew)
        except KilnError as error:
            for name in names:
                self._end(name, "failed", error=str(error))

    def _image(self, one: Resolved) -> None:
        name = one.build.name
        try:
            own = self._buildx.bake(one.build.target, lambda phase: self._own_phase(name, phase))
            with store.disk_errors(self._folder):
                own += self._compress(one.build)
                loading = time.monotonic()
                self._board.phase([name], "load")
                record = self._load(one)
                records.save(record)
        except KilnError as error:
            self._end(name, "failed", error=str(error))
        else:
            load = Phase(name="load", seconds=round(time.monotonic() - loading, 1))
            self._end(name, "built", record=record)
            self._outcomes[name] = structs.replace(
                self._outcomes[name], compiled=self._compiled[one.build.compile_target], phases=(*own, load)
            )

    def _own_phase(self, name: str, phase: str) -> None:
        """Report a phase of an image; its compile, whose steps BuildKit names again, has ended before."""
        if not phase.startswith(("starting", "compile")):
            self._board.phase([name], phase)

    def _end(self, name: str, result: str, *, record: Record | None = None, error: str = "") -> None:
        taken = round(time.monotonic() - self._began[name], 1)
        self._outcomes[name] = Outcome(name=name, result=result, seconds=taken, record=record, error=error)
        # A build that the user interrupted has not failed.
        if not self._buildx.stopped:
            self._board.done(name, result)

    def _compress(self, build: Build) -> tuple[Phase, ...]:
        """Give the archive's layers the compression that BuildKit does not have; a quick build stays as it is."""
        if build.quick or not build.compression:
            return ()
        began = time.monotonic()
        self._board.phase([build.name], "compress")
        layers.recompress(bake.archive(build, self._folder), build.compression)
        return (Phase(name="compress", seconds=round(time.monotonic() - began, 1)),)

    def _load(self, one: Resolved) -> Record:
        """Hand the archive to the engine, and return the record of what it holds."""
        build = one.build
        archive = bake.archive(build, self._folder)
        if build.inputs.os_version:
            set_os_version(archive, build.inputs.os_version)
        image = oci.images(archive)[0]
        process.run(self._engine.docker("load", "--quiet", "--input", str(archive)), env=self._engine.env)
        reference = bake.reference(build, self._engine.platform)
        held = held_digests(self._engine, [reference]).get(reference)
        if held != image.digest:
            raise BuildError(
                f"{reference}: the engine holds {held or 'nothing'} after loading {image.digest}; "
                "turn its containerd image store on (see `invoke doctor`)"
            )
        archive.unlink()
        return Record(
            id=build.image.id, platform=build.platform, repository=build.repository,
            reference=reference, digest=image.digest, size=image.size, inputs=build.digest,
            base=one.base, source=one.source, quick=build.quick,
            toolchain=build.inputs.toolchain_digest, profile_guided=build.profile_guided,
            built=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            seconds=round(time.monotonic() - self._began[build.name], 1),
        )  # fmt: skip
