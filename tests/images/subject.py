"""An image under test: its container, and what it answered. Each is made when a check first asks."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest
import testinfra

from kiln import container, index, network, paths, runtime
from kiln.container import Container
from kiln.engine import Engine
from kiln.errors import EngineError, RuntimeFailedError
from kiln.packages import installed
from tests.images import expect
from tests.images.application import Application
from tests.images.cases import Case

_T = TypeVar("_T")
_FOLDER = Path(__file__).parent
# An image without a shell has no `sleep` either.
_WAIT = {"command": ("python3", "-c", "import signal; signal.pause()")}


class Facts(dict[str, Any]):
    """What a script in the container found; asking for what it could not find fails the check with the reason."""

    def __init__(self, image_id: str, answer: dict[str, Any]) -> None:
        super().__init__(answer["facts"])
        self._image_id = image_id
        self._errors = answer["errors"]

    def __missing__(self, name: str) -> NoReturn:
        pytest.fail(f"{self._image_id}: {name} does not work: {self._errors.get(name, 'not asked')}", pytrace=False)


class Subject:
    """One image while its checks run."""

    def __init__(self, case: Case, engine: Engine, token: str, redis: str = "") -> None:
        self.case = case
        self._runs = Application(case, engine, token, redis)
        self.seconds: dict[str, float] = {}
        """How long the container's start and the scripts took."""
        self._engine = engine
        self._token = token
        self._stack = ExitStack()
        self.broken = False
        """Whether there is no container to look at; nothing is then known of the image."""
        self._repeated = len(runtime.repeats)
        self._told: set[str] = set()

    def close(self) -> None:
        """Remove the container."""
        self._stack.close()

    @cached_property
    def config(self) -> dict[str, Any]:
        """Return what the engine says of the image."""
        return self._once("inspect", lambda: container.inspect(self._engine, self.case.reference))

    @cached_property
    def history(self) -> str:
        """Return the commands that made the image."""
        return self._once("history", lambda: container.history(self._engine, self.case.reference))

    @cached_property
    def container(self) -> Container:
        """Return the image's one container, which runs."""
        self._skip_if_broken()
        held = self.config["Id"]
        record = self.case.record
        if record and held != record.digest:
            self._fail(f"{record.reference} is {held} in the engine, recorded is {record.digest}; build it again")
        running = container.running(
            self._engine, self.case.reference, token=self._token, platform=self.case.platform,
            **(_WAIT if expect.distroless(self.case.image) else {}),
        )  # fmt: skip
        return self._once("start", lambda: self._stack.enter_context(running))

    @cached_property
    def host(self) -> Any:
        """Return testinfra's host for the container; it counts what it runs there, with the image's shell."""
        if expect.distroless(self.case.image):
            pytest.fail(f"{self.case.id}: testinfra needs /bin/sh, which is not there; ask for `facts`", pytrace=False)
        running = self.container
        found = testinfra.get_host(f"docker://{running.name}")
        plain = found.backend.run

        def counted(*args: Any, **kwargs: Any) -> Any:
            running.execs += 1
            for attempt in range(1, runtime.ATTEMPTS + 1):
                answer = plain(*args, **kwargs)
                if not (answer.rc and runtime.at_fault(answer.stderr)):
                    return answer
                if attempt < runtime.ATTEMPTS:
                    runtime.repeat("docker exec", answer.stderr, attempt)
            return self._fail(runtime.broken(answer.stderr))

        found.backend.run = counted
        return found

    @property
    def repeats(self) -> list[str]:
        """Return why something was started again in its containers: the container runtime's reasons."""
        return runtime.repeats[self._repeated :]

    @property
    def execs(self) -> int:
        """Return how many times something was run in the container."""
        return self.__dict__["container"].execs if "container" in self.__dict__ else 0

    @property
    def facts(self) -> Facts:
        """Return what the probe found in the container, before anything was installed there."""
        return self._answer("probe")

    @property
    def installs(self) -> Facts:
        """Return what came of installing packages from the index."""
        return self._answer("installs")

    @property
    def distributions(self) -> Facts:
        """Return what of the index is in the image, after the probe has seen it as it was built."""
        return self._answer("distributions")

    @property
    def life(self) -> Facts:
        """Return what came of the package's application, from its first start to its end."""
        return self._answer("life")

    def ends(self, *options: str) -> tuple[int, str]:
        """Return exit code and output of the image's own command, where it should end by itself."""
        self._skip_if_broken()
        try:
            return self._runs.ends(*options)
        except RuntimeFailedError as error:
            self._fail(str(error))
        except EngineError as error:
            pytest.fail(f"{self.case.id}: {error}", pytrace=False)

    def _answer(self, name: str) -> Facts:
        """Return a script's answer; where there is none, one check says why and the others are not repeated."""
        own = {"distributions": lambda: self._distributions, "life": lambda: self._life}
        self._skip_if_broken()
        try:
            answer = own[name]() if name in own else self._answers[name]
        except RuntimeFailedError as error:
            self._fail(str(error))
        if isinstance(answer, Facts):
            return answer
        if name in self._told:
            pytest.skip(f"{self.case.id}: not checked, see the first failure")
        self._told.add(name)
        pytest.fail(f"{self.case.id}: {answer}", pytrace=False)

    @cached_property
    def _answers(self) -> dict[str, Facts | EngineError]:
        """Ask both scripts at once; the second one waits until the first has seen the image as it was built."""
        running, begin = self.container, time.monotonic()
        given = {"told": f"{container.NETWORK}/told"}
        questions = {
            "probe": given | _given(self.case),
            "installs": given | _installs(self.case),
        }
        with ThreadPoolExecutor(2) as pool:
            answers = pool.map(lambda name: self._ask(running, name, questions[name]), questions)
            found = dict(zip(questions, answers, strict=True))
        self.seconds["facts"] = round(time.monotonic() - begin, 2)
        return found

    @cached_property
    def _distributions(self) -> Facts | EngineError:
        given = {"imports": installed(self.case.image).package.test.imports}
        # Not beside the probe, which would find its temporary files.
        _, begin = self._answers, time.monotonic()
        answer = self._ask(self.container, "distributions", given)
        self.seconds["package"] = round(time.monotonic() - begin, 2)
        return answer

    @cached_property
    def _life(self) -> Facts | EngineError:
        begin = time.monotonic()
        try:
            return Facts(self.case.id, self._runs.life(installed(self.case.image)))
        except RuntimeFailedError:
            raise
        except EngineError as error:
            return error
        finally:
            self.seconds["application"] = round(time.monotonic() - begin, 2)

    def _ask(self, running: Container, name: str, given: dict[str, Any]) -> Facts | EngineError:
        script = (_FOLDER / f"{name}.py").read_text(encoding="utf-8")
        # The probe has to see what only root can; what users do, the image's own user does.
        rights = self.case.image.installed or expect.distroless(self.case.image)
        user = "0" if name == "probe" and rights else ""
        try:
            return Facts(self.case.id, running.ask(script, given, user=user))
        except RuntimeFailedError:
            raise
        except EngineError as error:
            return error

    def _once(self, name: str, work: Callable[[], _T]) -> _T:
        """Do a part of the work; where it fails, one check says why and the others are not repeated."""
        self._skip_if_broken()
        begin, problem = time.monotonic(), ""
        try:
            return work()
        except EngineError as error:
            problem = str(error)
        finally:
            self.seconds[name] = round(time.monotonic() - begin, 2)
        return self._fail(problem)

    def _skip_if_broken(self) -> None:
        if self.broken:
            pytest.skip(f"{self.case.id}: not checked, see the first failure")

    def _fail(self, reason: str) -> NoReturn:
        self.broken = True
        pytest.fail(f"{self.case.id}: {reason}", pytrace=False)


def _given(case: Case) -> dict[str, Any]:
    """Return what the probe has to know to tell what is odd about an image."""
    return {
        "absent": expect.left_out(case.image),
        "compilers": expect.COMPILERS,
        "folders": list(expect.FOLDERS) if expect.distroless(case.image) else [],
        "granted": expect.GRANTED if expect.distroless(case.image) else (),
        "hidden": [container.NETWORK],
        "leftovers": expect.LEFTOVERS,
        "modules": expect.modules(case.image),
        "needles": needles(),
        "pins": bool(case.image.release.pins),
        "secret_names": expect.SECRETS,
    }


def _installs(case: Case) -> dict[str, Any]:
    """Return what whoever installs packages has to know; of the index, it is the address that may hold credentials."""
    return {
        "builds": case.image.variant == "full",
        "freethreaded": case.image.flavour == "freethreaded" and not expect.distroless(case.image),
        "index": index.configured(network.pip_list()).urls[0],
        "pip": not expect.distroless(case.image),
        "shell": case.image.variant == "distroless-debug",
    }


def needles() -> list[str]:
    """Return texts of this machine's network that must be in no image."""
    settings = [line.partition("=")[2] for line in network.pip_conf().splitlines()]
    return expect.needles([*settings, *network.proxies().values()])


def use_engine(engine: Engine) -> None:
    """Make this process's own docker the engine's, for testinfra calls `docker` by its name."""
    # A folder with nothing else in it: the private engine's client lies among a whole system's programs.
    folder = paths.folder("testing", "bin")
    link = folder / f".docker.{os.getpid()}"
    link.symlink_to(engine.client.absolute())
    link.replace(folder / "docker")
    os.environ.update(engine.env)
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
