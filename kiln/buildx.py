"""Bake targets, run through buildx as child processes that can all be ended at once."""

import os
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kiln import phases, runtime, store
from kiln.engine import Engine
from kiln.errors import BuildError
from kiln.phases import Phase
from kiln.progress import Trace
from kiln.workspace import Workspace

_FULL = "no space left on device"


class Buildx:
    """The buildx processes of one run."""

    def __init__(self, engine: Engine, definition: Path, place: Workspace, builder: str = "") -> None:
        """Prepare for targets of a definition; nothing runs yet."""
        self._command = engine.buildx("bake", "--file", definition, "--progress", "rawjson")
        self._command += ["--builder", builder] if builder else []
        settings = {
            # Newer versions of buildx ask before a definition reads files outside of the folder.
            "BUILDX_BAKE_ENTITLEMENTS_FS": "0",
            # What a package is built on would be left behind in the engine, without a name.
            "BUILDX_NO_DEFAULT_LOAD": "1",
        }
        self._env = {**os.environ, **engine.env, **settings}
        self._place = place
        self._children: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self.stopped = False
        """Whether everything was told to end."""

    def bake(self, target: str, tell: Callable[[str], None]) -> tuple[Phase, ...]:
        """Run one target to its end, report each phase, and return where the time went.

        What the container runtime does not start is started again, a bounded number of times.
        Raises BuildError with the log's path if the build fails.
        """
        log = self._place.log(target)
        taken: tuple[Phase, ...] = ()
        log.unlink(missing_ok=True)
        for attempt in range(1, runtime.ATTEMPTS + 1):
            trace, code = self._run(target, log, tell)
            # What had ended comes from BuildKit's cache when it is run again.
            taken = phases.add(taken, trace.phases.found)
            if not code:
                return taken
            fault = runtime.at_fault(trace.error) and not self.stopped
            if not fault or attempt == runtime.ATTEMPTS:
                break
            runtime.repeat(target, trace.error, attempt)
        raise BuildError(f"{runtime.broken(trace.error) if fault else self._reason(trace, code)}; see {log}")

    def _run(self, target: str, log: Path, tell: Callable[[str], None]) -> tuple[Trace, int]:
        """Run one target once; return what it printed, and its exit code."""
        with store.disk_errors(log), log.open("a", encoding="utf-8") as file:
            command = [*self._command, target]
            file.write(f"$ {shlex.join(command)}\n")
            trace = Trace(file)
            with self._child(command) as child:
                assert child.stderr is not None  # noqa: S101 - it was asked for
                for line in child.stderr:
                    trace.feed(line)
                    tell(trace.phase)
                code = child.wait()
            file.write(f"phases: {phases.words(trace.phases.found)}\n")
        return trace, code

    def stop(self) -> None:
        """End what runs, and let nothing start any more; BuildKit keeps its cache."""
        with self._lock:
            self.stopped = True
            for child in self._children:
                child.terminate()

    @contextmanager
    def _child(self, command: list[str]) -> Iterator[subprocess.Popen[str]]:
        """Run buildx; it has ended when this has, whatever happens to whom reads it."""
        with self._lock:
            if self.stopped:
                raise BuildError("interrupted")
            # With this process killed, the run's folder stays locked until the child has ended too.
            child = subprocess.Popen(
                command, env=self._env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                stdin=subprocess.DEVNULL, text=True, errors="replace", pass_fds=[self._place.lock],
            )  # fmt: skip
            self._children.add(child)
        try:
            with child:
                try:
                    yield child
                finally:
                    child.terminate()
        finally:
            with self._lock:
                self._children.discard(child)

    @staticmethod
    def _reason(trace: Trace, code: int) -> str:
        reason = trace.error or f"buildx ended with code {code}"
        if _FULL in reason:
            return f"{reason}: the disk is full; make room, or set KILN_HOME to a folder on another disk"
        return reason
