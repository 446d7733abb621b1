"""How far builds are: read from buildx's rawjson, shown as a live table or as plain lines."""

import base64
import json
import re
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from kiln import columns
from kiln.console import interactive, say, seconds
from kiln.phases import Phases

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.live import Live
    from rich.text import Text

# The templates mark their steps with a no-op that `set -x` prints.
_MARK = re.compile(r"^\++ : '?(?:kiln|reference): ([^'\n]+?)(?: at \d+ s)?'?\r?\n", re.MULTILINE)
_STEP = re.compile(r"^\[(?:[\w/-]+ )*(?P<stage>compile|python) (?P<count>\d+/\d+)\]")
# buildx repeats the step's whole script before this; what the script said last tells more.
_CODE = re.compile(r"did not complete successfully: (exit code: \d+)$")


class Trace:
    """Reads buildx's rawjson a line at a time: keeps the current phase, the error and a log."""

    def __init__(self, log: IO[str]) -> None:
        """Write what the build prints to `log`, as people read it."""
        self.phase = "starting"
        self.phases = Phases()
        """Where the time went, of the steps that have ended."""
        self.log = log
        self._event = ""
        self._names: dict[str, str] = {}
        self._started: set[str] = set()
        self._cached: set[str] = set()
        self._ended: set[str] = set()
        self._partial: dict[str, str] = {}
        self._last: dict[str, str] = {}
        self._words = ""
        self._failed: tuple[str, str] | None = None

    @property
    def error(self) -> str:
        """Return why the build failed: the failed step's last words, or else buildx's."""
        if self._failed is None:
            return self._words
        digest, code = self._failed
        return f"{self._last.get(digest) or self._names[digest]} ({code})"

    def feed(self, line: str) -> None:
        """Take one line of buildx's standard error.

        Old versions of buildx print an event over many lines, newer ones each on one line.
        """
        self._event += line
        if not self._event.startswith("{"):
            self._flush_plain()
        elif line.rstrip() == "}" or self._event == line:
            try:
                event = json.loads(self._event)
            except ValueError:
                if line.rstrip() == "}":
                    self._flush_plain()
                return
            self._event = ""
            self._take(event)

    def _flush_plain(self) -> None:
        text, self._event = self._event, ""
        self._plain(text)

    def _take(self, event: dict[str, Any]) -> None:
        for vertex in event.get("vertexes") or ():
            self._vertex(vertex)
        for entry in event.get("logs") or ():
            self._output(entry)
        self.log.flush()

    def _plain(self, line: str) -> None:
        """Take what is not an event: buildx's own words, the last of which is the error."""
        self.log.write(line if line.endswith("\n") else f"{line}\n")
        if line.strip():
            self._words = line.strip().removeprefix("ERROR: ")

    def _vertex(self, vertex: dict[str, Any]) -> None:
        digest, name = vertex["digest"], vertex.get("name", "")
        # Steps are announced before they start.
        if vertex.get("started") and digest not in self._started:
            self._started.add(digest)
            self.log.write(f"== {name}\n")
            self.phase = _phase(name) or self.phase
        if vertex.get("cached") and digest not in self._cached:
            self._cached.add(digest)
            self.log.write(f"== {name}: CACHED\n")
        if vertex.get("completed") and not vertex.get("cached") and digest not in self._ended:
            self._ended.add(digest)
            self.phases.end(digest, vertex["started"], vertex["completed"], _phase(name))
        self._names[digest] = name
        if vertex.get("error"):
            self.log.write(f"== {name}: {vertex['error']}\n")
            if code := _CODE.search(vertex["error"]):
                self._failed = digest, code[1]

    def _output(self, entry: dict[str, Any]) -> None:
        """Log a step's output, and look in it for the phase that begins."""
        text = base64.b64decode(entry.get("data") or "").decode(errors="replace")
        self.log.write(text)
        # A mark may come in two pieces.
        seen = self._partial.get(entry["vertex"], "") + text
        self._partial[entry["vertex"]] = seen.rpartition("\n")[2]
        if lines := [line.strip() for line in seen.splitlines() if line.strip()]:
            self._last[entry["vertex"]] = lines[-1]
        for found in _MARK.finditer(seen):
            self.phase = found[1]
            self.phases.mark(entry["vertex"], entry["timestamp"], found[1])


def _phase(name: str) -> str:
    """Return a vertex's name in a few words: `export`, `python 3/4`; empty for what nobody waits for."""
    if name.startswith("exporting"):
        return "export"
    step = _STEP.match(name)
    return f"{step['stage']} {step['count']}" if step else ""


class Board:
    """The state of every build of a plan; a live table on a terminal, else a line for each change."""

    def __init__(self, names: Iterable[str]) -> None:
        """Start with every build waiting."""
        self._rows: dict[str, list[Any]] = {name: ["waiting", "", None, None] for name in names}
        self._lock = threading.Lock()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        """Start the live table where a person watches."""
        if interactive():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(self, console=Console(stderr=True), refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state on the screen."""
        if self._live is not None:
            self._live.stop()

    def phase(self, names: Sequence[str], text: str) -> None:
        """Say what some builds are doing now."""
        with self._lock:
            changed = [name for name in names if self._rows[name][:2] != ["building", text]]
            for name in changed:
                row = self._rows[name]
                row[0], row[1], row[2] = "building", text, row[2] or time.monotonic()
        if changed and self._live is None:
            say(f"{', '.join(changed)}: {text}{_elapsed(self._rows[changed[0]])}")

    def done(self, name: str, result: str) -> None:
        """Say how a build ended."""
        with self._lock:
            row = self._rows[name]
            row[0], row[1], row[3] = result, "", time.monotonic()
        if self._live is None:
            say(f"{name}: {result}{_elapsed(row)}")

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> Iterator["Text"]:
        """Show each build as it is now, fitted to the terminal."""
        from rich.text import Text

        styles = {"waiting": "dim", "building": "cyan", "failed": "bold red"}
        with self._lock:
            rows = [
                (name, row[1] or row[0], _elapsed(row), styles.get(row[0], "green")) for name, row in self._rows.items()
            ]
        blocks = columns.fit([row[:3] for row in rows], options.max_width).blocks
        for block, row in zip(blocks, rows, strict=True):
            yield Text(block, style=row[3], no_wrap=True, overflow="ignore")


def _elapsed(row: list[Any]) -> str:
    if row[2] is None:
        return ""
    return f" ({seconds((row[3] or time.monotonic()) - row[2])})"
