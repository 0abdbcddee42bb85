"""From a cut to an openvino model: what must not reach openvino, weights as shared constants, ports found again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ovpart.backend.base import Array, Cut, Port
from ovpart.backend.openvino_types import OPENVINO_NAMES, tensor_over
from ovpart.errors import CompileError
from ovpart.model.types import dtype_name

if TYPE_CHECKING:
    import onnx
    import openvino

_STRING = 8  # onnx.TensorProto.STRING
_STRING_OPERATORS = frozenset({"StringNormalizer", "StringConcat", "StringSplit", "RegexFullMatch", "TfIdfVectorizer"})
# Operators whose translators read constant operands while they convert (openvino 2026.4, ONNX front end).
_READ_AT_CONVERSION = frozenset({("com.microsoft", "MatMulNBits")})
# How many inputs openvino reads of operators that it takes as in inference: Dropout hands its first one through.
_READ_INPUTS = {"Dropout": 1}
_LARGEST_PROTO = 2_000_000_000  # bytes; protobuf's limit is 2**31 - 1, and the skeleton needs some of it


def crash_in(cut: Cut) -> tuple[str, str | None] | None:
    """Find what would take the process down instead of raising an error (openvino 2026.4, CPU).

    Returns
    -------
    (str, str or None) or None
        What it is and the key of the node it is at, or ``None``.
    """
    for end in (*cut.inputs, *cut.outputs):
        if end.dtype is None:
            return f"{end.name!r} is no tensor, or of an unknown type", None
        if end.dtype not in OPENVINO_NAMES:
            return f"{end.name!r} is of type {end.dtype}, which cannot cross openvino's ports", None
    if any(tensor.external_data for tensor in cut.proto.graph.initializer):
        return "a constant refers to external data, which cuts never do", None
    unknown = {i.name for i in cut.proto.graph.input} - {end.name for end in cut.inputs} - set(cut.weights)
    if unknown:
        return f"the cut's inputs {sorted(unknown)} are neither ports nor weights", None
    found = crash_in_graph(cut.proto.graph)
    if found is None or found[1] is None:
        return found
    keys = {node.output[0]: key for node, key in zip(cut.proto.graph.node, cut.node_names, strict=True)}
    return found[0], keys.get(found[1]) or None


def crash_in_graph(graph: onnx.GraphProto) -> tuple[str, str | None] | None:
    """Find what ends the process, as far as it can be seen without inference.

    Returns
    -------
    (str, str or None) or None
        What it is and the first output of the node that it is at, or ``None``.
    """
    ends = (*graph.input, *graph.output, *graph.value_info)
    if any(i.type.tensor_type.elem_type == _STRING for i in ends) or _string_inside(graph):
        return "it aborts the process on strings", None
    empty = {tensor.name for tensor in graph.initializer if 0 in tensor.dims}
    for node in graph.node:
        if node.op_type == "Gather" and len(node.input) > 1 and node.input[1] in empty:
            return "Gather with empty indices ends the process at compilation", node.output[0]
        if node.op_type in ("Conv", "ConvTranspose") and (len(node.input) < 2 or not node.input[1]):
            return f"{node.op_type} without weights ends the process", node.output[0]
    return None


def _string_inside(graph: onnx.GraphProto) -> bool:
    if any(tensor.data_type == _STRING for tensor in graph.initializer):
        return True
    for node in graph.node:
        if node.op_type in _STRING_OPERATORS:
            return True
        for attribute in node.attribute:
            if attribute.t.data_type == _STRING or (node.op_type, attribute.name) == ("Constant", "value_string"):
                return True
            if node.op_type == "Constant" and attribute.name == "value_strings":
                return True
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == _STRING:
                return True
            if any(_string_inside(body) for body in (attribute.g, *attribute.graphs)):
                return True
    return False


def reads(graph: onnx.GraphProto) -> set[str]:
    """Return the values that nodes of a graph, or of bodies in it, read, as openvino sees it."""
    found = {value for node in graph.node for value in node.input[: _READ_INPUTS.get(node.op_type)] if value}
    for node in graph.node:
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                found |= reads(body) | {value.name for value in body.output}
    return found


def filled(model: openvino.Model, cut: Cut) -> openvino.Model:
    """Replace the Parameters of large constants by Constants over the same memory, and infer types anew.

    Raises
    ------
    CompileError
        If a weight has an element type that openvino has not.
    """
    if not cut.weights:
        return model
    parameters = {name: parameter for parameter in model.get_parameters() for name in parameter.output(0).names}
    for name, array in cut.weights.items():
        parameter = parameters.get(name)
        if parameter is None:  # openvino dropped it: its operator ignores that input
            continue
        parameter.output(0).replace(_constant(array, name).output(0))
        model.remove_parameter(parameter)
    model.validate_nodes_and_infer_types()
    return model


def wanted_inside(cut: Cut) -> set[str]:
    """Return the weights whose values openvino's front end wants at conversion: known few; the rest it need not see."""
    return {
        name
        for node in cut.proto.graph.node
        if (node.domain, node.op_type) in _READ_AT_CONVERSION
        for name in node.input
        if name in cut.weights
    }


def fits_inside(cut: Cut) -> bool:
    """Whether the weights can stand inside one serialized model, which protobuf limits to 2 GB."""
    size: int = sum(array.nbytes for array in cut.weights.values())
    return size < _LARGEST_PROTO


def inlined(cut: Cut, names: set[str]) -> bytes:
    """Return the serialized skeleton with some of its weights inside: a copy of those."""
    import onnx

    proto = cut.proto
    if names:
        proto = onnx.ModelProto()
        proto.CopyFrom(cut.proto)
        infos = list(proto.graph.input)
        del proto.graph.input[:]
        for info in infos:
            if info.name in names:
                _add_inside(proto.graph, info, cut.weights[info.name])
            else:
                proto.graph.input.append(info)
    serialized: bytes = proto.SerializeToString()
    return serialized


def _add_inside(graph: onnx.GraphProto, info: onnx.ValueInfoProto, array: Array) -> None:
    kind = info.type.tensor_type
    dims = [dim.dim_value for dim in kind.shape.dim]
    graph.initializer.add(name=info.name, data_type=kind.elem_type, dims=dims, raw_data=_raw(array, kind.elem_type))


def in_order_of(compiled: openvino.CompiledModel, cut: Cut) -> Cut:
    """Return a cut with its outputs in the order of a compiled model's, where those tell by their names.

    A blob of another writer need not have them in the order of the node that stands for it.
    """
    by_name = {end.name: end for end in cut.outputs}
    found = [next((by_name[name] for name in value.names if name in by_name), None) for value in compiled.outputs]
    ordered = tuple(end for end in found if end is not None)
    if len(ordered) != len(cut.outputs) or len({end.name for end in ordered}) != len(ordered):
        return cut
    return replace(cut, outputs=ordered)


def bound_ports(model: Any, inputs: Sequence[Port], outputs: Sequence[Port], used: set[str]) -> tuple[int | None, ...]:
    """Find which input of openvino's each input of ours is; outputs keep their order.

    openvino drops inputs that nothing reads, and renames one that is handed through (Dropout) to the output's name;
    what remains keeps the declared order.

    Parameters
    ----------
    model : openvino.Model or openvino.CompiledModel
        After conversion.
    inputs, outputs : sequence of Port
        As declared.
    used : set of str
        Names of inputs that a node reads.

    Returns
    -------
    tuple of int or None
        One an input: openvino's index, ``None`` where openvino dropped it.

    Raises
    ------
    CompileError
        If the ports of the two do not fit in number, order, dtypes or shapes.
    """
    if len(model.outputs) != len(outputs):
        raise CompileError(
            f"openvino has {len(model.outputs)} outputs where the cluster has {len(outputs)}", stage="convert"
        )
    seen = [set(value.names) for value in model.inputs]
    _check_types(outputs, model.outputs, "output")
    _check_shapes(outputs, model.outputs)
    slots: list[int | None] = [None] * len(inputs)
    by_name = {name: index for index, names in enumerate(seen) for name in names}
    for position, end in enumerate(inputs):
        slots[position] = by_name.get(end.name)
    free = [index for index in range(len(seen)) if index not in slots]
    missing = [position for position, end in enumerate(inputs) if slots[position] is None and end.name in used]
    if free and len(free) != len(missing):
        raise CompileError(
            f"openvino's inputs {[sorted(names) for names in seen]} cannot be told apart: the cluster has "
            f"{[end.name for end in inputs]}",
            stage="convert",
        )
    if free:
        for position, index in zip(missing, free, strict=True):
            slots[position] = index
    _check_order(model, inputs, slots)
    return tuple(slots)


def _check_order(model: Any, inputs: Sequence[Port], slots: Iterable[int | None]) -> None:
    """Check once what later goes by index: the order is as declared, each port has the declared type."""
    taken = [(position, index) for position, index in enumerate(slots) if index is not None]
    if [index for _, index in taken] != sorted(index for _, index in taken):
        raise CompileError("openvino's inputs do not stand in the declared order", stage="convert")
    _check_types([inputs[p] for p, _ in taken], [model.inputs[i] for _, i in taken], "input")


def _check_types(ends: Sequence[Port], found: Sequence[Any], what: str) -> None:
    for end, value in zip(ends, found, strict=True):
        expected, seen = OPENVINO_NAMES.get(end.dtype or ""), value.get_element_type().get_type_name()
        if end.dtype is not None and expected != seen:
            raise CompileError(f"{what} {end.name!r} is {seen} in openvino, {end.dtype} in the model", stage="convert")


def _check_shapes(ends: Sequence[Port], found: Sequence[Any]) -> None:
    """Check what openvino takes operators for: it reads some by the rules of another opset (ReduceL1 of 13 to 17)."""
    for end, value in zip(ends, found, strict=True):
        seen = value.get_partial_shape()
        if end.shape is None or seen.rank.is_dynamic:
            continue
        dims = [dim.get_length() if dim.is_static else None for dim in seen]
        pairs = zip(dims, end.shape, strict=False)
        if len(dims) != len(end.shape) or any(x not in (None, y) for x, y in pairs if isinstance(y, int)):
            raise CompileError(
                f"output {end.name!r} is of shape {dims} in openvino, {list(end.shape)} in the model", stage="convert"
            )


def _constant(array: Array, name: str) -> Any:
    from openvino import op

    try:
        tensor, _ = tensor_over(array)  # the cut keeps the array alive
    except TypeError as error:
        raise CompileError(f"weight {name!r}: {error}", stage="convert") from error
    return op.Constant(tensor, shared_memory=True)


def _raw(array: Array, number: int) -> bytes:
    import onnx.numpy_helper

    tensor = onnx.numpy_helper.from_array(array)
    if tensor.data_type != number:
        raise CompileError(f"a weight is of type {array.dtype}, declared {dtype_name(number)}", stage="convert")
    return tensor.raw_data
