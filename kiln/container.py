"""Containers for looking at images: lent the host's network, asked questions, and always removed."""

import io
import json
import tarfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kiln import network, paths
from kiln.engine import Engine
from kiln.errors import EngineError

LABEL = "io.kiln.test"
NETWORK = "/.kiln-network"
"""The folder in a container that holds the host's certificates and pip configuration."""

# It needs no shell, and every base has it; an image that has no base needs another command.
_WAIT = ("sleep", "infinity")


class Container:
    """A running container and the engine that it runs on."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.name = name
        self.execs = 0
        """How many times something was run in it."""
        self._engine = engine

    def ask(self, script: str, given: Mapping[str, Any], *, user: str = "") -> dict[str, Any]:
        """Run a Python script in the container, as the image's user or another one.

        It sees `given` as `GIVEN` and prints JSON. Raises EngineError with the last line of what went wrong.
        """
        self.execs += 1
        text = f"GIVEN = {dict(given)!r}\n{script}"
        command = ("exec", "--interactive", f"--user={user}", self.name, "python3", "-B", "-")
        answer = self._engine.run(*command, stdin=text.encode())
        try:
            found: dict[str, Any] = json.loads(answer)
        except ValueError:
            raise EngineError(f"python3 in the container printed {answer[:100]!r} in place of JSON") from None
        return found

    def start(self) -> None:
        """Start the container again."""
        self._engine.run("start", self.name)

    def stop(self) -> int:
        """Ask the container to end, end it after the engine's grace period, and return its exit code."""
        self._engine.run("stop", self.name)
        return self.wait(0)

    def wait(self, seconds: float) -> int:
        """Return the exit code of a container that ends by itself; raise EngineError if it still runs after a time."""
        end = time.monotonic() + seconds
        while (state := self._state())["Running"]:
            if time.monotonic() > end:
                raise EngineError(f"the container still runs after {seconds} seconds")
            time.sleep(0.1)
        return int(state["ExitCode"])

    def logs(self) -> str:
        """Return what the container has written."""
        done = self._engine.call("logs", self.name)
        return "\n".join(filter(None, (text.decode(errors="replace").strip() for text in (done.stdout, done.stderr))))

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self._engine.run("inspect", "--format={{json .State}}", self.name))
        return state


@contextmanager
def lease(engine: Engine) -> Iterator[str]:
    """Return a token for the containers of this process, which are removed at the end.

    Those of processes that died are removed first: the kernel has freed the lock on their token.
    """
    folder = paths.folder("testing")
    for left in folder.glob("*.lock"):
        _take_over(engine, left)
    token = uuid.uuid4().hex[:12]
    held = FileLock(folder / f"{token}.lock")
    with held:
        try:
            yield token
        finally:
            _remove(engine, token)
            Path(held.lock_file).unlink(missing_ok=True)


def _take_over(engine: Engine, left: Path) -> None:
    """Remove the containers of a lease whose process is dead."""
    try:
        with FileLock(left, timeout=0):
            _remove(engine, left.stem)
            left.unlink(missing_ok=True)
    except Timeout:
        return


def _remove(engine: Engine, token: str) -> None:
    """Remove all containers of a lease."""
    found = engine.run("ps", "--all", "--quiet", "--filter", f"label={LABEL}={token}").split()
    if found:
        engine.run("rm", "--force", "--volumes", *found)


@contextmanager
def running(  # noqa: PLR0913 - each is a choice of its own
    engine: Engine, reference: str, *, token: str, platform: str,
    command: Sequence[str] = _WAIT, options: Sequence[str] = ("--init",),
) -> Iterator[Container]:  # fmt: skip
    """Run a container of an image that is in the engine, and remove it whatever happens.

    An empty command is the image's own. Options are those of `docker create`.
    The host's certificates, pip configuration and proxies are lent to it; the image is left alone.
    """
    name = f"kiln-test-{token}-{uuid.uuid4().hex[:6]}"
    chosen = ["--name", name, "--label", f"{LABEL}={token}", "--platform", platform, "--pull", "never", *options]
    try:
        # Values go by the environment: an argument can be read by everyone on the machine.
        lent = {**_variables(), **network.proxies()}
        chosen += [word for variable in sorted(lent) for word in ("--env", variable)]
        engine.run("create", *chosen, reference, *command, env=lent)
        _lend(engine, name)
        engine.run("start", name)
        yield Container(engine, name)
    finally:
        # One that was never made is no error to `rm --force`.
        engine.run("rm", "--force", "--volumes", name)


def _variables() -> dict[str, str]:
    """Return the variables that make programs in the container use the lent files."""
    found = {"PIP_CONFIG_FILE": f"{NETWORK}/pip.conf", "PIP_ROOT_USER_ACTION": "ignore"}
    if network.bundle():
        trust = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")
        found |= dict.fromkeys(trust, f"{NETWORK}/ca.crt")
    return found


def _lend(engine: Engine, name: str) -> None:
    """Copy the host's network files into a container; a mount would need the engine on this machine."""
    trusted = network.bundle()
    files = {"pip.conf": network.pip_conf().encode()}
    if trusted:
        files["ca.crt"] = trusted.read_bytes()
    engine.run("cp", "-", f"{name}:/", stdin=_tar(files))


def _tar(files: Mapping[str, bytes]) -> bytes:
    """Return an archive of the lent folder."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        folder = tarfile.TarInfo(NETWORK.strip("/"))
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(folder)
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{NETWORK.strip('/')}/{name}")
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def inspect(engine: Engine, reference: str) -> dict[str, Any]:
    """Return what the engine says of an image.

    Raises EngineError if it does not have it.
    """
    try:
        found: list[dict[str, Any]] = json.loads(engine.run("image", "inspect", reference))
    except EngineError:
        raise EngineError(f"the engine has no image {reference}; build it again with `invoke build`") from None
    return found[0]


def history(engine: Engine, reference: str) -> str:
    """Return the commands that made an image's layers, one a line."""
    return engine.run("history", "--no-trunc", "--format", "{{.CreatedBy}}", reference)
