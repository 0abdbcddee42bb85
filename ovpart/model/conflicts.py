"""Nodes whose inputs do not go together: refused where the types that are known prove it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from ovpart.errors import ModelError
from ovpart.model.attributes import attribute
from ovpart.model.forms import Form, form_of
from ovpart.model.graph import Graph, Node
from ovpart.model.typeproto import write_type
from ovpart.model.types import UNKNOWN, ValueType

if TYPE_CHECKING:
    import onnx

_MAX_SUSPECTS = 200
_LONGEST_LIST = 8
"""Entries of lists of sizes, axes and the like: seldom are there more dimensions."""
_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose", "ConvInteger"})


def refuse_conflicts(graph: Graph, opsets: Mapping[str, int], silent: Collection[str] = ()) -> None:
    """Refuse a scope in which some node cannot run on inputs of the types that they have.

    Parameters
    ----------
    graph : Graph
        With types.
    opsets : mapping of str to int
        As imported.
    silent : collection of str
        Keys of nodes of the main scope that onnx's inference gave nothing for: it is asked why.

    Raises
    ------
    ModelError
        Naming the node, and what does not fit.
    """
    _refuse_each(graph, {})
    constants = {name: held for name, held in graph.initializers.items() if held.data_location != 1}
    for key in list(silent)[:_MAX_SUSPECTS]:
        node = graph.nodes[graph.producer[key]]
        _ask_why(node, graph, opsets, constants)


def refuse_node(node: Node, form: Form, types: Mapping[str, ValueType]) -> None:
    """Refuse a node whose inputs have types that do not go together.

    Parameters
    ----------
    node : Node
        With a form.
    form : Form
        What the schema says.
    types : mapping of str to ValueType
        Of its inputs at least.
    """
    if not form.contrib:
        _refuse_mixed_node(node, form, types)
    if node.op_type in _CONVOLUTIONS and not node.domain:
        _refuse_bad_groups(node, types)


def _refuse_each(graph: Graph, outer: Mapping[str, ValueType]) -> None:
    """Look at every node, those with equal types of inputs once."""
    types = {**outer, **graph.types} if outer else graph.types
    good: set[tuple[object, ...]] = set()
    for node in graph.nodes:
        kind = (node.op_type, node.domain, *[types.get(name, UNKNOWN).dtype for name in node.inputs])
        if kind not in good:
            form = form_of(node.op_type, node.domain, node.since) if node.since else None
            if form is not None:
                refuse_node(node, form, types)
            if node.op_type not in _CONVOLUTIONS:
                good.add(kind)
        for body in node.bodies.values():
            _refuse_each(body, types)


def _refuse_mixed_node(node: Node, form: Form, types: Mapping[str, ValueType]) -> None:
    """Refuse inputs of different element types where the schema has one type variable for them."""
    first: dict[str, tuple[str, str]] = {}
    for position, value in enumerate(node.inputs):
        known = types.get(value, UNKNOWN)
        dtype = known.dtype
        if dtype is None or not form.inputs or known.kind != "tensor":
            continue
        formal = form.inputs[min(position, len(form.inputs) - 1)]
        if formal.type_name not in form.types or (formal.variadic and not formal.homogeneous):
            continue
        name, other = first.setdefault(formal.type_name, (node.inputs[position], dtype))
        if other != dtype:
            raise ModelError(
                f"node {node.label!r} ({node.op_id}) takes {name!r} of {other} and {node.inputs[position]!r} of "
                f"{dtype}; the operator wants one type ({formal.type_name}) for both. Put a Cast before it."
            )


def _refuse_bad_groups(node: Node, types: Mapping[str, ValueType]) -> None:
    """Refuse channels that groups do not divide: no inference looks at that, and engines may crash on it."""
    image, weight = ((types.get(name, UNKNOWN).shape or ()) for name in node.inputs[:2])
    group = attribute(node, "group")
    if not isinstance(group, int):
        return
    if group < 1:
        raise ModelError(f"node {node.label!r} ({node.op_id}) has group {group}; it must be at least 1")
    if len(image) < 3 or len(weight) != len(image):
        return
    channels, rows, columns = image[1], weight[0], weight[1]
    if node.op_type == "ConvTranspose":
        wanted, divided = rows, channels
    else:
        wanted, divided = (columns * group if isinstance(columns, int) else None), rows
    if isinstance(channels, int) and isinstance(wanted, int) and channels != wanted:
        raise ModelError(
            f"node {node.label!r} ({node.op_id}) gets {channels} channels; its weights {list(weight)} with group "
            f"{group} take {wanted}"
        )
    if isinstance(divided, int) and divided % group:
        raise ModelError(
            f"node {node.label!r} ({node.op_id}) has group {group}, which does not divide {divided} channels"
        )


def _ask_why(node: Node, graph: Graph, opsets: Mapping[str, int], constants: Mapping[str, onnx.TensorProto]) -> None:
    """Let onnx infer one node by itself, and refuse the node if it says that the inputs do not fit."""
    import onnx
    from onnx import shape_inference

    version = opsets.get(node.domain, 1)
    inputs = {name: write_type(graph.type_of(name)) for name in node.inputs if name}
    data = {name: constants[name] for name in node.inputs if name in constants}
    try:
        schema = onnx.defs.get_schema(node.op_type, version, node.domain)
        imports = [onnx.helper.make_opsetid(d, v) for d, v in opsets.items()]
        shape_inference.infer_node_outputs(schema, node.proto, inputs, data, opset_imports=imports)
    except onnx.defs.SchemaError:
        return
    except (shape_inference.InferenceError, onnx.checker.ValidationError, UnicodeDecodeError) as error:
        # The last: its message repeats an attribute that is no UTF-8.
        # The data of stubs is not there, which is nobody's fault.
        if "external" not in str(error) and not _fits_some_size(schema, node, graph, data, imports):
            had = ", ".join(f"{name!r} {graph.type_of(name)}" for name in node.inputs if name)
            raise ModelError(f"node {node.label!r} ({node.op_id}) cannot take inputs {had}: {_words(error)}") from None


def _fits_some_size(
    schema: onnx.defs.OpSchema,
    node: Node,
    graph: Graph,
    data: Mapping[str, onnx.TensorProto],
    imports: list[onnx.OperatorSetIdProto],
) -> bool:
    """Whether onnx infers the node once its open dims are closed: it reads some of them as 0, and then complains.

    Lists of open length are tried with several lengths, other open dims are taken as 1 (onnx 1.23: Resize with sizes of
    a length that is not known, StringNormalizer on an open first dim).
    """
    from onnx import checker, shape_inference

    kinds = {name: graph.type_of(name) for name in node.inputs if name}
    if all(kind.is_static or kind.shape is None for kind in kinds.values()):
        return False
    for length in range(1, _LONGEST_LIST + 1):
        closed = {name: write_type(_closed(kind, length)) for name, kind in kinds.items()}
        try:
            shape_inference.infer_node_outputs(schema, node.proto, closed, dict(data), opset_imports=imports)
        except (shape_inference.InferenceError, checker.ValidationError):
            continue
        return True
    return False


def _closed(kind: ValueType, length: int) -> ValueType:
    if kind.shape is None or kind.is_static:
        return kind
    default = length if len(kind.shape) == 1 else 1
    return ValueType(kind.kind, kind.dtype, tuple(dim if isinstance(dim, int) else default for dim in kind.shape))


def _words(error: Exception) -> str:
    """Return what onnx says without its marks."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else "they do not fit"
    for mark in ("[ShapeInferenceError]", "[TypeInferenceError]"):
        text = text.replace(mark, "")
    return " ".join(text.split())
