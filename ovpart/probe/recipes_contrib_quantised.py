"""Cases of operators of com.microsoft that calculate with quantised values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ovpart.probe.case import Draft
from ovpart.probe.values import SIGNED, Maker

_Q = ("u8", "i8")


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


OF: Mapping[Callable[[Maker], Iterator[Draft]], Mapping[str, tuple[str, ...]]] = {
    gathered: {"GatherBlockQuantized": ("u4", "i4")},
    lstm: {"DynamicQuantizeLSTM": ("f32",)},
    quantise: {"DequantizeLinear": ("u8", "i8", "u16", "i16", "i32"), "QuantizeLinear": ("f32",)},
    quantised_conv: {"QLinearConv": _Q},
    quantised_many: {"QLinearConcat": _Q, "QLinearWhere": _Q},
    quantised_one: {
        "QLinearAveragePool": _Q,
        "QLinearGlobalAveragePool": _Q,
        "QLinearLeakyRelu": _Q,
        "QLinearSigmoid": _Q,
        "QLinearSoftmax": _Q,
    },
    quantised_pair: {"QLinearAdd": _Q, "QLinearMul": _Q},
    quantised_products: {
        "DynamicQuantizeMatMul": ("f32",),
        "MatMulInteger16": ("i16",),
        "MatMulIntegerToFloat": _Q,
        "QAttention": ("u8",),
        "QGemm": _Q,
    },
}
"""Recipe → operator → the dtypes that are varied."""
