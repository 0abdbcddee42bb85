"""Cases of operators that work element by element."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ovpart.probe.case import NAN, PLAIN, Draft
from ovpart.probe.values import UNSIGNED, Maker, edge_floats, nan_floats, wide_integers

_DOMAINS: Mapping[str, tuple[float, float]] = {
    "Acos": (-0.99, 0.99), "Acosh": (1.1, 4), "Asin": (-0.99, 0.99), "Atanh": (-0.9, 0.9), "Log": (0.1, 4),
    "Sqrt": (0.1, 4), "Reciprocal": (0.5, 4), "Tan": (-1.2, 1.2),
}  # fmt: skip
"""Bounds of ordinary inputs; -2 to 2 for the others."""

_ATTRIBUTES: Mapping[str, Mapping[str, Any]] = {
    "Celu": {"alpha": 1.5}, "Elu": {"alpha": 0.7}, "HardSigmoid": {"alpha": 0.3, "beta": 0.4},
    "LeakyRelu": {"alpha": 0.3}, "Selu": {"alpha": 1.2, "gamma": 0.8}, "ThresholdedRelu": {"alpha": 0.6},
    "Gelu": {"approximate": "tanh"}, "IsInf": {"detect_negative": 0}, "Swish": {"alpha": 0.5},
    "Shrink": {"lambd": 0.7, "bias": 0.2},
}  # fmt: skip
"""Attributes of a further case."""

UNARY = (
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Cos", "Cosh", "Elu", "Erf", "Exp",
    "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "IsInf", "IsNaN", "LeakyRelu", "Log", "Mish", "Neg", "Not",
    "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt",
    "Swish", "Tan", "Tanh", "ThresholdedRelu", "BitwiseNot",
)  # fmt: skip
BINARY = (
    "Add", "And", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual",
    "Mul", "Or", "PRelu", "Sub", "Xor",
)  # fmt: skip
VARIADIC = ("Max", "Mean", "Min", "Sum")


def unary(m: Maker) -> Iterator[Draft]:
    """Yield cases of an operator of one input."""
    low, high = _DOMAINS.get(m.op, (-2.0, 2.0))

    def x(*shape: int) -> Any:
        return m.x(*shape, low=low, high=high)

    yield Draft("plain", [x(m.n, 3, 4)])
    yield Draft("0-d", [x()])
    yield Draft("empty", [x(m.n - 2, 3)])
    yield Draft("rank 7", [x(m.n, 1, 2, 1, 2, 1, 2)])
    if m.op in _ATTRIBUTES:
        yield Draft("attributes", [x(m.n, 3, 4)], _ATTRIBUTES[m.op])
    yield from _special(m, lambda values: [values])


def binary(m: Maker) -> Iterator[Draft]:
    """Yield cases of an operator of two inputs that are broadcast."""
    yield Draft("plain", [m.x(m.n, 3, 4), m.x(m.n, 3, 4)])
    yield Draft("broadcast", [m.x(m.n, 3, 4), m.x(4)])
    if m.op != "PRelu":
        yield Draft("broadcast both", [m.x(m.n, 1, 4), m.x(1, 3, 1)])
        yield Draft("first smaller", [m.x(4), m.x(m.n, 3, 4)])
        yield Draft("0-d", [m.x(), m.x()])
    yield Draft("empty", [m.x(m.n - 2, 3), m.x(3)])
    yield Draft("rank 7", [m.x(m.n, 1, 2, 1, 2, 1, 2), m.x(2)])
    yield from _special(m, lambda values: [values, values[::-1].copy()])
    yield from _special(m, lambda values: [values, values.copy()], " with itself")
    yield from _overflow(m)


def variadic(m: Maker) -> Iterator[Draft]:
    """Yield cases of an operator of any number of inputs."""
    yield Draft("plain", [m.x(m.n, 3, 4), m.x(m.n, 3, 4)])
    yield Draft("one", [m.x(m.n, 3)])
    yield Draft("three", [m.x(m.n, 3, 4), m.x(4), m.x(3, 1)])
    yield Draft("0-d", [m.x(), m.x()])
    yield Draft("empty", [m.x(m.n - 2, 3), m.x(3)])
    yield from _special(m, lambda values: [values, values[::-1].copy()])
    yield from _overflow(m)


def div(m: Maker) -> Iterator[Draft]:
    """Yield cases of Div and Mod: no zeros, both signs."""
    import numpy as np

    modes: list[Mapping[str, Any]] = [{}]
    if m.op == "Mod":
        modes = [{"fmod": 1}] if m.is_float and m.version < 28 else [{}, {"fmod": 1}]
    for attributes in modes:
        ending = " fmod" if attributes else ""
        divisor = np.array([3, 2, 5, 1.0])
        if m.dtype not in UNSIGNED:
            divisor *= [1, -1, 1, -1]
        yield Draft(f"plain{ending}", [m.x(m.n, 3, 4), m.array(np.broadcast_to(divisor, (m.n, 3, 4)))], attributes)
        yield Draft(f"broadcast{ending}", [m.x(m.n, 3, 4), m.array(divisor)], attributes)
        yield Draft(f"0-d{ending}", [m.array(7), m.array(3)], attributes)
        yield Draft(f"empty{ending}", [m.x(m.n - 2, 4), m.array(divisor)], attributes)
        if wide := wide_integers(m):
            values, kind = wide
            by_three = np.full_like(values, 3)
            yield Draft(f"large{ending}", [values, by_three], attributes, kind=kind)
            yield Draft(f"large by 1{ending}", [values, np.ones_like(values)], attributes, kind=kind)
        if m.is_float:
            yield Draft(f"nan{ending}", [nan_floats(m), np.ones_like(nan_floats(m))], attributes, kind=NAN)


def power(m: Maker) -> Iterator[Draft]:
    """Yield cases of Pow, whose exponent may be of another type."""
    import numpy as np

    def exponent(*shape: int, dtype: str = m.dtype) -> Any:
        return m.array(np.resize([2.0, 3.0, 0.0, 1.0], shape), dtype)

    yield Draft("plain", [m.x(m.n, 3, 4, low=0.2, high=3), exponent(m.n, 3, 4)])
    yield Draft("broadcast", [m.x(m.n, 3, 4, low=0.2, high=3), exponent(4)])
    yield Draft("squared", [m.x(m.n, 3, 4), exponent()])
    yield Draft("0-d", [m.array(2), m.array(3)])
    yield Draft("empty", [m.x(m.n - 2, 4), exponent(4)])
    if m.version >= 12:
        for other in ("f32", "i32", "i64"):
            if other != m.dtype:
                yield Draft(f"to {other}", [m.x(m.n, 3, 4, low=0.2, high=3), exponent(4, dtype=other)])
    if m.is_float:
        values = m.array([0.25, -1.0, 4.0, -2.0, 0.0, 2.0])
        yield Draft("fractions", [m.array([4.0, 2.0, 9.0, 4.0, 3.0, 0.5]), m.array([0.5, -1.0, -0.5, 1.5, 0.0, -2.0])])
        yield Draft("negative base", [values, m.array([2.0, 3.0, 0.0, -1.0, 2.0, -2.0])])
        yield Draft("nan", [nan_floats(m), np.ones_like(nan_floats(m))], kind=NAN)
    if wide := wide_integers(m):
        values, kind = wide
        yield Draft("large", [values, np.ones_like(values)], kind=kind)


def bit_shift(m: Maker) -> Iterator[Draft]:
    """Yield cases of BitShift: both directions, shifts up to the width."""
    for direction in ("LEFT", "RIGHT"):
        shift = m.array([0, 1, 2, 3])
        yield Draft(f"plain {direction}", [m.x(m.n, 3, 4), shift], {"direction": direction})
        large = m.array([100, 77, 120, 3])
        yield Draft(f"many bits {direction}", [large, m.array([1, 3, 6, 7])], {"direction": direction})
        yield Draft(f"0-d {direction}", [m.array(12), m.array(2)], {"direction": direction})


def clip(m: Maker) -> Iterator[Draft]:
    """Yield cases of Clip: bounds as attributes up to version 6, as inputs after."""
    low, high = (1, 5) if m.dtype in UNSIGNED else (-1, 1)
    x = m.x(m.n, 3, 4)
    if m.version < 11:
        yield Draft("plain", [x], {"min": -0.5, "max": 0.75})
        yield Draft("bare", [x])
        return
    yield Draft("plain", [x, m.array(low), m.array(high)])
    yield Draft("no max", [x, m.array(low)])
    yield Draft("no min", [x, None, m.array(high)])
    yield Draft("bare", [x])
    yield Draft("crossed", [x, m.array(high), m.array(low)])
    yield Draft("0-d", [m.x(), m.array(low), m.array(high)])
    yield Draft("empty", [m.x(m.n - 2, 3), m.array(low), m.array(high)])
    yield from _special(m, lambda values: [values, m.array(0), m.array(3)])


def cast(m: Maker) -> Iterator[Draft]:
    """Yield cases of Cast: to each type of the version."""
    from ovpart.model.types import dtype_number
    from ovpart.probe.schemas import allowed

    for target in allowed("Cast", m.version, "T2"):
        yield Draft(f"to {target}", [_castable(m, target)], {"to": dtype_number(target)})
        if m.version >= 19 and target in ("f8e4m3fn", "f8e5m2"):
            attributes = {"to": dtype_number(target), "saturate": 0}
            yield Draft(f"to {target}, unsaturated", [_castable(m, target)], attributes)


def cast_like(m: Maker) -> Iterator[Draft]:
    """Yield cases of CastLike: like each type of the version."""
    from ovpart.probe.schemas import allowed

    for target in allowed("CastLike", m.version, "T2"):
        yield Draft(f"to {target}", [_castable(m, target), m.of(target, 2)])
        if m.version >= 19 and target in ("f8e4m3fn", "f8e5m2"):
            yield Draft(f"to {target}, unsaturated", [_castable(m, target), m.of(target, 2)], {"saturate": 0})


def _castable(m: Maker, target: str) -> Any:
    """Return values that the target can hold, and for floats fractions of both signs."""
    import numpy as np

    if m.dtype == "string":
        return np.resize(
            np.array(["1", "2.5", "0"] if target not in ("i32", "i64") else ["1", "-3", "0"], object), m.n * 3
        )
    signless = target in UNSIGNED or target in ("u4", "u2", "f8e8m0")
    return m.x(m.n, 3, 4, low=0 if signless else -2, high=3)


def where(m: Maker) -> Iterator[Draft]:
    """Yield cases of Where."""
    yield Draft("plain", [m.of("bool", m.n, 3, 4), m.x(m.n, 3, 4), m.x(m.n, 3, 4)])
    yield Draft("broadcast", [m.of("bool", m.n, 1, 4), m.x(3, 4), m.x()])
    yield Draft("0-d", [m.of("bool"), m.x(), m.x()])
    yield Draft("empty", [m.of("bool", m.n - 2, 3), m.x(3), m.x(3)])
    yield from _special(m, lambda values: [values == values[0], values, values[::-1].copy()])


def _special(m: Maker, inputs: Callable[[Any], list[Any]], ending: str = "") -> Iterator[Draft]:
    """Yield cases of edge values, NaN, and integers too wide for what engines compute in."""
    if m.is_float:
        yield Draft(f"edges{ending}", inputs(edge_floats(m)))
        yield Draft(f"nan{ending}", inputs(nan_floats(m)), kind=NAN)
    elif wide := wide_integers(m):
        values, kind = wide
        yield Draft(f"large{ending}", inputs(values), kind=kind)


def _overflow(m: Maker) -> Iterator[Draft]:
    """Yield a case whose result leaves the range of a small integer type, and wraps in ONNX's engines."""
    ends = {"i8": (127, -128), "u8": (255, 0), "i16": (32767, -32768), "u16": (65535, 0)}.get(m.dtype)
    if ends is not None and m.op in ("Add", "Mul", "Sub", "Sum"):
        top, bottom = ends
        yield Draft("overflow", [m.array([top, bottom, top, 2]), m.array([1, 3, top, 10])], kind=PLAIN)


RECIPES: Mapping[str, Callable[[Maker], Iterator[Draft]]] = {
    **dict.fromkeys(UNARY, unary),
    **dict.fromkeys(BINARY, binary),
    **dict.fromkeys(VARIADIC, variadic),
    "BitShift": bit_shift,
    "Cast": cast,
    "CastLike": cast_like,
    "Clip": clip,
    "Div": div,
    "Mod": div,
    "Pow": power,
    "Where": where,
}
"""Operator → its cases."""
