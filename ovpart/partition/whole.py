"""Atoms of which a member is not delegated: what goes to the fallback with it, so that nothing is cut in the middle."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from ovpart.model.graph import Graph
from ovpart.partition.atoms import Atom, find_atoms, is_quantised_unit
from ovpart.partition.levels import Edges
from ovpart.partition.overruling import Overruling
from ovpart.partition.patterns import Group, find_groups
from ovpart.partition.units import windings


@dataclass(frozen=True, slots=True)
class Held:
    """What is placed as one.

    Attributes
    ----------
    atoms : list of tuple of int
        Node indices, each with its root last.
    rooted : bool
        Whether of every atom the root alone is read from outside.
    overruled : mapping of int to Overruling
        Node → why it was given to the fallback.
    """

    atoms: list[tuple[int, ...]]
    rooted: bool
    overruled: dict[int, Overruling]


def hold_together(
    graph: Graph, preds: Edges, labels: list[int | None], *, fallback: int, kept: Collection[int]
) -> Held:
    """Find the atoms of a scope, and give to the fallback what would else be cut in the middle.

    Parameters
    ----------
    graph : Graph
        The scope.
    preds : sequence of sequence of int
        Predecessors of each node, without those that belong nowhere.
    labels : list of int or None
        One a node, changed in place.
    fallback : int
        The label that atoms with members of several labels go to: those that a member keeps back, and those that no
        device takes whole.
    kept : collection of int
        Nodes that have their label for good: an atom with such a member is cut all the same, if it must be.
    """
    held = _Held(graph, labels, fallback, frozenset(kept), {})
    groups = find_groups(graph)
    for group in groups:
        if group.whole:
            held.back(group.nodes, f"{group.kind} kept whole", group.kind)
    rooted = not any(group.open for group in groups)
    if not rooted:
        held.unwind(preds, groups)
    everywhere = [None if label is None else 0 for label in labels]
    units: Sequence[Atom] = find_atoms(graph, everywhere, groups)
    moved = False
    for unit in units:
        if is_quantised_unit(graph, unit):
            moved |= held.back(unit.nodes, "quantised unit kept whole", "quantised unit")
    if moved or any(len({labels[i] for i in unit.nodes}) > 1 for unit in units):
        units = find_atoms(graph, labels, groups)
    return Held([unit.nodes for unit in units], rooted, held.overruled)


@dataclass(frozen=True, slots=True)
class _Held:
    """Labels that change while nodes are held back."""

    graph: Graph
    labels: list[int | None]
    fallback: int
    kept: frozenset[int]
    overruled: dict[int, Overruling]

    def back(self, nodes: Sequence[int], reason: str, kind: str) -> bool:
        """Give nodes to the fallback if their labels differ; return whether one changed."""
        labels = self.labels
        if len({labels[i] for i in nodes}) < 2:
            return False
        others = [i for i in nodes if labels[i] != self.fallback]
        if not self.kept.isdisjoint(others):
            return False
        blocker = next((i for i in nodes if labels[i] == self.fallback), None)
        if blocker is None:
            told = "no device takes all of it"
        else:
            node = self.graph.nodes[blocker]
            told = f"kept with {node.label} ({node.op_type}) as {kind}: it is not delegated"
        for index in others:
            labels[index] = self.fallback
            self.overruled[index] = Overruling(reason, detail=told)
        return True

    def unwind(self, preds: Edges, groups: Iterable[Group]) -> None:
        """Give to the fallback what lies between members of an open group, where it would have to be cut else."""
        whole = [group.nodes for group in groups if group.whole and len({self.labels[i] for i in group.nodes}) == 1]
        for nodes in windings(preds, self.labels, whole):
            self.back(nodes, "cells wound around each other kept whole", "part of the same cells")
