"""The README's plot of the figures: the same bytes for the same figures, readable on light and dark pages."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from kiln import render
from kiln.bench_results import Measured
from kiln.timing import Finding

TEMPLATE = "readme/bench.svg.j2"
_RATIOS = ("compile", "family", "start", "size")
"""Figures where 1 is the reference, and less is better."""
_LEFT, _BARS, _RIGHT = 244, 420, 96
"""Pixels for names, for bars, and for numbers behind the longest bar."""
_TOP, _HEAD, _ROW, _FOOT = 34, 28, 19, 16
"""Pixels for the legend, a panel's title, a bar with its gap, and the gap below a panel."""


class Bar(Struct, frozen=True, kw_only=True):
    """One figure as it is drawn; all places are pixels from the plot's top left corner."""

    name: str
    text: str
    y: int
    """The top of its row."""
    width: float
    bound: float | None
    """Where its bound stands."""
    end: float
    """Where its number begins."""
    disturbed: bool


class Panel(Struct, frozen=True, kw_only=True):
    """Figures that share a scale."""

    title: str
    y: int
    """The baseline of its title."""
    bars: tuple[Bar, ...]
    reference: float
    """Where the reference's 1 stands."""
    top: int
    bottom: int
    """Where the bars begin and end."""


def svg(figures: Mapping[str, Measured]) -> str:
    """Return the plot: ratios to the reference with their bounds, and the speed of each benchmark."""
    drawn = panels(figures)
    height = drawn[-1].bottom + _FOOT if drawn else _TOP
    facts = {
        "panels": drawn, "width": _LEFT + _BARS + _RIGHT, "height": height, "left": _LEFT, "row": _ROW,
        "bounded": any(bar.bound is not None for panel in drawn for bar in panel.bars),
        "disturbed": any(bar.disturbed for panel in drawn for bar in panel.bars),
    }  # fmt: skip
    return render.environment().get_template(TEMPLATE).render(facts)


def panels(figures: Mapping[str, Measured]) -> list[Panel]:
    """Return what is drawn, from top to bottom: a panel without figures is left out."""
    ratios = [one for one in _findings(figures, _RATIOS) if one.bound is not None]
    speeds = [one for one in _findings(figures, ["speed"]) if one.bound is None]
    found: list[Panel] = []
    for title, findings in (
        ("Time or size as a part of the reference's: less is better", ratios),
        ("Speed as a multiple of the reference's: more is better", speeds),
    ):
        if findings:
            found.append(_panel(title, findings, found[-1].bottom + _FOOT if found else _TOP))
    return found


def _findings(figures: Mapping[str, Measured], names: Sequence[str]) -> list[Finding]:
    return [finding for name in names if name in figures for finding in figures[name].section.findings]


def _panel(title: str, findings: Sequence[Finding], top: int) -> Panel:
    """Return the panel that begins at `top`; its longest bar, or the reference, fills the width."""
    scale = _BARS / max(1.0, *(max(one.value, one.bound or 0) for one in findings))
    first = top + _HEAD
    bars = tuple(_bar(one, first + place * _ROW, scale) for place, one in enumerate(findings))
    return Panel(
        title=title, y=top + 14, bars=bars, reference=_place(1, scale), top=first, bottom=first + len(bars) * _ROW,
    )  # fmt: skip


def _bar(one: Finding, y: int, scale: float) -> Bar:
    return Bar(
        name=one.name.removesuffix(" against the reference"),
        text=f"{one.value:.2f}" + (" disturbed" if one.disturbed else ""), y=y, width=round(one.value * scale, 1),
        bound=None if one.bound is None else _place(one.bound, scale),
        end=round(_place(max(one.value, one.bound or 0), scale) + 7, 1), disturbed=one.disturbed,
    )  # fmt: skip


def _place(value: float, scale: float) -> float:
    return round(_LEFT + value * scale, 1)
