"""Which rule an operator has, and how a rule's answer is completed from the operator's form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ovpart.model.forms import MICROSOFT, Form, form_of
from ovpart.model.graph import Node
from ovpart.model.rules import Case, case_of, merge, tensor
from ovpart.model.types import DTYPES, UNKNOWN, ValueType, dtype_name

if TYPE_CHECKING:
    import onnx

ML = "ai.onnx.ml"

READS_VALUES = frozenset({"BeamSearch", "CropAndResize", "GreedySearch", "MatMulFpQ4", "Sampling", "WhisperBeamSearch"})
"""Operators of com.microsoft whose rules look at the values of small constants."""


def has_rule(node: Node) -> bool:
    """Whether anything but onnx can tell of the outputs of a node."""
    from ovpart.model import rules_core, rules_ml

    if node.domain in ("", "ai.onnx"):
        return node.op_type in rules_core.RULES or node.op_type in ("If", "SimplifiedLayerNormalization")
    if node.domain == ML:
        return node.op_type in rules_ml.RULES
    return node.since > 0


def apply_rule(
    node: Node, types: Mapping[str, ValueType], constants: Mapping[str, onnx.TensorProto]
) -> Sequence[ValueType]:
    """Return what a rule says of the outputs of a node, one type an output.

    Parameters
    ----------
    node : Node
        Its bodies, if it has any, carry their types.
    types : mapping of str to ValueType
        Of this scope and the outer ones.
    constants : mapping of str to onnx.TensorProto
        Small constants by name, with their data.
    """
    if node.op_type == "If" and not node.domain:
        found = _branches(node, types)
    else:
        form = form_of(node.op_type, node.domain, node.since) if node.since else None
        case = case_of(node.proto, node.since, types, constants)
        found = [_with_dtype(t, i, case, form) for i, t in enumerate(_ask(case))]
    return [*found, *[UNKNOWN] * (len(node.outputs) - len(found))]


def _ask(case: Case) -> Sequence[ValueType]:
    from ovpart.model import rules_core, rules_layout, rules_microsoft, rules_ml

    if case.domain == ML:
        return rules_ml.RULES[case.op_type](case)
    if case.domain == "" and case.op_type in rules_core.RULES and case.op_type != "SimplifiedLayerNormalization":
        return rules_core.RULES[case.op_type](case)
    if case.domain in ("", MICROSOFT):
        rule = rules_microsoft.RULES.get(case.op_type) or rules_layout.RULES.get(case.op_type)
    else:
        rule = rules_layout.OTHER_LAYOUTS
    shapes = rule(case) if rule is not None else ()
    unknown = [None] * (case.outputs - len(shapes))
    return [tensor(None, shape) for shape in (*shapes, *unknown)]


def _with_dtype(found: ValueType, index: int, case: Case, form: Form | None) -> ValueType:
    """Fill in the element type that the form's type variables tell."""
    if found.kind != "tensor" or found.dtype is not None or form is None or not form.outputs:
        return found
    dtype = _special(case, index) or _by_variable(form.outputs[min(index, len(form.outputs) - 1)].type_name, case, form)
    return UNKNOWN if dtype is None and found.shape is None else tensor(dtype, found.shape)


def _by_variable(name: str, case: Case, form: Form) -> str | None:
    if name in DTYPES:
        return name
    for position, known in enumerate(case.inputs):
        formal = form.inputs[min(position, len(form.inputs) - 1)]
        if formal.type_name == name and known.dtype is not None and (formal.homogeneous or not formal.variadic):
            return known.dtype
    allowed = form.types.get(name, frozenset())
    return next(iter(allowed)) if len(allowed) == 1 and allowed <= set(DTYPES) else None


def _special(case: Case, index: int) -> str | None:
    """Return element types that no type variable tells."""
    if case.op_type == "SimplifiedLayerNormalization" and index:
        return dtype_name(case.integer("stash_type", 1))
    if case.domain != MICROSOFT:
        return None
    if case.op_type == "MatMulInteger16":
        return {"i16": "i32", "u16": "u32"}.get(case.dtype(0) or "")
    if case.op_type == "GridSample" or (case.op_type == "GroupQueryAttention" and not case.has(3)):
        return case.dtype(0)
    if case.op_type == "QGemm":
        return case.dtype(8) if case.has(8) else "f32"
    if case.op_type == "QuantizeLinear" and not case.has(2):
        return "u8"
    if case.op_type == "MurmurHash3":
        return "u32" if case.integer("positive", 1) else "i32"
    return None


def _branches(node: Node, types: Mapping[str, ValueType]) -> list[ValueType]:
    """Merge what the two branches of an If give."""
    then, other = node.bodies.get("then_branch"), node.bodies.get("else_branch")
    if then is None or other is None or len(then.outputs) != len(other.outputs):
        return []
    found: list[ValueType] = []
    for a, b in zip(then.outputs, other.outputs, strict=True):
        one, two = ({**types, **body.types}.get(name, UNKNOWN) for body, name in ((then, a), (other, b)))
        found.append(UNKNOWN if "unknown" in (one.kind, two.kind) else merge(one, two))
    return found
