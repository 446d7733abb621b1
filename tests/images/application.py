"""The life of a package's container, as its users start it: it serves, stops, starts again, and is stopped early."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kiln import container
from kiln.container import Container
from kiln.engine import Engine
from kiln.errors import EngineError, RuntimeFailedError
from kiln.image import Installed
from tests.images import broker
from tests.images.cases import Case

COUNT = 1000
"""How many requests, or tasks, are sent, of which none may be lost."""
_SCRIPT = (Path(__file__).parent / "serving.py").read_text(encoding="utf-8")


class Application:
    """Containers of an image that run its own command, with a broker beside them where it is a worker."""

    def __init__(self, case: Case, engine: Engine, token: str, redis: str) -> None:
        self._case = case
        self._engine = engine
        self._token = token
        self._redis = redis
        """The reference of the broker's image."""

    def life(self, installed: Installed) -> dict[str, Any]:
        """Return facts and errors of an application from its first start to its end.

        Raises EngineError with the last line of its log if it ends by itself.
        """
        given = {"kind": installed.package.test.kind, "port": installed.package.port or 0, "count": COUNT}
        with self._neighbour(given["kind"]) as options, self._running(*options) as running:
            try:
                found = running.ask(_SCRIPT, {**given, "groups": ["answers", "users", "orphans"]})
                found["facts"]["stopped"] = _stop(running)
                running.start()
                again = running.ask(_SCRIPT, {**given, "count": 1, "groups": ["answers"]})
                running.stop()
                running.start()
                found["facts"]["early"] = _stop(running)
            except RuntimeFailedError:
                raise
            except EngineError as error:
                raise EngineError(f"{error}; its log ends: {running.logs()[-300:]}") from None
        return {"facts": {**found["facts"], "again": again["facts"]}, "errors": {**again["errors"], **found["errors"]}}

    def ends(self, *options: str) -> tuple[int, str]:
        """Return exit code and output of a container that should end by itself."""
        with self._running(*options) as running:
            return running.wait(30), running.logs()

    def _running(self, *options: str) -> Any:
        return container.running(
            self._engine, self._case.reference, token=self._token, platform=self._case.platform, command=(),
            options=options,
        )  # fmt: skip

    @contextmanager
    def _neighbour(self, kind: str) -> Iterator[list[str]]:
        """Run the broker of a worker; return the options that put another container beside it."""
        if kind != "worker":
            yield []
            return
        platform = self._engine.platform
        with container.running(self._engine, self._redis, token=self._token, platform=platform, command=()) as redis:
            yield [f"--network=container:{redis.name}", "--env", f"CELERY_BROKER_URL={broker.URL}"]


def _stop(running: Container) -> dict[str, float]:
    begin = time.monotonic()
    return {"code": running.stop(), "seconds": time.monotonic() - begin}
