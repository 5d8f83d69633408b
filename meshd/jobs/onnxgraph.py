"""The graph of an ONNX model as a split sees it: what each node needs, gives and costs."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from protocols.errors import InputError

_MADE = "/made"
_GRAPH, _GRAPHS = 5, 10  # AttributeProto.AttributeType

Proto = Any
"""onnx has no types for its messages."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in an order in which each follows those that feed it, as ONNX demands."""

    model: Proto
    needs: tuple[tuple[str, ...], ...]
    """Of each node, the names it reads, bodies of loops and branches included."""
    gives: tuple[tuple[str, ...], ...]
    flop: tuple[float, ...]
    types: dict[str, int]
    """Element types of the tensors that are known."""
    sizes: dict[str, float]
    """Their bytes, one item of a batch supposed."""

    @property
    def constants(self) -> frozenset[str]:
        graph = self.model.graph
        sparse = (tensor.values.name for tensor in graph.sparse_initializer)
        return frozenset([*(tensor.name for tensor in graph.initializer), *sparse])

    @property
    def inputs(self) -> tuple[str, ...]:
        constants = self.constants
        names = (given.name for given in self.model.graph.input)
        return tuple(name for name in names if name not in constants)

    @property
    def tail(self) -> int:
        """Where the nodes begin that only hand over the outputs: no cut lies behind them."""
        return len(self.needs) - len(self.outputs)

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(made.name for made in self.model.graph.output)


def read_graph(data: bytes) -> Graph:
    """Raises InputError "bad-model"."""
    import onnx  # 0.2 s: only who splits a model pays
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(data)
        if any(tensor.external_data for tensor in model.graph.initializer):
            raise InputError("bad-model", "the model keeps weights in other files; put them in it")
        onnx.checker.check_model(model)
        _prune(model.graph)
        _gather_outputs(model.graph)
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except (
        *(DecodeError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError),
        *(ValueError, TypeError),
    ) as error:
        why = " ".join(str(error).split())[:300]
        raise InputError("bad-model", f"the model cannot be read: {why}") from None
    known = _shapes(inferred.graph)
    nodes = model.graph.node
    return Graph(
        model=model,
        needs=tuple(tuple(dict.fromkeys(_needs(node))) for node in nodes),
        gives=tuple(tuple(filter(None, node.output)) for node in nodes),
        flop=tuple(_flop(node, known) for node in nodes),
        types={name: kind for name, (kind, _) in known.items()},
        sizes={name: _bytes(kind, shape) for name, (kind, shape) in known.items()},
    )


_Shape = list[int] | None


def _shapes(graph: Proto) -> dict[str, tuple[int, _Shape]]:
    """Element type and shape of every tensor that has one; dimensions without a number are 1."""
    found: dict[str, tuple[int, _Shape]] = {}
    for tensor in graph.initializer:
        found[tensor.name] = (tensor.data_type, list(tensor.dims))
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        if value.type.WhichOneof("value") != "tensor_type" or not kind.elem_type:
            continue
        shape = None
        if kind.HasField("shape"):
            shape = [dim.dim_value or 1 for dim in kind.shape.dim]
        found[value.name] = (kind.elem_type, shape)
    return found


def _bytes(kind: int, shape: _Shape) -> float:
    from onnx import helper

    width = 8 if kind == 8 else helper.tensor_dtype_to_np_dtype(kind).itemsize  # 8: texts
    return float(width * prod(shape)) if shape is not None else float(width)


def _gather_outputs(graph: Proto) -> None:
    """Let the last nodes give all outputs: what is made early is then carried like any tensor."""
    from onnx import helper

    given = {value.name for value in (*graph.input, *graph.initializer)}
    for name in (made.name for made in graph.output):
        if name in given:
            raise InputError("bad-model", f"its output {name!r} is an input or a weight unchanged")
        _rename(graph.node, name, name + _MADE)
    graph.node.extend(
        helper.make_node("Identity", [made.name + _MADE], [made.name]) for made in graph.output
    )


def _rename(nodes: Proto, old: str, new: str) -> None:
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]
        for body in _bodies(node):
            _rename(body.node, old, new)
            for value in body.output:
                value.name = new if value.name == old else value.name


def _bodies(node: Proto) -> list[Proto]:
    """The graphs inside a loop or a branch."""
    found = []
    for attribute in node.attribute:
        found += [attribute.g] if attribute.type == _GRAPH else []
        found += [*attribute.graphs] if attribute.type == _GRAPHS else []
    return found


def _prune(graph: Proto) -> None:
    """Leave out nodes whose outputs lead to none of the model's."""
    wanted = {made.name for made in graph.output}
    kept = []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            wanted |= set(_needs(node))
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))


def _needs(node: Proto) -> list[str]:
    found = [name for name in node.input if name]
    for body in _bodies(node):
        made = {value.name for value in (*body.input, *body.initializer)}
        for inner in body.node:
            found += [name for name in _needs(inner) if name not in made]
            made |= set(inner.output)
        found += [value.name for value in body.output if value.name not in made]
    return found


def _flop(node: Proto, known: dict[str, tuple[int, _Shape]]) -> float:
    """Multiplications and additions of matrices and convolutions; else one for each element."""

    def shape(name: str) -> list[int]:
        return (known[name][1] if name in known else None) or [1]

    made = float(sum(prod(shape(name)) for name in node.output if name))
    if node.op_type in ("MatMul", "Gemm"):
        across = {attribute.name: attribute.i for attribute in node.attribute}.get("transA", 0)
        first = shape(node.input[0])
        return 2 * made * first[0 if across else -1]
    if node.op_type == "Conv":
        return 2 * made * prod(shape(node.input[1])[1:])
    read = max((prod(shape(name)) for name in node.input if name), default=0)
    return max(made, float(read))
