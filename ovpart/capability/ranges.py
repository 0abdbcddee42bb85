"""The guard on integers: which nodes see nothing but integers that 32 bits hold, and for which inputs of the model.

Devices compute 64-bit integers in 32 bits and cut what does not fit without a word. Most models never leave 32 bits:
their integers are token ids, masks, shapes and indices. An interval analysis from the graph's inputs to its outputs
(:mod:`ovpart.capability.intervals`) finds out what can be shown: nothing needs to hold (shape arithmetic), or something
about the inputs (every element of ``input_ids`` within a bound), or nothing can be shown (a cast of any float).

The largest bound that suffices is taken, from :data:`BOUNDS`. A run with values outside goes to a plan without
guarded nodes, so that a small bound is never wrong, but makes every ordinary run slow. Hence the smallest bound still
holds what inputs usually are, and an input that is used as an index as it is gets none below
:data:`LEAST_FOR_INDICES`, since vocabularies are of that size; what would need less (sums of inputs over a dimension
that is not known) is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovpart.capability.intervals import INT32_MAX, SIZE, Interval, joined, whole
from ovpart.capability.step import Step, of_constant
from ovpart.capability.transfer import RULES, outputs_of

if TYPE_CHECKING:
    from ovpart.capability.scopes import Scope
    from ovpart.model.graph import Node

BOUNDS: tuple[int, ...] = (INT32_MAX, 2**30 - 1, 2**24, 2**20, 2**16, 2**15)
"""Bounds on the integer inputs that are tried, the largest first."""
LEAST_FOR_INDICES = 2**16

WIDE = frozenset({"i64", "u64", "u32"})
"""Dtypes that hold more than an ``int32`` does."""
_TIED = frozenset({"i64", "u64", "u32", "i32"})
"""Dtypes of graph inputs that a bound is put on; smaller ones are bounded by what they are."""
_INDEX_OF: Mapping[str, int] = {"Gather": 1, "GatherElements": 1, "GatherND": 1, "OneHot": 0, "ScatterElements": 1,
                                "ScatterND": 1, "Scatter": 1}  # fmt: skip
"""Operator → its input of indices."""

_SHAPE_ONLY = frozenset({"Shape", "Size", "EyeLike", "RandomNormalLike", "RandomUniformLike"})
"""Operators that look at the shape of their input, not at its elements."""

_EMPTY = Interval(0, 0)


@dataclass(frozen=True, slots=True)
class Proof:
    """What could be shown of one node.

    Attributes
    ----------
    holds : bool
        Whether all its 64-bit integers stay within 32 bits, given that the elements of `inputs` lie in
        ``[-bound, bound]``.
    inputs : tuple of str
        The graph inputs that it rests on, sorted; empty if it holds for all inputs.
    bound : int
        The bound.
    culprit : str
        Where it does not hold: a value of the node that may leave 32 bits.
    """

    holds: bool
    inputs: tuple[str, ...] = ()
    bound: int = INT32_MAX
    culprit: str = ""


class Ranges:
    """Intervals of the values of a model; keeps what it found, for one check only."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, int], dict[str, Interval]] = {}
        self._wanted: dict[int, set[str]] = {}

    def prove(self, scope: Scope, nodes: Sequence[int]) -> list[Proof]:
        """Show for nodes of the main scope that their 64-bit integers stay within 32 bits.

        Parameters
        ----------
        scope : Scope
            The main scope.
        nodes : sequence of int
            Indices of nodes.

        Returns
        -------
        list of Proof
            Parallel to `nodes`.
        """
        proofs = {i: self._proof(scope, scope.graph.nodes[i], BOUNDS[0]) for i in nodes}
        open_nodes = [i for i in nodes if not proofs[i].holds]
        if open_nodes and any(scope.type_of(name).dtype in _TIED for name in scope.graph.inputs):
            # A smaller bound shows more: what the smallest does not show, no bound does.
            open_nodes = [i for i in open_nodes if self._proof(scope, scope.graph.nodes[i], BOUNDS[-1]).holds]
            indices = self._indices(scope) if open_nodes else frozenset()
            for bound in BOUNDS[1:]:
                for i in open_nodes if open_nodes else ():
                    proof = self._proof(scope, scope.graph.nodes[i], bound)
                    if proof.holds and (bound >= LEAST_FOR_INDICES or not indices.intersection(proof.inputs)):
                        proofs[i] = proof
                open_nodes = [i for i in open_nodes if not proofs[i].holds]
        return [proofs[i] for i in nodes]

    def leaves(self, scope: Scope, node: Node) -> str:
        """Return a value of a body's node that is not shown to stay within 32 bits for all inputs, ``""`` if none."""
        proof = self._proof(scope, node, BOUNDS[0])
        if not proof.holds:
            return proof.culprit
        return ", ".join(proof.inputs)

    def _proof(self, scope: Scope, node: Node, bound: int) -> Proof:
        known = self.intervals(scope, bound)
        inputs: set[str] = set()
        for place, value in enumerate((*node.inputs, *node.outputs)):
            if not value or scope.type_of(value).dtype not in WIDE:
                continue
            if place < len(node.inputs) and node.op_type in _SHAPE_ONLY and not node.domain:
                continue
            interval = known.get(value)
            if interval is None:
                interval = _of_outer(self, scope, value, bound)
            if not interval.within_int32:
                # INT64_MAX as a constant end of a Slice means "to the end" and is kept as such.
                if node.op_type == "Slice" and not node.domain and place in (1, 2) and scope.is_constant(value):
                    continue
                return Proof(False, culprit=value)
            inputs |= interval.inputs
        return Proof(True, tuple(sorted(inputs)), bound if inputs else INT32_MAX)

    def _indices(self, scope: Scope) -> frozenset[str]:
        """Return the graph inputs that are used as indices as they are."""
        known = self.intervals(scope, BOUNDS[0])
        found: set[str] = set()
        for node in scope.graph.nodes:
            place = _INDEX_OF.get(node.op_type)
            if place is not None and place < len(node.inputs):
                interval = known.get(node.inputs[place])
                # Arithmetic would have moved an end of the interval.
                if interval is not None and interval.inputs and interval.high == BOUNDS[0] and not interval.sizes:
                    found |= interval.inputs
        return frozenset(found)

    # --- the analysis ----------------------------------------------------------------------------------------------

    def intervals(self, scope: Scope, bound: int) -> dict[str, Interval]:
        """Return the intervals of a scope's values that matter, for one bound on the graph inputs."""
        key = (id(scope.graph), bound)
        if key not in self._found:
            self._found[key] = self._analysed(scope, bound)
        return self._found[key]

    def _analysed(self, scope: Scope, bound: int) -> dict[str, Interval]:
        graph = scope.graph
        wanted = self._wanted.get(id(graph))
        if wanted is None:
            wanted = self._wanted[id(graph)] = _wanted(scope)
        known = dict(self._given(scope, bound))
        for name in graph.initializers:
            if name in wanted and name not in known:
                known[name] = of_constant(scope, name)
        for node in graph.nodes:
            if wanted.isdisjoint(node.outputs):
                continue
            if node.bodies:
                answers = self._of_bodies(scope, node, bound, known)
            else:
                reads = _reads(node)
                inputs = tuple(
                    _EMPTY if not value
                    else self._lookup(scope, value, bound, known) if reads is None or place in reads
                    else whole(scope.type_of(value).dtype)
                    for place, value in enumerate(node.inputs)
                )  # fmt: skip
                answers = outputs_of(Step(node, scope, inputs))
            known.update(zip(node.outputs, answers, strict=True))
        return known

    def _lookup(self, scope: Scope, value: str, bound: int, known: Mapping[str, Interval]) -> Interval:
        found = known.get(value)
        return found if found is not None else _of_outer(self, scope, value, bound)

    def _given(self, scope: Scope, bound: int) -> Iterable[tuple[str, Interval]]:
        """Yield the intervals of a scope's inputs."""
        host = scope.host
        for place, name in enumerate(scope.graph.inputs):
            dtype = scope.type_of(name).dtype
            value = whole(dtype)
            if host is None:
                low, high = int(max(value.low, -bound)) if dtype in _TIED else value.low, value.high
                # -2**31 itself is the one int32 that the largest bound leaves out: it is no reason for a guard.
                if dtype in _TIED and (value.high > bound or (value.low < -bound and bound < INT32_MAX)):
                    value = Interval(low, min(high, bound), 0, frozenset((name,)))
            elif host.op_type == "Loop" and place == 0:
                value = SIZE
            yield name, value

    def _of_bodies(self, scope: Scope, node: Node, bound: int, known: dict[str, Interval]) -> tuple[Interval, ...]:
        """Return the outputs of an If: what either branch gives; of a loop nothing is known."""
        if node.op_type != "If" or not node.bodies:
            return tuple(whole(scope.type_of(name).dtype) for name in node.outputs)
        self._found[id(scope.graph), bound] = known  # bodies read what is known so far
        branches = []
        for body in node.bodies.values():
            inner = type(scope)(body, scope.weights, scope, node)
            found = self.intervals(inner, bound)
            branches.append([self._lookup(inner, name, bound, found) for name in body.outputs])
        return tuple(joined(values) for values in zip(*branches, strict=True))


def _of_outer(ranges: Ranges, scope: Scope, value: str, bound: int) -> Interval:
    """Return the interval of a value that the scope itself does not have: a capture."""
    home = scope.home(value)
    if home is None or home is scope:
        return whole(scope.type_of(value).dtype)
    found = ranges.intervals(home, bound).get(value)
    return found if found is not None else whole(home.type_of(value).dtype)


def _reads(node: Node) -> tuple[int, ...] | None:
    rule = RULES.get(node.op_id)
    return rule[1] if rule is not None else ()


def _wanted(scope: Scope) -> set[str]:
    """Return the values whose intervals matter: wide integers, and what a rule needs to bound them."""
    graph = scope.graph
    wanted = {name for name, kind in graph.types.items() if kind.dtype in WIDE}
    if scope.outer is not None:
        wanted.update(graph.outputs)
    for node in graph.nodes:
        if node.bodies:
            wanted.update(node.reads)
    if not wanted:
        return wanted
    for node in reversed(graph.nodes):
        if node.bodies or wanted.isdisjoint(node.outputs):
            continue
        reads = _reads(node)
        if reads is None:
            wanted.update(node.inputs)
        else:
            wanted.update(node.inputs[i] for i in reads if i < len(node.inputs))
    return wanted
