"""What a Loop carries: shapes that hold in every iteration.

onnx gives what a Loop carries an element type and no shape, since it may change from one iteration to the next. Often
it does not, and that can be shown by induction: assume of the body's inputs what is known of the first iteration, infer
the body, and keep of the assumption what its outputs confirm; repeat until they confirm all that is left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ovpart.model.graph import Graph, Node
from ovpart.model.rules import merge, tensor
from ovpart.model.typeproto import write_type
from ovpart.model.types import UNKNOWN, ValueType

if TYPE_CHECKING:
    import onnx

InferBody = Callable[["onnx.GraphProto", Graph], Graph]
"""Infers a scope that stands alone: its working copy with typed inputs, and the scope; returns it with types."""


def carried_types(
    node: Node,
    body: onnx.GraphProto,
    types: Mapping[str, ValueType],
    constants: Mapping[str, onnx.TensorProto],
    infer_body: InferBody,
) -> list[ValueType]:
    """Return the types of what a Loop carries from one iteration to the next.

    Parameters
    ----------
    node : Node
        The Loop.
    body : onnx.GraphProto
        Its body in the working copy.
    types : mapping of str to ValueType
        Of the values outside.
    constants : mapping of str to onnx.TensorProto
        Small constants outside: the body may read shapes from them.
    infer_body : callable
        See :data:`InferBody`.

    Returns
    -------
    list of ValueType
        One a carried value; each holds before the first iteration and after every one.
    """
    graph = node.bodies["body"]
    assumed = [types.get(name, UNKNOWN) if name else UNKNOWN for name in node.inputs[2:]]
    assumed += [UNKNOWN] * (len(graph.inputs) - 2 - len(assumed))
    assumed = assumed[: max(len(graph.inputs) - 2, 0)]
    # Every turn that does not end weakens at least one dimension, and a rank is given up at once.
    turns = sum(2 + (t.rank or 0) for t in assumed) + 1
    for _ in range(turns):
        alone = _standing_alone(node, body, assumed, types, constants)
        done = infer_body(alone, graph)
        given = [_output_type(done, types, i) for i in range(1, 1 + len(assumed))]
        kept = [_kept(before, after) for before, after in zip(assumed, given, strict=False)]
        if kept == assumed:
            break
        assumed = kept
    return assumed


def _output_type(body: Graph, outer: Mapping[str, ValueType], index: int) -> ValueType:
    if index >= len(body.outputs):
        return UNKNOWN
    name = body.outputs[index]
    return body.types.get(name) or outer.get(name, UNKNOWN)


def _kept(before: ValueType, after: ValueType) -> ValueType:
    if before.kind == "tensor" and after.kind == "unknown":
        return tensor(before.dtype, None)
    if before.kind == "unknown" or after.kind == "unknown":
        return UNKNOWN
    return merge(before, after)


def _standing_alone(
    node: Node,
    body: onnx.GraphProto,
    assumed: Sequence[ValueType],
    types: Mapping[str, ValueType],
    constants: Mapping[str, onnx.TensorProto],
) -> onnx.GraphProto:
    """Return the body as a graph of its own: what it captures is an input or, if a small constant, an initializer."""
    import onnx

    alone = onnx.GraphProto()
    alone.CopyFrom(body)
    fixed = [tensor("i64", ()), tensor("bool", ())]
    for value, known in zip(alone.input, [*fixed, *assumed], strict=False):
        if known.kind != "unknown":
            value.type.CopyFrom(write_type(known))
    inside = {tensor.name for tensor in alone.initializer}
    for name in node.captures:
        if name in inside:
            continue
        held = constants.get(name)
        if held is not None:
            alone.initializer.add().CopyFrom(held)
            alone.initializer[-1].name = name
        else:
            alone.input.add(name=name, type=write_type(types.get(name, UNKNOWN)))
    return alone
