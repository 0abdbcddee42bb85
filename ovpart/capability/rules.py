"""Turns the conditions of table entries into predicates over what is known of a node.

An entry matches when all its conditions hold. The predicates read nothing but :class:`Facts`, so that two nodes with
the same facts get the same answer, which the checker relies on to look at each kind of node once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ovpart.capability.matcher import given_wish, matcher
from ovpart.capability.table import Entry, Table
from ovpart.capability.validate import bounds

if TYPE_CHECKING:
    from ovpart.model.graph import Node
    from ovpart.model.types import ValueType

SMALL_CONSTANT = 4096
"""Most elements of a constant whose value a condition looks at."""

NON_TENSORS = frozenset({"sequence", "optional", "map", "sparse_tensor", "opaque"})
"""Kinds of values that are no tensor; only entries that name one of them speak of nodes that touch one."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a node that is in use.

    Attributes
    ----------
    position : int
        Index among the node's inputs or outputs.
    formal : str
        What the operator's schema calls it; ``""`` where nobody describes the operator.
    value : str
        Name of the value.
    type : ValueType
        What is known of it.
    constant : bool
        Whether it is a constant.
    """

    position: int
    formal: str
    value: str
    type: ValueType
    constant: bool

    @property
    def label(self) -> str | None:
        """Dtype of a tensor, else the kind of the value; ``None`` where it is not known."""
        if self.type.kind == "tensor":
            return self.type.dtype
        return None if self.type.kind == "unknown" else self.type.kind

    @property
    def dynamic(self) -> bool:
        """Whether some dimension is no number; constants always have numbers."""
        return not self.constant and not self.type.is_static

    @property
    def empty(self) -> bool:
        """Whether some dimension is 0."""
        return self.type.shape is not None and 0 in self.type.shape


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a condition may ask of a node.

    Attributes
    ----------
    node : Node
        The node; conditions take its attributes from `attribute` only.
    inputs, outputs : tuple of Port
        Those in use.
    attribute : callable
        Name → value, the schema's default where it is absent, ``None`` where there is none.
    given : frozenset of str
        Names of the attributes that the node gives itself.
    elements : callable
        Name of a value → its elements if it is a small constant, else ``None``.
    may_hold : callable
        Name of a value and an infinity → whether the value may hold it.
    """

    node: Node
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    attribute: Callable[[str], object]
    given: frozenset[str]
    elements: Callable[[str], tuple[Any, ...] | None]
    may_hold: Callable[[str, float], bool]

    def input_ports(self, formal: str) -> list[Port]:
        """Return the inputs in use that a formal name, ``in`` or ``in0`` stands for."""
        return _named(self.inputs, formal, "in") + (list(self.inputs) if formal == "all" else [])

    def ports(self, formal: str) -> list[Port]:
        """Return the inputs and outputs in use that a name stands for; ``in``, ``out`` and ``all`` stand for groups."""
        outputs = _named(self.outputs, formal, "out") + (list(self.outputs) if formal == "all" else [])
        return self.input_ports(formal) + outputs


def _named(ports: tuple[Port, ...], formal: str, group: str) -> list[Port]:
    if formal == group:
        return list(ports)
    if formal.startswith(group) and formal[len(group) :].isdigit():
        return [p for p in ports if p.position == int(formal[len(group) :])]
    return [p for p in ports if p.formal == formal]


Predicate: TypeAlias = Callable[[Facts], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """An entry made ready to be matched.

    Attributes
    ----------
    entry : Entry
        The entry.
    tests : tuple of predicate
        All must hold. What concerns the model as a whole (opset, semantics) was decided before.
    speaks_of_non_tensors : bool
        Whether the entry names a kind of value that is no tensor.
    """

    entry: Entry
    tests: tuple[Predicate, ...]
    speaks_of_non_tensors: bool

    def matches(self, facts: Facts) -> bool:
        """Whether all conditions hold; ``bodies`` is left to the checker, who knows the other verdicts."""
        return all(test(facts) for test in self.tests)


@dataclass(frozen=True, slots=True)
class Ruleset:
    """All that a table says of one operator, in one model, on one device.

    Attributes
    ----------
    rules : tuple of Rule
        Entries with a state, in the order in which they are looked at.
    guards : tuple of Rule
        Entries that only add a guard.
    asks_attributes : bool
        Whether some condition looks at attributes.
    asks_values : tuple of str
        Formal inputs whose elements some condition looks at.
    asks_infinities : tuple of (str, float)
        Formal inputs and the infinities that some condition asks for.
    own : bool
        Whether some entry is the operator's own, not from ``"*"``.
    """

    rules: tuple[Rule, ...]
    guards: tuple[Rule, ...]
    asks_attributes: bool
    asks_values: tuple[str, ...]
    asks_infinities: tuple[tuple[str, float], ...]
    own: bool


def ruleset(table: Table, op: str, device: str, opset: int, semantics: str) -> Ruleset:
    """Compile what a table says of an operator.

    Parameters
    ----------
    table : Table
        The table.
    op : str
        The operator's id.
    device : str
        The device.
    opset : int
        The version of the operator's domain that the model imports.
    semantics : str
        ``"fast"`` or ``"ieee"``: whether entries that are marked ``semantics: ieee`` count.
    """
    chosen = [
        entry
        for entry in table.entries(op, device)
        if _within(opset, entry.row.get("opset", "..")) and entry.row.get("semantics", semantics) == semantics
    ]
    rules = tuple(compile_entry(entry) for entry in chosen)
    values = sorted({name for entry in chosen for name in entry.row.get("value", ())})
    return Ruleset(
        tuple(r for r in rules if not r.entry.is_guard),
        tuple(r for r in rules if r.entry.is_guard),
        any("when" in entry.row for entry in chosen),
        tuple(values),
        tuple(sorted({(name, end) for entry in chosen for name, end in entry.row.get("may_hold", {}).items()})),
        any(entry.op != "*" for entry in chosen),
    )


def compile_entry(entry: Entry) -> Rule:
    """Turn the conditions of an entry into predicates."""
    tests = [make(entry.row[key]) for key, make in _CONDITIONS.items() if key in entry.row]
    named = [*entry.row.get("types", {}).values(), *(entry.row.get(k, []) for k in _TOUCHES)]
    return Rule(entry, tuple(tests), any(kind in NON_TENSORS for names in named for kind in names))


def _within(number: int, wanted: int | str) -> bool:
    low, high = bounds(wanted)
    return low <= number <= high


# --- conditions: each takes what stands in the entry and gives a predicate -----------------------------------------


def _types(wanted: Mapping[str, list[str]]) -> Predicate:
    return lambda facts: all(p.label in dtypes for name, dtypes in wanted.items() for p in facts.ports(name))


def _touches(group: str) -> Callable[[list[str]], Predicate]:
    def make(dtypes: list[str]) -> Predicate:
        # The dtype inside a sequence or optional is touched as well as the sequence.
        return lambda facts: any(p.label in dtypes or p.type.dtype in dtypes for p in facts.ports(group))

    return make


def _when(wanted: Mapping[str, Any]) -> Predicate:
    tests = [(name, matcher(spec), given_wish(spec)) for name, spec in wanted.items()]

    def holds(facts: Facts) -> bool:
        for name, fits, given in tests:
            if given is not None and (name in facts.given) is not given:
                return False
            if fits is not None and not fits(facts.attribute(name)):
                return False
        return True

    return holds


def _const(names: list[str]) -> Predicate:
    return lambda facts: all(p.constant for name in names for p in facts.input_ports(name))


def _not_const(names: list[str]) -> Predicate:
    return lambda facts: any(not p.constant for name in names for p in facts.input_ports(name))


def _given(names: list[str]) -> Predicate:
    return lambda facts: all(facts.ports(name) for name in names)


def _omitted(names: list[str]) -> Predicate:
    return lambda facts: not any(facts.ports(name) for name in names)


def _inputs(wanted: int | str) -> Predicate:
    return lambda facts: _within(len(facts.inputs), wanted)


def _rank(wanted: Mapping[str, int | str | list[int]]) -> Predicate:
    def fits(rank: int | None, allowed: int | str | list[int]) -> bool:
        if rank is None:
            return False
        return rank in allowed if isinstance(allowed, list) else _within(rank, allowed)

    return lambda facts: all(fits(p.type.rank, ranks) for name, ranks in wanted.items() for p in facts.ports(name))


def _flag(of: Callable[[Port], bool]) -> Callable[[bool | Mapping[str, bool]], Predicate]:
    def make(wanted: bool | Mapping[str, bool]) -> Predicate:
        if isinstance(wanted, bool):
            return lambda facts: any(of(p) for p in facts.inputs) is wanted
        return lambda facts: all(any(of(p) for p in facts.ports(n)) is wish for n, wish in wanted.items())

    return make


def _value(wanted: Mapping[str, Any]) -> Predicate:
    tests = [(name, matcher(spec), given_wish(spec)) for name, spec in wanted.items()]

    def holds(facts: Facts) -> bool:
        for name, fits, given in tests:
            ports = facts.input_ports(name)
            if given is not None and bool(ports) is not given:
                return False
            if fits is None:
                continue
            known = [facts.elements(p.value) if p.constant else None for p in ports]
            if not known or any(elements is None or not fits(elements) for elements in known):
                return False
        return True

    return holds


def _may_hold(wanted: Mapping[str, float]) -> Predicate:
    return lambda facts: all(
        any(facts.may_hold(p.value, end) for p in facts.input_ports(name)) for name, end in wanted.items()
    )


_TOUCHES = ("touches", "touches_in", "touches_out")

_CONDITIONS: Mapping[str, Callable[[Any], Predicate]] = {
    "touches": _touches("all"),
    "touches_in": _touches("in"),
    "touches_out": _touches("out"),
    "types": _types,
    "inputs": _inputs,
    "given": _given,
    "omitted": _omitted,
    "rank": _rank,
    "dynamic": _flag(lambda port: port.dynamic),
    "empty": _flag(lambda port: port.empty),
    "const": _const,
    "not_const": _not_const,
    "when": _when,
    "value": _value,
    "may_hold": _may_hold,
}
