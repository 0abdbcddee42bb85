"""Cases of operators of com.microsoft: those that onnxruntime's optimiser and quantiser write into models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ovpart.probe.case import Draft
from ovpart.probe.values import SIGNED, Maker

_F = ("f32", "f16")
_Q = ("u8", "i8")


def activation(m: Maker) -> Iterator[Draft]:
    """Yield cases of Gelu, QuickGelu, FastGelu, BiasGelu."""
    name = m.op.rpartition(".")[2]
    x = m.x(m.n, 3, 4)
    if name == "BiasGelu":
        yield Draft("plain", [x, m.x(4)])
        return
    yield Draft("plain", [x])
    if name == "FastGelu":
        yield Draft("bias", [x, m.x(4)])
    if name == "QuickGelu":
        yield Draft("alpha", [x], {"alpha": 0.5})


def skip_norm(m: Maker) -> Iterator[Draft]:
    """Yield cases of SkipLayerNormalization and SkipSimplifiedLayerNormalization."""
    x, skip = m.x(m.n, 3, 8), m.x(m.n, 3, 8)
    free = frozenset({1})
    if "Simplified" in m.op:
        yield Draft("plain", [x, skip, m.x(8)], runtime=free)
        yield Draft("bias", [x, skip, m.x(8), m.x(8)], runtime=free)
        yield Draft("sum", [x, skip, m.x(8)], {"epsilon": 1e-3}, outputs=4, runtime=free)
        return
    yield Draft("plain", [x, skip, m.x(8), m.x(8)], runtime=free)
    yield Draft("bias", [x, skip, m.x(8), m.x(8), m.x(8)], runtime=free)
    yield Draft("bare", [x, skip, m.x(8)], {"epsilon": 1e-3}, runtime=free)
    yield Draft("sum", [x, skip, m.x(8), m.x(8)], outputs=4, runtime=free)


def simplified_norm(m: Maker) -> Iterator[Draft]:
    """Yield cases of SimplifiedLayerNormalization, which onnxruntime keeps in ONNX's own domain."""
    yield Draft("plain", [m.x(m.n, 3, 8), m.x(8)])
    yield Draft("epsilon", [m.x(m.n, 3, 8), m.x(8)], {"epsilon": 0.01, "axis": -1})


def embed_norm(m: Maker) -> Iterator[Draft]:
    """Yield cases of EmbedLayerNormalization; the dtype is that of the tables."""

    def ids(high: int) -> Any:
        return m.of("i32", m.n, 4, low=0, high=high)

    tables = [m.x(10, 8), m.x(6, 8), m.x(2, 8), m.x(8), m.x(8)]
    free = frozenset({1, 7})
    yield Draft("plain", [ids(9), ids(1), *tables], {"epsilon": 1e-5}, outputs=2, runtime=free)
    yield Draft("mask", [ids(9), ids(1), *tables, m.array([[1, 1, 1, 0]] * m.n, "i32")], outputs=2, runtime=free)
    bare = [tables[0], tables[1], None, tables[3], tables[4]]
    yield Draft("no segments", [ids(9), None, *bare], outputs=2)


def attention(m: Maker) -> Iterator[Draft]:
    """Yield cases of Attention."""
    x, w, b = m.x(m.n, 4, 8, low=-1, high=1), m.x(8, 24, low=-1, high=1), m.x(24, low=-1, high=1)
    yield Draft("plain", [x, w, b], {"num_heads": 2})
    yield Draft("mask", [x, w, b, m.array([[1, 1, 1, 0]] * m.n, "i32")], {"num_heads": 2}, runtime=frozenset({3}))
    yield Draft("lengths", [x, w, b, m.array([3] * m.n, "i32")], {"num_heads": 2}, runtime=frozenset({3}))
    yield Draft("causal", [x, w, b], {"num_heads": 2, "unidirectional": 1})
    past = m.x(2, m.n, 2, 3, 4, low=-1, high=1)
    yield Draft("past", [x, w, b, None, past], {"num_heads": 2, "unidirectional": 1}, outputs=2, runtime=frozenset({4}))


def multi_head(m: Maker) -> Iterator[Draft]:
    """Yield cases of MultiHeadAttention."""
    q, k, v = (m.x(m.n, length, 16, low=-1, high=1) for length in (4, 6, 6))
    free = frozenset({1, 2, 5, 6, 7})
    yield Draft("plain", [q, k, v], {"num_heads": 2}, runtime=free)
    yield Draft("bias", [q, k, v, m.x(48, low=-1, high=1)], {"num_heads": 2}, runtime=free)
    yield Draft("attention bias", [q, k, v, None, None, m.x(1, 2, 4, 6)], {"num_heads": 2}, runtime=free)
    yield Draft("scale", [q, k, v], {"num_heads": 2, "scale": 0.2}, runtime=free)
    past = [m.x(m.n, 2, 3, 8, low=-1, high=1), m.x(m.n, 2, 3, 8, low=-1, high=1)]
    same = m.x(m.n, 4, 16, low=-1, high=1), m.x(m.n, 4, 16, low=-1, high=1)
    yield Draft("past", [q, *same, None, None, None, *past], {"num_heads": 2}, outputs=3, runtime=free)
    yield Draft("causal", [q, *same], {"num_heads": 2, "unidirectional": 1}, runtime=free)


def group_query(m: Maker) -> Iterator[Draft]:
    """Yield cases of GroupQueryAttention: a first run, one with a past, with rotary embedding, packed."""
    batch, heads, groups, size = m.n, 4, 2, 8

    def x(length: int, count: int) -> Any:
        return m.x(batch, length, count * size, low=-1, high=1)

    def cache(length: int) -> list[Any]:
        return [m.x(batch, groups, length, size, low=-1, high=1) for _ in range(2)]

    free = frozenset(range(16))
    attributes = {"num_heads": heads, "kv_num_heads": groups}
    first = [m.array([3] * batch, "i32"), m.array(4, "i32")]
    yield Draft(
        "plain", [x(4, heads), x(4, groups), x(4, groups), *cache(0), *first], attributes, outputs=3, runtime=free
    )
    later = [m.array([5] * batch, "i32"), m.array(6, "i32")]
    yield Draft(
        "past", [x(1, heads), x(1, groups), x(1, groups), *cache(5), *later], attributes, outputs=3, runtime=free
    )
    rotary = [m.x(16, size // 2, low=-1, high=1), m.x(16, size // 2, low=-1, high=1)]
    turned = {**attributes, "do_rotary": 1}
    inputs = [x(4, heads), x(4, groups), x(4, groups), *cache(0), *first, *rotary]
    yield Draft("rotary", inputs, turned, outputs=3, runtime=frozenset(range(7)))
    packed = [x(4, heads + 2 * groups), None, None, *cache(0), *first, *rotary]
    yield Draft("packed", packed, turned, outputs=3, runtime=frozenset(range(7)))
    window = {**attributes, "local_window_size": 2}
    yield Draft("window", [x(4, heads), x(4, groups), x(4, groups), *cache(0), *first], window, outputs=3, runtime=free)


def rotary(m: Maker) -> Iterator[Draft]:
    """Yield cases of RotaryEmbedding."""
    x, positions = m.x(m.n, 4, 16), m.of("i64", m.n, 4, low=0, high=9)
    cache = [m.x(10, 4, low=-1, high=1), m.x(10, 4, low=-1, high=1)]
    free = frozenset({1})
    yield Draft("plain", [x, positions, *cache], {"num_heads": 2}, runtime=free)
    yield Draft("interleaved", [x, positions, *cache], {"num_heads": 2, "interleaved": 1}, runtime=free)
    yield Draft("4-D", [m.x(m.n, 2, 4, 8), positions, *cache], runtime=free)
    yield Draft("offset", [x, m.ints(2), *cache], {"num_heads": 2}, runtime=free)


def fused(m: Maker) -> Iterator[Draft]:
    """Yield cases of FusedConv, FusedGemm, FusedMatMul and TransposeMatMul."""
    name = m.op.rpartition(".")[2]
    if name == "FusedConv":
        x, w = m.x(m.n, 3, 6, 6), m.x(4, 3, 3, 3)
        yield Draft("plain", [x, w, m.x(4)], {"activation": "Relu"})
        for kind, values in (("LeakyRelu", [0.2]), ("Clip", [0.0, 2.0]), ("HardSigmoid", [0.3, 0.4])):
            yield Draft(kind, [x, w], {"activation": kind, "activation_params": values})
        for kind in ("Sigmoid", "Tanh"):
            yield Draft(kind, [x, w], {"activation": kind})
        yield Draft("sum", [x, w, m.x(4), m.x(m.n, 4, 4, 4)], {"activation": "Relu"}, runtime=frozenset({3}))
    elif name == "FusedGemm":
        yield Draft("plain", [m.x(m.n, 4), m.x(4, 5), m.x(5)], {"activation": "Relu"})
        yield Draft("scaled", [m.x(m.n, 4), m.x(5, 4), m.x(5)], {"activation": "Tanh", "transB": 1, "alpha": 0.5})
    else:
        free = frozenset({1})
        yield Draft("plain", [m.x(m.n, 3, 4), m.x(m.n, 4, 5)], {}, runtime=free)
        yield Draft(
            "transposed", [m.x(m.n, 4, 3), m.x(m.n, 5, 4)], {"transA": 1, "transB": 1, "alpha": 0.5}, runtime=free
        )
        yield Draft("weights", [m.x(m.n, 3, 4), m.x(4, 5)], {"alpha": 2.0})
        if name == "FusedMatMul":
            batch = {"transBatchA": 1, "transA": 0}
            yield Draft("batch transposed", [m.x(3, m.n, 4), m.x(m.n, 4, 5)], batch, runtime=free)


def nbits(m: Maker) -> Iterator[Draft]:
    """Yield cases of MatMulNBits: 4 and 8 bits, with and without zero points."""
    import numpy as np

    rng = np.random.default_rng(11)
    k, n, block = 32, 8, 16
    x = m.x(m.n, 3, k, low=-1, high=1)
    for bits in (4, 8):
        weights = rng.integers(0, 256, (n, k // block, block * bits // 8)).astype(np.uint8)
        scales = m.x(n * (k // block), low=0.01, high=0.1)
        attributes = {"K": k, "N": n, "bits": bits, "block_size": block}
        fixed = frozenset({1, 2})
        tag = "plain" if bits == 4 else f"{bits} bits"
        yield Draft(tag, [x, weights, scales], attributes, always=fixed)
        points = rng.integers(0, 256, n * (k // block) * bits // 8).astype(np.uint8)
        yield Draft(f"{tag}, zero points", [x, weights, scales, points], attributes, always=fixed | {3})
        yield Draft(f"{tag}, bias", [x, weights, scales, None, None, m.x(n)], attributes, always=fixed | {5})
        yield Draft(f"{tag}, int8", [x, weights, scales], {**attributes, "accuracy_level": 4}, always=fixed)


def _q(m: Maker, *shape: int, dtype: str = "", scale: float = 0.05, point: int = 2) -> list[Any]:
    kind = dtype or m.dtype
    return [
        m.of(kind, *shape, low=-100 if kind in SIGNED else 0, high=100),
        m.array(scale, "f32"),
        m.array(point, kind),
    ]


def quantised_pair(m: Maker) -> Iterator[Draft]:
    """Yield cases of QLinearAdd and QLinearMul."""
    out = [m.array(0.1, "f32"), m.array(5)]
    yield Draft("plain", [*_q(m, m.n, 3, 4), *_q(m, m.n, 3, 4, scale=0.03, point=1), *out], runtime=frozenset({3}))
    yield Draft("broadcast", [*_q(m, m.n, 3, 4), *_q(m, 4, scale=0.03), *out])
    without = [*_q(m, m.n, 4)[:2], None, *_q(m, 4)[:2], None, m.array(0.1, "f32")]
    yield Draft("no zero points", without)


def quantised_one(m: Maker) -> Iterator[Draft]:
    """Yield cases of QLinear operators of one input."""
    name = m.op.rpartition(".")[2]
    attributes: Mapping[str, Mapping[str, Any]] = {
        "QLinearLeakyRelu": {"alpha": 0.2},
        "QLinearAveragePool": {"kernel_shape": [2, 2]},
        "QLinearGlobalAveragePool": {"channels_last": 0},
        "QLinearSoftmax": {"axis": -1, "opset": 13},
    }
    shape = (m.n, 3, 4, 4) if "Pool" in name else (m.n, 3, 4)
    yield Draft("plain", [*_q(m, *shape), m.array(0.06, "f32"), m.array(4)], attributes.get(name, {}))


def quantised_many(m: Maker) -> Iterator[Draft]:
    """Yield cases of QLinearConcat and QLinearWhere."""
    out = [m.array(0.1, "f32"), m.array(5)]
    if m.op.endswith("Concat"):
        both = [*_q(m, m.n, 3), *_q(m, m.n, 2, scale=0.03)]
        yield Draft("plain", [*out, *both], {"axis": 1}, runtime=frozenset({2, 5}))
        return
    yield Draft(
        "plain", [m.of("bool", m.n, 3), *_q(m, m.n, 3), *_q(m, m.n, 3, scale=0.03), *out], runtime=frozenset({1, 4})
    )


def quantised_products(m: Maker) -> Iterator[Draft]:
    """Yield cases of products of quantised values."""
    name = m.op.rpartition(".")[2]
    if name == "DynamicQuantizeMatMul":
        for other in _Q:
            b = m.of(other, 4, 5, low=-100 if other == "i8" else 0, high=100)
            tag = "plain" if other == "u8" else other
            yield Draft(tag, [m.x(m.n, 4), b, m.array(0.02, "f32"), m.array(3, other)])
            yield Draft(f"{tag}, bias", [m.x(m.n, 4), b, m.array(0.02, "f32"), m.array(3, other), m.x(5)])
    elif name == "MatMulIntegerToFloat":
        for other in _Q:
            b = m.of(other, 4, 5, low=-100 if other == "i8" else 0, high=100)
            scales = [m.array(0.1, "f32"), m.array(0.2, "f32")]
            tag = "plain" if other == "u8" else other
            yield Draft(tag, [m.x(m.n, 4), b, *scales, m.array(3), m.array(2, other)])
    elif name == "MatMulInteger16":
        yield Draft("plain", [m.x(m.n, 4), m.x(4, 5)])
    elif name == "QGemm":
        yield Draft("plain", [*_q(m, m.n, 4), *_q(m, 4, 5), None, m.array(0.4, "f32"), m.array(5)])
        bias = m.of("i32", 5, low=-50, high=50)
        yield Draft("to f32", [*_q(m, m.n, 4), *_q(m, 4, 5), bias])
    else:
        x, w = m.x(m.n, 4, 8, low=0, high=100), m.of("i8", 8, 24, low=-100, high=100)
        rest = [m.of("f32", 24), m.array(0.02, "f32"), m.array(0.01, "f32"), None, m.array(3), m.array(0, "i8")]
        yield Draft("plain", [x, w, *rest], {"num_heads": 2})


def quantised_conv(m: Maker) -> Iterator[Draft]:
    """Yield cases of com.microsoft's QLinearConv, which knows channels last."""
    w = _q(m, 3, 2, 3, 3, dtype="i8", point=0)
    out = [m.array(0.5, "f32"), m.array(5)]
    yield Draft("plain", [*_q(m, m.n, 2, 6, 6), *w, *out])
    yield Draft("channels last", [*_q(m, m.n, 6, 6, 2), *w, *out], {"channels_last": 1})


def quantise(m: Maker) -> Iterator[Draft]:
    """Yield cases of com.microsoft's QuantizeLinear and DequantizeLinear, which know 16 and 4 bits."""
    if m.op.endswith("DequantizeLinear"):
        yield Draft("plain", [m.x(m.n, 4), m.array(0.25, "f32"), m.array(0 if m.dtype == "i32" else 2)])
        yield Draft("per axis", [m.x(m.n, 2), m.array([0.25, 0.5], "f32"), m.array([0, 0])], {"axis": 1})
        return
    for target in ("u8", "i8", "u16", "i16"):
        scale = m.array(0.25)
        tag = "plain" if target == "u8" else f"to {target}"
        yield Draft(tag, [m.x(m.n, 4, low=-4, high=4), scale, m.array(3, target)])


def lstm(m: Maker) -> Iterator[Draft]:
    """Yield a case of DynamicQuantizeLSTM."""
    size = 4
    w = [m.of("u8", 1, 3, 4 * size, low=0, high=255), m.of("u8", 1, size, 4 * size, low=0, high=255)]
    scales = [m.array([0.01], "f32"), m.array([128], "u8"), m.array([0.01], "f32"), m.array([128], "u8")]
    x = m.x(5, m.n, 3)
    yield Draft("plain", [x, *w, None, None, None, None, None, *scales], {"hidden_size": size}, outputs=3)


def gathered(m: Maker) -> Iterator[Draft]:
    """Yield cases of GatherBlockQuantized; the dtype is that of the data."""
    yield Draft(
        "plain",
        [m.x(4, 32), m.ints(0, 2, 3), m.of("f32", 4, 2)],
        {"block_size": 16, "quantize_axis": 1, "gather_axis": 0},
        runtime=frozenset({1}),
        always=frozenset({0}),
    )


def others(m: Maker) -> Iterator[Draft]:
    """Yield cases of operators that ONNX's own domain has under the same name, or nearly."""
    name = m.op.rpartition(".")[2]
    drafts: Mapping[str, Callable[[], list[Draft]]] = {
        "CDist": lambda: [Draft("plain", [m.x(m.n, 4), m.x(5, 4)], {"metric": "euclidean"})],
        "ConvTransposeWithDynamicPads": lambda: [Draft("plain", [m.x(m.n, 3, 4, 4), m.x(3, 2, 3, 3), m.ints(1, 1, 1, 1)])],
        "CropAndResize": lambda: [
            Draft("plain", [m.x(2, 2, 6, 6), m.array([[0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]]), m.array([0, 1], "i32"), m.array([3, 4], "i32")])
        ],
        "ExpandDims": lambda: [Draft("plain", [m.x(m.n, 3), m.array(1, "i32")])],
        "GatherND": lambda: [Draft("plain", [m.x(4, 3, m.n), m.array([[0, 1], [3, 2]], "i64")])],
        "GridSample": lambda: [Draft("plain", [m.x(m.n, 2, 5, 6), m.x(m.n, 3, 4, 2, low=-1, high=1)], runtime=frozenset({1}))],
        "Inverse": lambda: [Draft("plain", [m.x(m.n, 3, 3)])],
        "NhwcMaxPool": lambda: [Draft("plain", [m.x(m.n, 6, 6, 3)], {"kernel_shape": [2, 2]})],
        "Pad": lambda: [Draft("plain", [m.x(m.n, 3), m.ints(0, 1, 1, 0), m.x(1)])],
        "Range": lambda: [Draft("plain", [m.array(1), m.array(9), m.array(2)])],
        "Trilu": lambda: [Draft("plain", [m.x(m.n, 4, 5)]), Draft("lower", [m.x(m.n, 4, 5)], {"upper": 0})],
        "Unique": lambda: [Draft("plain", [m.x(m.n * 4)], outputs=3)],
        "MaxpoolWithMask": lambda: [Draft("plain", [m.x(m.n, 2, 4, 4), m.of("i32", m.n, 2, 4, 4, low=1, high=1)], {"kernel_shape": [2, 2]})],
        "MurmurHash3": lambda: [Draft("plain", [m.x(m.n)])],
        "UnfoldTensor": lambda: [Draft("plain", [m.x(m.n, 6)], {"size": 2, "step": 2, "dim": 1})],
    }  # fmt: skip
    yield from drafts[name]()


_OF: Mapping[Callable[[Maker], Iterator[Draft]], Mapping[str, tuple[str, ...]]] = {
    activation: {"Gelu": _F, "QuickGelu": _F, "FastGelu": _F, "BiasGelu": _F},
    attention: {"Attention": _F},
    embed_norm: {"EmbedLayerNormalization": _F},
    fused: {"FusedConv": ("f32",), "FusedGemm": ("f32",), "FusedMatMul": _F, "TransposeMatMul": ("f32",)},
    gathered: {"GatherBlockQuantized": ("u4", "i4")},
    group_query: {"GroupQueryAttention": _F},
    lstm: {"DynamicQuantizeLSTM": ("f32",)},
    multi_head: {"MultiHeadAttention": _F},
    nbits: {"MatMulNBits": _F},
    others: {
        "CDist": ("f32", "f64"), "ConvTransposeWithDynamicPads": ("f32",), "CropAndResize": ("f32",), "ExpandDims": ("f32", "i64"),
        "GatherND": ("f32", "i64"), "GridSample": ("f32",), "Inverse": ("f32", "f64"), "MaxpoolWithMask": ("f32",),
        "MurmurHash3": ("i32", "f32"), "NhwcMaxPool": _Q, "Pad": ("f32",), "Range": ("f32", "i32", "i64"), "Trilu": ("f32", "i64", "bool"),
        "UnfoldTensor": ("f32",), "Unique": ("f32",),
    },
    quantise: {"DequantizeLinear": ("u8", "i8", "u16", "i16", "i32"), "QuantizeLinear": ("f32",)},
    quantised_conv: {"QLinearConv": _Q},
    quantised_many: {"QLinearConcat": _Q, "QLinearWhere": _Q},
    quantised_one: {
        "QLinearAveragePool": _Q, "QLinearGlobalAveragePool": _Q, "QLinearLeakyRelu": _Q, "QLinearSigmoid": _Q,
        "QLinearSoftmax": _Q,
    },
    quantised_pair: {"QLinearAdd": _Q, "QLinearMul": _Q},
    quantised_products: {
        "DynamicQuantizeMatMul": ("f32",), "MatMulInteger16": ("i16",), "MatMulIntegerToFloat": _Q, "QAttention": ("u8",),
        "QGemm": _Q,
    },
    rotary: {"RotaryEmbedding": _F},
    skip_norm: {"SkipLayerNormalization": _F, "SkipSimplifiedLayerNormalization": _F},
}  # fmt: skip

_DOMAIN = "com.microsoft."

RECIPES: Mapping[str, Callable[[Maker], Iterator[Draft]]] = {
    **{f"{_DOMAIN}{name}": recipe for recipe, names in _OF.items() for name in names},
    "SimplifiedLayerNormalization": simplified_norm,
}
"""Operator → its cases."""
DTYPES: Mapping[str, tuple[str, ...]] = {
    **{f"{_DOMAIN}{name}": dtypes for names in _OF.values() for name, dtypes in names.items()},
    "SimplifiedLayerNormalization": ("f32",),
}
"""Operator → the dtypes that are varied: onnx has no schemas for these."""
