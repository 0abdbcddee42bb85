"""What a partition must be, said once more in the plainest way, and random graphs to ask it of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import networkx as nx
from hypothesis import strategies as st


@st.composite
def labelled_dags(draw: st.DrawFn, *, nodes: int = 7, labels: int = 2, idle: bool = True):
    """Predecessor lists in topological order and a label (or ``None``) for each node."""
    count = draw(st.integers(1, nodes))
    preds = [sorted(draw(st.sets(st.integers(0, i - 1), max_size=3))) if i else [] for i in range(count)]
    kinds = st.integers(0, labels - 1)
    marks = [draw(st.one_of(kinds, st.none()) if idle and draw(st.integers(0, 9)) == 0 else kinds) for _ in preds]
    return preds, marks


def quotient(preds, labels, groups) -> nx.DiGraph:
    graph = nx.DiGraph()
    for node, label in enumerate(labels):
        if label is None:
            continue
        graph.add_node(groups[node])
        for pred in preds[node]:
            if labels[pred] is not None and groups[pred] != groups[node]:
                graph.add_edge(groups[pred], groups[node])
    return graph


def data_graph(preds, labels) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(node for node, label in enumerate(labels) if label is not None)
    graph.add_edges_from((pred, node) for node in graph for pred in preds[node] if labels[pred] is not None)
    return graph


def assert_sound(preds, labels, groups) -> None:
    """One label a group, every group convex (by paths), the quotient acyclic."""
    data = data_graph(preds, labels)
    members: dict[int, set[int]] = {}
    for node in data:
        members.setdefault(groups[node], set()).add(node)
    for group in members.values():
        assert len({labels[node] for node in group}) == 1
        below = set().union(*(nx.descendants(data, node) for node in group)) - group
        above = set().union(*(nx.ancestors(data, node) for node in group)) - group
        assert not below & above
    assert nx.is_directed_acyclic_graph(quotient(preds, labels, groups))


def set_partitions(items: Sequence[int]) -> Iterator[list[int]]:
    """Every way to put items into groups, as group numbers."""

    def extend(chosen: list[int], used: int) -> Iterator[list[int]]:
        if len(chosen) == len(items):
            yield list(chosen)
            return
        for group in range(used + 1):
            yield from extend([*chosen, group], max(used, group + 1))

    yield from extend([], 0)


def is_valid(preds, labels, groups) -> bool:
    kinds: dict[int, int] = {}
    for node, label in enumerate(labels):
        if label is not None and kinds.setdefault(groups[node], label) != label:
            return False
    return nx.is_directed_acyclic_graph(quotient(preds, labels, groups))


def fewest(preds, labels, keep: Sequence[Sequence[int]] = ()) -> int:
    """Return the least number of groups of any partition, by trying all; sets in `keep` stay together."""
    live = [node for node, label in enumerate(labels) if label is not None]
    best = len(live)
    for numbers in set_partitions(live):
        count = max(numbers, default=-1) + 1
        if count >= best:
            continue
        groups = dict(zip(live, numbers, strict=True))
        if all(len({groups[node] for node in atom}) == 1 for atom in keep) and is_valid(preds, labels, groups):
            best = count
    return best


def mergeable_pairs(preds, labels, groups, *, adjacent: bool) -> list[tuple[int, int]]:
    """Pairs of groups of one label that can be made one, by making them one."""
    kinds = {groups[node]: label for node, label in enumerate(labels) if label is not None}
    edges = quotient(preds, labels, groups)
    found = []
    for first in kinds:
        for second in kinds:
            if first >= second or kinds[first] != kinds[second]:
                continue
            if adjacent and not (edges.has_edge(first, second) or edges.has_edge(second, first)):
                continue
            merged = [first if group == second else group for group in groups]
            if nx.is_directed_acyclic_graph(quotient(preds, labels, merged)):
                found.append((first, second))
    return found
