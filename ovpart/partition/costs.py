"""What nodes and boundaries cost: frozen figures, and predictions from shapes.

The figures were fitted to whole models, openvino in f32 against onnxruntime, both on two threads of one machine. They
tell engines apart by the kind of work, which is where one gains on the other; absolute times are right to a factor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ovpart.model.graph import Graph, Node
from ovpart.partition.flops import UNKNOWN_DIM, node_flops, value_bytes, work_kind


@dataclass(frozen=True, slots=True)
class EngineCost:
    """What an engine takes for a node: microseconds for the node, for its operations, for the bytes that it makes.

    Attributes
    ----------
    node_us : float
        For any node.
    us_per_mflop : mapping of str to float
        Kind of work (:func:`ovpart.partition.flops.work_kind`) → microseconds for a million operations. A kind that is
        not in it costs by its bytes alone.
    us_per_mb : float
        For a million bytes made by nodes of a kind that is not in `us_per_mflop`; pure movement is taken as free.
    """

    node_us: float
    us_per_mflop: Mapping[str, float]
    us_per_mb: float


# Fitted to the differences measured on 39 real models (openvino 2026.4.1, onnxruntime 1.31.1, 2 cores of a Zen 4). What
# stands out: recurrent layers, integer arithmetic made at run time and one-dimensional convolutions lose on openvino,
# depthwise convolutions and fused elementwise work gain. One engine chosen for each whole model by these figures is
# right on 35 of the 39, and takes 1.04 of the better one's time in the geometric mean (always onnxruntime: 1.12).
_ONNXRUNTIME = EngineCost(
    node_us=2.0,
    us_per_mflop={
        "convolution": 5.0,
        "convolution_1d": 6.0,
        "depthwise": 60.0,
        "transposed": 60.0,
        "product": 5.0,
        "recurrent": 12.0,
        "integer": 4.0,
    },
    us_per_mb=27.0,
)
_OPENVINO = EngineCost(
    node_us=3.0,
    us_per_mflop={
        "convolution": 4.55,
        "convolution_1d": 6.8,
        "depthwise": 20.0,
        "transposed": 20.0,
        "product": 4.7,
        "recurrent": 19.0,
        "integer": 13.0,
    },
    us_per_mb=15.0,
)
_REFERENCE = EngineCost(node_us=100.0, us_per_mflop={}, us_per_mb=10_000.0)


@dataclass(frozen=True, slots=True)
class CostTable:
    """Figures that predictions are made from. Times in microseconds per run.

    Attributes
    ----------
    engines : mapping of str to EngineCost
        By engine name.
    call_us : float
        What a call of a delegated component costs more than the same nodes inside a session of the fallback.
    cut_us : float
        What a component costs on top where it exchanges values with others, whatever their size.
    byte_ns : float
        Nanoseconds for each byte that is handed over a boundary.
    unknown_dim : int
        Stands for dimensions without a number, the first of a shape apart.
    source : str
        Where the figures come from.
    """

    engines: Mapping[str, EngineCost] = field(
        default_factory=lambda: {"openvino": _OPENVINO, "onnxruntime": _ONNXRUNTIME, "reference": _REFERENCE}
    )
    call_us: float = 22.0
    cut_us: float = 14.0
    byte_ns: float = 1.2
    unknown_dim: int = UNKNOWN_DIM
    source: str = (
        "openvino 2026.4.1 in f32, onnxruntime 1.31.1, 2 threads: a tiny model 23 to 28 µs slower on openvino, "
        "a cut 12 to 20 µs at 4 KB and 157 µs at 128 KB"
    )


def node_gains(graph: Graph, engines: Sequence[str | None], fallback: str, costs: CostTable) -> list[float]:
    """Predict for each node what its engine saves against the fallback engine, in µs per run.

    Parameters
    ----------
    graph : Graph
        The scope.
    engines : sequence of str or None
        Engine of each node; ``None`` for nodes that belong nowhere.
    fallback : str
        The engine to compare with.
    costs : CostTable
        An engine that it does not know gains nothing.
    """
    base = costs.engines.get(fallback)
    gains = []
    for node, engine in zip(graph.nodes, engines, strict=True):
        mine = None if engine is None else costs.engines.get(engine)
        if base is None or mine is None or mine is base:
            gains.append(0.0)
        else:
            gains.append(_gain(graph, node, base, mine, costs.unknown_dim))
    return gains


def _gain(graph: Graph, node: Node, base: EngineCost, mine: EngineCost, unknown_dim: int) -> float:
    """Return what a node saves on `mine` against `base`; one with bodies saves what the nodes in them do."""
    if node.bodies:
        return sum(_gain(body, inner, base, mine, unknown_dim) for body in node.bodies.values() for inner in body.nodes)
    kind = work_kind(graph, node)
    flops = node_flops(graph, node, unknown_dim) if kind in base.us_per_mflop or kind in mine.us_per_mflop else 0
    made = 0
    if kind != "movement":
        made = sum([value_bytes(graph.type_of(name), unknown_dim) for name in node.outputs if name])
    return node_us(base, kind, flops, made) - node_us(mine, kind, flops, made)


def node_us(cost: EngineCost, kind: str, flops: float, nbytes: float) -> float:
    """Return the microseconds that an engine takes for a node of a kind with `flops` operations that makes `nbytes`."""
    rate = cost.us_per_mflop.get(kind)
    return cost.node_us + (nbytes * cost.us_per_mb if rate is None else flops * rate) / 1e6
