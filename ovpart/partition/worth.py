"""Worth: a component that saves less than it costs to hand values to and from it goes back to the fallback engine.

The figures are data (:class:`ovpart.partition.costs.CostTable`), the prediction per node is an argument: either may be
replaced alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ovpart.partition.cluster import Line, partition
from ovpart.partition.contract import components
from ovpart.partition.costs import CostTable
from ovpart.partition.levels import Edges, Labels
from ovpart.partition.slack import Value, ValuesOf


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
    rooted: bool = False,
) -> Recoloured:
    """Give nodes to the fallback label where a component does not pay, and partition.

    Each connected component of a group is judged by itself: the sum of its nodes' gains, less `costs.call_us`, less
    `costs.cut_us` and `costs.byte_ns` for what it exchanges with other components (inputs and outputs of the graph have
    to be handed over whoever computes). Those that bring less than `min_gain` are recoloured and the partition is made
    anew, until all pay. A node never comes back, so this ends.

    Parameters
    ----------
    preds, labels, atoms, values_of, connected, rooted
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
        line = partition(preds, coloured, atoms=atoms, values_of=values_of, connected=connected, rooted=rooted)
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
            gains[mine] = gains.get(mine, -costs.call_us) + gain_us[node]
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
