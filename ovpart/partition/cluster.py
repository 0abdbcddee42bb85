"""The partition of a graph, on plain integer lists: units, levels, slack, components, contraction.

Knows neither ONNX nor devices: nodes are 0..n-1 in topological order, labels are small integers (lower = preferred: the
device asked for, then others, the fallback last), ``None`` for what belongs nowhere (constant and dead nodes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ovpart.partition.contract import components, contract
from ovpart.partition.levels import Edges, Labels, best_line, lower_bound
from ovpart.partition.slack import MAX_MOVABLE, Value, ValuesOf, movable, settle
from ovpart.partition.units import Units, contract_atoms


@dataclass(frozen=True, slots=True)
class Line:
    """Groups in an order in which they can run.

    Attributes
    ----------
    positions : sequence of int
        Position of each node's group; meaningless (0) for nodes without a label.
    labels : sequence of int
        Label of the group at each position.
    lower_bound : int
        The least number of groups that any partition with these labels can have; see
        :func:`ovpart.partition.levels.lower_bound`. Equal to ``len(labels)`` for two labels, joined.
    """

    positions: Sequence[int]
    labels: Sequence[int]
    lower_bound: int


def partition(
    preds: Edges,
    labels: Labels,
    *,
    atoms: Sequence[Sequence[int]] = (),
    values_of: ValuesOf | None = None,
    connected: bool = False,
    rooted: bool = False,
) -> Line:
    """Partition nodes into convex groups of one label with an acyclic quotient: as few as possible.

    Parameters
    ----------
    preds : sequence of sequence of int
        Predecessors of each node; nodes stand in topological order.
    labels : sequence of int or None
        Label of each node. An edge from or to a node without a label is ignored.
    atoms : sequence of sequence of int
        Disjoint sets of nodes that stay together, see :func:`ovpart.partition.units.contract_atoms`.
    values_of : callable, optional
        What may cross, in nodes; without it units stay at their earliest positions.
    connected : bool
        Split groups into connected components and merge adjacent ones again where no other path joins them.
    rooted : bool
        What is known of the atoms, see :func:`ovpart.partition.units.contract_atoms`.

    Returns
    -------
    Line
        Two labels, joined: as many groups as any partition must have. Three and more: no two groups can be merged.
        Connected: no two adjacent groups can be merged.
    """
    units = contract_atoms(preds, labels, atoms, rooted=rooted)
    positions, line = best_line(units.preds, units.labels)
    kinds = len(set(line))
    bound = len(line) if kinds <= 2 else lower_bound(units.preds, units.labels)
    if values_of is not None and len(line) > 1:
        positions = _moved(units, positions, line, values_of)
    if kinds > 2:
        positions, line = contract(units.preds, units.labels, positions, adjacent=False)
    if connected and line:
        split = components(units.preds, units.labels, positions)
        positions, line = contract(units.preds, units.labels, split, adjacent=True)
    if not isinstance(units.of, range):
        positions = [0 if label is None else positions[unit] for unit, label in zip(units.of, labels, strict=True)]
    return Line(positions, line, bound)


def _moved(units: Units, early: list[int], line: Sequence[int], values_of: ValuesOf) -> list[int]:
    """Return positions after the slack moves."""
    late, free = movable(units.preds, units.labels, line, early)
    if not free or len(free) > MAX_MOVABLE:
        return early
    if isinstance(units.of, range):
        return settle(units.preds, units.labels, line, early, late, free, values_of(free))
    moving = frozenset(free)
    values = values_of([node for node, unit in enumerate(units.of) if unit in moving])
    return settle(units.preds, units.labels, line, early, late, free, _in_units(values, units.of))


def _in_units(values: Sequence[Value], of: Sequence[int]) -> list[Value]:
    """Return values with units for nodes, without those that never leave their unit."""
    carried = []
    for value in values:
        maker = of[value.maker] if value.maker >= 0 else -1
        readers = tuple(sorted({of[reader] for reader in value.readers} - {maker}))
        if readers:
            carried.append(Value(maker, readers, value.nbytes))
    return carried
