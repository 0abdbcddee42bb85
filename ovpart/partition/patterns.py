"""Groups: nodes that together are one operator written out, which engines fuse again where they see it whole.

What they look like is data: :mod:`ovpart.partition.pattern_rules`. A scope is walked once; only where a rare operator
(an anchor: Softmax, Erf, Sqrt, ...) stands is anything looked at, so that planning pays for groups that may be there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cache

from ovpart.model.graph import Graph, Node
from ovpart.partition.grammar import Rules, alternatives_of, distance, operators, rules_of
from ovpart.partition.matching import FARTHEST, SEEN_THROUGH, Bound, Matcher
from ovpart.partition.pattern_rules import PATTERNS, Pattern

_MOST_READERS = 4
"""Readers within a group that a value has, at most; what more nodes read is followed no further."""


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes that are one operator written out.

    Attributes
    ----------
    kind : str
        What reports call it: ``"attention"``, ``"layer normalisation"``, ``"GELU"``, ...
    nodes : tuple of int
        Node indices, ascending; the last computes what the group is for, from all others.
    takes : tuple of str
        Operators that belong to the group where it alone reads them.
    whole : bool
        Whether the group goes to the fallback as one if a member does.
    open : bool
        Whether another member than the last is read from outside.
    """

    kind: str
    nodes: tuple[int, ...]
    takes: tuple[str, ...] = ()
    whole: bool = True
    open: bool = False


@dataclass(frozen=True, slots=True)
class _Search:
    """A pattern made ready for an anchor: its operators, those of the last node, and how far that one may be."""

    pattern: Pattern
    rules: Rules
    ops: frozenset[str]
    last: frozenset[str]
    far: int


def find_groups(graph: Graph) -> list[Group]:
    """Find the groups of a scope, whatever its nodes are called and in whatever order they stand.

    Parameters
    ----------
    graph : Graph
        The scope. Constant and dead nodes are in no group.

    Returns
    -------
    list of Group
        Disjoint, in the order of their last nodes. Each member's results are read within the group alone, but for the
        last and, in an open group, those that the pattern lets out; outputs of the scope are no readers.
    """
    searches = _searches()
    if searches.keys().isdisjoint(graph.op_types):
        return []
    anchored: dict[str, list[Node]] = {}
    for node in [node for node in graph.nodes if node.op_type in searches]:
        anchored.setdefault(node.op_type, []).append(node)
    taken: set[int] = set()
    found: list[Group] = []
    for number, pattern in enumerate(PATTERNS):
        for anchor in pattern.anchors:
            for index in _promising(graph, anchored.get(anchor, ()), searches[anchor][number]):
                group = _around(graph, index, searches[anchor][number], taken) if index not in taken else None
                if group is not None:
                    taken.update(group.nodes)
                    found.append(group)
    return sorted(found, key=lambda group: group.nodes[-1])


@cache
def _searches() -> dict[str, dict[int, _Search]]:
    """Return the patterns by anchor: operator → number of the pattern → what to do."""
    table: dict[str, dict[int, _Search]] = {}
    for number, pattern in enumerate(PATTERNS):
        rules = rules_of(pattern.rules)
        last = frozenset(term.name for term in rules["out"])
        ops = operators(rules) | SEEN_THROUGH
        for anchor in pattern.anchors:
            far = max(distance(rules, term, anchor, FARTHEST) for term in rules["out"])
            table.setdefault(anchor, {})[number] = _Search(pattern, rules, ops, last, far)
    return table


def _around(graph: Graph, anchor: int, search: _Search, taken: Set[int]) -> Group | None:
    """Return the group of a pattern that an anchor is in: of several the largest, the one that ends last.

    What looks like a small group may be the middle of a large one: in ``x * (1 + erf(x / 2)) * 0.5`` an ``x`` that is
    itself a quotient looks like the half of a shorter form.
    """
    matcher = Matcher(graph, search.rules)
    best: Group | None = None
    for last in _onward(graph, anchor, search):
        for term in search.rules["out"]:
            if term.name != graph.nodes[last].op_type:
                continue
            for bound, members in matcher.match(term, graph.nodes[last].key, {}):
                if anchor in members and taken.isdisjoint(members):
                    group = _closed(graph, matcher, search, bound, members, last, taken)
                    if group is not None and (best is None or len(group.nodes) >= len(best.nodes)):
                        best = group
                        break
    return best


def _promising(graph: Graph, anchors: Sequence[Node], search: _Search) -> Iterator[int]:
    """Yield the anchors that are read by an operator of the pattern, or may be the last of a group themselves."""
    if search.pattern.beside:
        yield from _beside(graph, anchors, search)
        return
    nodes = graph.nodes
    for node in anchors:
        readers = graph.consumers.get(node.outputs[0], ())
        if node.op_type in search.last or any(nodes[reader].op_type in search.ops for reader in readers):
            yield node.index


def _beside(graph: Graph, anchors: Sequence[Node], search: _Search) -> Iterator[int]:
    """Yield the anchors whose reader reads also what the anchor does, or what a node shortly before it does."""
    nodes, readers_of, maker_of = graph.nodes, graph.consumers.get, graph.producer.get
    ops, steps = search.ops, range(search.pattern.beside - 1)
    for node in anchors:
        after = readers_of(node.outputs[0], ())
        values = node.inputs
        if _shared(after, values, readers_of):
            yield node.index
            continue
        for _ in steps:
            source = maker_of(values[0])
            if source is None or nodes[source].op_type not in ops or not nodes[source].inputs:
                break
            values = nodes[source].inputs
            if _shared(after, values, readers_of):
                yield node.index
                break


def _shared(after: Sequence[int], values: Sequence[str], readers_of: Callable[[str], Sequence[int] | None]) -> bool:
    """Whether some nodes read one of some values."""
    for value in values:
        for reader in readers_of(value) or ():
            if reader in after:
                return True
    return False


def _onward(graph: Graph, anchor: int, search: _Search) -> Iterator[int]:
    """Yield the nodes that may be the last of a group around an anchor: nearest first."""
    seen = {anchor}
    here = [anchor]
    far = search.far
    while here:
        following: list[int] = []
        for index in here:
            node = graph.nodes[index]
            if node.op_type in search.last:
                yield index
            for name in node.outputs:
                readers = graph.consumers.get(name, ()) if name else ()
                if len(readers) <= _MOST_READERS:
                    following += [r for r in readers if r not in seen and graph.nodes[r].op_type in search.ops]
            seen.update(following)
        if not all(graph.nodes[index].op_type in SEEN_THROUGH for index in following):
            far -= 1
        here = list(dict.fromkeys(following)) if far >= 0 else []


def _closed(
    graph: Graph,
    matcher: Matcher,
    search: _Search,
    bound: Bound,
    members: frozenset[int],
    last: int,
    taken: Set[int],
) -> Group | None:
    """Return the group of the members and of what may follow them, ``None`` if others read what they make."""
    inside = set(members)
    exits = {graph.producer.get(matcher.bare(bound[name])) for name in search.pattern.exits}
    is_open = False
    for index in sorted(members - {last}):
        outside = _readers(graph, index) - inside
        if not outside:
            continue
        if index in exits:
            is_open = True
        elif not _swallowed(graph, outside, inside, taken):
            return None
    last = _followed(graph, matcher, search.pattern, last, inside, bound, taken)
    if len(inside) < 2 and not search.pattern.takes:
        return None
    pattern = search.pattern
    return Group(pattern.kind, (*sorted(inside - {last}), last), pattern.takes, pattern.whole, is_open)


def _readers(graph: Graph, index: int) -> set[int]:
    """Return the nodes that read what a node makes, dead ones left out."""
    dead = graph.dead
    return {
        r for name in graph.nodes[index].outputs if name for r in graph.consumers.get(name, ()) if r not in dead
    }  # fmt: skip


def _swallowed(graph: Graph, outside: Set[int], inside: set[int], taken: Set[int]) -> bool:
    """Take in readers that serve the group alone (IsNaN before a Where); return whether all did."""
    for reader in outside:
        node = graph.nodes[reader]
        sources = {graph.producer.get(name) for name in node.reads if not graph.is_constant(name)}
        if reader in taken or node.bodies or not sources <= inside or not _readers(graph, reader) <= inside:
            return False
    inside |= outside
    return True


def _followed(
    graph: Graph, matcher: Matcher, pattern: Pattern, last: int, inside: set[int], bound: Bound, taken: Set[int]
) -> int:
    """Take in what may follow the last node, and return the node that is last then."""
    for step in pattern.then:
        readers = _readers(graph, last)
        made = [name for name in graph.nodes[last].outputs if name]
        if len(readers) != 1 or len(made) != 1 or made[0] in graph.outputs:
            break
        following = next(iter(readers))
        if following in taken or following in graph.constant:
            continue
        for term in alternatives_of(step):
            if graph.nodes[following].op_type != term.name:
                continue
            key = graph.nodes[following].key
            if next(matcher.match(term, key, {**bound, "it": made[0]}), None) is not None:
                inside.add(following)
                last = following
                break
    return last
