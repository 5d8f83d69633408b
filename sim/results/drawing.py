"""Drawing: figures in one style, as SVG that follows the page's light or dark colours."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import matplotlib as mpl
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure

from protocols.errors import InputError
from protocols.types import HOUR, MINUTE, SECOND, Duration, Instant

Axes: TypeAlias = Any
"""matplotlib's Axes: it has no types of its own that we check."""

INK, MUTED, GRID, PAPER, LAND = "#1b2430", "#68727f", "#dde2e8", "#fefefe", "#e6ebe4"
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = (
    *("#3a7fd0", "#dd8420", "#23967b", "#d1435b", "#8a6bd1", "#8b95a1"),
)
SERIES = (BLUE, ORANGE, GREEN, PURPLE, RED, "#b39127", "#3aa3b8", "#c45fa6", GREY)
"""Of a lightness that is read on white and on black."""

_PAGE = {INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper", LAND: "land"}
"""Colours that the page replaces, by the name of its variable."""

WIDTH_IN, HEIGHT_IN = 5.4, 3.0
POINTS_MAX = 4_000
"""More marks than this become pixels within the SVG: a browser draws no 10,000 in a blink."""
PIXELS_PER_INCH = 220

_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 8.5,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": f"cycler(color={list(SERIES)})",
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.5,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
}

Paint: TypeAlias = Callable[[Axes], None]


class Size(NamedTuple):
    width_in: float = WIDTH_IN
    height_in: float = HEIGHT_IN


class Plot(NamedTuple):
    """One figure: `name` is its word on the command line, `caption` says what is to be seen."""

    name: str
    title: str
    caption: str
    paint: Paint
    size: Size = Size()
    wide: bool = False


def svg_of(paint: Paint, name: str, size: Size = Size()) -> str:  # noqa: B008
    """An <svg> for a page: no ids but its own, colours by the page's variables, text as text."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=size, layout="constrained", facecolor="none")
        paint(figure.add_subplot())
        out = io.StringIO()
        none = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(out, format="svg", metadata=none, dpi=PIXELS_PER_INCH)
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|xlink:href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    for colour, word in _PAGE.items():
        text = text.replace(colour, f"var(--{word})")
    return text


SUFFIXES = (".svg", ".png", ".pdf")


def save(plot: Plot, path: Path | None) -> Path:
    """One figure as a file of its own, by its suffix. Raises InputError "bad-suffix"."""
    path = path or Path(f"{plot.name}.svg")
    if path.suffix not in SUFFIXES:
        raise InputError("bad-suffix", f"{path}: a figure is one of {', '.join(SUFFIXES)}")
    with mpl.rc_context({**_STYLE, "svg.hashsalt": plot.name}):
        figure = Figure(figsize=plot.size, layout="constrained")
        plot.paint(figure.add_subplot())
        figure.savefig(path, dpi=PIXELS_PER_INCH)
    return path


class Clock(NamedTuple):
    """A run's time axis: after the start, in seconds, minutes or hours by the length of it."""

    start: Instant
    unit_ns: Duration
    word: str

    @classmethod
    def of(cls, start: Instant, finish: Instant) -> Clock:
        for unit_ns, word in ((HOUR, "h"), (MINUTE, "min")):
            if finish - start > 10 * unit_ns:
                return cls(start, unit_ns, word)
        return cls(start, SECOND, "s")

    def after(self, at: Instant) -> float:
        return (at - self.start) / self.unit_ns


def few(count: int) -> bool:
    """Whether so many marks can be shapes."""
    return count <= POINTS_MAX


def fits(count: int) -> float:
    """The height of a figure with so many rows, in inches."""
    return min(11.0, max(HEIGHT_IN, 0.9 + 0.19 * count))


def legend(axes: Axes, columns: int = 3) -> None:
    """Above the axes and what is written over them, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    axes.figure.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=columns,
        handlelength=1.4,
        columnspacing=1.2,
        handletextpad=0.5,
        borderaxespad=0.0,
    )


def shades(count: int = 256) -> Any:
    """From nearly nothing to BLUE, on white as on black."""
    colour = to_rgb(BLUE)
    steps = [(*colour, 0.12 + 0.88 * step / (count - 1)) for step in range(count)]
    return ListedColormap(steps)
