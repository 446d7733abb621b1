"""Which engine the commands use, and what there is of the private one."""

import shlex
from pathlib import Path

from msgspec import Struct

from kiln import engine, engine_private, engine_root, paths
from kiln.engine import Engine
from kiln.errors import EngineError


class Status(Struct, frozen=True, kw_only=True):
    """The engine in use, and the state of the private engine."""

    used: Engine | None
    """None if no engine answers."""
    obstacle: str
    """Why the engine that the user named cannot be used, or nothing."""
    pid: int | None
    """The private engine's first process, in the host's numbering; None if it does not run."""
    socket: Path
    log: Path
    made: bool
    """Whether the private engine's root file system exists already."""

    def __str__(self) -> str:
        """Return the state as people read it, with what to type next."""
        return "\n".join([self._use, *self._private])

    @property
    def _use(self) -> str:
        if self.used is not None:
            return f"in use: {self.used.title}, {self.used.platform}"
        return self.obstacle or "no engine answers; the next build starts the private one"

    @property
    def _private(self) -> list[str]:
        if self.pid is not None:
            use = f"export DOCKER_HOST={shlex.quote(f'unix://{self.socket}')}"
            return [f"the private engine runs (process {self.pid}): {use}", f"log: {self.log}"]
        made = "its root file system is made" if self.made else "it was not made yet"
        return [f"the private engine does not run ({made}); `invoke engine.start` starts it"]


def status() -> Status:
    """Return which engine is used, as `invoke doctor` finds it, without starting one."""
    try:
        used, obstacle = engine.find(), ""
    except EngineError as error:
        used, obstacle = None, str(error)
    return Status(
        used=used, obstacle=obstacle, pid=engine_private.running(), socket=engine_private.address(),
        log=paths.log("dockerd"), made=engine_root.location().is_dir(),
    )  # fmt: skip
