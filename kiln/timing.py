"""Timings and what is said of them: figures first, then what they come from."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from kiln import columns

DISTURBED = 0.10
"""The spread above which a timing says more of the machine's other work than of Kiln."""


_TITLES = ("", "", "median", "least", "most", "spread", "runs")
# What a narrow terminal has no room for: the file of figures has each run.
_DROP = (3, 4, 6)


class Timing(Struct, frozen=True, kw_only=True):
    """One thing that was measured several times."""

    name: str
    seconds: tuple[float, ...]
    """One for each run, in order."""

    @property
    def median(self) -> float:
        """Return the median in seconds."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Return the distance of the quartiles over the median; 0 for a single run."""
        return spread(self.seconds)


class Size(Struct, frozen=True, kw_only=True):
    """Something that was not timed, but weighed."""

    name: str
    bytes: int


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One figure that is made of timings or sizes."""

    name: str
    value: float
    unit: Literal["x", "s"]
    bound: float | None = None
    """The most that it may be, in `unit`; the least, with `at_least`."""
    at_least: bool = False
    spread: float | None = None
    """How far what it is made of is spread; None where it was measured once, or is no measurement of time."""
    raw: str = ""
    """What it is made of, for people: `498 s against 1503 s`."""

    @property
    def disturbed(self) -> bool:
        """Tell whether the machine's other work had a part in it."""
        return self.spread is not None and self.spread > DISTURBED

    @property
    def holds(self) -> bool:
        """Tell whether the figure is within its bound."""
        return self.bound is None or (self.value >= self.bound if self.at_least else self.value <= self.bound)

    @property
    def text(self) -> str:
        """Return the figure with its unit; of a disturbed one, that it is."""
        plain = f"{number(self.value)}{self._unit}"
        return f"disturbed: {plain} with a spread of {self.spread:.0%}" if self.disturbed else plain

    @property
    def limit(self) -> str:
        """Return the bound with its unit, empty where there is none."""
        return "" if self.bound is None else f"{'at least ' if self.at_least else ''}{self.bound:g}{self._unit}"

    @property
    def verdict(self) -> str:
        """Return whether the bound holds, empty where there is none."""
        return "" if self.bound is None else "uncertain" if self.disturbed else "holds" if self.holds else "MISSED"

    @property
    def _unit(self) -> str:
        return "x" if self.unit == "x" else " s"

    def __str__(self) -> str:
        """Return the figure, its bound and whether that holds."""
        return self.text if self.bound is None else f"{self.text:<9} bound {self.limit}: {self.verdict}"


class Section(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One benchmark: what came out of it, what that is made of, and what to know of it."""

    name: str
    findings: tuple[Finding, ...]
    timings: tuple[Timing, ...] = ()
    sizes: tuple[Size, ...] = ()
    notes: tuple[str, ...] = ()
    trial: str = ""
    """Why the figures are not those of the published images, where they are not; then they are not kept."""


class Report(Struct, frozen=True, kw_only=True):
    """All benchmarks of one run, and where it was."""

    machine: dict[str, str]
    """What it was measured on, and when: words by name."""
    sections: tuple[Section, ...]

    def __str__(self) -> str:
        """Return the report as `text` does, without a width."""
        return self.text()

    def text(self, width: int | None = None) -> str:
        """Return the report as people read it, to fit a width."""
        parts = ["Figures, from medians", _columns(_figures(self.sections), width)]
        if any(section.timings for section in self.sections):
            parts += ["", "Timings in seconds", _columns(_timings(self.sections), width, _TITLES)]
        if any(section.sizes for section in self.sections):
            parts += ["", "Sizes in megabytes (10^6 bytes)", _columns(_sizes(self.sections), width)]
        notes = [f"{section.name}: {note}" for section in self.sections for note in _notes(section)]
        if notes:
            parts += ["", *(columns.fill(note, width, indent="  ") for note in notes)]
        machine = [columns.fill(f"{name}: {value}", width, indent="  ") for name, value in self.machine.items()]
        return "\n".join([*parts, "", *machine])


def _notes(section: Section) -> list[str]:
    return [*([f"NOT COMPARABLE: {section.trial}"] if section.trial else ()), *section.notes]


def spread(values: Sequence[float]) -> float:
    """Return the distance of the quartiles over the median; 0 for a single value."""
    if len(values) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / middle if middle else 0.0


def ratio(name: str, ours: Timing, theirs: Timing, bound: float | None = None) -> Finding:
    """Return the figure of two timings: our time over theirs."""
    several = min(len(ours.seconds), len(theirs.seconds)) > 1
    return Finding(
        name=name, value=ours.median / theirs.median, unit="x", bound=bound,
        spread=max(ours.spread, theirs.spread) if several else None,
        raw=f"{number(ours.median)} s against {number(theirs.median)} s",
    )  # fmt: skip


def clocks(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return how long something takes by the clock on the wall, and by this process's, in seconds."""
    wall, own = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - wall) / repeats, (time.process_time() - own) / repeats


def in_turn(sides: Mapping[str, Callable[[], float]], runs: int, *, before: bool = True) -> list[Timing]:
    """Measure several things in turn, so that what disturbs one disturbs the others.

    Each side returns its seconds. With `before`, each runs once unmeasured, for what only a first run does.
    """
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for work in sides.values() if before else ():
        work()
    for _ in range(runs):
        for name, work in sides.items():
            taken[name].append(work())
    return [Timing(name=name, seconds=tuple(found)) for name, found in taken.items()]


def _figures(sections: Sequence[Section]) -> list[Sequence[str]]:
    return [(section.name, one.name, str(one)) for section in sections for one in section.findings]


def _timings(sections: Sequence[Section]) -> list[Sequence[str]]:
    lines: list[Sequence[str]] = []
    for section in sections:
        for one in section.timings:
            words = "unknown" if len(one.seconds) == 1 else f"{one.spread:.0%}"
            words += " disturbed" if one.spread > DISTURBED else ""
            least, most = number(min(one.seconds)), number(max(one.seconds))
            lines.append((section.name, one.name, number(one.median), least, most, words, str(len(one.seconds))))
    return lines


def _sizes(sections: Sequence[Section]) -> list[Sequence[str]]:
    return [(section.name, one.name, f"{one.bytes / 1e6:8.2f}") for section in sections for one in section.sizes]


def _columns(lines: Sequence[Sequence[str]], width: int | None, titles: Sequence[str] = ()) -> str:
    return str(columns.fit(lines, width, titles=titles, drop=_DROP if titles else (), indent="  "))


def number(value: float) -> str:
    """Return a figure with three digits that count."""
    decimals = next((places for places, least in enumerate((100, 10, 1, 0.1, 0.01)) if abs(value) >= least), 5)
    if 0 < abs(value) < 0.0001:
        return f"{value:.2e}"
    return f"{value:.{decimals}f}"
