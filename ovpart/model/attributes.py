"""Attributes of nodes as plain python values, and what the operator's schema says of a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovpart.model.forms import Form, form_of, names_of

if TYPE_CHECKING:
    import onnx

    from ovpart.model.graph import Node

# AttributeProto.AttributeType (onnx.proto): number → name.
KINDS: tuple[str, ...] = (
    "UNDEFINED", "FLOAT", "INT", "STRING", "TENSOR", "GRAPH", "FLOATS", "INTS", "STRINGS", "TENSORS", "GRAPHS",
    "SPARSE_TENSOR", "SPARSE_TENSORS", "TYPE_PROTO", "TYPE_PROTOS",
)  # fmt: skip


def kind_of(proto: onnx.AttributeProto) -> str:
    """Return the kind of an attribute; for files of IR version 1, which do not say it, by the field that is set."""
    if proto.type:
        return KINDS[proto.type] if proto.type < len(KINDS) else "UNDEFINED"
    for field, kind in (("f", "FLOAT"), ("i", "INT"), ("s", "STRING"), ("t", "TENSOR"), ("g", "GRAPH"),
                        ("sparse_tensor", "SPARSE_TENSOR"), ("tp", "TYPE_PROTO")):  # fmt: skip
        if proto.HasField(field):
            return kind
    for field, kind in (("floats", "FLOATS"), ("ints", "INTS"), ("strings", "STRINGS"), ("tensors", "TENSORS"),
                        ("graphs", "GRAPHS")):  # fmt: skip
        if len(getattr(proto, field)):
            return kind
    return "UNDEFINED"


def plain(proto: onnx.AttributeProto) -> object:
    """Return an attribute's value: ``int``, ``float``, ``str``, or a tuple of these.

    Tensors, graphs and types come as the protos they are. Strings that are no UTF-8 keep their bytes as surrogates.
    """
    kind = kind_of(proto)
    if kind == "INT":
        return int(proto.i)
    if kind == "INTS":
        return tuple(proto.ints)
    if kind == "FLOAT":
        return float(proto.f)
    if kind == "FLOATS":
        return tuple(proto.floats)
    if kind == "STRING":
        return proto.s.decode("utf-8", "surrogateescape")
    if kind == "STRINGS":
        return tuple(s.decode("utf-8", "surrogateescape") for s in proto.strings)
    single = {"TENSOR": "t", "GRAPH": "g", "SPARSE_TENSOR": "sparse_tensor", "TYPE_PROTO": "tp"}.get(kind)
    if single is not None:
        return getattr(proto, single)
    several = {
        "TENSORS": "tensors",
        "GRAPHS": "graphs",
        "SPARSE_TENSORS": "sparse_tensors",
        "TYPE_PROTOS": "type_protos",
    }
    return tuple(getattr(proto, several[kind])) if kind in several else None


def attributes(node: Node) -> dict[str, object]:
    """Return the attributes that a node gives, as plain python values (see :func:`plain`); defaults are not filled in.

    The tensor of a ``Constant`` may be a stub without data: take constants from ``model.weights``.
    """
    return {a.name: plain(a) for a in node.proto.attribute}


def attribute(node: Node, name: str) -> object:
    """Return one attribute of a node, the schema's default where it is absent, ``None`` where there is no default."""
    for proto in node.proto.attribute:
        if proto.name == name:
            return plain(proto)
    form = schema_of(node)
    if form is None or name not in form.attributes:
        return None
    return form.attributes[name].default


def schema_of(node: Node) -> Form | None:
    """Return the form of the operator in force for a node, ``None`` where neither onnx nor our table describes it."""
    return form_of(node.op_type, node.domain, node.since) if node.since else None


def formal_inputs(node: Node) -> tuple[str, ...]:
    """Return the schema's names parallel to ``node.inputs``, variadic ones repeated, ``""`` where nothing is known."""
    form = schema_of(node)
    return names_of(form.inputs if form else (), len(node.inputs))


def formal_outputs(node: Node) -> tuple[str, ...]:
    """Return the schema's names parallel to ``node.outputs``, variadic ones repeated, ``""`` where nothing is known."""
    form = schema_of(node)
    return names_of(form.outputs if form else (), len(node.outputs))
