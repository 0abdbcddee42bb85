"""Models older than opset 7, brought to the forms of opset 7 node by node.

onnxruntime has no kernels for most forms older than 7. onnx's version converter is not used for them: it places the
operand of ``Add`` with ``broadcast=1, axis=1`` wrongly (onnx 1.23: s[2] beside x[1,2,3] becomes s[2,1,1]), leaves the
slope of PRelu as it is though its broadcasting changed, and stops at symbolic dimensions.

Rules from the operators' changelog (onnx/docs/Changelog.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

OPSET = 7
"""The oldest opset that onnxruntime guarantees to run."""

_BROADCAST = frozenset({"Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less"})
# Dropped without a trace: hints about memory, and attributes whose only meaning left is the one that 7 has built in.
_DROPPED = {
    "consumed_inputs": frozenset({
        "Abs", "Add", "BatchNormalization", "Ceil", "Clip", "Div", "Dropout", "Elu", "Exp", "Floor", "HardSigmoid",
        "InstanceNormalization", "LeakyRelu", "Log", "Max", "Mean", "Min", "Mul", "Neg", "PRelu", "Reciprocal", "Relu",
        "Selu", "Sigmoid", "Sqrt", "Sub", "Sum", "Tanh",
    }),
    "is_test": frozenset({"Dropout", "BatchNormalization"}),
    "broadcast": _BROADCAST | {"Gemm"},
    "axis": _BROADCAST,
    "output_sequence": frozenset({"GRU", "LSTM", "RNN"}),
}  # fmt: skip
_SAME_BUT_FOR_DROPPED = frozenset().union(*_DROPPED.values()) | {"AveragePool", "Concat", "Cast", "Split", "Pad"}


class _NoRule(Exception):  # noqa: N818  (never leaves this module)
    """A node has no form in opset 7 that can be told to mean the same."""


@dataclass(slots=True)
class _Scope:
    """What is known while the nodes of one scope are brought up."""

    version: int
    types: dict[str, onnx.TypeProto]
    data: dict[str, onnx.TensorProto]
    names: set[str]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def rank(self, value: str) -> int:
        """Return the rank of a value; raise where it is not known."""
        kind = self.types.get(value)
        if kind is None or not kind.tensor_type.HasField("shape"):
            raise _NoRule(f"the rank of {value!r} is not known")
        return len(kind.tensor_type.shape.dim)

    def fresh(self, stem: str) -> str:
        """Return a name that no value has."""
        name = stem
        while name in self.names:
            name += "_"
        self.names.add(name)
        return name

    def unsqueezed(self, value: str, axes: Sequence[int]) -> str:
        """Insert an Unsqueeze, and return the name of what it makes."""
        import onnx.helper

        if not axes:
            return value
        name = self.fresh(f"{value}__aligned")
        self.add(onnx.helper.make_node("Unsqueeze", [value], [name], name=name, axes=list(axes)))
        return name

    def add(self, node: onnx.NodeProto) -> None:
        """Append a node in a form of opset 7, and infer what it makes."""
        import onnx.defs
        import onnx.shape_inference

        self.nodes.append(node)
        read = [value for value in node.input if value]
        if node.domain not in ("", "ai.onnx") or any(value not in self.types for value in read):
            return
        schema = onnx.defs.get_schema(node.op_type, OPSET, "")
        opset = onnx.helper.make_opsetid("", OPSET)
        data = {value: self.data[value] for value in read if value in self.data}
        try:
            found = onnx.shape_inference.infer_node_outputs(
                schema, node, {value: self.types[value] for value in read}, data, opset_imports=[opset]
            )
        except (onnx.shape_inference.InferenceError, RuntimeError):  # the engine will say what is wrong with it
            return
        self.types.update(found)


def modernised(proto: onnx.ModelProto) -> onnx.ModelProto | None:
    """Return a model of opset 7 that means the same as an older one.

    Parameters
    ----------
    proto : onnx.ModelProto
        Any opset; nodes in topological order.

    Returns
    -------
    onnx.ModelProto or None
        ``None`` if it is not older than 7, or a node has no rule here. Names of nodes and values are kept.
    """
    import onnx

    version = next((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), OPSET)
    if version >= OPSET:
        return None
    changed = onnx.ModelProto()
    changed.CopyFrom(proto)
    graph = changed.graph
    names = {value for node in graph.node for value in (*node.input, *node.output)}
    try:
        _bring_up(graph, _Scope(version, {}, {}, names))
    except _NoRule:
        return None
    for opset in changed.opset_import:
        if opset.domain in ("", "ai.onnx"):
            opset.version = OPSET
    return changed


def _bring_up(graph: onnx.GraphProto, scope: _Scope) -> None:
    """Bring up the nodes of a graph in place."""
    import onnx.helper

    for info in graph.input:
        scope.types[info.name] = info.type
    for tensor in graph.initializer:
        scope.types[tensor.name] = onnx.helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
        scope.data[tensor.name] = tensor
    for node in graph.node:
        _bring_up_node(node, scope)
    del graph.node[:]
    graph.node.extend(scope.nodes)
    graph.initializer.extend(scope.constants)


def _bring_up_node(node: onnx.NodeProto, scope: _Scope) -> None:
    import onnx
    import onnx.defs

    changed = onnx.NodeProto()
    changed.CopyFrom(node)
    for attribute in changed.attribute:
        for body in (attribute.g, *attribute.graphs):
            if body.node:
                _bring_up(body, _Scope(scope.version, dict(scope.types), dict(scope.data), scope.names))
    if node.domain in ("", "ai.onnx"):
        try:
            before = onnx.defs.get_schema(node.op_type, scope.version, "").since_version
            after = onnx.defs.get_schema(node.op_type, OPSET, "").since_version
        except onnx.defs.SchemaError:
            raise _NoRule(f"{node.op_type} is not an operator of opset {OPSET}") from None
        if before != after:
            _apply_rule(changed, scope)
    scope.add(changed)


def _apply_rule(node: onnx.NodeProto, scope: _Scope) -> None:
    if node.op_type not in _SAME_BUT_FOR_DROPPED and node.op_type not in _RULES:
        raise _NoRule(f"no rule for {node.op_type}")
    rule = _RULES.get(node.op_type) or (_align if node.op_type in _BROADCAST else None)
    if rule is not None:
        rule(node, scope)
    kept = [a for a in node.attribute if node.op_type not in _DROPPED.get(a.name, ())]
    del node.attribute[:]
    node.attribute.extend(kept)


def _attribute(node: onnx.NodeProto, name: str) -> onnx.AttributeProto | None:
    return next((attribute for attribute in node.attribute if attribute.name == name), None)


def _replace(node: onnx.NodeProto, name: str, new: str, value: object) -> None:
    """Put an attribute in the place of another, or of none."""
    import onnx.helper

    kept = [attribute for attribute in node.attribute if attribute.name not in (name, new)]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute(new, value)])


def _align(node: onnx.NodeProto, scope: _Scope) -> None:
    """Align the second operand at `axis` of the first, as up to opset 6; from 7 on shapes are aligned at their ends."""
    axis = _attribute(node, "axis")
    broadcast = _attribute(node, "broadcast")
    if axis is None or broadcast is None or not broadcast.i:
        return
    first, second = (scope.rank(value) for value in node.input)
    start = axis.i + first if axis.i < 0 else axis.i
    missing = first - start - second
    if missing < 0:
        raise _NoRule(f"{node.op_type} at axis {axis.i} has a second operand that is too long")
    node.input[1] = scope.unsqueezed(node.input[1], range(second, second + missing))


def _prelu(node: onnx.NodeProto, scope: _Scope) -> None:
    """Up to opset 6 a slope of one dimension is per channel (axis 1), from 7 on it is aligned at the end."""
    if scope.rank(node.input[1]) == 1:
        node.input[1] = scope.unsqueezed(node.input[1], range(1, scope.rank(node.input[0]) - 1))


def _batch_normalization(node: onnx.NodeProto, scope: _Scope) -> None:
    """Only the form for inference: in training it computes with the statistics of the batch."""
    is_test = _attribute(node, "is_test")
    if is_test is None or not is_test.i or any(node.output[1:]):
        raise _NoRule("BatchNormalization in training")


def _cast(node: onnx.NodeProto, scope: _Scope) -> None:
    """Up to opset 5 the type is named by a string."""
    import onnx

    to = _attribute(node, "to")
    if to is not None and to.s:
        _replace(node, "to", "to", onnx.TensorProto.DataType.Value(to.s.decode().upper()))


def _concat(node: onnx.NodeProto, scope: _Scope) -> None:
    if _attribute(node, "axis") is None:
        _replace(node, "axis", "axis", 1)  # the default up to opset 3


def _pad(node: onnx.NodeProto, scope: _Scope) -> None:
    paddings = _attribute(node, "paddings")
    if paddings is not None:
        _replace(node, "paddings", "pads", list(paddings.ints))


def _split(node: onnx.NodeProto, scope: _Scope) -> None:
    """Up to opset 1 the lengths may be an input."""
    import onnx.numpy_helper

    if len(node.input) == 2:
        if node.input[1] not in scope.data:
            raise _NoRule("Split with lengths that are computed")
        lengths = onnx.numpy_helper.to_array(scope.data[node.input[1]])
        del node.input[1:]
        _replace(node, "split", "split", [int(length) for length in lengths])


def _reshape(node: onnx.NodeProto, scope: _Scope) -> None:
    """Up to opset 4 the shape is an attribute."""
    import onnx.helper

    shape = _attribute(node, "shape")
    if shape is None:
        return
    name = scope.fresh(f"{node.output[0]}__shape")
    tensor = onnx.helper.make_tensor(name, onnx.TensorProto.INT64, [len(shape.ints)], shape.ints)
    scope.constants.append(tensor)
    scope.data[name] = tensor
    scope.types[name] = onnx.helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
    node.input.append(name)
    del node.attribute[:]


def _selu(node: onnx.NodeProto, scope: _Scope) -> None:
    """Opset 1 has shorter defaults."""
    for name, default in (("alpha", 1.6732), ("gamma", 1.0507)):
        if _attribute(node, name) is None and scope.version < 6:
            _replace(node, name, name, default)


def _upsample(node: onnx.NodeProto, scope: _Scope) -> None:
    scales = [_attribute(node, name) for name in ("height_scale", "width_scale")]
    mode = _attribute(node, "mode")
    if any(scale is None for scale in scales):
        raise _NoRule("Upsample without scales")
    values = [1.0, 1.0, *(scale.f for scale in scales if scale is not None)]
    del node.attribute[:]
    if mode is not None:
        node.attribute.append(mode)
    _replace(node, "scales", "scales", values)


def _pool_power(node: onnx.NodeProto, scope: _Scope) -> None:
    """LpPool of opset 1 has its power as a float."""
    power = _attribute(node, "p")
    if power is not None and power.f:
        if power.f != int(power.f):
            raise _NoRule(f"{node.op_type} with a power of {power.f}")
        _replace(node, "p", "p", int(power.f))


_RULES: Mapping[str, Callable[[onnx.NodeProto, _Scope], None]] = {
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "Concat": _concat,
    "GlobalLpPool": _pool_power,
    "LpPool": _pool_power,
    "PRelu": _prelu,
    "Pad": _pad,
    "Reshape": _reshape,
    "Selu": _selu,
    "Split": _split,
    "Upsample": _upsample,
}
