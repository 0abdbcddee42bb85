"""Asks the table about every node: node → verdict.

Nodes of one kind (operator, types of all ports, constness, and attributes where some entry asks for them) get one
answer, so that a model of a million nodes costs a look into a dict for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ovpart.capability.amplified import hold_amplified
from ovpart.capability.control import apply_exclude, apply_pin
from ovpart.capability.guarded import Finding, under_guards
from ovpart.capability.infinities import Known, may_hold
from ovpart.capability.ranges import Ranges
from ovpart.capability.rules import NON_TENSORS, SMALL_CONSTANT, Facts, Port, Rule, Ruleset, ruleset
from ovpart.capability.scopes import Scope, main_scope
from ovpart.capability.table import Entry, Table
from ovpart.capability.verdict import State, Verdict
from ovpart.model.attributes import attribute, formal_inputs, formal_outputs

if TYPE_CHECKING:
    from ovpart.model.graph import Model, Node
    from ovpart.model.types import ValueType

NO_ENGINE_KNOWN = "no engine known"
"""Rule of a node whose operator neither onnx, nor the contrib operators, nor the table describes."""
RANK_UNKNOWN = "rank-unknown"
"""Rule of a node that waits for the first run to show the rank of an input."""
TYPE_UNKNOWN = "type-unknown"
"""Rule of a node that waits for the first run to show the type of an input."""
NOT_A_TENSOR = "not-a-tensor"
"""Rule of a node that touches a sequence, optional, map or sparse tensor of which no entry speaks."""


def check(
    model: Model,
    device: str,
    table: Table,
    *,
    unknown: str | None = None,
    semantics: str = "fast",
    exclude: Sequence[str] = (),
    pin: Sequence[str] = (),
) -> tuple[Verdict, ...]:
    """Ask the table about every node of the main scope.

    Parameters
    ----------
    model : Model
        The model.
    device : str
        Device as the user names it; ``"GPU.0"`` inherits what is said of ``"GPU"``.
    table : Table
        The table, overlays included.
    unknown : str or None
        ``"delegate"`` or ``"fallback"``: what an unknown node in a body counts as; ``None`` for the table's word on
        the device.
    semantics : str
        ``"fast"``, or ``"ieee"``: entries with ``semantics: ieee`` count too.
    exclude, pin : sequence of str
        Selectors (:mod:`ovpart.capability.control`): nodes that must not, or shall, go to the device.

    Returns
    -------
    tuple of Verdict
        Parallel to ``model.graph.nodes``.

    Raises
    ------
    OptionError
        Where a selector hits nothing.

    Warns
    -----
    OvpartWarning
        Where a pin beats the table, or has no effect.
    """
    checker = _Checker(model, device, table, unknown or table.unknown(device), semantics)
    scope = main_scope(model)
    verdicts = hold_amplified(under_guards(checker.ranges, scope, checker.scope(scope)), model.graph)
    verdicts = apply_pin(verdicts, model.graph, pin, device)
    return tuple(apply_exclude(verdicts, model.graph, exclude, pin))


def flaws(model: Model, engine: str, table: Table) -> dict[int, Verdict]:
    """Return what an engine that takes whatever it knows computes wrongly, by the table's word.

    Parameters
    ----------
    model : Model
        The model.
    engine : str
        The engine in the table's spelling: ``"ONNXRUNTIME"``.
    table : Table
        The table, overlays included.

    Returns
    -------
    dict of int to Verdict
        Index of a node of the main scope → why. Only nodes whose operator has entries for the engine are looked at.
    """
    wanted = {op for layer in table.layers for op, places in layer.rows.items() if engine in places}
    scope = main_scope(model)
    if scope.graph.op_types.isdisjoint(op.rpartition(".")[2] for op in wanted):
        return {}
    checker = _Checker(model, engine, table, "fallback", "fast")
    found = {}
    for node in scope.graph.nodes:
        if node.op_id in wanted:
            verdict = checker.one(node, checker.ruleset(node), scope).verdict
            if verdict.state is State.UNSUPPORTED and not verdict.deferred:
                found[node.index] = verdict
    return found


def may_delegate(verdict: Verdict, device: str, table: Table, unknown: str | None = None) -> bool:
    """Return whether a verdict lets its node go to the device.

    Parameters
    ----------
    verdict : Verdict
        The answer of the table.
    device : str
        The device.
    table : Table
        Says what ``unknown`` means on the device where the user does not.
    unknown : str or None
        ``"delegate"``, ``"fallback"`` or ``None`` for the table's word.
    """
    if verdict.state is State.UNKNOWN:
        return not verdict.deferred and (unknown or table.unknown(device)) == "delegate"
    return verdict.state is State.SUPPORTED


class _Checker:
    """The table on one device, for one model; keeps what it found, for this call only."""

    def __init__(self, model: Model, device: str, table: Table, unknown: str, semantics: str) -> None:
        self.model = model
        self.device = device
        self.table = table
        self.unknown = unknown
        self.semantics = semantics
        self.rulesets: dict[tuple[str, str, int], Ruleset] = {}
        self.ranges = Ranges()
        self.held: Known = {}

    # --- all nodes of a scope --------------------------------------------------------------------------------------

    def scope(self, scope: Scope) -> list[Finding]:
        """Return what the table says of each node of a scope."""
        code_of = _value_codes(scope).get
        # `plain` has what is told from types alone: nodes of nearly all kinds are found there, with one look.
        plain: dict[tuple[Any, ...], Finding] = {}
        seen: dict[tuple[Any, ...], Finding] = {}
        findings: list[Finding] = []
        rulesets = self.rulesets
        for node in scope.graph.nodes:
            signature: tuple[Any, ...] = (
                node.op_type, node.domain, node.since, *map(code_of, node.inputs), ";", *map(code_of, node.outputs),
            )  # fmt: skip
            finding = plain.get(signature)
            if finding is not None and not node.bodies:
                findings.append(finding)
                continue
            operator = (node.op_type, node.domain, node.since)
            rules = rulesets.get(operator)
            if rules is None:
                rules = rulesets[operator] = self.ruleset(node)
            if node.bodies:
                findings.append(self.with_bodies(node, rules, scope))
                continue
            if rules.asks_attributes:
                signature += tuple(a.SerializeToString() for a in node.proto.attribute)
            if rules.asks_values:
                signature += self.values(node, rules, scope)
            if rules.asks_infinities:
                signature += self.infinities(node, rules, scope)
            finding = seen.get(signature)
            if finding is None:
                finding = seen[signature] = self.one(node, rules, scope)
                if not (finding.waits or rules.asks_attributes or rules.asks_values or rules.asks_infinities):
                    plain[signature] = finding
            elif finding.waits:  # it names a value, which is not the same for two nodes of one kind
                found = _waits_for(node, scope)
                finding = Finding(found[0], waits=found[1]) if found is not None else finding
            findings.append(finding)
        return findings

    def ruleset(self, node: Node) -> Ruleset:
        opset = self.model.opsets.get(node.domain, 1)
        return ruleset(self.table, node.op_id, self.device, opset, self.semantics)

    def values(self, node: Node, rules: Ruleset, scope: Scope) -> tuple[Any, ...]:
        """Return the elements that conditions look at, as part of a signature."""
        names = formal_inputs(node)
        wanted = rules.asks_values
        return tuple(
            _elements(scope, value) if value and (name in wanted or f"in{i}" in wanted) else None
            for i, (value, name) in enumerate(zip(node.inputs, names, strict=True))
        )

    def infinities(self, node: Node, rules: Ruleset, scope: Scope) -> tuple[bool, ...]:
        """Return whether inputs may hold the infinities that conditions ask for, as part of a signature."""
        names = formal_inputs(node)
        return tuple(
            may_hold(scope, value, end, self.held)
            for wanted, end in rules.asks_infinities
            for i, (value, name) in enumerate(zip(node.inputs, names, strict=True))
            if value and wanted in (name, f"in{i}")
        )

    # --- one node --------------------------------------------------------------------------------------------------

    def one(self, node: Node, rules: Ruleset, scope: Scope, bodies_right: bool = True) -> Finding:
        """Return what the table says of a node."""
        if not rules.own and node.since == 0 and not self.table.knows(node.op_id):
            reason = f"no engine known for {node.op_id}"
            hint = "register its library with custom_op_libraries, or replace the operator"
            return Finding(Verdict(State.UNSUPPORTED, reason, NO_ENGINE_KNOWN, hint))
        facts = _facts(node, scope, self.held)
        odd = sorted({p.type.kind for p in (*facts.inputs, *facts.outputs)} & NON_TENSORS)
        waits = _waits_for(node, scope) if self.has_a_chance(rules) else None
        for rule in rules.rules:
            if waits is not None and rule.entry.state is not State.UNSUPPORTED:
                break  # an entry that says yes needs to know; a no that holds already stands
            if odd and not rule.speaks_of_non_tensors and rule.entry.state is not State.UNSUPPORTED:
                continue
            if rule.matches(facts) and (bodies_right or "bodies" not in rule.entry.row):
                in_range = str(rule.entry.row.get("in_range", ""))
                return Finding(self.verdict(rule.entry), self.guard(rules, rule, facts), in_range=in_range)
        if waits is not None:
            return Finding(waits[0], waits=waits[1])
        if odd:
            reason = f"{' and '.join(odd)} values stay on onnxruntime"
            return Finding(Verdict(State.UNSUPPORTED, reason, NOT_A_TENSOR, "use tensors where the model allows it"))
        return Finding(self.no_match(node, rules))

    def has_a_chance(self, rules: Ruleset) -> bool:
        """Whether some entry may send the node to the device: only then is it worth waiting for a rank."""
        tried = {State.SUPPORTED, State.UNKNOWN} if self.unknown == "delegate" else {State.SUPPORTED}
        return any(rule.entry.state in tried for rule in rules.rules) or (not rules.own and State.UNKNOWN in tried)

    def verdict(self, entry: Entry) -> Verdict:
        row = entry.row
        state = entry.state or State.UNKNOWN
        source = str(row.get("source", "user" if entry.file != self.table.name else ""))
        reason = str(row.get("reason") or f"runs right on {self.device}")
        hint = str(row.get("hint", ""))
        if state is State.UNKNOWN and not hint and self.unknown == "fallback":
            hint = "unknown='delegate' tries it"
        return Verdict(state, reason, entry.rule, hint, source)

    def guard(self, rules: Ruleset, rule: Rule, facts: Facts) -> Entry | None:
        """Return the entry that asks for a guard on a node that `rule` decides."""
        own = rule.entry.row.get("guard")
        if own == "none" or rule.entry.state is State.UNSUPPORTED:
            return None
        if own is not None:
            return rule.entry
        return next((g.entry for g in rules.guards if g.matches(facts)), None)

    def no_match(self, node: Node, rules: Ruleset) -> Verdict:
        hint = "unknown='delegate' tries it" if self.unknown == "fallback" else ""
        if not rules.own:
            where = self.table.line_of(node.op_id, self.device)
            if where:
                reason = f"no entry of the table is for opset {self.model.opsets.get(node.domain, 1)}"
                return Verdict(State.UNKNOWN, reason, where, hint)
            return Verdict(State.UNKNOWN, f"no entry for {node.op_id}", f"{self.table.name}: no entry", hint)
        return Verdict(State.UNKNOWN, "no entry of the table fits", self.table.line_of(node.op_id, self.device), hint)

    # --- nodes with bodies -----------------------------------------------------------------------------------------

    def with_bodies(self, node: Node, rules: Ruleset, scope: Scope) -> Finding:
        """Ask about an If, Loop or Scan: an entry may need every node of every body to be right without a guard."""
        asked = any("bodies" in rule.entry.row for rule in rules.rules)
        culprit = self.culprit(node, scope) if asked else ""
        finding = self.one(node, rules, scope, bodies_right=not culprit)
        if culprit and not finding.waits and finding.verdict.state is not State.SUPPORTED:
            return Finding(replace(finding.verdict, reason=f"its body needs {culprit}"), finding.guard)
        return finding

    def culprit(self, node: Node, scope: Scope) -> str:
        """Return a node of a body that may not be delegated and why, ``""`` where all may."""
        for body in node.bodies.values():
            inner = Scope(body, scope.weights, scope, node)
            findings = self.scope(inner)
            for one, finding in zip(body.nodes, findings, strict=True):
                if one.index in body.constant or one.index in body.dead:
                    continue
                if not may_delegate(finding.verdict, self.device, self.table, self.unknown):
                    return f"{one.op_type}: {finding.verdict.reason}"
                if finding.guard is not None and self.ranges.leaves(inner, one):
                    return f"{one.op_type}: int64 beyond 32 bits would be cut"
        return ""


def _value_codes(scope: Scope) -> dict[str, int | None]:
    """Give each value of a scope the number of its kind: values of one number are alike to every condition."""
    graph = scope.graph
    numbers: dict[tuple[Any, ...], int] = {}

    def number(kind: ValueType, constant: bool) -> int:
        empty = kind.shape is not None and 0 in kind.shape
        return numbers.setdefault((kind.kind, kind.dtype, kind.rank, kind.is_static, empty, constant), len(numbers))

    distinct = {id(kind): kind for kind in graph.types.values()}
    of_type = {key: number(kind, False) for key, kind in distinct.items()}
    codes: dict[str, int | None] = {name: of_type[id(kind)] for name, kind in graph.types.items()}
    for name in (*graph.initializers, *(x for i in graph.constant for x in graph.nodes[i].outputs)):
        codes[name] = number(graph.type_of(name), True)
    codes[""] = -1
    if scope.outer is not None:
        # A body reads values of the scopes around it: each is a kind of its own there, which costs little.
        for name in (name for node in graph.nodes for name in node.reads):
            codes.setdefault(name, len(numbers) + len(codes))
    return codes  # a value without a type has no number, which is a kind too


def _elements(scope: Scope, value: str) -> tuple[Any, ...] | None:
    array = scope.array(value, SMALL_CONSTANT)
    return None if array is None else tuple(array.reshape(-1).tolist())


def _facts(node: Node, scope: Scope, held: Known) -> Facts:
    def ports(values: Sequence[str], names: Sequence[str], constants: bool) -> tuple[Port, ...]:
        return tuple(
            Port(i, name, value, scope.type_of(value), constants and scope.is_constant(value))
            for i, (value, name) in enumerate(zip(values, names, strict=True))
            if value
        )

    return Facts(
        node,
        ports(node.inputs, formal_inputs(node), True),
        ports(node.outputs, formal_outputs(node), False),
        lambda name: attribute(node, name),
        frozenset(a.name for a in node.proto.attribute),
        lambda value: _elements(scope, value),
        lambda value, infinity: may_hold(scope, value, infinity, held),
    )


def _waits_for(node: Node, scope: Scope) -> tuple[Verdict, str] | None:
    """Return the verdict of a node that must wait for the first run and the value that it waits for."""
    for value in node.reads:
        known = scope.type_of(value)
        rank = known.kind == "tensor" and known.dtype is not None
        if (rank and known.shape is not None) or known.kind not in ("tensor", "unknown"):
            continue
        what, rule = ("rank", RANK_UNKNOWN) if rank else ("type", TYPE_UNKNOWN)
        reason = f"{what} of {value!r} is not known before the first run"
        return Verdict(State.UNSUPPORTED, reason, rule, "", "inferred", deferred=True), value
    return None
