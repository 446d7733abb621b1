"""Run a plan: one bake target at a time, each compile once, each result recorded."""

import datetime
import json
import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from msgspec import Struct

from kiln import bake, network, oci, paths, process, records
from kiln.bake import Build
from kiln.engine import Engine
from kiln.errors import BuildError, KilnError
from kiln.matrix import Matrix
from kiln.plan import Options, Resolved
from kiln.progress import Board, Trace
from kiln.records import Record


class Outcome(Struct, frozen=True, kw_only=True):
    """How one build ended: with a record, or with an error."""

    name: str
    result: str
    """`built`, `up to date` or `failed`."""
    record: Record | None = None
    error: str = ""


def definition(builds: Iterable[Build], repository: str, native: str) -> dict[str, Any]:
    """Return the bake definition of some builds on this machine, whose engine's platform is `native`."""
    return bake.definition(builds, repository=repository, native=native, folder=_folder(), secrets=network.secrets())


def run(resolved: Iterable[Resolved], matrix: Matrix, engine: Engine, options: Options) -> list[Outcome]:
    """Build everything that is not up to date; return how each build ended, in the plan's order.

    A failure ends the images that need what failed, and no other.
    """
    plan = list(resolved)
    current = {} if options.no_cache else _up_to_date(plan, matrix, engine)
    runner = _Runner([one for one in plan if one.build.name not in current], matrix, engine, options)
    outcomes = {**current, **runner.run()}
    return [outcomes[one.build.name] for one in plan]


def _folder() -> Path:
    return paths.folder("builds")


def _up_to_date(plan: Iterable[Resolved], matrix: Matrix, engine: Engine) -> dict[str, Outcome]:
    """Return the builds whose inputs are those of the last time and whose image is still there."""
    found = {
        one.build.name: record
        for one in plan
        if (record := records.find(matrix.repository, one.build.image.id, one.build.platform))
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
        env=engine.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    held = {}
    for line in done.stdout.splitlines():
        digest, _, tags = line.partition("|")
        held.update(dict.fromkeys(json.loads(tags) or (), digest))
    return held


class _Runner:
    """One run of a plan. Each compile key's compile goes first, and its images after it."""

    def __init__(self, plan: list[Resolved], matrix: Matrix, engine: Engine, options: Options) -> None:
        self._plan = plan
        self._engine = engine
        self._matrix = matrix
        self._options = options
        self._outcomes: dict[str, Outcome] = {}
        self._children: set[subprocess.Popen[str]] = set()
        self._began: dict[str, float] = {}

    def run(self) -> dict[str, Outcome]:
        if not self._plan:
            return {}
        self._write()
        groups: dict[str, list[Resolved]] = {}
        for one in self._plan:
            groups.setdefault(one.build.compile_target, []).append(one)
        with Board([one.build.name for one in self._plan]) as self._board:
            self._schedule(groups)
        return self._outcomes

    def _write(self) -> None:
        """Write the Dockerfiles and the definition that bake reads."""
        builds = [one.build for one in self._plan]
        bake.archive(builds[0], _folder()).parent.mkdir(parents=True, exist_ok=True)
        for build in builds:
            paths.write_whole(bake.dockerfile_folder(build, _folder()) / "Dockerfile", build.dockerfile)
        text = bake.dumps(definition(builds, self._matrix.repository, self._engine.platform))
        self._definition = (
            _folder() / "definitions" / f"{time.strftime('%Y%m%dT%H%M%S')}-{hash(text) & 0xFFFF:04x}.json"
        )
        paths.write_whole(self._definition, text)

    def _schedule(self, groups: dict[str, list[Resolved]]) -> None:
        """Start compiles as workers get free, and images as their compile ends."""
        with ThreadPoolExecutor(self._options.jobs) as pool:
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
                self._stop(pending)
                raise

    def _stop(self, pending: Iterable[Future[None]]) -> None:
        """End what runs, so that leaving the pool does not wait for it; BuildKit keeps its cache."""
        for future in pending:
            future.cancel()
        for child in list(self._children):
            child.terminate()

    def _compile(self, target: str, group: list[Resolved]) -> None:
        names = [one.build.name for one in group]
        for name in names:
            self._began[name] = time.monotonic()
        try:
            self._bake(target, lambda phase: self._board.phase(names, phase))
        except KilnError as error:
            for name in names:
                self._fail(name, str(error))

    def _image(self, one: Resolved) -> None:
        build = one.build
        try:
            self._bake(build.target, lambda phase: self._board.phase([build.name], phase))
            self._board.phase([build.name], "load")
            record = self._load(one)
        except KilnError as error:
            self._fail(build.name, str(error))
            return
        records.save(record)
        self._outcomes[build.name] = Outcome(name=build.name, result="built", record=record)
        self._board.done(build.name, "built")

    def _fail(self, name: str, error: str) -> None:
        self._outcomes[name] = Outcome(name=name, result="failed", error=error)
        self._board.done(name, "failed")

    def _bake(self, target: str, tell: Callable[[str], None]) -> None:
        """Run one bake target to its end; raise BuildError with the log's path where it fails."""
        log = paths.log(f"build-{target}")
        options = self._options
        command = self._engine.buildx("bake", "--file", str(self._definition), "--progress", "rawjson")
        command += ["--builder", options.builder] if options.builder else []
        command += ["--no-cache"] if options.no_cache and target.startswith("compile-") else []
        # Newer versions of buildx ask before a definition reads files outside of the folder.
        env = {**self._engine.env, "BUILDX_BAKE_ENTITLEMENTS_FS": "0"}
        with log.open("w", encoding="utf-8") as file:
            trace = Trace(file)
            child = subprocess.Popen(
                [*command, target], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                stdin=subprocess.DEVNULL, text=True, errors="replace",
            )  # fmt: skip
            self._children.add(child)
            assert child.stderr is not None  # noqa: S101 - it was asked for
            for line in child.stderr:
                trace.feed(line)
                tell(trace.phase)
            code = child.wait()
            self._children.discard(child)
        if code:
            raise BuildError(f"{trace.error or f'buildx ended with code {code}'}; see {log}")

    def _load(self, one: Resolved) -> Record:
        """Hand the archive to the engine, and return the record of what it holds."""
        build = one.build
        archive = bake.archive(build, _folder())
        image = oci.images(archive)[0]
        process.run(self._engine.docker("load", "--quiet", "--input", str(archive)), env=self._engine.env)
        reference = bake.reference(
            build.image.id, build.platform, repository=self._matrix.repository, native=self._engine.platform
        )
        held = held_digests(self._engine, [reference]).get(reference)
        if held != image.digest:
            raise BuildError(
                f"{reference}: the engine holds {held or 'nothing'} after loading {image.digest}; "
                "turn its containerd image store on (see `invoke doctor`)"
            )
        archive.unlink()
        return Record(
            id=build.image.id, platform=build.platform, repository=self._matrix.repository,
            reference=reference, digest=image.digest, size=image.size, inputs=build.digest,
            base=one.base, source=one.source, quick=build.quick,
            built=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            seconds=round(time.monotonic() - self._began[build.name], 1),
        )  # fmt: skip
