"""Cases of operators that quantise, and that calculate with quantised values; bit casts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ovpart.probe.case import NAN, Draft
from ovpart.probe.values import SIGNED, SMALL_FLOATS, Maker, nan_floats


def quantise(m: Maker) -> Iterator[Draft]:
    """Yield cases of QuantizeLinear: to each type of the version."""
    from ovpart.probe.schemas import allowed

    small = m.version >= 19 and m.dtype in ("f16", "bf16", "i32")
    scale = m.array(1 if m.dtype == "i32" else 0.25, _short(m, small))
    x = m.x(m.n, 4, low=-4, high=4)
    yield Draft("plain", [x, scale])
    for target in allowed("QuantizeLinear", m.version, "y_zero_point"):
        point = 0 if target in SMALL_FLOATS else 3 if target not in ("u2", "i2") else 1
        yield Draft(f"to {target}", [x, scale, m.array(point, target)])
    if m.is_float:
        yield Draft("halves", [m.array([0.5, 1.5, 2.5, -0.5, -1.5, 300, -300]), m.array(1, _short(m, small))])
        yield Draft("nan", [nan_floats(m), scale], kind=NAN)
    if m.version >= 13:
        scales = m.array([0.25, 0.5, 1, 2], _short(m, small))
        yield Draft("per axis", [x, scales, m.array([0, 1, 2, 3], "i8")], {"axis": 1})
    if m.version >= 21:
        blocks = m.array([[0.25, 0.5], [1, 2]], _short(m, small))
        yield Draft("blocks", [m.x(2, 4), blocks, m.array([[0, 1], [2, 3]], "i8")], {"axis": 1, "block_size": 2})
        yield Draft("output dtype", [x, scale], {"output_dtype": 3})


def _short(m: Maker, small: bool) -> str:
    return m.dtype if small else "f32"


def dequantise(m: Maker) -> Iterator[Draft]:
    """Yield cases of DequantizeLinear: from the type that is varied."""
    x = m.x(m.n, 4)
    yield Draft("plain", [x, m.array(0.25, "f32")])
    if m.dtype not in SMALL_FLOATS and m.dtype != "i32":
        yield Draft("zero point", [x, m.array(0.5, "f32"), m.array(1)])
    if m.version >= 13:
        yield Draft("per axis", [x, m.array([0.25, 0.5, 1, 2], "f32")], {"axis": 1})
    if m.version >= 19:
        yield Draft("to f16", [x, m.array(0.25, "f16")])
    if m.version >= 21:
        yield Draft("blocks", [m.x(2, 4), m.array([[0.25, 0.5], [1, 2]], "f32")], {"axis": 1, "block_size": 2})


def dynamic_quantise(m: Maker) -> Iterator[Draft]:
    """Yield cases of DynamicQuantizeLinear."""
    yield Draft("plain", [m.x(m.n, 5)], outputs=3)
    yield Draft("halves", [m.array([0, 2.5, 127.5, 255, 0.5])], outputs=3)
    yield Draft("positive", [m.array([1, 2.25, 4])], outputs=3)


def matmul_integer(m: Maker) -> Iterator[Draft]:
    """Yield cases of MatMulInteger."""
    for other in ("u8", "i8"):
        b = m.of(other, 4, 5)
        yield Draft("plain" if other == "u8" else "by i8", [m.x(m.n, 4), b])
        yield Draft(f"zero points, {other}", [m.x(m.n, 4), b, m.array(3), m.array(1, other)])
    yield Draft("per column", [m.x(m.n, 4), m.of("i8", 4, 3), None, m.array([1, 2, 3], "i8")])


def conv_integer(m: Maker) -> Iterator[Draft]:
    """Yield cases of ConvInteger."""
    for other in ("u8", "i8"):
        w = m.of(other, 3, 2, 3, 3)
        yield Draft("plain" if other == "u8" else "by i8", [m.x(m.n, 2, 5, 5), w])
        yield Draft(f"zero points, {other}", [m.x(m.n, 2, 5, 5), w, m.array(3), m.array(1, other)])


def _q(m: Maker, *shape: int, dtype: str = "", scale: float = 0.05, point: int = 2) -> list[Any]:
    kind = dtype or m.dtype
    low = -100 if kind in SIGNED else 0
    return [m.of(kind, *shape, low=low, high=100), m.array(scale, "f32"), m.array(point, kind)]


def qlinear_matmul(m: Maker) -> Iterator[Draft]:
    """Yield cases of QLinearMatMul."""
    if m.dtype not in ("u8", "i8"):
        scale = m.array(0.05, "f32")
        yield Draft("plain", [m.x(m.n, 4), scale, m.array(0), m.x(4, 5), scale, m.array(0), scale, m.array(0)])
        return
    for other in dict.fromkeys((m.dtype, "i8")):
        yield Draft(
            "plain" if other == m.dtype else "by i8",
            [*_q(m, m.n, 4), *_q(m, 4, 5, dtype=other, point=0), m.array(0.4, "f32"), m.array(5)],
        )


def qlinear_conv(m: Maker) -> Iterator[Draft]:
    """Yield cases of QLinearConv."""
    x = _q(m, m.n, 2, 6, 6)
    w = _q(m, 3, 2, 3, 3, dtype="i8", point=0)
    out = [m.array(0.5, "f32"), m.array(5)]
    if m.dtype == "u8":
        yield Draft("plain", [*x, *w, *out])
    else:
        yield Draft("plain", [*x, *_q(m, 3, 2, 3, 3, point=0), *out])
    yield Draft("bias", [*x, *w, *out, m.of("i32", 3, low=-50, high=50)], {"pads": [1, 1, 1, 1]})
    per = [w[0], m.array([0.05, 0.1, 0.02], "f32"), m.array([0, 0, 0], "i8")]
    yield Draft("per channel", [*x, *per, *out])


def bit_cast(m: Maker) -> Iterator[Draft]:
    """Yield cases of BitCast: to a type of the same width."""
    from ovpart.model.types import dtype_bits, dtype_number

    for target in ("f32", "i32", "f16", "i16", "i8", "f64", "i64", "u8", "i4", "u4", "i2", "u2", "c64", "c128"):
        same_width = m.dtype != "string" and dtype_bits(target) == dtype_bits(m.dtype)
        if same_width and (target != m.dtype or m.dtype == "c128"):
            yield Draft(f"to {target}", [m.x(m.n, 3)], {"to": dtype_number(target)})


RECIPES: Mapping[str, Callable[[Maker], Iterator[Draft]]] = {
    "BitCast": bit_cast,
    "ConvInteger": conv_integer,
    "DequantizeLinear": dequantise,
    "DynamicQuantizeLinear": dynamic_quantise,
    "MatMulInteger": matmul_integer,
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
    "QuantizeLinear": quantise,
}
"""Operator → its cases."""
