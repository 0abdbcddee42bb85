"""Contraction: merges groups of one label where nothing forbids it, over the (few) groups, on a networkx graph.

Two groups may become one if no path leads from one to the other through a third group: a path would leave the merged
group and come back. So the test is reachability in the quotient, and after each merge the quotient stays acyclic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ovpart.partition.levels import Edges, Labels

if TYPE_CHECKING:
    import networkx as nx


def components(preds: Edges, labels: Labels, groups: Sequence[int]) -> list[int]:
    """Split groups into connected components along edges.

    Returns
    -------
    list of int
        For each unit its component: the lowest unit in it, -1 for units without a label.
    """
    head = [-1 if label is None else unit for unit, label in enumerate(labels)]

    def find(unit: int) -> int:
        while head[unit] != unit:
            head[unit] = head[head[unit]]
            unit = head[unit]
        return unit

    for unit, label in enumerate(labels):
        if label is None:
            continue
        mine = groups[unit]
        for pred in preds[unit]:
            if head[pred] >= 0 and groups[pred] == mine:
                first, second = find(pred), find(unit)
                if first != second:
                    head[max(first, second)] = min(first, second)
    return [-1 if found < 0 else find(unit) for unit, found in enumerate(head)]


def contract(preds: Edges, labels: Labels, groups: Sequence[int], *, adjacent: bool) -> tuple[list[int], list[int]]:
    """Merge groups of one label until no two can be merged.

    Parameters
    ----------
    preds, labels
        Units in topological order.
    groups : sequence of int
        Group of each unit that has a label; convex, one label each, the quotient acyclic.
    adjacent : bool
        Merge only groups with an edge between them (so that what is connected stays connected); else any two.

    Returns
    -------
    tuple of list of int
        Position of each unit (0 for those without a label) and the line: the label at each position. The line is a
        topological order of the groups.
    """
    graph, order = _quotient(preds, labels, groups)
    home = {group: group for group in graph}
    if adjacent:
        _contract_adjacent(graph, order, home)
    else:
        _contract_any(graph, order, home)
    return _positions(labels, groups, graph, home)


def _contract_any(graph: nx.DiGraph, order: Sequence[int], home: dict[int, int]) -> None:
    """Merge any two groups of one label until none can be; reachability as one integer of bits a group."""
    place = {group: position for position, group in enumerate(order)}
    after = dict.fromkeys(order, 0)
    before = dict.fromkeys(order, 0)
    alike: dict[int, int] = {}
    for group in order:
        label = graph.nodes[group]["label"]
        alike[label] = alike.get(label, 0) | 1 << place[group]
        for pred in graph.pred[group]:
            before[group] |= before[pred] | 1 << place[pred]
    for group in reversed(order):
        for succ in graph.succ[group]:
            after[group] |= after[succ] | 1 << place[succ]
    merged = True
    while merged:
        merged = False
        for first in order:
            while home[first] == first:
                label = graph.nodes[first]["label"]
                beyond = 0
                for succ in graph.succ[first]:
                    beyond |= after[succ]
                for pred in graph.pred[first]:
                    beyond |= before[pred]
                free = alike[label] & ~beyond & ~(1 << place[first])
                if not free:
                    break
                partner = order[(free & -free).bit_length() - 1]
                alike[label] &= ~(1 << place[partner])
                _join(graph, first, partner)
                home[partner] = first
                merged = True
                bits = 1 << place[first] | 1 << place[partner]
                low = (before[first] | before[partner]) & ~bits
                high = (after[first] | after[partner]) & ~bits
                before[first], after[first] = low, high
                for group in graph:
                    if low >> place[group] & 1:
                        after[group] |= high | bits
                    elif high >> place[group] & 1:
                        before[group] |= low | bits


def _contract_adjacent(graph: nx.DiGraph, order: list[int], home: dict[int, int]) -> None:
    """Merge groups of one label with an edge between them until none can be; there may be many groups, so by search."""
    place = {group: position for position, group in enumerate(order)}
    merged = True
    while merged:  # a merge may change which of two groups comes first, so the last pass must have changed nothing
        merged = False
        for first in sorted(graph, key=place.__getitem__):
            if home[first] != first:
                continue
            while (partner := _partner(graph, first, place)) is not None:
                _reorder(graph, first, partner, order, place)
                _join(graph, first, partner)
                home[partner] = first
                merged = True


def _join(graph: nx.DiGraph, first: int, partner: int) -> None:
    """Make `partner` part of `first` in the quotient."""
    graph.add_edges_from((pred, first) for pred in list(graph.pred[partner]) if pred != first)
    graph.add_edges_from((first, succ) for succ in list(graph.succ[partner]) if succ != first)
    graph.remove_node(partner)


def _quotient(preds: Edges, labels: Labels, groups: Sequence[int]) -> tuple[nx.DiGraph, list[int]]:
    """Return the quotient graph (attribute ``label``) and a topological order of it, ties by the lowest unit."""
    import networkx as nx

    graph = nx.DiGraph()
    lowest: dict[int, int] = {}
    for unit, label in enumerate(labels):
        if label is None:
            continue
        mine = groups[unit]
        if mine not in lowest:
            lowest[mine] = unit
            graph.add_node(mine, label=label)
        for pred in preds[unit]:
            if labels[pred] is not None and groups[pred] != mine:
                graph.add_edge(groups[pred], mine)
    return graph, list(nx.lexicographical_topological_sort(graph, key=lowest.__getitem__))


def _partner(graph: nx.DiGraph, first: int, place: dict[int, int]) -> int | None:
    """Return the earliest group that `first` has an edge to and may be merged with, ``None`` if there is none.

    One may, if no path of two edges or more leads to it.
    """
    label = graph.nodes[first]["label"]
    candidates = {group for group in graph.succ[first] if graph.nodes[group]["label"] == label}
    if not candidates:
        return None
    end = max(place[group] for group in candidates)
    seen = {group for group in graph.succ[first] if place[group] < end}
    stack = list(seen)
    while stack and candidates:
        for following in graph.succ[stack.pop()]:
            candidates.discard(following)
            if following not in seen and place[following] < end:
                seen.add(following)
                stack.append(following)
    return min(candidates, key=place.__getitem__, default=None)


def _reorder(graph: nx.DiGraph, first: int, partner: int, order: list[int], place: dict[int, int]) -> None:
    """Repair the order for a merge: what `first` leads to moves behind both, what leads to `partner` stays before.

    `order` keeps its length; slots that fall free hold -1.
    """
    start, end = place[first], place[partner]
    after = {first}
    before: list[int] = []
    behind: list[int] = []
    for group in order[start + 1 : end]:
        if group < 0:
            continue
        if after.isdisjoint(graph.pred[group]):
            before.append(group)
        else:
            after.add(group)
            behind.append(group)
    region = [*before, first, *behind]
    order[start : end + 1] = region + [-1] * (end + 1 - start - len(region))
    del place[partner]
    for position, group in enumerate(region, start):
        place[group] = position


def _positions(
    labels: Labels, groups: Sequence[int], graph: nx.DiGraph, home: dict[int, int]
) -> tuple[list[int], list[int]]:
    """Return positions in a topological order of the merged groups, ties by the lowest unit, and the line."""
    import networkx as nx

    for group in home:
        while home[group] != home[home[group]]:
            home[group] = home[home[group]]
    lowest: dict[int, int] = {}
    for unit, label in enumerate(labels):
        if label is not None:
            lowest.setdefault(home[groups[unit]], unit)
    order = list(nx.lexicographical_topological_sort(graph, key=lowest.__getitem__))
    place = {group: position for position, group in enumerate(order)}
    positions = [0 if label is None else place[home[groups[unit]]] for unit, label in enumerate(labels)]
    return positions, [graph.nodes[group]["label"] for group in order]
