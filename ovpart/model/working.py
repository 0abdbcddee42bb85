"""The working copy that onnx infers types on: sorted, without the file's own claims, with proxies for odd operators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ovpart.model.forms import IMPLICIT_DOMAINS, form_of
from ovpart.model.graph import Graph, Node
from ovpart.model.proxies import RESERVED, stand_for
from ovpart.model.rule_tables import READS_VALUES

if TYPE_CHECKING:
    import onnx

_IR_VERSION = 10
_DEFAULT_OPSET = 17  # of ai.onnx, for models that import other domains only: proxies are of it

# Operators whose output types depend on the types of their inputs alone, never on values: without any other kind of
# operator, propagating values (half of the time that onnx takes) is for nothing.
_TYPES_ALONE = frozenset((
    "Abs", "Acos", "Acosh", "Add", "And", "Asin", "Asinh", "Atan", "Atanh", "AveragePool", "BatchNormalization",
    "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Celu", "Clip", "Conv", "ConvTranspose", "Cos",
    "Cosh", "DequantizeLinear", "Det", "Div", "Dropout", "Einsum", "Elu", "Equal", "Erf", "Exp", "Flatten", "GRU",
    "Gelu", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish",
    "Hardmax", "Identity", "InstanceNormalization", "IsInf", "IsNaN", "LRN", "LSTM", "LayerNormalization", "LeakyRelu",
    "Less", "LessOrEqual", "Log", "LogSoftmax", "MatMul", "MatMulInteger", "Max", "MaxPool", "Mean", "Min", "Mish",
    "Mod", "Mul", "Neg", "Not", "Or", "PRelu", "Pow", "QLinearConv", "QLinearMatMul", "QuantizeLinear", "RNN",
    "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Sinh", "Softmax", "Softplus", "Softsign", "Sqrt",
    "Sub", "Sum", "Tan", "Tanh", "ThresholdedRelu", "Transpose", "Where", "Xor",
))  # fmt: skip


def needs_values(graph: Graph) -> bool:
    """Whether some operator's output types depend on values, so that onnx must propagate these."""
    return any(
        node.op_type not in _TYPES_ALONE if not node.domain else node.op_type in READS_VALUES or node.bodies
        for node in graph.nodes
    )


def working_copy(proto: onnx.ModelProto, graph: Graph, opsets: Mapping[str, int]) -> onnx.ModelProto:
    """Return a copy of the skeleton for inference.

    Nodes stand in the order of `graph`; initializers that are inputs too are initializers only; no value but the true
    inputs has a type.
    """
    import onnx

    work = onnx.ModelProto(ir_version=max(_IR_VERSION, min(proto.ir_version, onnx.IR_VERSION)))
    domains = {"": _DEFAULT_OPSET, **IMPLICIT_DOMAINS, **opsets}
    for domain, version in domains.items():
        work.opset_import.add(domain=domain, version=version)
    _fill(work.graph, proto.graph, graph, domains[""], {})
    inputs = set(graph.inputs)
    work.graph.input.extend(v for v in proto.graph.input if v.name in inputs)
    return work


def small_constants(graph: Graph) -> dict[str, onnx.TensorProto]:
    """Return the constants of a scope that hold their data: initializers and values of Constant nodes."""
    found = {name: held for name, held in graph.initializers.items() if held.data_location != 1}
    for index in graph.constant:
        node = graph.nodes[index]
        if node.op_type == "Constant":
            held = next((a.t for a in node.proto.attribute if a.name == "value"), None)
            if held is not None and held.data_location != 1:
                found[node.key] = held
    return found


def _fill(
    work: onnx.GraphProto,
    proto: onnx.GraphProto,
    graph: Graph,
    opset: int,
    outer: Mapping[str, onnx.TensorProto],
) -> None:
    """Fill a scope of the working copy; its inputs are left to the caller.

    onnx does not look outside of a body for the values of constants: those of `outer` that it reads are put into it.
    """
    import onnx

    work.name = proto.name or "g"
    work.initializer.extend(proto.initializer)
    for name, tensor in outer.items():
        work.initializer.add().CopyFrom(tensor)
        work.initializer[-1].name = name

    def dims(name: str) -> tuple[int, ...] | None:
        held = graph.initializers.get(name)
        return None if held is None else tuple(held.dims)

    held = {**outer, **small_constants(graph)} if graph.hosts else {}
    nodes: list[onnx.NodeProto] = []
    stands: dict[str, bool] = {}
    for node in graph.nodes:
        plain = stands.get(node.op_id)
        if plain is None:
            # A node of ai.onnx for which onnx has a rule stands for itself: nearly all do.
            form = form_of(node.op_type, node.domain, node.since) if node.since else None
            plain = stands[node.op_id] = form is None or form.has_rule
        stand = None
        if not plain:
            stand = stand_for(node.proto, form_of(node.op_type, node.domain, node.since), opset, dims)
        if stand is not None:
            nodes.extend(stand.nodes)
            work.initializer.extend(stand.initializers)
        else:
            nodes.append(_with_bodies(node, opset, held) if node.bodies else node.proto)
    for index, name in enumerate(graph.outputs):
        if name in graph.producer:
            work.output.add().name = name
        else:  # an input, an initializer or an outer value handed through: onnx types only what a node makes
            work.output.add().name = f"{RESERVED}output_{index}"
            nodes.append(onnx.NodeProto(op_type="Identity", input=[name], output=[work.output[-1].name]))
    work.node.extend(nodes)


def _with_bodies(node: Node, opset: int, held: Mapping[str, onnx.TensorProto]) -> onnx.NodeProto:
    """Return a copy of a node whose bodies are working copies too."""
    import onnx

    made = onnx.NodeProto(op_type=node.op_type, domain=node.domain, name=node.name)
    made.input.extend(node.inputs)
    made.output.extend(node.outputs)
    for attribute in node.proto.attribute:
        copy = made.attribute.add()
        several = len(attribute.graphs) > 0
        if not several and not attribute.HasField("g"):
            copy.CopyFrom(attribute)
            continue
        copy.name, copy.type = attribute.name, attribute.type
        for name, proto in _graphs(attribute):
            body = copy.graphs.add() if several else copy.g
            inside = node.bodies[name]
            own = {*inside.initializers, *inside.inputs, *inside.producer}
            captured = {n: held[n] for n in node.captures if n in held and n not in own}
            _fill(body, proto, inside, opset, captured)
            for value in proto.input:
                entry = body.input.add()
                entry.CopyFrom(value)
                # What a body is given may have any shape that the outside has; the file's word is not needed.
                if entry.type.HasField("tensor_type"):
                    entry.type.tensor_type.ClearField("shape")
    return made


def body_graphs(node: onnx.NodeProto) -> Iterator[tuple[str, onnx.GraphProto]]:
    """Yield the bodies of a node by the name that :attr:`ovpart.model.graph.Node.bodies` has for them."""
    for attribute in node.attribute:
        yield from _graphs(attribute)


def _graphs(attribute: onnx.AttributeProto) -> Iterator[tuple[str, onnx.GraphProto]]:
    if attribute.HasField("g"):
        yield attribute.name, attribute.g
    for index, graph in enumerate(attribute.graphs):
        yield f"{attribute.name}[{index}]", graph
