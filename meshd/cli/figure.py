"""The figure of a timeline: round trip over time, what bounds it, changes and dark intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from meshd.ephemeris import format_time
from meshd.router.offline import great_circle_rtt_ms
from meshd.router.samples import samples_of
from meshd.router.timeline import Timeline
from meshd.router.timeline_answers import FIBRE_INDEX
from protocols.errors import InputError
from protocols.types import MILLISECOND, MINUTE, SECOND

INK, PAPER, FAINT = "#1b2a3a", "#ffffff", "#8a97a6"
ROUTE, BEST, FIBRE, LIGHT, DARK = "#d1495b", "#9db4c0", "#edae49", "#2e8b7f", "#1b2a3a"
"""Colours that people with any sight tell apart."""

_SUFFIXES = (".png", ".svg", ".pdf")

_RULED_MAX = 40
"""More changes than these are ticks alone: lines would hide the curve."""


def draw_rtt(timeline: Timeline, best: Timeline | None, place: str) -> Path:
    """Write the figure to a file; with `best` that timeline is drawn behind.

    Raises InputError "bad-plot" for another ending than .png, .svg or .pdf, or where the file
    cannot be written.
    """
    path = Path(place).expanduser()
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError("bad-plot", f"{place}: a figure ends in {', '.join(_SUFFIXES)}")
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    with pyplot.rc_context(_LOOK):
        figure, axes = pyplot.subplots(figsize=(10, 5.2), layout="constrained")
        try:
            _draw(axes, timeline, best)
            figure.savefig(path, dpi=160)
        except OSError as error:
            raise InputError("bad-plot", f"cannot write {path}: {error.strerror}") from None
        finally:
            pyplot.close(figure)
    return path


_LOOK: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.facecolor": PAPER,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": "#e7ebef",
    "figure.facecolor": PAPER,
    "svg.hashsalt": "meshd",
}


def _draw(axes: Any, timeline: Timeline, best: Timeline | None) -> None:
    plan, span_ns = timeline.plan, timeline.end - timeline.start
    unit, name = (SECOND, "seconds") if span_ns < 10 * MINUTE else (MINUTE, "minutes")
    axes.grid(axis="y", linewidth=0.8)
    axes.set_axisbelow(True)
    if best is not None:
        _line(axes, best, unit, {"color": BEST, "linewidth": 1.4, "label": "always the best"})
    label = "best path" if best is None else "kept while good enough"
    top = _line(axes, timeline, unit, {"color": ROUTE, "linewidth": 1.9, "label": label})
    light_ms = great_circle_rtt_ms(plan, timeline.source, timeline.target, timeline.start)
    if np.isfinite(light_ms):
        _bound(axes, light_ms * FIBRE_INDEX, FIBRE, f"great-circle fibre (n = {FIBRE_INDEX})")
        _bound(axes, light_ms, LIGHT, "great-circle light in vacuum")
        top = max(top, light_ms * FIBRE_INDEX)
    _changes(axes, timeline, unit)
    _dark(axes, timeline, unit)
    axes.set_xlim(0, span_ns / unit)
    floor = light_ms if np.isfinite(light_ms) else 0.0
    axes.set_ylim(floor - 0.15 * (top - floor), top + 0.12 * (top - floor) if top else 1)
    axes.set_xlabel(f"{name} after {format_time(timeline.start)[:19].replace('T', ' ')} UTC")
    axes.set_ylabel("round trip, ms")
    a, b = plan.names[timeline.source], plan.names[timeline.target]
    axes.set_title(f"{a} to {b}", loc="left", fontsize=15, fontweight="bold", pad=24)
    changes = len(timeline.stretches) - 1
    told = f"{changes} change{'s' * (changes != 1)} of path in {span_ns / unit:g} {name}"
    axes.text(0, 1.025, told, transform=axes.transAxes, color=FAINT, fontsize=10)
    below = {"loc": "outside lower center", "ncols": 5, "frameon": False, "fontsize": 9.5}
    axes.figure.legend(handlelength=1.6, columnspacing=1.6, **below)


def _line(axes: Any, timeline: Timeline, unit: int, style: dict[str, Any]) -> float:
    """The round trip, broken at every change; the highest value."""
    samples = samples_of(
        timeline, max(100 * MILLISECOND, (timeline.end - timeline.start) // 20_000)
    )
    rtt_ms = samples.rtt_ns / MILLISECOND
    begins = [stretch.begin for stretch in timeline.stretches[1:]]
    breaks = np.searchsorted(samples.instants, begins)
    x = np.insert((samples.instants - timeline.start) / unit, breaks, np.nan)
    axes.plot(x, np.insert(rtt_ms, breaks, np.nan), solid_capstyle="butt", **style)
    return float(np.nanmax(rtt_ms)) if np.isfinite(rtt_ms).any() else 0.0


def _bound(axes: Any, value_ms: float, colour: str, label: str) -> None:
    axes.axhline(value_ms, color=colour, linewidth=1.3, linestyle=(0, (5, 3)), label=label)


def _changes(axes: Any, timeline: Timeline, unit: int) -> None:
    """A tick above the figure for every change."""
    at = [(stretch.begin - timeline.start) / unit for stretch in timeline.stretches[1:]]
    frame = axes.get_xaxis_transform()
    if len(at) <= _RULED_MAX:
        axes.vlines(at, 0, 1, transform=frame, color="#e7ebef", linewidth=0.8, zorder=0)
    axes.vlines(at, 0.982, 1.0, transform=frame, color=INK, linewidth=0.9)


def _dark(axes: Any, timeline: Timeline, unit: int) -> None:
    label: str | None = "no path"
    for stretch in timeline.stretches:
        if not stretch.path:
            ends = ((edge - timeline.start) / unit for edge in (stretch.begin, stretch.finish))
            axes.axvspan(*ends, color=DARK, alpha=0.14, linewidth=0, label=label)
            label = None
