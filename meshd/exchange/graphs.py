"""Plans as graphs for Gephi, yEd, igraph and networkx: GraphML of an instant, GEXF of a window."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

from meshd.ephemeris.timescale import format_time
from meshd.topology.plan import ContactPlan
from protocols.types import MILLISECOND, SECOND, Instant

_KEYS = (
    ("name", "node", "string"),
    ("kind", "node", "string"),
    ("delay_ms", "edge", "double"),
    ("rate_bps", "edge", "double"),
)


def write_graphml(plan: ContactPlan, at: Instant) -> Iterator[str]:
    """The links open at an instant, line by line; node `n7` is site 7. Edges weigh `delay_ms`."""
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
    for key, of, kind in _KEYS:
        yield f'  <key id="{key}" for="{of}" attr.name="{key}" attr.type="{kind}"/>'
    yield f'  <graph id="meshd" edgedefault="undirected"><desc>{format_time(at)}</desc>'
    for site, (name, kind) in enumerate(zip(plan.names, plan.kinds, strict=True)):
        told = f"<data key='name'>{_text(name)}</data><data key='kind'>{kind}</data>"
        yield f'    <node id="n{site}">{told}</node>'
    for row in plan.open_rows(at).tolist():
        a, b = int(plan.a[row]), int(plan.b[row])
        delay_ms = plan.light_time_ns(a, b, at) / MILLISECOND
        told = f"<data key='delay_ms'>{delay_ms!r}</data>"
        told += f"<data key='rate_bps'>{float(plan.rate_bps[row])!r}</data>"
        yield f'    <edge source="n{a}" target="n{b}">{told}</edge>'
    yield "  </graph>"
    yield "</graphml>"


def write_gexf(plan: ContactPlan) -> Iterator[str]:
    """A plan as a graph that changes: every link once, and its contacts as spells.

    Times are seconds after the plan's start, which the description gives.
    """
    end = (plan.end - plan.start) / SECOND
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield '<gexf xmlns="http://www.gexf.net/1.2draft" version="1.2">'
    yield f"  <meta><description>seconds after {format_time(plan.start)}</description></meta>"
    yield '  <graph mode="dynamic" defaultedgetype="undirected" timeformat="double"'
    yield f'         start="0.0" end="{end!r}">'
    yield '    <attributes class="node" mode="static">'
    yield '      <attribute id="kind" title="kind" type="string"/>'
    yield "    </attributes>"
    yield "    <nodes>"
    for site, (name, kind) in enumerate(zip(plan.names, plan.kinds, strict=True)):
        told = f'<attvalues><attvalue for="kind" value="{kind}"/></attvalues>'
        yield f'      <node id="{site}" label={quoteattr(name)}>{told}</node>'
    yield "    </nodes>"
    yield "    <edges>"
    for number, ((a, b), spells) in enumerate(_spells(plan).items()):
        told = "".join(f'<spell start="{s!r}" end="{e!r}"/>' for s, e in spells)
        yield f'      <edge id="{number}" source="{a}" target="{b}"><spells>{told}</spells></edge>'
    yield "    </edges>"
    yield "  </graph>"
    yield "</gexf>"


def _spells(plan: ContactPlan) -> dict[tuple[int, int], list[tuple[float, float]]]:
    spells: dict[tuple[int, int], list[tuple[float, float]]] = {}
    columns = (plan.a, plan.b, plan.begin - plan.start, plan.finish - plan.start)
    for a, b, begin, finish in zip(*(column.tolist() for column in columns), strict=True):
        spells.setdefault((a, b), []).append((begin / SECOND, finish / SECOND))
    return spells


def _text(value: str) -> str:
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
