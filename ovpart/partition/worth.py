"""Worth: a component that saves less than it costs to hand values to and from it goes back to the fallback engine.

The figures are data (:class:`CostTable`), the prediction per node is an argument: either may be replaced alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ovpart.model.graph import Graph
from ovpart.partition.cluster import Line, partition
from ovpart.partition.contract import components
from ovpart.partition.flops import UNKNOWN_DIM, node_flops, value_bytes
from ovpart.partition.levels import Edges, Labels
from ovpart.partition.slack import Value, ValuesOf


@dataclass(frozen=True, slots=True)
class EngineCost:
    """What an engine takes for a node: ``node_us + flops / flops_per_us + bytes / bytes_per_us``.

    Attributes
    ----------
    node_us : float
        Microseconds for any node that computes.
    flops_per_us : float
        Operations a microsecond (1e3 = one GFLOP/s).
    bytes_per_us : float
        Bytes written a microsecond.
    """

    node_us: float
    flops_per_us: float
    bytes_per_us: float


@dataclass(frozen=True, slots=True)
class CostTable:
    """Figures that predictions are made from. Times in microseconds per run.

    Attributes
    ----------
    engines : mapping of str to EngineCost
        By engine name.
    cut_us : float
        A call across one boundary of a component, whatever its size.
    byte_ns : float
        Nanoseconds for each byte that is handed over a boundary.
    unknown_dim : int
        Stands for dimensions without a number, the first of a shape apart.
    source : str
        Where the figures come from.
    """

    engines: Mapping[str, EngineCost] = field(
        default_factory=lambda: {
            "openvino": EngineCost(node_us=2.0, flops_per_us=50_000.0, bytes_per_us=4_000.0),
            "onnxruntime": EngineCost(node_us=2.0, flops_per_us=40_000.0, bytes_per_us=4_000.0),
            "reference": EngineCost(node_us=100.0, flops_per_us=100.0, bytes_per_us=100.0),
        }
    )
    cut_us: float = 16.0
    byte_ns: float = 1.2
    unknown_dim: int = UNKNOWN_DIM
    source: str = "openvino 2026.4.1, onnxruntime 1.31.1, 2 cores: a cut 12 to 20 µs at 4 KB, 157 µs at 128 KB"


@dataclass(frozen=True, slots=True)
class Recoloured:
    """What is left after the filter.

    Attributes
    ----------
    labels : list of int or None
        One a node.
    line : Line
        The partition of these labels.
    gains_us : mapping of int to float
        Recoloured node → predicted saving, in µs per run, of the component it was in when it was.
    """

    labels: list[int | None]
    line: Line
    gains_us: Mapping[int, float]


def recolour(
    preds: Edges,
    labels: Labels,
    *,
    gain_us: Sequence[float],
    values: Sequence[Value],
    fallback: int,
    min_gain: float,
    costs: CostTable,
    atoms: Sequence[Sequence[int]] = (),
    values_of: ValuesOf | None = None,
    connected: bool = False,
) -> Recoloured:
    """Give nodes to the fallback label where a component does not pay, and partition.

    Each connected component of a group is judged by itself: the sum of its nodes' gains, less `costs.cut_us` and
    `costs.byte_ns` for what it exchanges with other components (inputs and outputs of the graph have to be handed over
    whoever computes). Those that bring less than `min_gain` are recoloured and the partition is made anew, until all
    pay. A node never comes back, so this ends.

    Parameters
    ----------
    preds, labels, atoms, values_of, connected
        As for :func:`ovpart.partition.cluster.partition`.
    gain_us : sequence of float
        For each node what it saves per run on its label against the fallback; negative where it loses.
    values : sequence of Value
        All values that nodes make, or inputs of the graph.
    fallback : int
        The label that others are given up for.
    min_gain : float
        Microseconds per run that a component must bring. 0 switches the filter off, losing components included.
    costs : CostTable
        The price of boundaries.
    """
    coloured = list(labels)
    lost: dict[int, float] = {}
    while True:
        line = partition(preds, coloured, atoms=atoms, values_of=values_of, connected=connected)
        if min_gain <= 0:
            return Recoloured(coloured, line, lost)
        component = components(preds, coloured, line.positions)
        gains = component_gains(component, gain_us, values, costs)
        losing = [
            node
            for node, label in enumerate(coloured)
            if label is not None and label != fallback and gains[component[node]] < min_gain
        ]
        if not losing:
            return Recoloured(coloured, line, lost)
        for node in losing:
            coloured[node] = fallback
            lost[node] = gains[component[node]]


def component_gains(
    component: Sequence[int], gain_us: Sequence[float], values: Sequence[Value], costs: CostTable
) -> dict[int, float]:
    """Return the predicted saving of each component, in µs per run.

    Parameters
    ----------
    component : sequence of int
        Component of each node, negative for nodes that belong nowhere.
    """
    gains: dict[int, float] = {}
    for node, mine in enumerate(component):
        if mine >= 0:
            gains[mine] = gains.get(mine, 0.0) + gain_us[node]
    cut: set[int] = set()
    for value in values:
        maker = component[value.maker] if value.maker >= 0 else -1
        others = {component[reader] for reader in value.readers} - {maker, -1}
        if maker < 0 or not others:
            continue
        for touched in (maker, *others):
            cut.add(touched)
            gains[touched] -= value.nbytes * costs.byte_ns / 1e3
    for touched in cut:
        gains[touched] -= costs.cut_us
    return gains


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
        mine = costs.engines.get(engine) if engine is not None else None
        if mine is None or base is None or mine is base:
            gains.append(0.0)
            continue
        flops = node_flops(graph, node, costs.unknown_dim)
        made = sum(value_bytes(graph.type_of(name), costs.unknown_dim) for name in node.outputs if name)
        gains.append(node_us(base, flops, made) - node_us(mine, flops, made))
    return gains


def node_us(cost: EngineCost, flops: float, nbytes: float) -> float:
    """Return the microseconds that an engine takes for a node."""
    return cost.node_us + flops / cost.flops_per_us + nbytes / cost.bytes_per_us
