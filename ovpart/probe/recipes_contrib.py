"""Cases of operators of com.microsoft: those that onnxruntime's optimiser and quantiser write into models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ovpart.probe import recipes_contrib_quantised
from ovpart.probe.case import Draft
from ovpart.probe.values import Maker

_F = ("f32", "f16")


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
        yield Draft("sum", [x, skip, m.x(8)], {"epsilon": 1e-3}, outputs=4, runtime=free, unused=frozenset({1, 2}))
        return
    yield Draft("plain", [x, skip, m.x(8), m.x(8)], runtime=free)
    yield Draft("bias", [x, skip, m.x(8), m.x(8), m.x(8)], runtime=free)
    yield Draft("bare", [x, skip, m.x(8)], {"epsilon": 1e-3}, runtime=free)
    yield Draft("sum", [x, skip, m.x(8), m.x(8)], outputs=4, runtime=free, unused=frozenset({1, 2}))


def simplified_norm(m: Maker) -> Iterator[Draft]:
    """Yield cases of SimplifiedLayerNormalization, which onnxruntime keeps in ONNX's own domain."""
    yield Draft("plain", [m.x(m.n, 3, 8), m.x(8)])
    yield Draft("epsilon", [m.x(m.n, 3, 8), m.x(8)], {"epsilon": 0.01, "axis": -1})


def retired(m: Maker) -> Iterator[Draft]:
    """Yield cases of operators that ONNX gave up before its first release, and that engines still take."""
    attributes: Mapping[str, Mapping[str, Any]] = {
        "Affine": {"alpha": 0.5, "beta": 1.5},
        "Crop": {"border": [1, 0, 1, 2]},
        "ImageScaler": {"scale": 0.5, "bias": [0.1, -0.2, 0.3]},
    }
    yield Draft("plain", [m.x(m.n, 3, 5, 6)], attributes[m.op])


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


def others(m: Maker) -> Iterator[Draft]:
    """Yield cases of operators that ONNX's own domain has under the same name, or nearly."""
    match m.op.rpartition(".")[2]:
        case "CDist":
            yield Draft("plain", [m.x(m.n, 4), m.x(5, 4)], {"metric": "euclidean"})
        case "ConvTransposeWithDynamicPads":
            yield Draft("plain", [m.x(m.n, 3, 4, 4), m.x(3, 2, 3, 3), m.ints(1, 1, 1, 1)])
        case "CropAndResize":
            boxes = m.array([[0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]])
            yield Draft("plain", [m.x(2, 2, 6, 6), boxes, m.array([0, 1], "i32"), m.array([3, 4], "i32")])
        case "ExpandDims":
            yield Draft("plain", [m.x(m.n, 3), m.array(1, "i32")])
        case "GatherND":
            yield Draft("plain", [m.x(4, 3, m.n), m.array([[0, 1], [3, 2]], "i64")])
        case "GridSample":
            grid = m.x(m.n, 3, 4, 2, low=-1, high=1)
            yield Draft("plain", [m.x(m.n, 2, 5, 6), grid], runtime=frozenset({1}))
        case "Inverse":
            yield Draft("plain", [m.x(m.n, 3, 3)])
        case "MaxpoolWithMask":
            mask = m.of("i32", m.n, 2, 4, 4, low=1, high=1)
            yield Draft("plain", [m.x(m.n, 2, 4, 4), mask], {"kernel_shape": [2, 2]}, runtime=frozenset({1}))
        case "MurmurHash3":
            yield Draft("plain", [m.x(m.n)])
        case "NhwcMaxPool":
            yield Draft("plain", [m.x(m.n, 6, 6, 3)], {"kernel_shape": [2, 2]})
        case "Pad":
            yield Draft("plain", [m.x(m.n, 3), m.ints(0, 1, 1, 0), m.x(1)])
        case "Range":
            yield Draft("plain", [m.array(1), m.array(9), m.array(2)])
        case "Trilu":
            yield Draft("plain", [m.x(m.n, 4, 5)])
            yield Draft("lower", [m.x(m.n, 4, 5)], {"upper": 0})
        case "UnfoldTensor":
            yield Draft("plain", [m.x(m.n, 6)], {"size": 2, "step": 2, "dim": 1})
        case "Unique":
            yield Draft("plain", [m.x(m.n * 4)], outputs=3)


_OF: Mapping[Callable[[Maker], Iterator[Draft]], Mapping[str, tuple[str, ...]]] = {
    **recipes_contrib_quantised.OF,
    activation: {"Gelu": _F, "QuickGelu": _F, "FastGelu": _F, "BiasGelu": _F},
    attention: {"Attention": _F},
    embed_norm: {"EmbedLayerNormalization": _F},
    fused: {"FusedConv": ("f32",), "FusedGemm": ("f32",), "FusedMatMul": _F, "TransposeMatMul": ("f32",)},
    group_query: {"GroupQueryAttention": _F},
    multi_head: {"MultiHeadAttention": _F},
    nbits: {"MatMulNBits": _F},
    others: {
        **dict.fromkeys(
            (
                "ConvTransposeWithDynamicPads", "CropAndResize", "GridSample", "MaxpoolWithMask", "Pad", "UnfoldTensor",
                "Unique",
            ),
            ("f32",),
        ),
        "CDist": ("f32", "f64"), "ExpandDims": ("f32", "i64"), "GatherND": ("f32", "i64"), "Inverse": ("f32", "f64"),
        "MurmurHash3": ("i32", "f32"), "NhwcMaxPool": ("u8", "i8"), "Range": ("f32", "i32", "i64"),
        "Trilu": ("f32", "i64", "bool"),
    },
    rotary: {"RotaryEmbedding": _F},
    skip_norm: {"SkipLayerNormalization": _F, "SkipSimplifiedLayerNormalization": _F},
}  # fmt: skip

RETIRED = ("Affine", "Crop", "ImageScaler")
"""Operators of ONNX's own domain that onnx has no schema for; onnxruntime takes them in models of opset 7."""

_DOMAIN = "com.microsoft."

RECIPES: Mapping[str, Callable[[Maker], Iterator[Draft]]] = {
    **{f"{_DOMAIN}{name}": recipe for recipe, names in _OF.items() for name in names},
    "SimplifiedLayerNormalization": simplified_norm,
    **dict.fromkeys(RETIRED, retired),
}
"""Operator → its cases."""
DTYPES: Mapping[str, tuple[str, ...]] = {
    **{f"{_DOMAIN}{name}": dtypes for names in _OF.values() for name, dtypes in names.items()},
    "SimplifiedLayerNormalization": ("f32",),
    **dict.fromkeys(RETIRED, ("f32",)),
}
"""Operator → the dtypes that are varied: onnx has no schemas for these."""
