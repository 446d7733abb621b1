"""A Docker engine: the one that answers, or a private one that Kiln brings."""

import json
import os
import platform as machine
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from kiln import console, engine_private, engine_root, paths, process, runtime
from kiln.errors import CommandError, EngineError, RuntimeFailedError

DEFAULT_SOCKET = Path("/var/run/docker.sock")
ANSWER_SECONDS = 20
STORE_REMEDY = (
    'put {"features": {"containerd-snapshotter": true}} into /etc/docker/daemon.json and restart dockerd '
    "(images made before are hidden until it is taken out again)"
)
# What uname calls machines, and what Docker calls them.
_PLATFORMS = {
    "x86_64": "linux/amd64", "amd64": "linux/amd64", "aarch64": "linux/arm64", "arm64": "linux/arm64",
    "armv7l": "linux/arm/v7", "armv6l": "linux/arm/v6", "i686": "linux/386", "i386": "linux/386",
    "ppc64le": "linux/ppc64le", "riscv64": "linux/riscv64", "s390x": "linux/s390x",
}  # fmt: skip
_PLUGIN = "usr/libexec/docker/cli-plugins/docker-buildx"


@dataclass(frozen=True, kw_only=True)
class Engine:
    """How to call an engine, and what it is."""

    private: bool
    """Whether Kiln started it."""
    server: str
    """dockerd's version."""
    containerd_store: bool
    """Whether images lie in containerd's store, which several platforms in one image need."""
    architecture: str
    """The kernel's name of the engine's own: `x86_64`."""
    client: Path
    builder: tuple[str, ...]
    """How buildx is called: `docker buildx`, or its plugin, which runs without the client as well."""
    origin: str = ""
    """By what the user's docker finds it: `DOCKER_HOST=...`, a context, a socket; empty for the private one."""
    env: Mapping[str, str] = field(default_factory=dict)
    """To be added to the environment of every call; the user's own stays (registry logins)."""

    def docker(self, *args: str | Path) -> list[str]:
        """Return the command line of a docker command; call it with `env`."""
        return [str(self.client), *map(str, args)]

    def buildx(self, *args: str | Path) -> list[str]:
        """Return the command line of a buildx command, given without the word `buildx`."""
        return [*self.builder, *map(str, args)]

    def call(
        self, *args: str | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a docker command to its end, and return its output; `env` is added to this process's own.

        What the container runtime does not start is started again, a bounded number of times. Raises
        RuntimeFailedError if it never does, and EngineError with docker's reason for any other failure.
        """
        environment = {**os.environ, **self.env, **(env or {})}
        for attempt in range(1, runtime.ATTEMPTS + 1):
            done = subprocess.run(self.docker(*args), input=stdin, env=environment, capture_output=True, check=False)
            if not done.returncode:
                return done
            words = (done.stderr.strip() or done.stdout.strip()).decode(errors="replace")
            if not runtime.at_fault(words):
                raise EngineError(f"docker {args[0]} failed with exit code {done.returncode}: {runtime.reason(words)}")
            if attempt < runtime.ATTEMPTS:
                runtime.repeat(f"docker {args[0]}", words, attempt)
        log = f"see {paths.log('dockerd')}" if self.private else "look into the engine's log"
        raise RuntimeFailedError(
            f"docker {args[0]}: {runtime.broken(words)}; {log}, restart the engine, or name another with DOCKER_HOST"
        )

    def run(self, *args: str | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        """Return what a docker command prints, as `call` runs it, without the space around it."""
        return self.call(*args, stdin=stdin, env=env).stdout.decode(errors="replace").strip()

    @property
    def platform(self) -> str:
        """Return the engine's own platform as Docker writes it: `linux/amd64`."""
        return native_platform(self.architecture)

    @property
    def title(self) -> str:
        """Return whose engine it is, its version, and how it is found."""
        return f"Kiln's private Docker {self.server}" if self.private else f"Docker {self.server} ({self.origin})"

    @property
    def shell(self) -> str:
        """Return what a person types in place of `docker` to reach this engine."""
        host = self.env.get("DOCKER_HOST")
        client = "docker" if shutil.which("docker") else shlex.quote(str(self.client))
        return f"DOCKER_HOST={shlex.quote(host)} {client}" if host else client

    @property
    def platforms(self) -> list[str]:
        """Return what the builder in use can run now, native first: `linux/amd64`."""
        text = process.run(self.buildx("inspect"), env=self.env)
        return builder_platforms(text)

    @cached_property
    def buildx_version(self) -> str:
        """Return buildx's version without a leading `v`."""
        return process.run(self.buildx("version"), env=self.env).split()[1].removeprefix("v")


def native_platform(architecture: str = "") -> str:
    """Return the platform of a kernel's architecture name, or of this machine's.

    EngineError where Docker has no name for it.
    """
    name = (architecture or machine.machine()).lower()
    found = _PLATFORMS.get(name)
    if found is None:
        raise EngineError(f"{name}: no platform of Docker's is known for this machine; name one with --platform")
    return found


def find() -> Engine | None:
    """Return the engine that the user's docker talks to, else the private one if it runs.

    EngineError if the user named an engine (DOCKER_HOST, DOCKER_CONTEXT) that does not answer.
    """
    found = _users()
    if found is None and engine_private.running() is not None:
        engine_private.start()
        found = _private()
    return found


def seen() -> Engine | None:
    """Return the engine that is found; one that is named and does not answer is told, and counts as none."""
    try:
        return find()
    except EngineError as error:
        console.say(str(error))
        return None


def bring() -> Engine:
    """Return the engine that is found, else start the private one; EngineError where that cannot be."""
    return find() or start()


def start() -> Engine:
    """Start the private engine if it does not run, and return it."""
    engine_private.start()
    return _private()


def stop() -> bool:
    """Stop the private engine with its containers; tell whether it ran."""
    return engine_private.stop()


def builder_platforms(text: str) -> list[str]:
    """Return the platforms in the output of `buildx inspect`, each once, in order."""
    lines = [line.partition(":")[2] for line in text.splitlines() if line.startswith("Platforms:")]
    names = [name.split()[0].rstrip("*") for line in lines for name in line.split(",") if name.strip()]
    return list(dict.fromkeys(names))


def _users() -> Engine | None:
    """Return the engine of the user's docker configuration, if one answers."""
    named = next((key for key in ("DOCKER_HOST", "DOCKER_CONTEXT") if os.environ.get(key)), None)
    context = None if named else _context()
    if named is None and not context and not DEFAULT_SOCKET.exists():
        return None
    client = _client()
    info = _info(client, {})
    if info is not None:
        origin = f"{named}={os.environ[named]}" if named else f"context {context}" if context else str(DEFAULT_SOCKET)
        return _engine(info, client, private=False, builder=_builder(client), env={}, origin=origin)
    if named is not None:
        raise EngineError(f"{named}={os.environ[named]}: no Docker engine answers there; start it, or unset {named}")
    if DEFAULT_SOCKET.exists() and not os.access(DEFAULT_SOCKET, os.W_OK):
        raise EngineError(f"{DEFAULT_SOCKET}: you may not use this engine; join the group that owns the socket")
    return None


def _private() -> Engine:
    """Return the private engine, which runs."""
    root = engine_root.current()
    env = {
        "DOCKER_HOST": f"unix://{engine_private.address()}",
        "DOCKER_TLS_VERIFY": "",
        "BUILDX_BUILDER": "default",
    }
    client = root / "usr/bin/docker"
    info = _info(client, env)
    if info is None:
        raise EngineError(f"the private Docker engine does not answer; see {paths.log('dockerd')}")
    return _engine(info, client, private=True, builder=(str(root / _PLUGIN),), env=env)


def _engine(  # noqa: PLR0913 - what the two ways of finding one know
    info: Mapping[str, object],
    client: Path,
    *,
    private: bool,
    builder: tuple[str, ...],
    env: Mapping[str, str],
    origin: str = "",
) -> Engine:
    return Engine(
        private=private, server=str(info["ServerVersion"]), architecture=str(info.get("Architecture", "")),
        containerd_store="io.containerd.snapshotter" in json.dumps(info.get("DriverStatus")),
        client=client, builder=builder, env=env, origin=origin,
    )  # fmt: skip


def _info(client: Path, env: Mapping[str, str]) -> dict[str, object] | None:
    """Return what `docker info` says of the engine, or None if it has none."""
    try:
        done = subprocess.run(
            [client, "info", "--format", "{{json .}}"], env={**os.environ, **env}, capture_output=True,
            timeout=ANSWER_SECONDS, check=False,
        )  # fmt: skip
        info: dict[str, object] = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    return info if info.get("ServerVersion") else None


def _context() -> str | None:
    """Return the context that the user's docker uses, where it is not the default one."""
    file = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise EngineError(f"{file}: docker's configuration cannot be read ({error}); mend it") from error
    context = settings.get("currentContext")
    return context if isinstance(context, str) and context != "default" else None


def _client() -> Path:
    """Return the user's docker client, or Debian's."""
    found = shutil.which("docker")
    return Path(found) if found else engine_root.tools() / "usr/bin/docker"


def _builder(client: Path) -> tuple[str, ...]:
    """Return how to call the user's buildx, if it works, or Debian's."""
    try:
        process.run([client, "buildx", "version"])
    except CommandError:
        return (str(engine_root.tools() / _PLUGIN),)
    return (str(client), "buildx")
