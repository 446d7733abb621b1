"""Where the time of a build goes: its steps, by the names that they give themselves."""

import datetime
import re
from collections.abc import Sequence

from msgspec import Struct

_FRACTION = re.compile(r"\.(\d{1,6})\d*")


class Phase(Struct, frozen=True, kw_only=True):
    """A part of a build, and how long it took."""

    name: str
    seconds: float


class Phases:
    """Collects the phases of one build from when its steps start, mark what they do, and end."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._marks: dict[str, list[tuple[float, str]]] = {}
        self._seconds: dict[str, float] = {}

    def mark(self, step: str, at: str, name: str) -> None:
        """Take that a step now does what `name` says; times are RFC 3339, as BuildKit writes them."""
        self._marks.setdefault(step, []).append((_seconds(at), name))

    def end(self, step: str, started: str, completed: str, name: str) -> None:
        """Take that a step has ended: what came before its first mark is part of that; without any, it is `name`."""
        marks = self._marks.pop(step, None) or [(_seconds(started), name)]
        begins = [_seconds(started), *(time for time, _ in marks[1:]), _seconds(completed)]
        for (_, phase), begin, end in zip(marks, begins[:-1], begins[1:], strict=True):
            if phase:
                self._seconds[phase] = self._seconds.get(phase, 0.0) + max(0.0, end - begin)

    @property
    def found(self) -> tuple[Phase, ...]:
        """Return the phases in the order of their ends; those of one name together."""
        return tuple(Phase(name=name, seconds=round(taken, 1)) for name, taken in self._seconds.items())


def add(*builds: Sequence[Phase]) -> tuple[Phase, ...]:
    """Return the phases of several builds together, by name."""
    together: dict[str, float] = {}
    for one in (phase for build in builds for phase in build):
        together[one.name] = together.get(one.name, 0.0) + one.seconds
    return tuple(Phase(name=name, seconds=round(taken, 1)) for name, taken in together.items())


def words(found: Sequence[Phase]) -> str:
    """Return phases on one line; what took no time that a person would notice is left out."""
    return ", ".join(f"{one.name} {one.seconds:.0f} s" for one in found if one.seconds >= 0.5)


def _seconds(text: str) -> float:
    """Return a time in seconds since 1970; Go writes nanoseconds, of which Python reads six digits."""
    return datetime.datetime.fromisoformat(_FRACTION.sub(r".\1", text)).timestamp()
