"""Shape rules for com.microsoft: matrix products, attention, embeddings and others of transformers.

Shapes as ``onnxruntime/core/graph/contrib_ops`` gives them (onnxruntime 1.31); the element types follow from the type
variables of the form (:mod:`ovpart.model.forms`). A shape of ``None`` is an unknown rank.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ovpart.model.rules import Case, broadcast, dim, plus, times, unknown_dims
from ovpart.model.types import Dim

Shape = tuple[Dim, ...] | None
ShapeRule = Callable[[Case], Sequence[Shape]]


def first(case: Case) -> Sequence[Shape]:
    """Give the first output the first input's shape."""
    return [case.shape(0)]


def rank_of_first(case: Case) -> Sequence[Shape]:
    """Give every output the first input's rank."""
    shape = case.shape(0)
    return [unknown_dims(None if shape is None else len(shape))] * case.outputs


def matrix_product(a: Shape, b: Shape) -> Shape:
    """Return the shape of numpy's ``matmul``."""
    if a is None or b is None or not a or not b:
        return None
    rows = a if len(a) > 1 else (1, *a)
    columns = b if len(b) > 1 else (*b, 1)
    batch = broadcast(rows[:-2], columns[:-2]) or ()
    return (*batch, *(rows[-2:-1] if len(a) > 1 else ()), *(columns[-1:] if len(b) > 1 else ()))


def product_of(a: int, b: int) -> ShapeRule:
    """Make the rule of a matrix product of two inputs."""
    return lambda case: [matrix_product(case.shape(a), case.shape(b))]


def _turned(shape: Shape, last: bool, batch: bool) -> Shape:
    """Return the shape of an operand of FusedMatMul after its transpositions."""
    if shape is None or len(shape) < 2:
        return shape
    dims = list(shape)
    if batch:  # the second to last dimension becomes the first, the others move back
        dims.insert(0, dims.pop(-2))
    if last:
        dims[-1], dims[-2] = dims[-2], dims[-1]
    return tuple(dims)


def _fused_product(case: Case) -> Sequence[Shape]:
    a = _turned(case.shape(0), bool(case.integer("transA")), bool(case.integer("transBatchA")))
    b = _turned(case.shape(1), bool(case.integer("transB")), bool(case.integer("transBatchB")))
    product = matrix_product(a, b)
    if case.integer("transBatchA") or case.integer("transBatchB"):
        return [unknown_dims(None if product is None else len(product))]
    return [product]


def gemm(a: int, b: int) -> ShapeRule:
    """Make the rule of a Gemm of two inputs with attributes transA, transB."""

    def rule(case: Case) -> Sequence[Shape]:
        rows = dim(case.shape(a), 1 if case.integer("transA") else 0)
        return [(rows, dim(case.shape(b), 0 if case.integer("transB") else 1))]

    return rule


def _last_from(attribute: str) -> ShapeRule:
    """Make the rule that replaces the last dimension by an attribute."""

    def rule(case: Case) -> Sequence[Shape]:
        shape = case.shape(0)
        return [(*shape[:-1], case.integer(attribute) or None) if shape else None]

    return rule


def _times(value: Dim, factor: int) -> Dim:
    return times(value, factor) if factor else None


def _attention(past: int) -> ShapeRule:
    """Attention, QAttention: input (batch, sequence, in), weights (in, q + k + v)."""

    def rule(case: Case) -> Sequence[Shape]:
        shape, weights = case.shape(0), case.shape(1)
        batch, sequence = dim(shape, 0), dim(shape, 1)
        sizes, columns = case.integers("qkv_hidden_sizes"), dim(weights, 1)
        hidden: Dim = sizes[2] if sizes and len(sizes) == 3 else columns // 3 if isinstance(columns, int) else None
        heads = case.integer("num_heads")
        head = hidden // heads if isinstance(hidden, int) and heads else None
        before = case.shape(past) if case.has(past) else None
        # The present holds the past and what is new; with a shared buffer it keeps the past's length.
        length = dim(before, 3) if case.integer("past_present_share_buffer") else None if before else sequence
        return [(batch, sequence, hidden), (2, batch, heads or None, length, head)]

    return rule


def _multi_head(case: Case) -> Sequence[Shape]:
    """MultiHeadAttention and its decoder: query (batch, sequence, hidden), or packed in five dimensions."""
    query, key, value = case.shape(0), case.shape(1), case.shape(2)
    batch, sequence, heads = dim(query, 0), dim(query, 1), case.integer("num_heads")
    hidden: Dim = None
    if query is not None and len(query) == 5:
        hidden = times(query[2], query[4])
    elif case.op_type == "DecoderMaskedMultiHeadAttention" and not case.has(1):
        width = dim(query, 2)
        hidden = width // 3 if isinstance(width, int) else None
    elif value is not None:
        hidden = value[2] if len(value) == 3 else _times(dim(value, 3), heads)
    elif key is not None and len(key) == 5:
        hidden = dim(query, 2)
    head = hidden // heads if isinstance(hidden, int) and heads else None
    kept: Shape = (batch, heads or None, None, head)
    return [(batch, sequence, hidden), kept, kept, (batch, heads or None, sequence, None)]


def _grouped(past: int) -> ShapeRule:
    """GroupQueryAttention, SparseAttention: the keys may be packed into the query."""

    def rule(case: Case) -> Sequence[Shape]:
        query, heads, pairs = case.shape(0), case.integer("num_heads"), case.integer("kv_num_heads")
        batch, sequence, width = dim(query, 0), dim(query, 1), dim(query, 2)
        hidden: Dim = width
        if not case.has(1):
            total = heads + 2 * pairs
            hidden = width // total * heads if isinstance(width, int) and total else None
        kept = case.shape(past)
        head = dim(kept, 3) or (hidden // heads if isinstance(hidden, int) and heads else None)
        present: Shape = (batch, pairs or None, None, head)
        return [(batch, sequence, hidden), present, present, *[None] * max(case.outputs - 3, 0)]

    return rule


def _skip_norm(case: Case) -> Sequence[Shape]:
    """SkipLayerNormalization: output, mean, inverse deviation, sum of what was added."""
    shape = case.shape(0)
    reduced = None if not shape else (*shape[:-1], 1)
    return [shape, reduced, reduced, shape]


def _simplified_norm(case: Case) -> Sequence[Shape]:
    """SimplifiedLayerNormalization: output, inverse deviation."""
    shape = case.shape(0)
    if shape is None:
        return [None, None]
    axis = case.integer("axis", -1) % len(shape) if shape else 0
    return [shape, (*shape[:axis], *[1] * (len(shape) - axis))]


def _embed_norm(case: Case) -> Sequence[Shape]:
    ids, hidden = case.shape(0), dim(case.shape(2), 1)
    batch, sequence = dim(ids, 0), dim(ids, 1)
    return [(batch, sequence, hidden), (batch,), (batch, sequence, hidden)]


def _split_gelu(case: Case) -> Sequence[Shape]:
    shape = case.shape(0)
    if not shape:
        return [None]
    return [(*shape[:-1], shape[-1] // 2 if isinstance(shape[-1], int) else None)]


def _relative_bias(case: Case) -> Sequence[Shape]:
    return [(1, dim(case.shape(0), 1), None, None)]


def _gated_bias(case: Case) -> Sequence[Shape]:
    query = case.shape(0)
    length = dim(case.shape(2), 2)
    return [(dim(query, 0), case.integer("num_heads") or None, length, length)]


def _remove_padding(case: Case) -> Sequence[Shape]:
    shape = case.shape(0)
    batch, sequence = dim(shape, 0), dim(shape, 1)
    return [(None, dim(shape, 2)), (batch, sequence), (plus(batch, 1),), (1,)]


def _restore_padding(case: Case) -> Sequence[Shape]:
    offset = case.shape(1)
    return [(dim(offset, 0), dim(offset, 1), dim(case.shape(0), 1))]


def _packed_attention(case: Case) -> Sequence[Shape]:
    sizes, columns = case.integers("qkv_hidden_sizes"), dim(case.shape(1), 1)
    hidden: Dim = sizes[2] if sizes and len(sizes) == 3 else columns // 3 if isinstance(columns, int) else None
    return [(dim(case.shape(0), 0), hidden)]


def _beam_search(case: Case) -> Sequence[Shape]:
    returned, length = case.whole(4), case.whole(1)
    batch: Dim = dim(case.shape(0), 0)
    count: Dim = returned[0] if returned else None
    return [(batch, count, length[0] if length else None), (batch, count), (None, None, None, None)]


def _greedy_search(case: Case) -> Sequence[Shape]:
    length = case.whole(1)
    return [(dim(case.shape(0), 0), length[0] if length else None)]


def _gather_blocks(case: Case) -> Sequence[Shape]:
    data, indices = case.shape(0), case.shape(1)
    if data is None or indices is None:
        return [None]
    axis = case.integer("gather_axis") % len(data) if data else 0
    shape = [*data[:axis], *indices, *data[axis + 1 :]]
    # Values below a byte may be packed into bytes along the last dimension.
    if case.dtype(0) == "u8" and shape and axis != len(data) - 1:
        last = shape[-1]
        shape[-1] = last * (8 // (case.integer("bits", 4) or 4)) if isinstance(last, int) else None
    return [tuple(shape)]


def _embedding(case: Case) -> Sequence[Shape]:
    weight, indices = case.shape(0), case.shape(1)
    return [None if indices is None else (*indices, dim(weight, 1))]


def _crop_and_resize(case: Case) -> Sequence[Shape]:
    size = case.whole(3)
    height, width = size if size and len(size) == 2 else (None, None)
    return [(dim(case.shape(1), 0), dim(case.shape(0), 1), height, width)]


def _grid_sample(case: Case) -> Sequence[Shape]:
    image, grid = case.shape(0), case.shape(1)
    if image is None or grid is None:
        return [unknown_dims(None if image is None else len(image))]
    return [(*image[:2], *grid[1:-1])]


def _one_more(case: Case) -> Sequence[Shape]:
    shape = case.shape(0)
    return [unknown_dims(None if shape is None else len(shape) + 1)]


def _rfft(case: Case) -> Sequence[Shape]:
    shape = case.shape(0)
    if not shape:
        return [None]
    half: Dim = shape[-1] // 2 + 1 if isinstance(shape[-1], int) else None
    return [(*shape[:-1], half, 2)] if case.integer("onesided", 1) else [(*shape, 2)]


def _irfft(case: Case) -> Sequence[Shape]:
    shape = case.shape(0)
    if shape is None or len(shape) < 2:
        return [None]
    half = shape[-2]
    return [(*shape[:-2], 2 * (half - 1) if isinstance(half, int) else None)]


def _words(case: Case) -> Sequence[Shape]:
    return [(dim(case.shape(0), 0), dim(case.shape(2), 0))]


def _unfold(case: Case) -> Sequence[Shape]:
    shape = case.shape(0)
    if not shape:
        return [None]
    axis = case.integer("dim", -1) % len(shape)
    whole, size, step = shape[axis], case.integer("size"), case.integer("step", 1) or 1
    count: Dim = (whole - size) // step + 1 if isinstance(whole, int) else None
    return [(*[count if i == axis else d for i, d in enumerate(shape)], size)]


def _pairwise(case: Case) -> Sequence[Shape]:
    return [(dim(case.shape(0), 0), dim(case.shape(1), 0))]


def _gather_nd(case: Case) -> Sequence[Shape]:
    data, indices = case.shape(0), case.shape(1)
    depth = dim(indices, -1)
    if data is None or not indices or not isinstance(depth, int):
        return [None]
    return [(*indices[:-1], *data[depth:])]


def _recurrent(case: Case) -> Sequence[Shape]:
    shape, directions = case.shape(0), 2 if case.text("direction") == "bidirectional" else 1
    last = (directions, dim(shape, 1), case.integer("hidden_size") or None)
    return [(dim(shape, 0), *last), last, last]


def _reduce_integer(case: Case) -> Sequence[Shape]:
    shape, axes = case.shape(0), case.integers("axes") or ()
    if shape is None:
        return [None]
    gone = {a % len(shape) for a in axes} if shape else set()
    keep = case.integer("keepdims", 1)
    return [tuple(1 if i in gone else d for i, d in enumerate(shape) if keep or i not in gone)]


def _product_of_weights(case: Case) -> Sequence[Shape]:
    """MatMulFpQ4: the second operand's dims are the third input's values."""
    columns = case.whole(2)
    return [matrix_product(case.shape(0), columns)] if columns else rank_of_first(case)


_FIRST = (
    "BiasAdd", "BiasGelu", "BiasSoftmax", "ComplexMul", "ComplexMulConj", "FastGelu", "GatedAdd", "GatedRMSNorm",
    "Gelu", "GemmaRotaryEmbedding", "GroupNorm", "Inverse", "LongformerAttention", "MRotaryEmbedding", "MoE",
    "MurmurHash3", "QMoE", "QOrderedGelu", "QOrderedLayerNormalization", "QuickGelu", "RotaryEmbedding",
    "ScaledSiLU", "Trilu", "BranchwiseRMSNorm", "QuantizeWithOrder", "DequantizeWithOrder",
)  # fmt: skip

RULES: Mapping[str, ShapeRule] = {
    **dict.fromkeys(_FIRST, first),
    **dict.fromkeys(("BiasDropout", "BitmaskDropout", "SkipGroupNorm"), lambda case: [case.shape(0)] * 2),
    **dict.fromkeys(("BeamSearch", "WhisperBeamSearch"), _beam_search),
    **dict.fromkeys(("GreedySearch", "Sampling"), _greedy_search),
    **dict.fromkeys(("MatMulNBits", "MatMulBnb4"), _last_from("N")),
    **dict.fromkeys(("MultiHeadAttention", "DecoderMaskedMultiHeadAttention"), _multi_head),
    **dict.fromkeys(("Pad", "MaxpoolWithMask", "ConvTransposeWithDynamicPads"), rank_of_first),
    **dict.fromkeys(("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"), _skip_norm),
    "Attention": _attention(4),
    "BiasSplitGelu": _split_gelu,
    "CDist": _pairwise,
    "CropAndResize": _crop_and_resize,
    "DynamicQuantizeLSTM": _recurrent,
    "DynamicQuantizeMatMul": product_of(0, 1),
    "EmbedLayerNormalization": _embed_norm,
    "ExpandDims": _one_more,
    "FusedGemm": gemm(0, 1),
    "FusedMatMul": _fused_product,
    "FusedMatMulActivation": _fused_product,
    "GatedRelativePositionBias": _gated_bias,
    "GatherBlockQuantized": _gather_blocks,
    "GatherND": _gather_nd,
    "GemmFastGelu": product_of(0, 1),
    "GemmFloat8": gemm(0, 1),
    "GridSample": _grid_sample,
    "GroupQueryAttention": _grouped(3),
    "Irfft": _irfft,
    "IsAllFinite": lambda _: [()],
    "MatMulFpQ4": _product_of_weights,
    "MatMulInteger16": product_of(0, 1),
    "MatMulIntegerToFloat": product_of(0, 1),
    "MulInteger": lambda case: [broadcast(case.shape(0), case.shape(2))],
    "NGramRepeatBlock": lambda case: [case.shape(1)],
    "PackedAttention": _packed_attention,
    "QAttention": _attention(8),
    "QEmbedLayerNormalization": _embed_norm,
    "QGemm": gemm(0, 3),
    "Range": lambda _: [(None,)],
    "ReduceSumInteger": _reduce_integer,
    "RelativePositionBias": _relative_bias,
    "RemovePadding": _remove_padding,
    "RestorePadding": _restore_padding,
    "Rfft": _rfft,
    "SimplifiedLayerNormalization": _simplified_norm,
    "SparseAttention": _grouped(3),
    "SparseToDenseMatMul": product_of(0, 1),
    "Tokenizer": _one_more,
    "TorchEmbedding": _embedding,
    "TransposeMatMul": _fused_product,
    "UnfoldTensor": _unfold,
    "Unique": lambda _: [(None,), (None,), (None,)],
    "WordConvEmbedding": _words,
}
"""Rules by operator of com.microsoft, those of :mod:`ovpart.model.rules_layout` apart."""
