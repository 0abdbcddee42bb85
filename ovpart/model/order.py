"""Topological order of the nodes of a scope, the same whatever order and node names the file has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

GIVEN = -1
"""Position of what no node of the scope makes: inputs, initializers, values of outer scopes."""


class CycleError(ValueError):
    """Some nodes wait for each other.

    Attributes
    ----------
    cycle : list of int
        Positions of nodes, each reading from the one before, the first from the last.
    """

    def __init__(self, cycle: list[int]) -> None:
        super().__init__("the nodes form a cycle")
        self.cycle = cycle


def canonical_order(
    reads: Sequence[Sequence[str]], makers: Mapping[str, int], keys: Sequence[str]
) -> tuple[list[int], bool]:
    """Return the positions of nodes sorted by depth, then by key, and whether the file had them in a right order.

    The depth of a node is the longest way to it from values that no node makes, so that the order is topological, and
    it depends on nothing but the graph and the keys.

    Parameters
    ----------
    reads : sequence of sequences of str
        For each node the values it reads.
    makers : mapping of str to int
        Value → position of the node that makes it, :data:`GIVEN` for what none makes; has every value that is read.
    keys : sequence of str
        One a node, all different: the names of first outputs.

    Raises
    ------
    CycleError
        Where no order exists.
    """
    depth = _depth_in_file_order(reads, makers)
    sorted_file = depth is not None
    if depth is None:
        depth = _depth_in_any_order(reads, makers)
    order = sorted(range(len(reads)), key=keys.__getitem__)
    order.sort(key=depth.__getitem__)  # stable: by key where the depth is the same
    return order, sorted_file


def _depth_in_file_order(reads: Sequence[Sequence[str]], makers: Mapping[str, int]) -> list[int] | None:
    """Return the depths in one pass, ``None`` where a node stands before one that it reads from."""
    depth: list[int] = []
    for position, names in enumerate(reads):
        deepest = 0
        for name in names:
            source = makers[name]
            if source >= 0:
                if source >= position:
                    return None
                if depth[source] >= deepest:
                    deepest = depth[source] + 1
        depth.append(deepest)
    return depth


def _depth_in_any_order(reads: Sequence[Sequence[str]], makers: Mapping[str, int]) -> list[int]:
    """Kahn's algorithm; the depth is the round in which a node becomes ready."""
    sources = [{makers[n] for n in names} - {GIVEN} for names in reads]
    waiting = [len(s) for s in sources]
    readers: list[list[int]] = [[] for _ in reads]
    for position, found in enumerate(sources):
        for source in found:
            readers[source].append(position)
    depth = [0] * len(reads)
    ready = [position for position, count in enumerate(waiting) if not count]
    for position in ready:  # grows while it is walked
        for reader in readers[position]:
            depth[reader] = max(depth[reader], depth[position] + 1)
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    if len(ready) < len(reads):
        raise CycleError(_a_cycle(sources, waiting))
    return depth


def _a_cycle(sources: Sequence[set[int]], waiting: Sequence[int]) -> list[int]:
    """Walk backwards among nodes that never became ready until one comes up again."""
    position = next(p for p, count in enumerate(waiting) if count)
    seen: dict[int, int] = {}
    path: list[int] = []
    while position not in seen:
        seen[position] = len(path)
        path.append(position)
        position = min(s for s in sources[position] if waiting[s])
    return path[seen[position] :][::-1]
