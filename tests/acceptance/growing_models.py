"""Values with bounds, and a model that grows node by node: what random models are made of.

Each value carries a bound of its magnitude and a bound of how far rounding may have moved it, so that a comparison can
be tight where little was computed and no step is taken that would make noise of rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        """Draw one of some choices; the first is the likeliest."""
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
