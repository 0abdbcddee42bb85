"""Units: what is placed as one, a node or an atom, as a smaller graph in topological order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ovpart.partition.levels import Edges, Labels


@dataclass(frozen=True, slots=True)
class Units:
    """A graph in which each atom is one unit.

    Attributes
    ----------
    of : sequence of int
        Unit of each node.
    preds, labels
        Predecessors and label of each unit; units stand in topological order.
    """

    of: Sequence[int]
    preds: Edges
    labels: Labels


def contract_atoms(preds: Edges, labels: Labels, atoms: Sequence[Sequence[int]], *, rooted: bool = False) -> Units:
    """Contract atoms, giving up those that cannot be placed as one.

    An atom is given up where its members' labels disagree. Where contracting closes a cycle (an atom that is not
    convex, or atoms that wind around each other), everything on the cycle becomes one unit if it has one label, and
    else all atoms on it are given up. One pass, linear.

    Parameters
    ----------
    preds : sequence of sequence of int
        Predecessors of each node; nodes stand in topological order.
    labels : sequence of int or None
        ``None``: belongs nowhere; such nodes are never in an atom.
    atoms : sequence of sequence of int
        Disjoint sets of nodes.
    rooted : bool
        Whether the last node of every atom is the only one that others read, and reads, over others or by itself, all
        of them. Then no cycle can close, and units keep the numbers of these nodes: as much work as there are atoms.

    Returns
    -------
    Units
        With no atom left, `of` is the identity and the lists are those given.
    """
    kept = [atom for atom in atoms if len(atom) > 1 and len({labels[node] for node in atom} - {None}) == 1]
    if not kept:
        return Units(range(len(labels)), preds, labels)
    if rooted:
        return _at_roots(preds, labels, kept)
    of = _heads(labels, kept)
    members = _members(of)
    components = _strong_components(of, members, preds, labels)
    order: list[list[int]] = []
    for component in components:
        nodes = sorted(node for head in component for node in members[head])
        if len(component) == 1 or len({labels[node] for node in nodes}) == 1:
            order.append(nodes)
        else:
            order.extend([node] for node in nodes)
    return _units(order, preds, labels)


def windings(preds: Edges, labels: Labels, atoms: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return what contracting atoms would close cycles through: sets of nodes, each of several atoms and nodes."""
    of = _heads(labels, atoms)
    members = _members(of)
    components = _strong_components(of, members, preds, labels)
    return [sorted(n for head in heads for n in members[head]) for heads in components if len(heads) > 1]


def _heads(labels: Labels, atoms: Sequence[Sequence[int]]) -> list[int]:
    """Return for each node the lowest of its atom, or itself."""
    of = list(range(len(labels)))
    for atom in atoms:
        head = min(node for node in atom if labels[node] is not None)
        for node in atom:
            if labels[node] is not None:
                of[node] = head
    return of


def _at_roots(preds: Edges, labels: Labels, atoms: Sequence[Sequence[int]]) -> Units:
    """Return units that stand where the roots of the atoms stand; nothing stands where their other members do."""
    of = list(range(len(labels)))
    unit_preds, unit_labels = list(preds), list(labels)
    for atom in atoms:
        root = atom[-1]
        inside = set(atom)
        before = {p for node in atom if labels[node] is not None for p in preds[node]}
        unit_preds[root] = sorted(before - inside)
        for node in atom[:-1]:
            if labels[node] is not None:
                of[node] = root
                unit_preds[node] = ()
                unit_labels[node] = None
    return Units(of, unit_preds, unit_labels)


def _members(of: Sequence[int]) -> list[list[int]]:
    """Return the nodes of each head, ascending."""
    members: list[list[int]] = [[] for _ in of]
    for node, head in enumerate(of):
        members[head].append(node)
    return members


def _strong_components(
    of: Sequence[int], members: Sequence[Sequence[int]], preds: Edges, labels: Labels
) -> list[list[int]]:
    """Return the strongly connected components of the contracted graph, predecessors first.

    Tarjan's algorithm with a stack of its own; following predecessors makes it end components in topological order.
    """
    number = [0] * len(of)
    low = [0] * len(of)
    open_ = bytearray(len(of))
    stack: list[int] = []
    found: list[list[int]] = []
    count = 0
    for root in range(len(of)):
        if of[root] != root or number[root]:
            continue
        work = [(root, _heads_before(root, of, members, preds, labels))]
        while work:
            head, todo = work[-1]
            if not number[head]:
                count += 1
                number[head] = low[head] = count
                stack.append(head)
                open_[head] = 1
            while todo:
                pred = todo.pop()
                if not number[pred]:
                    work.append((pred, _heads_before(pred, of, members, preds, labels)))
                    break
                if open_[pred] and number[pred] < low[head]:
                    low[head] = number[pred]
            else:
                work.pop()
                if work and low[head] < low[work[-1][0]]:
                    low[work[-1][0]] = low[head]
                if low[head] == number[head]:
                    component: list[int] = []
                    while not component or component[-1] != head:
                        component.append(stack.pop())
                        open_[component[-1]] = 0
                    found.append(component)
    return found


def _heads_before(
    head: int, of: Sequence[int], members: Sequence[Sequence[int]], preds: Edges, labels: Labels
) -> list[int]:
    """Return the heads that the members of a head read, without the head itself."""
    return [of[p] for node in members[head] for p in preds[node] if of[p] != head and labels[p] is not None]


def _units(order: Sequence[Sequence[int]], preds: Edges, labels: Labels) -> Units:
    """Return units numbered in the given order, with edges and labels carried over."""
    of = [0] * len(labels)
    for unit, nodes in enumerate(order):
        for node in nodes:
            of[node] = unit
    unit_preds = [
        sorted({of[p] for node in nodes for p in preds[node] if of[p] != unit and labels[p] is not None})
        for unit, nodes in enumerate(order)
    ]
    return Units(of, unit_preds, [labels[nodes[0]] for nodes in order])
