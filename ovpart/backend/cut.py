"""A cluster made ready for an engine: an ONNX skeleton of its nodes over shared weights.

What a cut does not do is as important: it repeats no ``value_info`` of the file (a wrong one becomes a hard error at a
cut), declares no shapes for its outputs (the engine knows better), and copies no large constant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ovpart.backend.base import Array, Cut, Port
from ovpart.errors import PlanError
from ovpart.model.types import ValueType, dtype_number

if TYPE_CHECKING:
    import onnx

    from ovpart.model.graph import Graph, Model, Node

SMALL_BYTES = 1024
"""Constants up to this size stand in the skeleton: scales, biases, zero points, which front ends fold at conversion."""
SMALL_INTEGER_BYTES = 64 * 1024
"""Integer constants up to this size stand in the skeleton: shapes, axes, indices, whose values front ends ask for."""

_SHAPE_LIKE = frozenset({"i32", "i64", "bool", "string"})
# The first IR version whose onnx.proto has the element type (onnx/onnx.proto, comments of enum Version).
_IR_OF_DTYPE = {
    "f8e4m3fn": 9, "f8e4m3fnuz": 9, "f8e5m2": 9, "f8e5m2fnuz": 9, "u4": 10, "i4": 10, "f4e2m1": 11, "f8e8m0": 12,
    "u2": 13, "i2": 13,
}  # fmt: skip
_LEAST_IR = 8  # the first with optional types; every engine at our lower bounds takes it


@dataclass(slots=True)
class _Skeleton:
    """What a cut is collected in."""

    model: Model
    names: set[str]
    """Taken names besides those of the graph, which is not copied for each of its cuts."""
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    weights: dict[str, Array] = field(default_factory=dict)
    initializers: list[onnx.TensorProto] = field(default_factory=list)

    def fresh(self, stem: str) -> str:
        """Return a value or node name that is not taken yet, and take it."""
        name, count, graph = stem, 0, self.model.graph
        while name in self.names or name in graph.types or name in graph.initializers or name in graph.producer:
            count += 1
            name = f"{stem}_{count}"
        self.names.add(name)
        return name


def make_cut(model: Model, nodes: Sequence[int], inputs: Sequence[str], outputs: Sequence[str]) -> Cut:
    """Make a cluster ready for an engine.

    Parameters
    ----------
    model : Model
        The whole model.
    nodes : sequence of int
        Indices of main-scope nodes. Constants that they read need not be among them.
    inputs : sequence of str
        Boundary values that the cluster reads, each once; captures of bodies included. The cut keeps their order.
    outputs : sequence of str
        Values that the cluster gives: of its nodes, constants, or inputs handed through; a value may stand twice.

    Returns
    -------
    Cut
        Nodes in topological order, named by their keys; ports in the order given. Where an output is no node's own
        (handed through, constant, twice), an Identity with a name of its own stands in the skeleton.

    Raises
    ------
    PlanError
        If a node reads, or an output is, a value that is neither an input, nor made inside, nor a constant.
    """
    import onnx

    graph = model.graph
    indices, constants = _closure(model, nodes, inputs, outputs)
    skeleton = _Skeleton(model, _names_of(graph, indices, inputs))
    for name in constants:
        _add_constant(skeleton, name)
    taken: set[str] = set()
    for index in indices:
        _add_node(skeleton, graph.nodes[index], taken)
    made = {value for index in indices for value in graph.nodes[index].outputs if value}
    declared = [_declared_output(skeleton, value, made) for value in outputs]

    proto = onnx.ModelProto(producer_name="ovpart")
    proto.opset_import.extend(_opsets(model, (graph.nodes[i] for i in indices)))
    proto.ir_version = ir_version_for(proto.opset_import, (graph.type_of(v).dtype for v in (*inputs, *constants)))
    proto.graph.name = graph.name or "cut"
    proto.graph.node.extend(skeleton.nodes)
    proto.graph.initializer.extend(skeleton.initializers)
    proto.graph.input.extend(value_info(value, graph.type_of(value)) for value in inputs)
    proto.graph.input.extend(_weight_info(name, array, model) for name, array in skeleton.weights.items())
    for value, name in zip(outputs, declared, strict=True):
        proto.graph.output.append(value_info(name, graph.type_of(value), with_shape=False))
    proto.graph.value_info.extend(_beyond_inference(graph, indices))
    return Cut(
        proto=proto,
        inputs=tuple(port(value, graph.type_of(value)) for value in inputs),
        outputs=tuple(port(value, graph.type_of(value)) for value in outputs),
        weights=skeleton.weights,
        node_names=tuple(skeleton.keys),
    )


def port(name: str, kind: ValueType) -> Port:
    """Return the port of a value."""
    return Port(name, kind.dtype if kind.kind == "tensor" else None, kind.shape)


def value_info(name: str, kind: ValueType, *, with_shape: bool = True) -> onnx.ValueInfoProto:
    """Return an ``onnx.ValueInfoProto`` that says what is known of a value, and nothing else."""
    import onnx

    info = onnx.ValueInfoProto(name=name)
    if kind.kind != "tensor":
        if kind.encoded:
            info.type.ParseFromString(kind.encoded)
        return info
    if kind.dtype is not None:
        info.type.tensor_type.elem_type = dtype_number(kind.dtype)
    if with_shape and kind.shape is not None:
        info.type.tensor_type.shape.SetInParent()
        for dim in kind.shape:
            entry = info.type.tensor_type.shape.dim.add()
            if isinstance(dim, int):
                entry.dim_value = dim
            elif dim is not None:
                entry.dim_param = dim
    return info


def ir_version_for(opsets: Iterable[onnx.OperatorSetIdProto], dtypes: Iterable[str | None]) -> int:
    """Return the lowest IR version that has these opsets and element types, 8 at least."""
    import onnx.helper

    least = onnx.helper.find_min_ir_version_for(list(opsets), ignore_unknown=True)
    return max([_LEAST_IR, least, *(_IR_OF_DTYPE.get(dtype or "", 0) for dtype in dtypes)])


def _closure(
    model: Model, nodes: Sequence[int], inputs: Sequence[str], outputs: Sequence[str]
) -> tuple[list[int], list[str]]:
    """Return the nodes of a cut and the constants that it reads.

    Constants without a known value (sequences, or what was not folded) bring the constant-only nodes that make them.
    """
    graph = model.graph
    # A node whose values are known is a constant: its copy might hold a stub in place of its data.
    indices = {i for i in nodes if any(value not in model.weights for value in graph.nodes[i].outputs if value)}
    made = {value for index in indices for value in graph.nodes[index].outputs if value} | set(inputs)
    constants: dict[str, None] = {}
    pending = [(value, graph.nodes[i].key) for i in sorted(indices) for value in graph.nodes[i].reads]
    pending += [(value, "the cut's outputs") for value in outputs]
    while pending:
        value, reader = pending.pop()
        if value in made or value in constants:
            continue
        if value in model.weights:
            constants[value] = None
        elif graph.is_constant(value):
            node = graph.nodes[graph.producer[value]]
            indices.add(node.index)
            made.update(output for output in node.outputs if output)
            pending += [(read, node.key) for read in node.reads]
        else:
            raise PlanError(
                f"value {value!r}, read by {reader}, is neither an input of its cluster, nor made inside, nor a "
                "constant: add it to the inputs, or the node that makes it to the nodes"
            )
    return sorted(indices), sorted(constants)


def _names_of(graph: Graph, indices: Sequence[int], inputs: Sequence[str]) -> set[str]:
    """Return value names that the cut, or a body in it, might use besides those of the graph."""
    names = set(inputs)
    pending = [body for index in indices for body in graph.nodes[index].bodies.values()]
    while pending:
        body = pending.pop()
        names.update(body.types, body.producer, body.inputs, body.initializers)
        pending += [inner for node in body.nodes for inner in node.bodies.values()]
    return names


def _add_constant(skeleton: _Skeleton, name: str) -> None:
    """Put a constant into the skeleton where it is small, beside it where it is large."""
    from onnx import numpy_helper

    from ovpart.model.weights import SUB_BYTE

    weights = skeleton.model.weights
    dtype = weights.dtype(name)
    limit = SMALL_INTEGER_BYTES if dtype in _SHAPE_LIKE else SMALL_BYTES
    # Strings have no memory to share, and elements below a byte have no numpy view: those stand inside at any size.
    if dtype == "string" or dtype in SUB_BYTE or weights.nbytes(name) <= limit:
        skeleton.initializers.append(numpy_helper.from_array(weights.array(name), name))
    else:
        skeleton.weights[name] = weights.array(name)


def _add_node(skeleton: _Skeleton, node: Node, taken: set[str]) -> None:
    """Copy a node, named by its key so that an engine's words name it."""
    import onnx

    proto = onnx.NodeProto()
    proto.CopyFrom(node.proto)
    name, count = node.key, 0
    while name in taken:
        count += 1
        name = f"{node.key}_{count}"
    taken.add(name)
    proto.name = name
    _name_required_outputs(skeleton, node, proto)
    if _keeps_its_dtype(skeleton.model.graph, node):
        # openvino 2026.4.1 shares the memory of input and output of such a Cast: at the next shape it writes its result
        # into the array that the caller gave for the run before.
        proto.op_type, proto.domain = "Identity", ""
        del proto.attribute[:]
        del proto.input[1:]
    if node.bodies:
        for body in _bodies(proto):
            _tidy_body(body)
    skeleton.nodes.append(proto)
    skeleton.keys.append(node.key)


def _keeps_its_dtype(graph: Graph, node: Node) -> bool:
    """Whether a node is a Cast or CastLike to the dtype that its input has already."""
    if node.op_type not in ("Cast", "CastLike") or node.domain:
        return False
    before, after = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0])
    return before.kind == after.kind == "tensor" and before.dtype is not None and before.dtype == after.dtype


def _bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Yield the graphs among a node's attributes, to be changed: an attribute that is none would become one."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _tidy_body(body: onnx.GraphProto) -> None:
    """Give nodes of a body names of their own, which onnxruntime asks for, and drop the file's word on its values."""
    names: set[str] = set()
    for node in body.node:
        if node.name in names:
            node.name = ""
        elif node.name:
            names.add(node.name)
        for inner in _bodies(node):
            _tidy_body(inner)
    if all(node.domain in _INFERRED_DOMAINS for node in body.node):
        del body.value_info[:]
    _part_outputs(body)


def _part_outputs(body: onnx.GraphProto) -> None:
    """Give a value that is an output of a body twice two names: onnxruntime 1.31 leaves one of the two unwritten."""
    import onnx.helper

    seen: set[str] = set()
    for output in body.output:
        value = output.name
        if value in seen:
            output.name = f"{value}__output_{len(seen)}"
            body.node.append(onnx.helper.make_node("Identity", [value], [output.name], name=output.name))
        seen.add(output.name)


def _name_required_outputs(skeleton: _Skeleton, node: Node, proto: onnx.NodeProto) -> None:
    """Name outputs that the file leaves out though the operator must have them: onnxruntime refuses those (TopK)."""
    if "" not in node.outputs or not node.since:
        return
    import onnx.defs

    if not onnx.defs.has(node.op_type, node.domain):  # operators of onnxruntime's own; it takes them as they are
        return
    schema = onnx.defs.get_schema(node.op_type, node.since, node.domain)
    single = onnx.defs.OpSchema.FormalParameterOption.Single
    for position, formal in enumerate(schema.outputs[: len(proto.output)]):
        if not proto.output[position] and formal.option == single:
            proto.output[position] = skeleton.fresh(f"{node.key}__{formal.name}")


def _declared_output(skeleton: _Skeleton, value: str, free: set[str]) -> str:
    """Return an output's name in the skeleton: its own for the first use of a node's output, else an Identity's."""
    import onnx.helper

    if value in free:
        free.discard(value)
        return value
    name = skeleton.fresh(f"{value}__out")
    skeleton.nodes.append(onnx.helper.make_node("Identity", [value], [name], name=name))
    skeleton.keys.append("")
    return name


def _opsets(model: Model, nodes: Iterable[Node]) -> list[onnx.OperatorSetIdProto]:
    import onnx.helper

    domains = {""}
    pending = list(nodes)
    while pending:
        node = pending.pop()
        domains.add(node.domain)
        pending += [inner for body in node.bodies.values() for inner in body.nodes]
    return [onnx.helper.make_opsetid(domain, model.opsets.get(domain, 1)) for domain in sorted(domains)]


def _weight_info(name: str, array: Array, model: Model) -> onnx.ValueInfoProto:
    return value_info(name, ValueType("tensor", model.weights.dtype(name), tuple(array.shape)))


def _beyond_inference(graph: Graph, indices: Sequence[int]) -> list[onnx.ValueInfoProto]:
    """Return types of what operators without a schema make: no engine can infer those by itself.

    The file's word for standard and com.microsoft operators is left out: engines infer those.
    """
    return [
        value_info(value, graph.type_of(value))
        for index in indices
        if not graph.nodes[index].since and graph.nodes[index].domain not in _INFERRED_DOMAINS
        for value in graph.nodes[index].outputs
        if value and graph.type_of(value).kind != "unknown"
    ]


_INFERRED_DOMAINS = frozenset({"", "ai.onnx.ml", "com.microsoft"})
