"""How far pip is: live on a terminal, a line now and then elsewhere. Standard library only."""

import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PLAIN = 5.0
"""Seconds between two lines where standard error is no terminal."""
CLEAR = "\r\033[K"
REQUIREMENT = "--requirement="
_TICK = 0.2
_LOCKED = re.compile(r"^[A-Za-z0-9].*==[^\\\n]*", re.MULTILINE)
_FETCHED = re.compile(r"^(?:Collecting|Requirement already satisfied:) ", re.MULTILINE)
_INSTALLING = re.compile(r"^Installing collected packages: (.*)", re.MULTILINE)
_IGNORED = re.compile(r"^Ignoring .*", re.MULTILINE)


@dataclass
class Progress:
    """What is printed while an environment is made."""

    title: str
    begun: float = field(default_factory=time.monotonic)
    shown: str = ""
    at: float = 0.0

    def __post_init__(self) -> None:
        """Print at once that something is going on."""
        self.show("")

    def show(self, state: str, *, last: bool = False) -> None:
        """Print a state, if it is another one and there is room for it."""
        line, now = f"{self.title}: {state}" if state else f"{self.title} ...", time.monotonic()
        if sys.stderr.isatty():
            sys.stderr.write(f"{CLEAR}{line}" + "\n" * last)
        elif line != self.shown and (last or not self.shown or now - self.at >= PLAIN):
            sys.stderr.write(f"{line}\n")
            self.at = now
        else:
            return
        self.shown = line
        sys.stderr.flush()

    def end(self) -> None:
        """Print that it is done, and how long it took."""
        self.show(f"done in {time.monotonic() - self.begun:.0f}s", last=True)

    def watch(self, command: Sequence[str], environment: Mapping[str, str], log: Path, lock: int) -> int:
        """Run pip, its output in the log, and return its exit code.

        It inherits the lock: where this process is killed, nobody else begins before pip has ended.
        """
        texts = [word.removeprefix(REQUIREMENT) for word in command if word.startswith(REQUIREMENT)]
        wanted = locked(Path(text).read_text("utf-8") for text in texts)
        begin = log.stat().st_size if log.exists() else 0
        packages = log.parent / "lib"
        before = count(packages)
        with log.open("ab") as file, subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file, pass_fds=(lock,)
        ) as process:  # fmt: skip
            try:
                while (code := process.poll()) is None:
                    text = log.read_bytes()[begin:].decode(errors="replace")
                    self.show(state(text, wanted, count(packages) - before))
                    time.sleep(_TICK)
            except BaseException:
                process.kill()
                raise
        return code


def locked(texts: Iterable[str]) -> int:
    """Return how many packages locks name, on any machine; one that stands in two of them is one."""
    return len({line.strip() for text in texts for line in _LOCKED.findall(text)})


def state(log: str, wanted: int, installed: int) -> str:
    """Return how far pip is by its log: it fetches all packages, then installs them; nothing before it begins."""
    if found := _INSTALLING.search(log):
        return f"{installed} of {found[1].count(',') + 1} packages installed"
    fetched = len(_FETCHED.findall(log))
    return f"{fetched} of {wanted - len(set(_IGNORED.findall(log)))} packages fetched" if fetched else ""


def count(packages: Path) -> int:
    """Return how many packages are installed below a folder."""
    return sum(1 for _ in packages.glob("python*/site-packages/*.dist-info"))
