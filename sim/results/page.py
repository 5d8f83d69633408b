"""Page: HTML that needs nothing but itself: style within, figures within, no script, no network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from sim.results.drawing import Plot, svg_of
from sim.results.units import figure

_STYLE = Path(__file__).with_name("page.css")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""So that a browser fetches nothing, whatever text a scenario brings."""


def page(title: str, *parts: str) -> str:
    """A whole document."""
    head = (
        '<meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>"
        f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style>"
    )
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def section(title: str, *parts: str) -> str:
    """A heading and what stands under it; nothing when there is nothing."""
    body = "\n".join(part for part in parts if part)
    return f"<section><h2>{escape(title)}</h2>\n{body}\n</section>" if body else ""


def paragraph(text: str) -> str:
    return f"<p>{escape(' '.join(text.split()))}</p>"


def asked(question: str, method: str, expectation: str) -> str:
    """What was asked, how, and what was expected, side by side."""
    parts = (("Question", question), ("Method", method), ("Expectation", expectation))
    return (
        '<div class="asked">'
        + "".join(f"<div><h3>{word}</h3>{paragraph(text)}</div>" for word, text in parts)
        + "</div>"
    )


def keys(rows: Iterable[tuple[str, str, str]]) -> str:
    """The figures to see first: (what, how much, unit or remark)."""
    found = "".join(
        f"<div><dt>{escape(what)}</dt><dd>{escape(value)} <small>{escape(unit)}</small></dd></div>"
        for what, value, unit in rows
    )
    return f'<dl class="key">{found}</dl>'


def table(header: Sequence[str], rows: Iterable[Sequence[str | float]]) -> str:
    """Numbers stand right. A cell that is a `Raw` is HTML already."""
    lines = [_row(row) for row in rows]
    if not lines:
        return ""
    head = "".join(f"<th>{escape(word)}</th>" for word in header)
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


class Raw(str):
    """Text that is HTML already."""

    __slots__ = ()


def verdict(met: bool, yes: str, no: str) -> Raw:
    mark, word, colour = ("✓", yes, "good") if met else ("✗", no, "bad")
    return Raw(f'<span class="{colour}">{mark} {escape(word)}</span>')


def figures(plots: Iterable[Plot]) -> str:
    """Drawn, titled, with their captions. Narrow ones stand in two columns where there is room."""
    runs = groupby(plots, key=lambda plot: plot.wide)
    return "\n".join(
        f'<div class="{"wide" if wide else "narrow"}">{"".join(map(_figure, run))}</div>'
        for wide, run in runs
    )


def _figure(plot: Plot) -> str:
    return (
        f'<figure id="{escape(plot.name)}"><h3>{escape(plot.title)}</h3>'
        f"<figcaption>{escape(plot.caption)}</figcaption>"
        f'<div class="scroll">{svg_of(plot.paint, plot.name, plot.size)}</div></figure>'
    )


def _row(row: Sequence[str | float]) -> str:
    cells = []
    for cell in row:
        if isinstance(cell, Raw):
            cells.append(f"<td>{cell}</td>")
        elif isinstance(cell, str):
            cells.append(f"<td>{escape(cell)}</td>")
        else:
            cells.append(f'<td class="n">{escape(figure(cell))}</td>')
    return f"<tr>{''.join(cells)}</tr>"
