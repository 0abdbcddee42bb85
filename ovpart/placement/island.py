"""The whole of a model on onnxruntime: what answers where the device fails, and what a first run shows."""

from __future__ import annotations

from collections.abc import Sequence

from ovpart.backend.base import Array, Cut
from ovpart.backend.cut import make_cut, port
from ovpart.model.graph import Graph, Model
from ovpart.model.types import ValueType, dtype_of_array
from ovpart.partition.boundary import boundary
from ovpart.partition.parts import slices
from ovpart.placement.engines import Engines
from ovpart.planning import FALLBACK
from ovpart.runtime.schedule import Schedule, bind_schedule


def without_rank(graph: Graph) -> list[str]:
    """Return the values whose rank or dtype inference does not know, and which a run computes."""
    idle = graph.dead | graph.constant
    return [
        value
        for node in graph.nodes
        if node.index not in idle
        for value in node.outputs
        if value and _wants_rank(graph.type_of(value))
    ]


def _wants_rank(kind: ValueType) -> bool:
    return kind.kind in ("tensor", "unknown") and (kind.shape is None or kind.dtype is None)


def type_seen(array: Array) -> ValueType:
    """Return the type of a value that a run has shown; dims stay open, since only the rank holds for other runs."""
    if not hasattr(array, "dtype"):
        return ValueType("sequence" if isinstance(array, list) else "opaque")
    return ValueType("tensor", dtype_of_array(array), (None,) * array.ndim)


def island(model: Model, engines: Engines, outputs: Sequence[str]) -> Schedule:
    """Return a schedule that computes values of the main scope on onnxruntime alone."""
    graph = model.graph
    idle = graph.dead | graph.constant
    nodes = [node.index for node in graph.nodes if node.index not in idle]
    made = [name for name in outputs if name in graph.producer and graph.producer[name] not in graph.constant]
    parts = slices(nodes)
    if parts:
        shown = frozenset(made)
        cuts = [_slice(model, part, shown) for part in parts]
    else:
        cuts = [make_cut(model, nodes, boundary(graph, nodes)[0], made)]
    steps = [("whole", engines.compile(cut, FALLBACK)) for cut in cuts]
    given = frozenset((*made, *graph.inputs))
    return bind_schedule(
        inputs=[port(name, graph.type_of(name)) for name in graph.inputs],
        outputs=outputs,
        steps=steps,
        constants={name: model.weights.array(name) for name in outputs if name not in given},
    )


def _slice(model: Model, nodes: Sequence[int], shown: frozenset[str]) -> Cut:
    """Return a slice of a model that gives what others read of it, and what is to be shown."""
    graph = model.graph
    inputs, outputs = boundary(graph, nodes)
    more = [name for index in nodes for name in graph.nodes[index].outputs if name in shown]
    return make_cut(model, nodes, inputs, tuple(dict.fromkeys((*outputs, *more))))
