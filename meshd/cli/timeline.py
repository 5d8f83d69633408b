"""`meshd route` beyond one path: over time, several at once, explained, drawn."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from meshd.cli.setting import Setting, Source, Warn, open_setting
from meshd.cli.talk import facts, length, ms, say, table
from meshd.router.wish import Wish, at_once, follow
from protocols.types import Instant

PATH_SHOWN_MAX = 8


def route_wish(
    places: tuple[str, str], source: Source, wish: Wish, plot: str | None, warn: Warn
) -> dict[str, Any]:
    """The answer to a wish, from a sky or plan alone. Raises MeshError "no-route"."""
    if plot and not wish.timeline:
        wish = replace(wish, timeline="1h")
    wish.check()
    setting = open_setting(places, source)
    when = setting.at(wish.at)
    told = setting.told(when, warn)
    if wish.timeline:
        return {**_over_time(setting, wish, plot), **told}
    plan = setting.plan(when, when + wish.window_ns())
    a, b = map(plan.index_of, setting.names)
    return {**at_once(plan, (a, b), when, wish, setting.sight_at()), **told}


def _over_time(setting: Setting, wish: Wish, plot: str | None) -> dict[str, Any]:
    start = setting.at(wish.at)
    window = start, setting.end_of(start, wish.window_ns())
    with _shown("predicting contacts", window):
        plan = setting.plan(*window)
    a, b = map(plan.index_of, setting.names)
    with _shown("following paths", window) as progress:
        found = follow(plan, (a, b), window, wish, setting.sight_at(), progress)
    if not plot:
        return found.answer
    from meshd.cli.figure import draw_rtt  # matplotlib: 0.5 s

    return {**found.answer, "plot": str(draw_rtt(found.shown, found.best, plot))}


@contextmanager
def _shown(what: str, span: tuple[Instant, Instant]) -> Iterator[Callable[[Instant], None]]:
    """How far work has got, on a terminal's last line, which is clean again at the end."""
    live, width = sys.stderr.isatty(), 60

    def progress(at: Instant) -> None:
        if live:
            share = 100 * (at - span[0]) // (span[1] - span[0])
            sys.stderr.write(f"\r{what}: {share}%".ljust(width))
            sys.stderr.flush()

    progress(span[0])
    try:
        yield progress
    finally:
        if live:
            sys.stderr.write("\r" + " " * width + "\r")
            sys.stderr.flush()


# --- for people -----------------------------------------------------------------------------------


def show_timeline(answer: dict[str, Any]) -> None:
    """A timeline as a table, and what it comes to."""
    rows = [
        (
            f"+{row['at_s']:.3f}",
            length(row["for_s"]),
            _span_ms(row["rtt_ms"], row["rtt_end_ms"]),
            row["hops"] or "-",
            _via(row["names"]),
            row["why"],
        )
        for row in answer["changes"]
    ]
    table(("FROM", "FOR", "ROUND TRIP", "HOPS", "VIA", "WHY"), rows, "nothing")
    say("")
    facts(_summary(answer))


def _summary(answer: dict[str, Any]) -> list[tuple[str, object]]:
    least, mean, most = (answer[f"rtt_{which}_ms"] for which in ("min", "mean", "max"))
    rows: list[tuple[str, object]] = [
        ("between", f"{answer['from']} and {answer['to']}, {answer['at']} to {answer['until']}"),
        ("changes", f"{answer['path_changes']} of the path ({answer['by']})"),
        ("round trip", f"{ms(least)} to {ms(most)}, mean {ms(mean)}"),
    ]
    if answer["unreachable"]:
        dark = [f"+{d['from_s']:.3f} to +{d['until_s']:.3f} s" for d in answer["unreachable"][:5]]
        more = len(answer["unreachable"]) - len(dark)
        rows.append(("dark", ", ".join(dark) + (f" and {more} more times" if more else "")))
    if answer["great_circle_rtt_ms"] is not None:
        bounds = ms(answer["great_circle_rtt_ms"]), ms(answer["fibre_rtt_ms"])
        rows.append(
            ("over ground", f"light {bounds[0]}, fibre {bounds[1]}, along the great circle")
        )
    against = answer.get("against_best")
    if against:
        extra = f"{ms(against['mean_extra_ms'])} longer on average"
        most = f"{ms(against['most_extra_ms'])} at most"
        told = f"{against['changes']} changes instead of {against['changes_best']}, {extra}, {most}"
        rows.append(("against best", told))
    if "plot" in answer:
        rows.append(("plot", answer["plot"]))
    return rows


def show_more(answer: dict[str, Any]) -> None:
    """Alternatives and the explanation of a route, below it."""
    if "alternatives" in answer:
        what = "satellite" if answer["disjoint"] == "nodes" else "link"
        count = len(answer["alternatives"])
        say(f"\n{count} way{'s' * (count != 1)} that share no {what}: together the shortest")
        rows = [
            (n, ms(row["rtt_ms"]), row["hops"], f"{row['energy_hops']:.1f}", _path(row["names"]))
            for n, row in enumerate(answer["alternatives"], start=1)
        ]
        table(("", "ROUND TRIP", "HOPS", "ENERGY", "PATH"), rows, "none")
    if "explain" in answer:
        _show_explanation(answer["explain"])


def _show_explanation(told: dict[str, Any]) -> None:
    say("")
    table(
        ("FROM", "TO", "CONTACT", "LEFT"),
        [
            (
                row["from"],
                row["to"],
                f"{row['begin'][11:23]} to {row['finish'][11:23]}",
                f"{length(row['left_s'])} or more" if row["beyond_plan"] else length(row["left_s"]),
            )
            for row in told["contacts"]
        ],
        "no link is open on the whole way",
    )
    rows: list[tuple[str, object]] = []
    ends, other = told["ends"], told["next_best"]
    if ends is not None:
        why = f": {ends['why']}" if ends["why"] else ""
        rows.append(
            ("ends first", f"{ends['from']} - {ends['to']} in {length(ends['left_s'])}{why}")
        )
    if other is not None:
        rows.append(("next best", f"{ms(other['longer_ms'])} longer: {_path(other['names'])}"))
    for cut in told["shortcuts"]:
        saved = f"{cut['from']} - {cut['to']} would save {ms(cut['saves_ms'])}"
        rows.append(("not taken", f"{saved}; {cut['why_not']}"))
    waits = [
        f"{length(ride['wait_s'])} for {ride['to']}" for ride in told["rides"] if ride["wait_s"]
    ]
    if told["rides"]:
        rows.append(("waits", ", ".join(waits) or "none: every contact is open when it is reached"))
    else:
        rows.append(("waits", "no way there is predicted, even with waiting"))
    facts(rows)


def _via(names: list[str]) -> str:
    """The first and the last between the ends."""
    between = names[1:-1]
    if not names:
        return "dark"
    return " ... ".join(dict.fromkeys((between[0], between[-1]))) if between else "-"


def _path(names: list[str]) -> str:
    """Both ends and what fits between."""
    if len(names) > PATH_SHOWN_MAX:
        names = [*names[:3], f"... {len(names) - 6} more ...", *names[-3:]]
    return " > ".join(names)


def _span_ms(first: float | None, last: float | None) -> str:
    if first is None or last is None:
        return "-"
    return f"{first:.2f} ms" if abs(first - last) < 0.005 else f"{first:.2f} to {last:.2f} ms"
