"""How a server is called: found by trying, with an application that must answer as the tests of images ask for it."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from kiln import console
from kiln.brought import Brought

PATIENCE = 15.0
"""Seconds that a server has to answer, and to end."""
PROTOCOLS = ("asgi", "wsgi")
FORMS = (
    ("--bind", "{host}:{port}"), ("--host", "{host}", "--port", "{port}"), ("--listen", "{host}:{port}"),
    ("--bind", "{host}", "--port", "{port}"), ("--http", "{host}:{port}"), ("-b", "{host}", "-p", "{port}"),
)  # fmt: skip
"""How servers are told where to listen; the application stands behind."""


class Server(Struct, frozen=True, kw_only=True):
    """A console script that served."""

    script: str
    protocol: str
    """`asgi` or `wsgi`."""
    words: tuple[str, ...]
    """What stands between script and application, with `{host}` and `{port}`."""
    options: frozenset[str]
    """The options that its help names."""
    code: int
    """How it ended at SIGTERM, as a shell tells it."""
    seconds: float
    """How long that took."""


def find(brought: Brought, examples: Mapping[str, str]) -> Server | None:
    """Return how one of a project's scripts serves one of the examples (by protocol); None if none does.

    The scripts are run on this machine, on a port of loopback, in a folder of their own.
    """
    order = sorted(PROTOCOLS, key=lambda protocol: (protocol not in brought.words, PROTOCOLS.index(protocol)))
    for script in brought.scripts:
        options = _options(brought, script)
        for protocol in order:
            for words in _forms(options, protocol):
                if ended := _try(brought, script, (*words, "main:app"), examples[protocol]):
                    code, seconds = ended
                    return Server(
                        script=script, protocol=protocol, words=words, options=options, code=code, seconds=seconds
                    )  # fmt: skip
    return None


def _options(brought: Brought, script: str) -> frozenset[str]:
    """Return the options that a script's help names."""
    try:
        done = subprocess.run(
            _command(brought, script, "--help"), env=_environment(brought.folder), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", check=False, timeout=PATIENCE,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return frozenset()
    return frozenset(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", done.stdout + done.stderr))


def _forms(options: frozenset[str], protocol: str) -> Iterator[tuple[str, ...]]:
    """Yield the words that a script may be called with, as far as its help knows their options."""
    interface = ("--interface", protocol) if "--interface" in options else ()
    for form in FORMS:
        if {word for word in form if word.startswith("-")} <= options:
            yield (*interface, *form)


def _try(brought: Brought, script: str, words: tuple[str, ...], example: str) -> tuple[int, float] | None:
    """Return how a server ended and in how many seconds, if it has answered before."""
    port = _port()
    given = [word.replace("{host}", "127.0.0.1").replace("{port}", str(port)) for word in words]
    folder = brought.folder.parent / "app"
    folder.mkdir(exist_ok=True)
    (folder / "main.py").write_text(example, "utf-8")
    console.say(f"{brought.project}: trying {script} {' '.join(given)}")
    with subprocess.Popen(
        _command(brought, script, *given), cwd=folder, env=_environment(brought.folder, folder),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    ) as child:  # fmt: skip
        try:
            return _end(child) if _answers(child, port, brought.project) else None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


def _command(brought: Brought, script: str, *words: str) -> list[str]:
    return [sys.executable, str(brought.folder / "bin" / script), *words]


def _environment(*folders: Path) -> dict[str, str]:
    # A package that nobody has looked at yet is not shown the secrets that a shell may hold.
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "HOME": str(folders[0].parent),
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _answers(child: subprocess.Popen[bytes], port: int, project: str) -> bool:
    """Tell whether the example's answer comes before the server ends or patience does."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and child.poll() is None:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            line.request("GET", "/some/path")
            answer = line.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
            continue
        finally:
            line.close()
        return answer.status == 200 and _right(text, project)
    return False


def _right(text: bytes, project: str) -> bool:
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("path") == "/some/path" and project in found


def _end(child: subprocess.Popen[bytes]) -> tuple[int, float]:
    begin = time.monotonic()
    child.terminate()
    try:
        code = child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        return 137, PATIENCE
    return (128 - code if code < 0 else code), time.monotonic() - begin
