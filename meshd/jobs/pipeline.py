"""Pipeline: one ONNX model cut into several, each fed by those before it.

Cuts lie between nodes in the model's own order, where the slowest stage is fastest: its arithmetic
at speed 1, and its activations over a link. A tensor goes from who makes it straight to whoever
reads it, so a later stage may take from several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from meshd.jobs.onnxgraph import Graph, Proto, read_graph
from meshd.jobs.specification import FLOP_PER_S
from protocols.errors import InputError

LINK_BYTES_PER_S = 25e9 / 8
"""A laser link of 25 Gb/s."""

CUTS_MAX = 400
"""Places for cuts that are weighed; of a longer model the narrowest of each stretch."""


@dataclass(frozen=True, slots=True)
class StageModel:
    """One piece: a model of its own, and what it is fed."""

    model: bytes
    takes: tuple[int, ...]
    """Earlier stages whose outputs it reads."""
    reads_input: bool
    flop: float


def split_model(data: bytes, count: int) -> list[StageModel]:
    """Cut a model into `count` stages. Raises InputError "bad-model" or "too-many-stages"."""
    graph = read_graph(data)
    edges = _edges(graph, count)
    maker = _makers(graph, edges)
    return [_stage(graph, edges, index, maker) for index in range(count)]


def crossing(graph: Graph) -> list[set[str]]:
    """At each place between two nodes, the tensors made before it and needed behind it."""
    makes = {name: at for at, names in enumerate(graph.gives) for name in names}
    last = dict.fromkeys(makes, -1)
    for at, names in enumerate(graph.needs):
        for name in names:
            if name in last:
                last[name] = at
    places: list[set[str]] = [set() for _ in range(len(graph.needs) + 1)]
    for name, made in makes.items():
        for place in range(made + 1, last[name] + 1):
            places[place].add(name)
    return places


def _edges(graph: Graph, count: int) -> list[int]:
    """Where stages begin and end: the cuts whose slowest stage is fastest."""
    total = len(graph.needs)
    places = crossing(graph)
    widths = [sum(graph.sizes.get(name, 0.0) for name in names) for names in places]
    legal = [p for p in range(1, graph.tail) if all(name in graph.types for name in places[p])]
    cuts = [0, *_narrowest(legal, widths, total), total]
    if count > len(cuts) - 1:
        message = f"the model can be cut into {len(cuts) - 1} stages at most, not {count}"
        raise InputError("too-many-stages", message)
    work = [0.0, *accumulate(flop / FLOP_PER_S for flop in graph.flop)]
    fetch = [widths[cut] / LINK_BYTES_PER_S for cut in cuts]
    # best[j]: (slowest stage, all fetches) of the cheapest way to end a stage at cut j, and how.
    best: list[tuple[float, float, list[int]]] = [(0.0, 0.0, [0])]
    best += [(float("inf"), 0.0, [])] * (len(cuts) - 1)
    for _ in range(count):
        fresh: list[tuple[float, float, list[int]]] = [(float("inf"), 0.0, [])] * len(cuts)
        for j in range(1, len(cuts)):
            for i in range(j):
                slowest, fetched, way = best[i]
                if not way:
                    continue
                takes = work[cuts[j]] - work[cuts[i]] + fetch[i]
                option = (max(slowest, takes), fetched + fetch[i], [*way, cuts[j]])
                if not fresh[j][2] or option < fresh[j]:
                    fresh[j] = option
        best = fresh
    return best[-1][2]


def _narrowest(legal: list[int], widths: list[float], total: int) -> list[int]:
    if len(legal) <= CUTS_MAX:
        return legal
    stretch = -(-total // CUTS_MAX)
    groups: dict[int, int] = {}
    for place in legal:
        kept = groups.setdefault(place // stretch, place)
        if widths[place] < widths[kept]:
            groups[place // stretch] = place
    return sorted(groups.values())


def _makers(graph: Graph, edges: list[int]) -> dict[str, int]:
    """The stage that makes each tensor."""
    found: dict[str, int] = {}
    for stage, (begin, end) in enumerate(pairwise(edges)):
        for names in graph.gives[begin:end]:
            found.update(dict.fromkeys(names, stage))
    return found


def _stage(graph: Graph, edges: list[int], index: int, maker: dict[str, int]) -> StageModel:
    begin, end = edges[index], edges[index + 1]
    needs = dict.fromkeys(name for names in graph.needs[begin:end] for name in names)
    fed = [name for name in needs if maker.get(name, index) < index]
    # The first takes all of the input, used or not: what it is given must fit exactly.
    given = [name for name in graph.inputs if name in needs or index == 0]
    later = {name for names in graph.needs[end:] for name in names} | set(graph.outputs)
    made = [name for names in graph.gives[begin:end] for name in names if name in later]
    model = _model(graph, slice(begin, end), (*given, *fed), made)
    return StageModel(
        model=bytes(model.SerializeToString(deterministic=True)),
        takes=tuple(sorted({maker[name] for name in fed})),
        reads_input=bool(given),
        flop=sum(graph.flop[begin:end]),
    )


def _model(graph: Graph, part: slice, inputs: Sequence[str], outputs: Sequence[str]) -> Proto:
    """A model of some of the nodes."""
    from onnx import ModelProto, helper

    whole = graph.model
    model = ModelProto()
    model.CopyFrom(whole)
    del model.graph.node[:], model.graph.input[:], model.graph.output[:]
    del model.graph.value_info[:], model.graph.initializer[:]
    model.graph.node.extend(whole.graph.node[part])
    needs = {name for names in graph.needs[part] for name in names}
    model.graph.initializer.extend(t for t in whole.graph.initializer if t.name in needs)
    known = {value.name: value for value in (*whole.graph.input, *whole.graph.output)}
    for names, values in ((inputs, model.graph.input), (outputs, model.graph.output)):
        for name in names:
            kind = graph.types.get(name, 0)
            values.append(known.get(name) or helper.make_tensor_value_info(name, kind, None))
    return model
