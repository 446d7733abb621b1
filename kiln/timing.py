"""Timings and what is said of them: figures first, then what they come from."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

DISTURBED = 0.10
"""The spread above which a timing says more of the machine's other work than of Kiln."""


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
        if len(self.seconds) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return (high - low) / self.median if self.median else 0.0


class Finding(Struct, frozen=True, kw_only=True):
    """One figure that is made of timings."""

    name: str
    value: float
    unit: Literal["x", "s"]
    bound: float | None = None
    """The most that it may be, in `unit`."""

    def __str__(self) -> str:
        """Return the figure, its bound and whether that holds."""
        text = f"{_number(self.value)}{'x' if self.unit == 'x' else ' s'}"
        if self.bound is None:
            return text
        verdict = "holds" if self.value <= self.bound else "MISSED"
        return f"{text:<9} bound {self.bound:g}{'x' if self.unit == 'x' else ' s'}: {verdict}"


class Section(Struct, frozen=True, kw_only=True):
    """One benchmark: what came out of it, what that is made of, and what to know of it."""

    name: str
    findings: tuple[Finding, ...]
    timings: tuple[Timing, ...]
    notes: tuple[str, ...] = ()


class Report(Struct, frozen=True, kw_only=True):
    """All benchmarks of one run, and where it was."""

    machine: dict[str, str]
    """What it was measured on, and when: words by name."""
    sections: tuple[Section, ...]

    def __str__(self) -> str:
        """Return the report as people read it."""
        parts = ["Figures, from medians", _figures(self.sections), "", "Timings in seconds", _timings(self.sections)]
        notes = [f"{section.name}: {note}" for section in self.sections for note in section.notes]
        if notes:
            parts += ["", *notes]
        return "\n".join([*parts, "", *(f"{name}: {value}" for name, value in self.machine.items())])

    def json(self) -> str:
        """Return the report for machines, with each timing's median and spread beside its runs."""
        found = msgspec.to_builtins(self)
        for section, told in zip(self.sections, found["sections"], strict=True):
            for timing, entry in zip(section.timings, told["timings"], strict=True):
                entry |= {"median": timing.median, "spread": timing.spread}
        return msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n"


def clocks(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return how long something takes by the clock on the wall, and by this process's, in seconds."""
    wall, own = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - wall) / repeats, (time.process_time() - own) / repeats


def _figures(sections: Sequence[Section]) -> str:
    return _columns([(section.name, one.name, str(one)) for section in sections for one in section.findings])


def _timings(sections: Sequence[Section]) -> str:
    lines = [("", "", "median", "least", "most", "spread", "runs")]
    for section in sections:
        for one in section.timings:
            spread = "unknown" if len(one.seconds) == 1 else f"{one.spread:.0%}"
            spread += " disturbed" if one.spread > DISTURBED else ""
            least, most = _number(min(one.seconds)), _number(max(one.seconds))
            lines.append((section.name, one.name, _number(one.median), least, most, spread, str(len(one.seconds))))
    return _columns(lines)


def _columns(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))] if lines else []
    rows = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(f"  {row.rstrip()}" for row in rows)


def _number(value: float) -> str:
    """Return a figure with three digits that count."""
    decimals = next((places for places, least in enumerate((100, 10, 1, 0.1, 0.01)) if abs(value) >= least), 5)
    return f"{value:.{decimals}f}"
