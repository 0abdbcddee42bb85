"""How much a node computes, reads and holds: floating point operations and bytes, from inferred shapes alone.

Counts are for shares and for a first guess of times, not to the last operation: a multiply-add counts two, an
elementwise function one an element, pure data movement none.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from ovpart.model.attributes import attribute
from ovpart.model.graph import Graph, Node
from ovpart.model.types import ValueType, packed_nbytes

UNKNOWN_DIM = 64
"""Stands for a dimension without a number that is not the first: the scale of a short text or a small feature map."""
UNKNOWN_BATCH = 1
"""Stands for a first dimension without a number: most often the batch."""
STRING_BYTES = 16
"""A string element, for the price of a boundary only."""

MOVEMENT = frozenset({
    "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Concat", "Split", "Slice", "Gather",
    "GatherND", "GatherElements", "Scatter", "ScatterND", "ScatterElements", "Expand", "Tile", "Pad", "Shape",
    "Size", "Constant", "ConstantOfShape", "Cast", "CastLike", "DepthToSpace", "SpaceToDepth", "Dropout",
    "Compress", "ReverseSequence", "SequenceConstruct", "SequenceAt", "SequenceInsert", "SequenceErase",
    "SequenceEmpty", "SequenceLength", "SplitToSequence", "ConcatFromSequence", "Optional",
    "OptionalGetElement", "OptionalHasElement", "EyeLike", "NonZero", "Unique", "Trilu",
})  # fmt: skip
"""Operators that move data and compute nothing (names of the ai.onnx domain; the same name elsewhere does the same)."""

# Position of the weights whose shape is [out, in / group, kernel...], by operator.
_CONVOLUTIONS = {"Conv": 1, "FusedConv": 1, "NhwcConv": 1, "ConvInteger": 1, "QLinearConv": 3, "DeformConv": 1}
_PRODUCTS = frozenset({
    "MatMul", "FusedMatMul", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QLinearMatMul",
    "MatMulNBits",
})  # fmt: skip
_RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
_INTEGER = frozenset(
    {
        "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QLinearMatMul", "ConvInteger", "QLinearConv",
        "DynamicQuantizeLSTM", "DynamicQuantizeLinear", "QAttention",
    }
)  # fmt: skip
_POOLS = frozenset({"MaxPool", "AveragePool", "LpPool", "QLinearAveragePool"})
# Operations an element beyond one: what softmax and the normalisations do (exponential, sums, division).
_PER_ELEMENT = {
    "Softmax": 5, "LogSoftmax": 5, "LayerNormalization": 7, "SkipLayerNormalization": 8, "InstanceNormalization": 7,
    "GroupNormalization": 7, "RMSNormalization": 5, "BatchNormalization": 2, "Gelu": 6, "LRN": 6,
}  # fmt: skip


def elements(value: ValueType, unknown_dim: int = UNKNOWN_DIM) -> int:
    """Return how many elements a value has; dimensions without a number are assumed, an unknown rank counts as one."""
    if not value.shape:
        return 1
    count = 1
    for axis, dim in enumerate(value.shape):
        count *= dim if isinstance(dim, int) else (unknown_dim if axis else UNKNOWN_BATCH)
    return count


def value_bytes(value: ValueType, unknown_dim: int = UNKNOWN_DIM) -> int:
    """Return the bytes of a value; what has no fixed size counts :data:`STRING_BYTES` an element."""
    count = elements(value, unknown_dim)
    if value.dtype is None or value.dtype == "string":
        return STRING_BYTES * count
    return packed_nbytes(value.dtype, count)


def node_flops(graph: Graph, node: Node, unknown_dim: int = UNKNOWN_DIM) -> int:
    """Return the operations of one node.

    Parameters
    ----------
    graph : Graph
        The scope that the node is in.
    node : Node
        The node. If counts its dearer branch; Loop and Scan count their body once.
    unknown_dim : int
        Stands for dimensions without a number, the first of a shape apart.

    Returns
    -------
    int
        A multiply-add counts two. 0 for pure data movement.
    """
    if node.bodies:
        inner = [sum(node_flops(body, n, unknown_dim) for n in body.nodes) for body in node.bodies.values()]
        return max(inner) if node.op_type == "If" else sum(inner)
    if node.op_type in MOVEMENT:
        return 0

    def size(position: int) -> int:
        name = node.inputs[position] if position < len(node.inputs) else ""
        return elements(graph.type_of(name), unknown_dim) if name else 0

    made = max((elements(graph.type_of(name), unknown_dim) for name in node.outputs if name), default=0)
    heavy = _heavy(graph, node, size, made, unknown_dim)
    if heavy is not None:
        return heavy
    read = max((size(position) for position in range(len(node.inputs))), default=0)
    return max(made, read) * _PER_ELEMENT.get(node.op_type, 1)


def work_kind(graph: Graph, node: Node) -> str:
    """Return what kind of work a node does, as far as engines differ in it.

    Returns
    -------
    str
        ``"convolution"`` (two dimensions and more), ``"convolution_1d"`` (a kernel with one dimension longer than 1),
        ``"depthwise"``, ``"transposed"``, ``"product"``, ``"recurrent"``, ``"integer"`` (arithmetic on quantised
        values), ``"movement"``, ``"elementwise"`` (all others).
    """
    op = node.op_type
    if op in _INTEGER:
        return "integer"
    if op in _CONVOLUTIONS:
        shape = graph.type_of(node.inputs[1]).shape if len(node.inputs) > 1 else None
        if not shape or len(shape) < 3:
            return "convolution"
        if len(shape) == 3 or (len(shape) == 4 and (shape[2] == 1) != (shape[3] == 1)):
            return "convolution_1d"
        return "depthwise" if shape[1] == 1 else "convolution"
    if op == "ConvTranspose":
        return "transposed"
    if op in _RECURRENT:
        return "recurrent"
    if op in _PRODUCTS or op in ("Gemm", "FusedGemm", "Attention", "MultiHeadAttention", "Einsum"):
        return "product"
    return "movement" if op in MOVEMENT else "elementwise"


def _heavy(graph: Graph, node: Node, size: Callable[[int], int], made: int, unknown_dim: int) -> int | None:
    """Return the operations of an operator whose work is more than its elements, ``None`` for any other."""

    def dims(position: int) -> tuple[int, ...]:
        """Shape with assumed numbers, empty if unknown or left out."""
        name = node.inputs[position] if position < len(node.inputs) else ""
        shape = graph.type_of(name).shape or ()
        return tuple(d if isinstance(d, int) else (unknown_dim if i else UNKNOWN_BATCH) for i, d in enumerate(shape))

    op = node.op_type
    if op in _CONVOLUTIONS:
        return 2 * made * prod(dims(_CONVOLUTIONS[op])[1:])
    if op == "ConvTranspose":
        return 2 * size(0) * prod(dims(1)[1:])
    if op in _PRODUCTS:
        return 2 * made * (dims(0) or (1,))[-1]
    if op in ("Gemm", "FusedGemm"):
        shape = dims(0)
        inner = shape[0 if attribute(node, "transA") else -1] if shape else 1
        return 2 * made * inner
    if op in _RECURRENT or op == "DynamicQuantizeLSTM":
        return 2 * prod(dims(0)[:2]) * (size(1) + size(2))
    if op in ("Attention", "QAttention", "MultiHeadAttention", "GroupQueryAttention", "PackedAttention"):
        return _attention(dims(0), dims(1), dims(2), node.domain)
    if op == "Einsum":
        return 2 * max(size(0) * size(1) // max(1, min(size(0), size(1))), made)
    if op in _POOLS:
        kernel = attribute(node, "kernel_shape")
        return made * (prod(kernel) if isinstance(kernel, tuple) else 1)
    return None


def _attention(first: tuple[int, ...], second: tuple[int, ...], third: tuple[int, ...], domain: str) -> int:
    """Return the operations of a fused attention: projections (com.microsoft, weights [in, 3 x hidden]) and scores."""
    if len(first) < 2:
        return 0
    queries, width = prod(first[:-1]), first[-1]
    if domain == "com.microsoft" and len(second) == 2:
        hidden = second[1] // 3
        return 2 * queries * width * second[1] + 4 * queries * first[-2] * hidden
    keys = second[-2] if len(second) > 1 else first[-2]
    return 2 * queries * keys * (width + (third[-1] if third else width))


def weight_bytes(graph: Graph, node: Node) -> int:
    """Return the bytes of the constants that a node reads, bodies included; a shared one counts for each reader."""
    total = 0
    for name in node.reads:
        if graph.is_constant(name):
            total += value_bytes(graph.type_of(name))
    return total + sum(weight_bytes(body, inner) for body in node.bodies.values() for inner in body.nodes)
