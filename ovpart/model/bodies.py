"""A body of If, Loop or Scan as a model of its own, so that every room can treat it like a main scope.

What the body captures becomes an input, behind the inputs that it has; what it captures of initializers and of
``Constant`` nodes becomes an initializer over the same memory. Types are inferred anew from those that are known
outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovpart.model.build import Builder
from ovpart.model.external import Files
from ovpart.model.graph import Graph, Model, Node
from ovpart.model.infer import infer
from ovpart.model.read import constant_entries
from ovpart.model.tensors import Tensors
from ovpart.model.typeproto import read_type, write_type
from ovpart.model.types import ValueType, dtype_number
from ovpart.model.weights import Stored
from ovpart.model.wire import mark_stub
from ovpart.model.working import body_graphs

if TYPE_CHECKING:
    import onnx

CONTROL_FLOW = frozenset({"If", "Loop", "Scan"})
"""Operators of ai.onnx that run bodies."""
SCAN_WITHOUT_BATCH = 9
"""Since this opset Scan has no batch dimension and no lengths of its own."""


@dataclass(frozen=True, slots=True)
class Body:
    """A body as a model of its own.

    Attributes
    ----------
    name : str
        The attribute: ``"then_branch"``, ``"else_branch"``, ``"body"``.
    model : Model
        Its main scope is the body. Inputs: those of the body, then `captures`.
    captures : tuple of str
        Values of the scope around it that the caller must hand in, sorted.
    declared_ranks : tuple of (int or None)
        Rank that the file declares for each input of the body, captures left out.
    """

    name: str
    model: Model
    captures: tuple[str, ...]
    declared_ranks: tuple[int | None, ...]


def runs_bodies(node: Node) -> bool:
    """Whether a node is control flow whose meaning is known here: If, Loop, and Scan since opset 9."""
    if node.domain or node.op_type not in CONTROL_FLOW or not node.since:
        return False
    return node.op_type != "Scan" or node.since >= SCAN_WITHOUT_BATCH


def not_alone(model: Model, node: Node) -> str:
    """Return why the bodies of a node cannot stand alone (yet), ``""`` where they can.

    Parameters
    ----------
    model : Model
        The node is one of its main scope.
    node : Node
        Any node with bodies.
    """
    if any(body.overridable for body in node.bodies.values()):
        return "a body has inputs with default values"
    for name in node.captures:
        kind = model.graph.type_of(name)
        if kind.kind == "unknown" or (kind.kind == "tensor" and kind.dtype is None):
            return f"the type of {name!r} is not known before the first run"
        if kind.kind != "tensor" and model.graph.is_constant(name):
            return f"{name!r} is a constant, and no tensor"
    return ""


def body_of(model: Model, node: Node, name: str) -> Body:
    """Return a body as a model of its own.

    Parameters
    ----------
    model : Model
        The node is one of its main scope.
    node : Node
        One for which :func:`not_alone` has nothing to say.
    name : str
        Which of ``node.bodies``.

    Raises
    ------
    ModelError
        If an input has no type, in the file or by inference.
    """
    import onnx

    inside = node.bodies[name]
    said = dict(body_graphs(node.proto))[name]
    proto = onnx.ModelProto(ir_version=model.ir_version, producer_name="ovpart")
    proto.opset_import.extend(model.proto.opset_import)
    proto.graph.CopyFrom(said)
    stored: list[Stored] = []
    handed = []
    for value in _captured(inside):
        if not _lend(model, value, proto.graph, stored):
            handed.append(value)
    for declared in proto.graph.input:
        _set_type(declared, inside.type_of(declared.name))
    for value in handed:
        proto.graph.input.add(name=value, type=write_type(model.graph.type_of(value)))
    tensors = Tensors(stored, Files(None))
    tensors.graph(proto.graph, apart=True)
    builder = Builder(model.opsets, tensors)
    inferred = infer(proto, builder.main(proto.graph), model.opsets)
    made = Model(
        name=model.name,
        path=None,
        proto=proto,
        source=proto,
        ir_version=model.ir_version,
        opsets=model.opsets,
        graph=inferred.graph,
        weights=constant_entries(inferred.graph, tensors.stored),
        fingerprint=model.fingerprint,
        inlined=True,
    )
    return Body(name, made, tuple(handed), tuple(read_type(value.type).rank for value in said.input))


def _captured(body: Graph) -> list[str]:
    """Return the outer values that a body reads or hands through, sorted."""
    own = {*body.inputs, *body.initializers, *body.producer}
    read = {name for node in body.nodes for name in node.reads}
    return sorted(read.union(name for name in body.outputs if name) - own)


def _lend(model: Model, value: str, graph: onnx.GraphProto, stored: list[Stored]) -> bool:
    """Make a given constant of the outer scope an initializer of the body's; whether it is one.

    What is computed from constants is handed in as an input, so that a body is the same model before and after
    constants are folded.
    """
    outer = model.graph
    source = outer.producer.get(value)
    given = value in outer.initializers or (source is not None and _is_given(outer.nodes[source], value))
    if not given or value not in model.weights:
        return False
    entry = model.weights.entries[value]
    if isinstance(entry, Stored):
        stub = graph.initializer.add(name=value, data_type=dtype_number(entry.dtype), dims=entry.shape)
        mark_stub(stub, len(stored))
        stored.append(entry)
        return True
    if value in outer.initializers:
        graph.initializer.add().CopyFrom(outer.initializers[value])
    else:
        from onnx import numpy_helper

        graph.initializer.append(numpy_helper.from_array(model.weights.array(value), value))
    graph.initializer[-1].name = value
    return True


def _is_given(node: Node, value: str) -> bool:
    return node.op_type == "Constant" and not node.domain and node.key == value


def _set_type(declared: onnx.ValueInfoProto, known: ValueType) -> None:
    """Declare of an input of a body what is inferred of it; the file's word on its shape is not needed."""
    if known.kind == "tensor" and known.dtype is not None:
        declared.type.CopyFrom(write_type(known))
    elif declared.type.HasField("tensor_type"):
        declared.type.tensor_type.ClearField("shape")
    if declared.type.WhichOneof("value") is None and known.kind != "unknown":
        declared.type.CopyFrom(write_type(known))


def bodies_of(model: Model, node: Node) -> Sequence[Body]:
    """Return all bodies of a node, in the order of their names; raises as :func:`body_of`."""
    return [body_of(model, node, name) for name in sorted(node.bodies)]
