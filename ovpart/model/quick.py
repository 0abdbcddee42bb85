"""Inference where output types follow from input types alone: onnx is asked once for each kind of node.

Large graphs repeat themselves: of 100,000 elementwise nodes, perhaps twenty differ in operator, attributes and input
types. The others are looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ovpart.model.forms import Form, form_of
from ovpart.model.graph import Graph, Node
from ovpart.model.rule_tables import apply_rule, has_rule
from ovpart.model.rules import is_open, refined
from ovpart.model.typeproto import read_type, write_type
from ovpart.model.types import UNKNOWN, ValueType

if TYPE_CHECKING:
    pass

_MAX_KINDS = 4096
"""More different kinds of nodes than this, and onnx's inference of the whole graph is faster."""

Check = Callable[[Node, Form, Mapping[str, ValueType]], None]


def quick_types(
    graph: Graph,
    given: Mapping[str, ValueType],
    declared: Mapping[str, ValueType],
    opsets: Mapping[str, int],
    check: Check,
) -> dict[str, ValueType] | None:
    """Infer the main scope node by node.

    Parameters
    ----------
    graph : Graph
        Without bodies, and of operators that need no values (:func:`ovpart.model.working.needs_values`).
    given : mapping of str to ValueType
        Types of inputs and initializers.
    declared : mapping of str to ValueType
        What the file says; believed where nobody has a rule.
    opsets : mapping of str to int
        As imported.
    check : callable
        Refuses a node whose inputs do not go together; called once for each kind of node.

    Returns
    -------
    dict of str to ValueType, or None
        ``None`` where this is not the way: too many kinds, an operator that onnx cannot infer by itself, inputs that do
        not fit.
    """
    asked = _Asked(opsets, check)
    number = asked.number
    types: dict[str, int] = {name: number(known) for name, known in given.items()}
    types[""] = number(UNKNOWN)
    answers: dict[tuple[object, ...], tuple[int, ...]] = {}
    find = types.__getitem__
    for node in graph.nodes:
        outputs = node.outputs
        sign = None if node.bare else b"".join([a.SerializeToString() for a in node.proto.attribute])
        kind = (node.op_type, node.domain, sign, len(outputs), *map(find, node.inputs))
        found = answers.get(kind)
        if found is None:
            if len(answers) >= _MAX_KINDS:
                return None
            answer = asked.infer(node, {name: asked.types[types[name]] for name in node.inputs if name})
            if answer is None:
                return None
            found = answers[kind] = tuple([number(t) for t in answer])
        # Where nobody has a rule, the file is believed.
        if len(outputs) == 1:
            types[outputs[0]] = found[0] or number(declared.get(outputs[0], UNKNOWN))
            continue
        for name, known in zip(outputs, found, strict=True):
            types[name] = known or number(declared.get(name, UNKNOWN))
    del types[""]
    table = asked.types
    return {name: table[known] for name, known in types.items() if known}


class _Asked:
    """Types by number (0 is the unknown one), and the answers for single nodes."""

    def __init__(self, opsets: Mapping[str, int], check: Check) -> None:
        import onnx

        self.opsets = opsets
        self.imports = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]
        self.check = check
        self.types: list[ValueType] = [UNKNOWN]
        self.numbers: dict[ValueType, int] = {UNKNOWN: 0}

    def number(self, known: ValueType) -> int:
        """Return the number of a type."""
        found = self.numbers.get(known)
        if found is None:
            found = self.numbers[known] = len(self.types)
            self.types.append(known)
        return found

    def infer(self, node: Node, inputs: Mapping[str, ValueType]) -> Sequence[ValueType] | None:
        """Return the types of a node's outputs, ``None`` where only inference of the whole graph can tell."""
        form = form_of(node.op_type, node.domain, node.since) if node.since else None
        found = [UNKNOWN] * len(node.outputs)
        if form is not None:
            self.check(node, form, inputs)
            if form.has_rule:
                answer = self._by_onnx(node, inputs)
                if answer is None:
                    return None
                found = [answer.get(name, UNKNOWN) for name in node.outputs]
        if has_rule(node) and any(map(is_open, found)):
            found = [refined(a, b) for a, b in zip(found, apply_rule(node, inputs, {}), strict=False)]
        # A rule that leaves something open may be helped by what the file says, which is weighed elsewhere.
        return (
            None
            if form is not None and any(n and is_open(t) for n, t in zip(node.outputs, found, strict=True))
            else found
        )

    def _by_onnx(self, node: Node, inputs: Mapping[str, ValueType]) -> dict[str, ValueType] | None:
        import onnx
        from onnx import shape_inference

        try:
            schema = onnx.defs.get_schema(node.op_type, node.since, node.domain)
            known = {name: write_type(t) for name, t in inputs.items()}
            made = shape_inference.infer_node_outputs(schema, node.proto, known, opset_imports=self.imports)
        except (shape_inference.InferenceError, onnx.defs.SchemaError, onnx.checker.ValidationError):
            return None
        return {name: read_type(proto, made_up=True) for name, proto in made.items()}
