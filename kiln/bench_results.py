"""`benchmarks/results.json`: the last figure of each benchmark, committed for the README's table and plot."""

import json
import os
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from kiln import paths
from kiln.errors import ReadmeError, SelectionError
from kiln.timing import Report, Section, Timing

FILE = "benchmarks/results.json"
FIGURES = ("compile", "family", "cross", "speed", "start", "size", "plan", "cli", "noop", "tests")
"""All benchmarks, in the order in which they run and are shown: what is compiled first is measured then."""
_ABOUT = "Written by `invoke bench`, which replaces the figures that it measures; README.md shows them."


class Measured(Struct, frozen=True, kw_only=True):
    """One benchmark's section, and what it was measured on."""

    machine: dict[str, str]
    section: Section


def read(path: Path) -> dict[str, Measured]:
    """Return what a file holds, by the benchmark's name; a file that is missing holds nothing.

    Raises ReadmeError for a file that holds something else.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return {}
    try:
        return msgspec.json.decode(text, type=_File).figures
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ReadmeError(f"{path}: does not hold figures ({error}); restore it with git, or delete it") from None


def merge(stored: dict[str, Measured], report: Report) -> dict[str, Measured]:
    """Return stored figures with those of a report in their place."""
    return stored | {one.name: Measured(machine=report.machine, section=one) for one in report.sections}


def dumps(figures: dict[str, Measured]) -> str:
    """Return the text of the file: by name, timings with their median and spread beside their runs."""
    found = {name: _told(figures[name]) for name in sorted(figures)}
    return json.dumps({"$comment": _ABOUT, "figures": found}, indent=2) + "\n"


def check(file: str) -> None:
    """Raise KilnError if `keep` could not write to a file, before hours are measured for it."""
    path = Path(file) if file else paths.ROOT / FILE
    if path.is_dir():
        raise SelectionError(f"--json {file}: that is a folder; name a file in it")
    read(path)
    folder = next(one for one in path.absolute().parents if one.exists())
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise SelectionError(f"{path}: cannot be written; name another file with --json")


def keep(report: Report, file: str) -> str:
    """Write a report's figures to a file, and return what to say of it.

    The committed file takes no figures that say nothing of published images.
    """
    path = Path(file) if file else paths.ROOT / FILE
    trial = next((one for one in report.sections if one.trial), None)
    if trial and not file:
        return (
            f"{FILE}: left as it is, for {trial.name} is not comparable ({trial.trial}); --json FILE keeps it elsewhere"
        )
    paths.write_whole(path, dumps(merge(read(path), report)))
    return f"{', '.join(one.name for one in report.sections)}: kept in {file or FILE}"


class _File(Struct, kw_only=True):
    figures: dict[str, Measured]
    about: str = msgspec.field(default=_ABOUT, name="$comment")


def _told(one: Measured) -> dict[str, Any]:
    """Return a section as JSON; numbers have the digits that count."""
    told: dict[str, Any] = msgspec.to_builtins(one)
    section = told["section"]
    for finding in section["findings"]:
        finding |= {key: _round(finding[key]) for key in ("value", "spread") if key in finding}
    for timing, entry in zip(one.section.timings, section.get("timings", ()), strict=True):
        kept = Timing(name=timing.name, seconds=tuple(map(_round, timing.seconds)))
        entry |= {"seconds": kept.seconds, "median": _round(kept.median), "spread": _round(kept.spread)}
    return told


def _round(value: float) -> float:
    return float(f"{value:.5g}")
