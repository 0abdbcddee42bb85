# ruff: noqa: D401, E501
"""Random small models whose answers any two right engines agree on, and arrays to feed them.

Each value is drawn together with a bound of its magnitude and a bound of how far rounding may have moved it, so that a
comparison can be tight where little was computed and no step is taken that would make noise of rounding: comparisons,
casts to integers and sorting are applied to values that rounding cannot have touched.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

ROUNDING = {"f32": 4e-6, "f16": 2e-3, "f64": 1e-13}
"""What one operator may move a value, over its bound: some units in the last place, sums of few terms included."""
MOST_MOVED = 2e-2
"""Values that rounding may have moved further, over their bound, are computed no further."""
LARGEST = 60.0
"""Bound of floats: far from what overflows f16."""
LARGEST_INTEGER = 2**20
"""Bound of integers: exact in f32, and so within what is promised of i32 arithmetic."""
NUMBERS = {
    "f32": TensorProto.FLOAT,
    "f16": TensorProto.FLOAT16,
    "f64": TensorProto.DOUBLE,
    "i64": TensorProto.INT64,
    "i32": TensorProto.INT32,
    "bool": TensorProto.BOOL,
}
FLOATS = ("f32", "f16", "f64")
INTEGERS = ("i64", "i32")
VALUE_NAMES = ("v", "a/b:", "é ☃ ", "x.y|", "0", "%", "a;\n", "-", "output", "Add_", "🦆")
NODE_NAMES = ("", "n", "same", "a/b", "é", "x y", "/layer.0/attn:0")

Shape = tuple[int | str, ...]


@dataclass(frozen=True)
class Value:
    """A value of a model that grows: ``"N"`` in `shape` is the size that differs from feed to feed."""

    name: str
    dtype: str
    shape: Shape
    bound: float
    moved: float = 0.0

    @property
    def is_float(self) -> bool:
        return self.dtype in FLOATS


@dataclass(frozen=True)
class Found:
    """A random model, what to exclude from delegation, and what its answers may differ by."""

    proto: onnx.ModelProto
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    exclude: tuple[str, ...]
    seed: int
    size: int | None
    overridable: tuple[Value, ...] = ()

    def feed(self, size: int, seed: int) -> dict[str, np.ndarray]:
        """Return arrays for every input, ``N`` taken as `size` where the model leaves it open."""
        rng = np.random.default_rng((self.seed, seed))
        return {value.name: array(rng, value, self.size or size) for value in self.inputs}

    def __repr__(self) -> str:
        return f"exclude={self.exclude} seed={self.seed}\n{onnx.printer.to_text(self.proto)}"


def array(rng: np.random.Generator, value: Value, size: int = 1) -> np.ndarray:
    """Return an array within the bound of a value; integers are not negative, so that they serve as indices."""
    dims = [size if dim == "N" else dim for dim in value.shape]
    dtype = helper.tensor_dtype_to_np_dtype(NUMBERS[value.dtype])
    if value.dtype == "bool":
        return np.asarray(rng.random(dims) < 0.5)
    if value.is_float:
        return np.asarray(rng.uniform(-value.bound, value.bound, dims), dtype)
    return np.asarray(rng.integers(0, int(value.bound), dims, endpoint=True), dtype)


@dataclass
class Growing:
    """A model under construction."""

    draw: st.DrawFn
    opset: int
    rng: np.random.Generator
    prefix: Sequence[str]
    node_names: Sequence[str]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    initializers: dict[str, tuple[Value, onnx.TensorProto]] = field(default_factory=dict)
    made: int = 0

    def name(self) -> str:
        self.made += 1
        return f"{self.prefix[self.made % len(self.prefix)]}{self.made}"

    def pick(self, choices: Sequence):
        """Draw one of some choices; the latest value is the likeliest where values are meant, so that models get deep."""
        return self.draw(st.sampled_from(choices))

    def value(self, *dtypes: str, rank: Sequence[int] = (), exact: bool = False) -> Value | None:
        """Draw a value of one of some dtypes and ranks; ``None`` where there is none."""
        fitting = [
            value
            for value in reversed(self.values)
            if value.dtype in dtypes and (not rank or len(value.shape) in rank) and not (exact and value.moved)
        ]
        return self.pick(fitting[:4]) if fitting else None

    def input(self, dtype: str, shape: Shape, bound: float) -> Value:
        value = Value(self.name(), dtype, shape, bound)
        self.inputs.append(value)
        self.values.append(value)
        return value

    def constant(self, content: np.ndarray | Sequence | float, dtype: str) -> str:
        """Add an initializer or a ``Constant`` node; equal ones are shared at times."""
        data = np.asarray(content, helper.tensor_dtype_to_np_dtype(NUMBERS[dtype]))
        for name, (value, tensor) in self.initializers.items():
            if value.dtype == dtype and np.array_equal(numpy_helper.to_array(tensor), data) and self.made % 3:
                return name
        name = self.name()
        tensor = numpy_helper.from_array(data, name)
        if self.made % 4 == 0:
            self.nodes.append(helper.make_node("Constant", [], [name], name=self.node_name(), value=tensor))
        else:
            bound = float(np.abs(data.astype(np.float64)).max()) if data.size else 0.0
            self.initializers[name] = (Value(name, dtype, tuple(data.shape), bound), tensor)
        return name

    def weight(self, shape: Sequence[int], bound: float, dtype: str) -> str:
        return self.constant(array(self.rng, Value("", dtype, tuple(shape), bound)), dtype)

    def node_name(self) -> str:
        name = self.node_names[len(self.nodes) % len(self.node_names)]
        return f"n{len(self.nodes)}" if name == "n" else name

    def add(self, op: str, inputs: Sequence[str], *outputs: Value, **attributes) -> None:
        """Add a node; `outputs` are its outputs, named already."""
        node = helper.make_node(op, list(inputs), [o.name for o in outputs], name=self.node_name(), **attributes)
        self.nodes.append(node)
        self.values.extend(outputs)

    def then(self, op: str, of: Value, *others: str, slope: float | None = None, bound: float | None = None, **rest):
        """Add a node that changes one value; `slope` says how much it stretches errors, ``None`` that it is exact."""
        attributes = rest.pop("attributes", {})
        out = replace(of, name=self.name(), bound=of.bound if bound is None else bound, **rest)
        moved = of.moved
        if slope is not None and out.is_float:
            moved = slope * of.moved + ROUNDING[out.dtype] * max(out.bound, 1e-3)
        out = replace(out, moved=moved)
        if (
            (out.bound > LARGEST and out.is_float)
            or out.bound > LARGEST_INTEGER
            or out.moved > MOST_MOVED * out.bound + 1e-9
        ):
            return None
        self.add(op, [of.name, *others], out, **attributes)
        return out


# Steps: each adds some nodes, or none where no value fits.

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


def reshape(g: Growing) -> None:
    """By a constant, or by a shape that is computed from the value's own."""
    x = g.value("f32", "f16", "i64", "bool", rank=(2, 3, 4))
    if x is None or x.shape[0] != "N" or "N" in x.shape[1:]:
        return
    rest = math.prod(x.shape[1:])
    divisors = [d for d in range(1, rest + 1) if rest % d == 0]
    d = g.pick(divisors)
    target = g.pick([(rest,), (d, rest // d), (d, 1, rest // d)])
    way = g.pick(["keep", "infer", "computed", "Flatten"])
    if way == "Flatten":
        g.then("Flatten", x, shape=("N", rest), attributes={"axis": 1})
        return
    if way == "computed":
        shape = g.name()
        g.nodes.append(helper.make_node("Shape", [x.name], [shape], name=g.node_name()))
        first, wide = g.name(), g.name()
        g.nodes.append(helper.make_node("Gather", [shape, g.constant(0, "i64")], [first], axis=0, name=g.node_name()))
        g.nodes.append(helper.make_node("Unsqueeze", [first, g.constant([0], "i64")], [wide], name=g.node_name()))
        goal = g.name()
        g.nodes.append(
            helper.make_node("Concat", [wide, g.constant(target, "i64")], [goal], axis=0, name=g.node_name())
        )
    else:
        goal = g.constant([0 if way == "keep" else -1, *target], "i64")
    g.then("Reshape", x, goal, shape=("N", *target))


def turn(g: Growing) -> None:
    """Transpose, Unsqueeze, Squeeze."""
    x = g.value("f32", "f16", "i32", "i64", "bool", rank=(1, 2, 3))
    if x is None:
        return
    op = g.pick(["Transpose", "Unsqueeze", "Squeeze"])
    if op == "Transpose":
        order = g.draw(st.permutations(range(len(x.shape))))
        g.then(op, x, shape=tuple(x.shape[i] for i in order), attributes={"perm": order})
    elif op == "Unsqueeze":
        at = g.draw(st.integers(0, len(x.shape)))
        g.then(op, x, g.constant([at], "i64"), shape=(*x.shape[:at], 1, *x.shape[at:]))
    elif 1 in x.shape and len(x.shape) > 1:
        at = x.shape.index(1)
        g.then(op, x, g.constant([at - len(x.shape)], "i64"), shape=(*x.shape[:at], *x.shape[at + 1 :]))


def concat(g: Growing) -> None:
    x = g.value("f32", "f16", "i64", "i32", rank=(2, 3, 4))
    if x is None or not isinstance(x.shape[-1], int):
        return
    others = [
        v for v in g.values if v.dtype == x.dtype and v.shape[:-1] == x.shape[:-1] and isinstance(v.shape[-1], int)
    ]
    parts = [x, *(g.pick(others[-4:]) for _ in range(g.draw(st.integers(1, 2))))]
    width = sum(v.shape[-1] for v in parts)
    if width <= 16:
        bound, moved = max(v.bound for v in parts), max(v.moved for v in parts)
        g.add(
            "Concat", [v.name for v in parts], Value(g.name(), x.dtype, (*x.shape[:-1], width), bound, moved), axis=-1
        )


def split(g: Growing) -> None:
    x = g.value("f32", "f16", "i64", "i32", rank=(2, 3, 4))
    axes = [] if x is None else [i for i, dim in enumerate(x.shape) if isinstance(dim, int) and dim > 1]
    if not axes:
        return
    axis = g.pick(axes)
    at = g.draw(st.integers(1, x.shape[axis] - 1))
    sizes = [at, x.shape[axis] - at]
    parts = [replace(x, name=g.name(), shape=(*x.shape[:axis], size, *x.shape[axis + 1 :])) for size in sizes]
    g.add("Split", [x.name, g.constant(sizes, "i64")], *parts, axis=axis)


def gather(g: Growing) -> None:
    """Rows of a table by ids, or entries of a value by constants, counted from the end as well."""
    ids = g.value("i64", "i32", rank=(1, 2), exact=True)
    if ids is not None and g.draw(st.booleans()):
        rows = 7
        if ids.bound >= rows or len(ids.shape) > 1 or not any(v.name == ids.name for v in g.inputs):
            ids = g.then("Abs", ids)
            ids = ids and g.then("Mod", ids, g.constant(rows, ids.dtype), bound=rows - 1)
        if ids:
            width = g.draw(st.integers(1, 5))
            table = g.weight((rows, width), 2.0, "f32")
            g.add("Gather", [table, ids.name], Value(g.name(), "f32", (*ids.shape, width), 2.0), axis=0)
        return
    x = g.value("f32", "f16", "i64", "i32", rank=(2, 3))
    if x is None or not isinstance(x.shape[-1], int):
        return
    picks = [int(i) for i in g.rng.integers(-x.shape[-1], x.shape[-1], g.draw(st.integers(1, 3)))]
    g.then("Gather", x, g.constant(picks, "i64"), shape=(*x.shape[:-1], len(picks)), attributes={"axis": -1})


def double(g: Growing) -> None:
    """A stretch in f64: most devices have none, so that the plan is cut here."""
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
    """A comparison of what rounding has not touched, and a Where over it."""
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


def folded(g: Growing) -> None:
    """Nodes over constants alone, added to a value."""
    x = g.value("f32", "f32", "f16")
    if x is None:
        return
    one, two, three = (g.name() for _ in range(3))
    tensor = numpy_helper.from_array(
        np.float32([0.5, -0.25, 1]).astype(helper.tensor_dtype_to_np_dtype(NUMBERS[x.dtype]))
    )
    g.nodes.append(helper.make_node("Constant", [], [one], value=tensor))
    g.nodes.append(helper.make_node("Mul", [one, one], [two], name=g.node_name()))
    if g.opset >= 18:
        g.nodes.append(helper.make_node("ReduceMax", [two, g.constant([0], "i64")], [three], keepdims=0))
    else:
        g.nodes.append(helper.make_node("ReduceMax", [two], [three], axes=[0], keepdims=0))
    g.then(g.pick(["Add", "Mul"]), x, three, slope=1.0, bound=x.bound + 1)


def cut_out(g: Growing) -> None:
    """Slice to the end of things, forwards and backwards; Pad; Tile; Expand."""
    x = g.value("f32", "i64", "i32", rank=(2, 3))
    if x is None or not isinstance(x.shape[-1], int):
        return
    op, last, width = g.pick(["Slice", "reversed", "Pad", "Tile", "Expand"]), len(x.shape) - 1, x.shape[-1]
    if op == "Slice":
        start = g.draw(st.integers(0, width - 1))
        names = [g.constant([v], "i64") for v in (start, 2**63 - 1, last)]
        g.then(op, x, *names, shape=(*x.shape[:-1], width - start))
    elif op == "reversed":
        names = [g.constant([v], "i64") for v in (-1, -(2**31), -1, -1)]
        g.then("Slice", x, *names)
    elif op == "Pad" and width < 12 and x.dtype == "f32":
        pads = [0] * len(x.shape) * 2
        pads[last], pads[-1] = 1, 2
        g.then(
            op,
            x,
            g.constant(pads, "i64"),
            g.constant(0.5, "f32"),
            shape=(*x.shape[:-1], width + 3),
            bound=max(x.bound, 0.5),
        )
    elif op == "Tile" and width < 6:
        g.then(op, x, g.constant([1] * last + [2], "i64"), shape=(*x.shape[:-1], 2 * width))
    elif op == "Expand":
        g.then(op, x, g.constant([3] + [1] * len(x.shape), "i64"), shape=(3, *x.shape))


def branch(g: Growing) -> None:
    """An If whose branches read a value of the outer scope."""
    flags = [v for v in g.inputs if v.dtype == "bool" and v.shape == ()]
    x = g.value("f32")
    if x is None or x.moved:
        return
    flag = flags[0] if flags else g.input("bool", (), 1)
    bodies = {}
    for which, op in (("then_branch", g.pick(["Neg", "Relu"])), ("else_branch", g.pick(["Abs", "Identity"]))):
        made = g.name()
        out = helper.make_tensor_value_info(made, NUMBERS[x.dtype], None)
        bodies[which] = helper.make_graph([helper.make_node(op, [x.name], [made])], which, [], [out])
    g.add("If", [flag.name], replace(x, name=g.name()), **bodies)


STEPS = (
    unary, unary, unary, binary, binary, binary, integers, matmul, matmul, reshape, reshape, turn, concat, split, gather,
    double, double, halves, choose, logic, truncate, reduce, normalise, best, convolve, folded, cut_out, branch,
)  # fmt: skip


@st.composite
def models(draw: st.DrawFn, *, steps: int = 14) -> Found:
    """Draw a model of about `steps` to twice as many nodes."""
    seed = draw(st.integers(0, 2**16))
    prefix = draw(st.lists(st.sampled_from(VALUE_NAMES), min_size=1, max_size=3, unique=True))
    node_names = draw(st.lists(st.sampled_from(NODE_NAMES), min_size=1, max_size=3, unique=True))
    g = Growing(draw, draw(st.sampled_from([13, 17, 18, 21])), np.random.default_rng(seed), prefix, node_names)
    g.input("f32", ("N", draw(st.integers(2, 6))), 2.0)
    for _ in range(draw(st.integers(0, 2))):
        dtype = draw(st.sampled_from(["f32", "f16", "i64", "i32"]))
        shape = draw(st.sampled_from([("N",), ("N", 3), ("N", 2, 3), ("N", 2, 3, 4)]))
        g.input(dtype, shape, 2.0 if dtype in FLOATS else 6)
    for step in draw(st.lists(st.sampled_from(STEPS), min_size=steps // 2, max_size=steps)):
        step(g)
    return finish(draw, g, seed)


def finish(draw: st.DrawFn, g: Growing, seed: int) -> Found:
    """Choose outputs, put the nodes in some order and write the model down."""
    made = {name for node in g.nodes for name in node.output}
    read = {name for node in g.nodes for name in node.input}
    ends = [value for value in g.values if value.name in made - read] or g.values
    outputs = draw(
        st.lists(st.sampled_from(ends[::-1]), min_size=min(3, len(ends)), max_size=6, unique_by=lambda v: v.name)
    )
    if draw(st.integers(0, 3)) == 0:
        outputs.append(draw(st.sampled_from(g.values)))
    if draw(st.integers(0, 3)) == 0:
        outputs.append(draw(st.sampled_from([v for v in g.inputs if v not in outputs] or g.inputs)))
    if draw(st.integers(0, 3)) == 0 and g.initializers:
        outputs.append(draw(st.sampled_from([value for value, _ in g.initializers.values()])))
    if draw(st.integers(0, 3)) == 0:
        twin = replace(outputs[0], name=g.name())
        g.add("Identity", [outputs[0].name], twin)
        outputs.append(twin)
    outputs = list({v.name: v for v in outputs}.values())
    size = draw(st.sampled_from([None, None, 1, 3]))
    graph = helper.make_graph(
        draw(st.permutations(g.nodes)) if draw(st.booleans()) else g.nodes,
        "random",
        [declared(v, size) for v in g.inputs],
        [declared(v, size, shapeless=draw(st.booleans())) for v in outputs],
        [tensor for _, tensor in g.initializers.values()],
    )
    proto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", g.opset)], ir_version=draw(st.sampled_from([8, 10]))
    )
    overridable = [value for value, _ in g.initializers.values() if value.is_float and value.shape]
    if overridable and draw(st.integers(0, 3)) == 0:
        overridable = overridable[:1]
        proto.graph.input.append(declared(overridable[0], None))
    else:
        overridable = []
    kinds = sorted({node.op_type for node in g.nodes} - {"Constant"}) or ["Relu"]
    exclude = draw(st.lists(st.sampled_from(kinds), max_size=3, unique=True))
    return Found(proto, tuple(g.inputs), tuple(outputs), tuple(exclude), seed, size, tuple(overridable))


def declared(value: Value, size: int | None, *, shapeless: bool = False) -> onnx.ValueInfoProto:
    dims = None if shapeless else [size or "N" if dim == "N" else dim for dim in value.shape]
    return helper.make_tensor_value_info(value.name, NUMBERS[value.dtype], dims)


def renamed_and_shuffled(found: Found, seed: int) -> onnx.ModelProto:
    """Return the model with its nodes in another order and under other names; values keep theirs."""
    proto = onnx.ModelProto()
    proto.CopyFrom(found.proto)
    nodes = [proto.graph.node[int(i)] for i in np.random.default_rng(seed).permutation(len(proto.graph.node))]
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    for position, node in enumerate(nodes):
        node.name = f"other {position}"
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return proto


def worst(got: Sequence[np.ndarray], wanted: Sequence[np.ndarray], outputs: Sequence[Value]) -> Mapping[str, float]:
    """Return by how much each output is off, over what rounding may move it; integers and bools: 0 or infinity."""
    off = {}
    for ours, theirs, value in zip(got, wanted, outputs, strict=True):
        if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
            off[value.name] = math.inf
        elif not value.is_float:
            off[value.name] = 0.0 if np.array_equal(ours, theirs) else math.inf
        elif ours.size:
            apart = np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max()
            off[value.name] = float(apart / max(value.moved, ROUNDING[value.dtype] * max(value.bound, 1e-3)))
    return {name: ratio for name, ratio in off.items() if not ratio <= 1}
