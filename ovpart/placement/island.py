"""The whole of a model on onnxruntime: what answers where the device fails, and what a first run shows."""

from __future__ import annotations

from collections.abc import Sequence

from ovpart.backend.base import Array
from ovpart.backend.cut import make_cut, port
from ovpart.model.graph import Graph, Model
from ovpart.model.types import ValueType, dtype_of_array
from ovpart.partition.boundary import boundary
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
    inputs, _ = boundary(graph, nodes)
    made = [name for name in outputs if graph.producer.get(name, -1) not in (-1, *graph.constant)]
    executable = engines.compile(make_cut(model, nodes, inputs, made), FALLBACK)
    return bind_schedule(
        inputs=[port(name, graph.type_of(name)) for name in graph.inputs],
        outputs=outputs,
        steps=[("whole", executable)],
        constants={
            name: model.weights.array(name) for name in outputs if name not in made and name not in graph.inputs
        },
    )
