"""What the README shows of the figures in `benchmarks/results.json`."""

from collections.abc import Mapping
from typing import Any

from kiln.bench_results import FIGURES, Measured

PLOT = "benchmarks/results.svg"


def ordered(figures: Mapping[str, Measured]) -> list[Measured]:
    """Return figures in the order in which people look for them."""
    return [figures[name] for name in FIGURES if name in figures]


def values(figures: Mapping[str, Measured]) -> dict[str, Any]:
    """Return what the block's template knows: a row for each figure that has a bound, and the machines."""
    shown = ordered(figures)
    rows = [
        {
            "command": f"bench.{one.section.name}",
            "figure": finding.name,
            "result": finding.text,
            "raw": finding.raw,
            "bound": finding.limit,
            "verdict": finding.verdict,
            "runs": str(max((len(timing.seconds) for timing in one.section.timings), default=1)),
            "taken": one.machine.get("taken", "").partition(" ")[0],
        }
        for one in shown
        for finding in one.section.findings
        if finding.bound is not None
    ]
    machines = dict.fromkeys(_machine(one) for one in shown)
    return {"rows": rows, "machines": list(machines), "plot": PLOT if shown else ""}


def _machine(one: Measured) -> str:
    # Whose engine it was makes no difference.
    machine, engine = one.machine.get("machine", ""), one.machine.get("engine", "").partition(", ")[2]
    return f"{machine} ({engine})" if engine else machine
