"""Steps by which a random model grows, of arithmetic: each adds some nodes, or none where no value fits.

Comparisons, casts to integers and sorting are applied to values that rounding cannot have touched.
"""

from __future__ import annotations

import math

from hypothesis import strategies as st

from tests.acceptance.growing_models import (
    INTEGERS,
    LARGEST,
    LARGEST_INTEGER,
    MOST_MOVED,
    NUMBERS,
    ROUNDING,
    Growing,
    Value,
)

EXACT_UNARY = ("Relu", "Neg", "Abs", "Identity")
TAME = {"Tanh": 1.0, "Sigmoid": 1.0, "Erf": 1.0, "Sin": 1.0, "Cos": 1.0, "HardSigmoid": 1.0, "Softsign": 1.0}
"""Operators with slopes up to about 1 and results within [-1, 1]."""


def unary(g: Growing) -> None:
    x = g.value("f32", "f32", "f16")
    op = g.pick([*EXACT_UNARY, *TAME, "Exp", "Softplus", "LeakyRelu", "Elu", "Sqrt", "Reciprocal", "Clip", "Square"])
    if x is None:
        return
    if op in EXACT_UNARY:
        g.then(op, x)
    elif op in TAME:
        g.then(op, x, slope=1.2, bound=1.0)
    elif op == "Exp" and x.bound < 4:
        g.then(op, x, slope=math.exp(x.bound), bound=math.exp(x.bound))
    elif op in ("Softplus", "LeakyRelu", "Elu"):
        g.then(op, x, slope=1.0, bound=x.bound + 1)
    elif op == "Clip":
        g.then(op, x, g.constant(-0.75, x.dtype), g.constant(1.5, x.dtype), bound=1.5)
    elif op == "Square":
        g.then("Pow", x, g.constant(2, x.dtype), slope=2 * x.bound, bound=x.bound**2)
    elif op in ("Sqrt", "Reciprocal"):
        away = g.then("Abs", x)
        away = away and g.then("Add", away, g.constant(1, x.dtype), slope=1.0, bound=x.bound + 1)
        if away:
            g.then(op, away, slope=1.0, bound=max(1.0, math.sqrt(x.bound + 1)))


def binary(g: Growing) -> None:
    """Two values of one shape, or a value and a constant that is stretched over it."""
    x = g.value("f32", "f32", "f16", "i64", "i32")
    if x is None:
        return
    partners = [v for v in g.values if v.dtype == x.dtype and v.shape == x.shape]
    if g.draw(st.booleans()) and len(partners) > 1:
        other = g.pick(partners[-4:])
    else:
        shape = tuple(1 if dim == "N" or g.draw(st.integers(0, 3)) == 0 else dim for dim in x.shape)
        shape = shape[g.draw(st.integers(0, len(shape))) :]
        bound = 2.0 if x.is_float else 5
        other = Value(g.weight(shape, bound, x.dtype), x.dtype, shape, bound)
    op = g.pick(["Add", "Sub", "Mul", "Max", "Min", *(["Div"] if x.is_float else [])])
    names, exact = [x.name, other.name], not x.is_float or op in ("Max", "Min")
    if op == "Div":
        combine_by_division(g, x, other)
        return
    bound = (
        x.bound * other.bound
        if op == "Mul"
        else x.bound + other.bound
        if op in ("Add", "Sub")
        else max(x.bound, other.bound)
    )
    if bound > (LARGEST if x.is_float else LARGEST_INTEGER):
        return
    moved = x.moved + other.moved
    if op == "Mul":
        moved = x.moved * other.bound + other.moved * x.bound
    if not exact:
        moved += ROUNDING[x.dtype] * max(bound, 1e-3)
    if moved <= MOST_MOVED * bound + 1e-9:
        g.add(op, names if g.draw(st.booleans()) else names[::-1], Value(g.name(), x.dtype, x.shape, bound, moved))


def combine_by_division(g: Growing, x: Value, other: Value) -> None:
    """X / (abs(other) + 1)."""
    below = g.then("Abs", other, shape=other.shape)
    below = below and g.then("Add", below, g.constant(1, x.dtype), slope=1.0, bound=other.bound + 1)
    if below:
        moved = x.moved + x.bound * below.moved + ROUNDING[x.dtype] * max(x.bound, 1e-3)
        if moved <= MOST_MOVED * x.bound + 1e-9:
            g.add("Div", [x.name, below.name], Value(g.name(), x.dtype, x.shape, x.bound, moved))


def integers(g: Growing) -> None:
    x = g.value("i64", "i32")
    if x is None:
        return
    op = g.pick(["Div", "Mod", "Neg", "Abs", "Equal", "to float"])
    if op in ("Div", "Mod"):
        by = int(g.rng.integers(1, 7))
        g.then(op, x, g.constant(by, x.dtype), bound=x.bound if op == "Div" else by - 1)
    elif op == "Equal":
        g.then(op, x, g.constant(int(g.rng.integers(0, 4)), x.dtype), dtype="bool", bound=1)
    elif op == "to float":
        f = (
            g.then("Cast", x, dtype="f32", bound=min(x.bound, LARGEST), attributes={"to": NUMBERS["f32"]})
            if x.bound <= LARGEST
            else None
        )
        if f:
            g.then("Mul", f, g.constant(0.125, "f32"), slope=0.125, bound=f.bound / 8)
    else:
        g.then(op, x)


def matmul(g: Growing) -> None:
    x = g.value("f32", "f32", "f16", rank=(2, 3, 4))
    if x is None or not isinstance(x.shape[-1], int):
        return
    k, m = x.shape[-1], g.draw(st.integers(1, 6))
    weight = g.weight((k, m), 1.5 / math.sqrt(k), x.dtype)
    stretch = 1.5 * math.sqrt(k)
    shape = (*x.shape[:-1], m)
    if len(x.shape) == 2 and g.draw(st.booleans()):
        bias = g.weight((m,), 1.0, x.dtype)
        g.then("Gemm", x, weight, bias, slope=stretch, bound=x.bound * stretch + 1, shape=shape)
    else:
        g.then("MatMul", x, weight, slope=stretch, bound=x.bound * stretch, shape=shape)


def double(g: Growing) -> None:
    """Add a stretch in f64: most devices have none, so that the plan is cut here."""
    x = g.value("f32", "f16")
    up = x and g.then("Cast", x, dtype="f64", attributes={"to": NUMBERS["f64"]})
    if not up:
        return
    op = g.pick(["Tanh", "Abs", "Mul", "none"])
    if op == "Mul":
        up = g.then(op, up, g.constant(0.3, "f64"), slope=0.3, bound=up.bound * 0.3) or up
    elif op != "none":
        up = g.then(op, up, slope=1.0 if op == "Tanh" else None, bound=1.0 if op == "Tanh" else None) or up
    g.then("Cast", up, dtype=x.dtype, slope=1.0, attributes={"to": NUMBERS[x.dtype]})


def halves(g: Growing) -> None:
    x = g.value("f32", "f16")
    if x is not None:
        to = "f16" if x.dtype == "f32" else "f32"
        g.then("Cast", x, dtype=to, slope=1.0 if to == "f16" else None, attributes={"to": NUMBERS[to]})


def choose(g: Growing) -> None:
    """Compare what rounding has not touched, and add a Where over it."""
    x = g.value("f32", "f16", "i64", "i32", exact=True)
    if x is None:
        return
    op = g.pick(["Greater", "Less", "GreaterOrEqual", "LessOrEqual"])
    yes = g.then(op, x, g.constant(0.25 if x.is_float else 2, x.dtype), dtype="bool", bound=1)
    if yes and g.draw(st.booleans()):
        yes = g.then("Not", yes)
    same = [v for v in g.values if v.shape == x.shape and v.dtype != "bool"]
    one = g.pick(same[-4:])
    two = g.pick([v for v in same if v.dtype == one.dtype][-4:])
    if yes:
        out = Value(g.name(), one.dtype, x.shape, max(one.bound, two.bound), max(one.moved, two.moved))
        g.add("Where", [yes.name, one.name, two.name], out)


def logic(g: Growing) -> None:
    x = g.value("bool")
    if x is None:
        return
    others = [v for v in g.values if v.dtype == "bool" and v.shape == x.shape]
    if g.draw(st.booleans()):
        g.then(g.pick(["And", "Or", "Xor"]), x, g.pick(others).name)
    else:
        to = g.pick(["f32", "i64", "i32"])
        g.then("Cast", x, dtype=to, bound=1, attributes={"to": NUMBERS[to]})


def truncate(g: Growing) -> None:
    x = g.value("f32", exact=True)
    if x is not None:
        to = g.pick(INTEGERS)
        g.then("Cast", x, dtype=to, attributes={"to": NUMBERS[to]})


def reduce(g: Growing) -> None:
    x = g.value("f32", "f32", "f16", rank=(2, 3, 4))
    axes = [] if x is None else [i for i, dim in enumerate(x.shape) if isinstance(dim, int)]
    if not axes:
        return
    axis = g.pick(axes)
    keep = g.draw(st.booleans())
    op = g.pick(["ReduceMean", "ReduceSum", "ReduceMax", "ReduceL2"])
    stretch = {"ReduceMean": 1.0, "ReduceMax": 1.0, "ReduceSum": x.shape[axis], "ReduceL2": math.sqrt(x.shape[axis])}[
        op
    ]
    if op == "ReduceL2" and x.moved > 1e-4:  # steep near nothing
        return
    shape = (*x.shape[:axis], *([1] if keep else []), *x.shape[axis + 1 :])
    by_input = op == "ReduceSum" or g.opset >= 18
    slope = None if op == "ReduceMax" else stretch
    g.then(
        op, x, *([g.constant([axis], "i64")] if by_input else []), slope=slope, bound=x.bound * stretch, shape=shape,
        attributes={"keepdims": int(keep), **({} if by_input else {"axes": [axis]})},
    )  # fmt: skip


def normalise(g: Growing) -> None:
    x = g.value("f32", "f32", "f16", rank=(2, 3, 4))
    if x is None or not isinstance(x.shape[-1], int):
        return
    op = g.pick(["Softmax", "LogSoftmax", "LayerNormalization", "CumSum"])
    if op == "LayerNormalization":
        if g.opset < 17:
            return
        weights = [g.weight((x.shape[-1],), 1.0, x.dtype) for _ in range(2)]
        bound = math.sqrt(x.shape[-1]) + 1
        g.then(op, x, *weights, slope=4.0, bound=bound, attributes={"epsilon": 0.5, "axis": -1})
    elif op == "CumSum":
        if x.dtype == "f32":
            g.then(op, x, g.constant(len(x.shape) - 1, "i64"), slope=x.shape[-1], bound=x.bound * x.shape[-1])
    else:
        bound = 1.0 if op == "Softmax" else 2 * x.bound + 3
        g.then(op, x, slope=2.0, bound=bound, attributes={"axis": -1})


def best(g: Growing) -> None:
    """ArgMax and TopK, of what rounding has not touched."""
    x = g.value("f32", rank=(2, 3), exact=True)
    if x is None or not isinstance(x.shape[-1], int):
        return
    if g.draw(st.booleans()):
        g.then("ArgMax", x, dtype="i64", shape=(*x.shape[:-1], 1), bound=x.shape[-1], attributes={"axis": -1})
        return
    k = g.draw(st.integers(1, x.shape[-1]))
    shape = (*x.shape[:-1], k)
    outs = Value(g.name(), "f32", shape, x.bound), Value(g.name(), "i64", shape, x.shape[-1])
    g.add("TopK", [x.name, g.constant([k], "i64")], *outs, axis=-1)


def convolve(g: Growing) -> None:
    x = g.value("f32", rank=(4,))
    if x is None or x.shape[0] != "N" or "N" in x.shape[1:]:
        image = g.value("f32", rank=(2, 3))
        if image is None or image.shape[0] != "N" or "N" in image.shape[1:]:
            return
        rest = math.prod(image.shape[1:])
        x = g.then("Reshape", image, g.constant([-1, 1, 1, rest], "i64"), shape=("N", 1, 1, rest))
    channels, height, width = x.shape[1:]
    op = g.pick(["Conv", "Conv", "MaxPool", "AveragePool", "BatchNormalization", "GlobalAveragePool"])
    if op == "Conv":
        made, size = g.draw(st.integers(1, 4)), g.pick([1, 3])
        taps = channels * size * size
        weight = g.weight((made, channels, size, size), 1.5 / math.sqrt(taps), "f32")
        stretch = 1.5 * math.sqrt(taps)
        pads = {"pads": [size // 2] * 4}
        g.then(op, x, weight, slope=stretch, bound=x.bound * stretch, shape=("N", made, height, width), attributes=pads)
    elif op.startswith("Global"):
        g.then(op, x, slope=1.0, shape=("N", channels, 1, 1))
    elif op.endswith("Pool"):
        attributes = {"kernel_shape": [1, min(2, width)], "strides": [1, 1]}
        shape = ("N", channels, height, width - min(2, width) + 1)
        g.then(op, x, slope=None if op == "MaxPool" else 1.0, shape=shape, attributes=attributes)
    else:
        weights = [g.weight((channels,), 1.0, "f32") for _ in range(3)]
        variance = g.constant(g.rng.uniform(0.5, 1.5, channels), "f32")
        g.then(op, x, *weights, variance, slope=1.5, bound=1.5 * (x.bound + 1) + 1)


ARITHMETIC = (
    *(unary, unary, unary, binary, binary, binary, integers, matmul, matmul, double, double, halves),
    *(choose, logic, truncate, reduce, normalise, best, convolve),
)
"""The steps of this module, those that should be drawn more often several times."""
