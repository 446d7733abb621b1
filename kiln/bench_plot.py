"""The README's plot of the figures: the same bytes for the same figures, readable on light and dark pages."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kiln.bench_results import Measured
from kiln.timing import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TEXT, _BAR, _DISTURBED, _BOUND = "#7d8790", "#3f8ae0", "#9fb4c9", "#e0802b"
_RATIOS = ("compile", "family", "start", "size")
"""Figures where 1 is the reference, and less is better."""
_STYLE: Any = {
    "svg.hashsalt": "kiln", "svg.fonttype": "none", "font.family": "DejaVu Sans", "font.size": 9,
    "text.color": _TEXT, "axes.labelcolor": _TEXT, "axes.edgecolor": _TEXT, "xtick.color": _TEXT,
    "ytick.color": _TEXT, "axes.spines.top": False, "axes.spines.right": False,
}  # fmt: skip


def svg(figures: Mapping[str, Measured]) -> str:
    """Return the plot: ratios to the reference with their bounds, and the speed of each benchmark."""
    # Matplotlib takes a second to import, which `invoke --list` need not pay.
    from matplotlib import rc_context

    file = io.StringIO()
    with rc_context(_STYLE):
        # Neither the day nor the version of Matplotlib makes another file.
        draw(figures).savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": "Kiln"})
    # Matplotlib ends some lines with a space.
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


def draw(figures: Mapping[str, Measured]) -> "Figure":
    """Return the drawing."""
    from matplotlib.figure import Figure as Drawing

    ratios = _ratios(figures)
    speeds = [one for one in figures["speed"].section.findings if one.bound is None] if "speed" in figures else []
    sides = [
        (ratios, "of the reference's time or size: less is better"),
        (speeds, "of the reference's speed: more is better"),
    ]
    shown = [side for side in sides if side[0]]
    height = max([2.0, 1.0 + 0.45 * len(ratios), 1.0 + 0.17 * len(speeds)])
    figure = Drawing(figsize=(5 * max(1, len(shown)), height), layout="constrained")
    for place, (findings, label) in enumerate(shown, 1):
        _bars(figure.add_subplot(1, len(shown), place), findings, label)
    return figure


def _ratios(figures: Mapping[str, Measured]) -> list[Finding]:
    """Return the figures of the left side."""
    return [
        finding for name in _RATIOS if name in figures for finding in figures[name].section.findings
        if finding.bound is not None
    ]  # fmt: skip


def _bars(axes: "Axes", shown: list[Finding], label: str) -> None:
    """Draw a bar for each figure, first on top, with the reference's 1 and the bounds as lines."""
    places = list(range(len(shown)))
    colours = [_DISTURBED if one.disturbed else _BAR for one in shown]
    axes.barh(places, [one.value for one in shown], color=colours, height=0.7)
    axes.axvline(1, color=_TEXT, linewidth=1)
    for place, one in zip(places, shown, strict=True):
        if one.bound is not None:
            axes.plot([one.bound, one.bound], [place - 0.45, place + 0.45], color=_BOUND, linewidth=2)
        words = f" {one.value:.2f}" + (" disturbed" if one.disturbed else "")
        axes.text(max(one.value, one.bound or 0), place, words, va="center", fontsize=8)
    axes.set_yticks(places, [one.name.replace(" against the reference", "") for one in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, 1.2 * max(1.0, *(max(one.value, one.bound or 0) for one in shown)))
    axes.set_xlabel(label)
