"""The form of an operator: formal inputs, outputs and attributes, from onnx's schemas and from a table for contrib ops.

onnx has no schema for ``com.microsoft`` and for some operators that it dropped long ago but onnxruntime still runs
(``ImageScaler``, ``ParametricSoftplus``); ``contrib_ops.json`` lists theirs, as onnxruntime 1.31 registers them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from ovpart.model.typeproto import short_type

MICROSOFT = "com.microsoft"
# Domains that onnxruntime registers itself: a node of theirs needs no opset import. Value: the version taken then.
IMPLICIT_DOMAINS: Mapping[str, int] = {
    MICROSOFT: 1,
    "com.microsoft.experimental": 1,
    "com.microsoft.nchwc": 1,
    "com.ms.internal.nhwc": 27,
    "org.pytorch.aten": 1,
}

# Since which version of the domain a deprecated operator has no form: the form before it is the one engines run.
_UNLIMITED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Formal:
    """A formal input or output.

    Attributes
    ----------
    name : str
        As the schema calls it.
    type_name : str
        Name of a type variable (``"T"``), or a concrete type: a short dtype name (``"i64"``), or what onnx writes
        (``"seq(tensor(float))"``).
    optional, variadic : bool
        Whether it may be left out; whether it stands for any number of values.
    homogeneous : bool
        Whether all values of a variadic one have the same type.
    """

    name: str
    type_name: str
    optional: bool = False
    variadic: bool = False
    homogeneous: bool = True


@dataclass(frozen=True, slots=True)
class AttributeForm:
    """What a schema says of an attribute: ``kind`` as in ``AttributeProto.AttributeType``, plain python default."""

    kind: str
    required: bool = False
    default: object = None


@dataclass(frozen=True, slots=True)
class Form:
    """One form of an operator: what a schema says, as plain data.

    Attributes
    ----------
    since : int
        The version of the domain that introduced it.
    types : mapping of str to frozenset of str
        Type variable → what it may be.
    has_rule : bool
        Whether onnx infers the types of its outputs.
    contrib : bool
        Whether it comes from the table of contrib operators, not from onnx.
    random : bool
        Whether two runs on the same inputs may differ.
    """

    op_type: str
    domain: str
    since: int
    inputs: tuple[Formal, ...]
    outputs: tuple[Formal, ...]
    min_inputs: int
    max_inputs: int
    min_outputs: int
    max_outputs: int
    attributes: Mapping[str, AttributeForm]
    types: Mapping[str, frozenset[str]]
    has_rule: bool = False
    contrib: bool = False
    random: bool = False


def names_of(formals: Sequence[Formal], count: int) -> tuple[str, ...]:
    """Return the formal names parallel to `count` actual values; a variadic one is repeated for each of its actuals."""
    names = [f.name for f in formals[:count]]
    if formals and formals[-1].variadic and len(names) < count:
        names.extend([formals[-1].name] * (count - len(names)))
    names.extend([""] * (count - len(names)))
    return tuple(names)


@cache
def form_of(op_type: str, domain: str, version: int) -> Form | None:
    """Return the form in force at a version of the operator's domain, ``None`` where nobody describes it.

    For an operator that was deprecated by then (``Upsample`` from opset 10) it is the last form before that, which is
    what engines still run.
    """
    import onnx

    found = version
    while found > 0:
        try:
            schema = onnx.defs.get_schema(op_type, found, domain)
        except onnx.defs.SchemaError:
            break
        if not schema.deprecated:
            return _from_schema(schema)
        found = schema.since_version - 1
    best: Form | None = None
    for form in _contrib_forms().get((domain, op_type), ()):
        if best is None or form.since <= version:
            best = form
    return best


def is_contrib(op_type: str, domain: str) -> bool:
    """Whether the table of contrib operators has an operator of this name."""
    return (domain, op_type) in _contrib_forms()


def _from_schema(schema: Any) -> Form:
    """Turn one of onnx's schemas into plain data."""
    from onnx import AttributeProto

    from ovpart.model.attributes import plain

    def formal(parameter: Any) -> Formal:
        option = str(parameter.option).rsplit(".", 1)[-1]
        return Formal(
            parameter.name,
            short_type(parameter.type_str),
            option == "Optional",
            option == "Variadic",
            parameter.is_homogeneous,
        )

    attributes: dict[str, AttributeForm] = {}
    for name, attribute in schema.attributes.items():
        default = attribute.default_value
        kind = str(attribute.type).rsplit(".", 1)[-1]
        value = plain(default) if default.type != AttributeProto.UNDEFINED else None
        attributes[name] = AttributeForm(kind, attribute.required, value)
    return Form(
        op_type=schema.name,
        domain=schema.domain,
        since=schema.since_version,
        inputs=tuple(formal(p) for p in schema.inputs),
        outputs=tuple(formal(p) for p in schema.outputs),
        min_inputs=schema.min_input,
        max_inputs=schema.max_input,
        min_outputs=schema.min_output,
        max_outputs=schema.max_output,
        attributes=attributes,
        types={
            c.type_param_str: frozenset(short_type(t) for t in c.allowed_type_strs) for c in schema.type_constraints
        },
        has_rule=bool(schema.has_type_and_shape_inference_function or schema.has_function
                      or schema.has_context_dependent_function),
        random=schema.name in _RANDOM,
    )  # fmt: skip


_RANDOM = frozenset(
    {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"}
)
_RANDOM_CONTRIB = frozenset({"BiasDropout", "BitmaskDropout", "BitmaskBiasDropout", "Sampling", "WhisperBeamSearch"})


@cache
def _contrib_forms() -> Mapping[tuple[str, str], tuple[Form, ...]]:
    """Read the table of contrib operators: (domain, name) → forms, oldest first."""
    text = resources.files("ovpart.model").joinpath("contrib_ops.json").read_text(encoding="utf-8")
    forms: dict[tuple[str, str], tuple[Form, ...]] = {}
    for row in json.loads(text):
        key = (row["domain"], row["name"])
        forms[key] = (*forms.get(key, ()), _from_row(row))
    return forms


def _from_row(row: dict[str, Any]) -> Form:
    """Turn a row of ``contrib_ops.json`` into a form."""

    def formals(pairs: Sequence[Sequence[str]]) -> tuple[Formal, ...]:
        # The marks after a name: ? optional, * variadic of one type, ** variadic of any types.
        return tuple(
            Formal(n.rstrip("?*"), t, n.endswith("?"), n.endswith("*"), not n.endswith("**")) for n, t in pairs
        )

    def count(pairs: Sequence[Sequence[str]]) -> int:
        return _UNLIMITED if any(n.endswith("*") for n, _ in pairs) else len(pairs)

    attributes: dict[str, AttributeForm] = {}
    for name, (kind, *default) in row["attributes"].items():
        value = default[0] if default else None
        value = tuple(value) if isinstance(value, list) else value
        attributes[name] = AttributeForm(kind.rstrip("!"), kind.endswith("!"), value)
    return Form(
        op_type=row["name"],
        domain=row["domain"],
        since=row["since"],
        inputs=formals(row["inputs"]),
        outputs=formals(row["outputs"]),
        min_inputs=row["min_inputs"],
        max_inputs=count(row["inputs"]),
        min_outputs=row["min_outputs"],
        max_outputs=count(row["outputs"]),
        attributes=attributes,
        types={name: frozenset(kinds) for name, kinds in row["types"].items()},
        contrib=True,
        random=row["name"] in _RANDOM_CONTRIB,
    )
