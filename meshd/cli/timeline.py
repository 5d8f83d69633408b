"""`meshd route` beyond one path: over time, several at once, explained, drawn."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from meshd.cli.setting import Setting, Source, Warn, open_setting
from meshd.cli.talk import facts, length, ms, say, table
from meshd.ephemeris import format_time, parse_duration
from meshd.router.answers import route_json, why_no_route
from meshd.router.disjoint import Apart, disjoint_routes
from meshd.router.explain import explain
from meshd.router.objective import DELAY, objective_of
from meshd.router.offline import ROUTE_WINDOW_NS, route_answer
from meshd.router.steady import steadiness, steady_timeline
from meshd.router.timeline import TIMELINE_MAX_NS, Timeline, timeline_of
from meshd.router.timeline_answers import alternatives_json, explanation_json, timeline_json
from protocols.errors import InputError, MeshError
from protocols.types import Duration, Instant

STEADY = "stable"
PATH_SHOWN_MAX = 8


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for besides the two ends, as it was typed."""

    source: Source
    at: str | None = None
    span: str | None = None
    step: str | None = None
    by: str = "delay"
    stay_percent: float = 10.0
    k: int = 1
    disjoint: str = "nodes"
    explain: bool = False
    plot: str | None = None

    @property
    def over_time(self) -> bool:
        return bool(self.span or self.plot)

    def check(self) -> None:
        """Raises InputError "usage" for wishes that do not go together."""
        if self.step and not self.over_time:
            raise InputError("usage", "--step is for a timeline: add --timeline 1h")
        if self.by == STEADY and not self.over_time:
            raise InputError("usage", "--by stable is for a timeline: add --timeline 1h")
        if self.over_time and (self.k > 1 or self.explain):
            raise InputError("usage", "--k and --explain are for one instant: leave out --timeline")
        if self.disjoint not in ("nodes", "links"):
            raise InputError("usage", f"--disjoint is nodes or links, not {self.disjoint!r}")


def route_wish(ends: tuple[str, str], wish: Wish, warn: Warn) -> dict[str, Any]:
    """The answer to a wish, from a sky or plan alone. Raises MeshError "no-route"."""
    wish.check()
    setting = open_setting(ends, wish.source)
    told = setting.told(setting.at(wish.at), warn)
    return {**(_over_time if wish.over_time else _at_once)(setting, wish), **told}


# --- over time ------------------------------------------------------------------------------------


def _over_time(setting: Setting, wish: Wish) -> dict[str, Any]:
    span = parse_duration(wish.span or "1h")
    step = parse_duration(wish.step) if wish.step else None
    if not 0 < span <= TIMELINE_MAX_NS:
        raise InputError("bad-duration", "a timeline is up to 24h long")
    start = setting.at(wish.at)
    end = setting.end_of(start, span)
    objective = DELAY if wish.by == STEADY else objective_of(wish.by)
    with _shown("predicting contacts", (start, end)):
        plan = setting.plan(start, end)
    a, b = map(plan.index_of, setting.names)
    with _shown("following paths", (start, end)) as progress:
        best = timeline_of(plan, (a, b), (start, end), objective, progress)
    answer, shown = _told(setting, wish, best, step)
    if wish.plot:
        from meshd.cli.figure import draw_rtt  # matplotlib: 0.5 s

        answer["plot"] = str(draw_rtt(shown, best if shown is not best else None, wish.plot))
    return answer


def _told(
    setting: Setting, wish: Wish, best: Timeline, step: Duration | None
) -> tuple[dict[str, Any], Timeline]:
    if wish.by != STEADY:
        otherwise = "became shorter" if wish.by == "delay" else "came to cost less"
        return timeline_json(best, setting.sight_at(), step, otherwise), best
    steady = steady_timeline(best, wish.stay_percent / 100)
    otherwise = f"the one before came to be {wish.stay_percent:g}% longer than the best"
    answer = timeline_json(steady, setting.sight_at(), step, otherwise)
    answer |= {"by": STEADY, "stay_percent": wish.stay_percent}
    return {**answer, "against_best": asdict(steadiness(steady, best))}, steady


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


# --- at one instant -------------------------------------------------------------------------------


def _at_once(setting: Setting, wish: Wish) -> dict[str, Any]:
    when, objective = setting.at(wish.at), objective_of(wish.by)
    plan = setting.plan(when, when + ROUTE_WINDOW_NS)
    a, b = map(plan.index_of, setting.names)
    found = route_answer(plan, a, b, when, objective=objective)
    answer: dict[str, Any] = {"basis": "plan"}
    if found is not None:
        answer |= {**route_json(found), "by": objective.name}
    elif not wish.explain:
        raise MeshError("no-route", f"no route: {why_no_route(plan, a, b, when)}")
    else:
        ends = {"from": setting.names[0], "to": setting.names[1], "at": format_time(when)}
        answer |= {**ends, "path": [], "why": why_no_route(plan, a, b, when)}
    if wish.k > 1:
        apart: Apart = "nodes" if wish.disjoint == "nodes" else "links"
        routes = disjoint_routes(plan, (a, b), when, wish.k, apart, objective)
        answer |= {"disjoint": apart, "alternatives": alternatives_json(plan, routes)}
    if wish.explain:
        told = explain(plan, (a, b), when, setting.sight_at(), objective)
        answer["explain"] = explanation_json(plan, told, when)
    return answer


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
