"""Does a value's computation have the structure of a term? Backtracking over alternatives and the order of operands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations

from ovpart.model.graph import Graph, Node
from ovpart.partition.grammar import Rules, Term

_SYMMETRIC = frozenset({"Add", "Mul", "Max", "Min", "Sum"})
SEEN_THROUGH = frozenset({"Cast", "Identity", "Dropout"})
"""Operators that no structure depends on: f16 models cast in the middle of what f32 models compute."""
_ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div", "Pow", "Neg", "Transpose", "Reshape", *SEEN_THROUGH})
FARTHEST = 8
"""Nodes on a way, or above each other in arithmetic: four times what exporters write."""

Bound = Mapping[str, str]
Found = tuple[Bound, frozenset[int]]
"""What letters and rules stand for, and the nodes that were taken."""


class Matcher:
    """Holds terms of one pattern against the values of one scope.

    Parameters
    ----------
    graph : Graph
        The scope.
    rules : mapping
        The rules of the pattern.
    """

    def __init__(self, graph: Graph, rules: Rules) -> None:
        self._graph = graph
        self._rules = rules

    def match(self, term: Term, value: str, bound: Bound) -> Iterator[Found]:
        """Yield each way in which a value fits a term."""
        if term.sign == "any":
            yield bound, frozenset()
        elif term.sign in ("constant", "computed"):
            if self._graph.is_constant(value) == (term.sign == "constant"):
                yield bound, frozenset()
        elif term.sign == "value":
            yield from self._bind(term.name, value, bound)
        elif term.sign == "rule":
            for alternative in self._rules[term.name]:
                for after, taken in self.match(alternative, value, bound):
                    yield {**after, term.name: value}, taken
        elif term.sign == "over":
            between = self._arithmetic(value, bound.get(term.name, ""), FARTHEST)
            if between is not None:
                yield bound, between
        elif term.sign == "way":
            yield from self._way(term, value, bound, FARTHEST)
        else:
            yield from self._call(term, value, bound)

    def bare(self, value: str) -> str:
        """Return what a value is a copy or a cast of."""
        while (node := self._maker(value)) is not None and node.op_type in SEEN_THROUGH:
            value = node.inputs[0]
        return value

    def _bind(self, letter: str, value: str, bound: Bound) -> Iterator[Found]:
        known = bound.get(letter)
        if known is None:
            if value:
                yield {**bound, letter: value}, frozenset()
        elif known == value or self.bare(known) == self.bare(value):
            yield bound, frozenset()

    def _maker(self, value: str) -> Node | None:
        """Return the node that computes a value at each run."""
        index = self._graph.producer.get(value)
        return None if index is None or index in self._graph.constant else self._graph.nodes[index]

    def _call(self, term: Term, value: str, bound: Bound) -> Iterator[Found]:
        node = self._maker(value)
        passed: set[int] = set()
        while node is not None and node.op_type != term.name and node.op_type in SEEN_THROUGH:
            passed.add(node.index)
            node = self._maker(node.inputs[0])
        if node is None or node.op_type != term.name or node.bodies:
            return
        count = len(term.terms)
        if len(node.inputs) < count or not all(self._rest(name) for name in node.inputs[count:]):
            return
        given = node.inputs[:count]
        for operands in permutations(given) if term.name in _SYMMETRIC and count > 1 else (given,):
            for after, taken in self._operands(term.terms, operands, bound):
                yield after, taken | passed | {node.index}

    def _rest(self, name: str) -> bool:
        return not name or self._graph.is_constant(name)

    def _operands(self, terms: Sequence[Term], values: Sequence[str], bound: Bound) -> Iterator[Found]:
        if not terms:
            yield bound, frozenset()
            return
        for after, taken in self.match(terms[0], values[0], bound):
            for last, more in self._operands(terms[1:], values[1:], after):
                yield last, taken | more

    def _way(self, term: Term, value: str, bound: Bound, far: int) -> Iterator[Found]:
        yield from self.match(term.terms[0], value, bound)
        node = self._maker(value)
        if node is None or node.op_type not in term.ops or not far:
            return
        for name in node.inputs:
            if name:
                for after, taken in self._way(term, name, bound, far - 1):
                    yield after, taken | {node.index}

    def _arithmetic(self, value: str, over: str, far: int) -> frozenset[int] | None:
        """Return the nodes between a value and what it is computed from, ``None`` if there is more to it."""
        if value == over or self._graph.is_constant(value):
            return frozenset()
        node = self._maker(value)
        if node is None or node.op_type not in _ARITHMETIC or not far or not over:
            return None
        taken = frozenset({node.index})
        for name in filter(None, node.inputs):
            more = self._arithmetic(name, over, far - 1)
            if more is None:
                return None
            taken |= more
        return taken
