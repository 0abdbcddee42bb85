"""Models of very many nodes, small values and little work a node: what is left is what a node costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHAPE = (1, 8, 4, 4)
"""Of every value: a convolution fits, and a product over the last axis."""
_EVERY = 100
"""Nodes from one that openvino does not take to the next."""


class _Growing:
    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.last = "x"
        self.factor = ""

    def add(self, op_type: str, *reads: str) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, list(reads), [name], name=f"n{len(self.nodes)}"))
        self.last = name
        return name

    def constant(self, array: np.ndarray) -> str:
        """Add a constant of its own: no two pieces of the model are alike."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array.astype(np.float32), name))
        return name

    def number(self) -> str:
        """Add a constant between 0.3 and 0.9."""
        return self.constant(self.rng.uniform(0.3, 0.9, ()))

    def orthogonal(self, size: int) -> np.ndarray:
        """Return a matrix that keeps lengths."""
        return np.linalg.qr(self.rng.standard_normal((size, size)))[0]

    def link(self, position: int) -> None:
        """Add a link of a chain: five in a row give ``-x`` and a number, so that nothing is lost on the way."""
        op_type = ("Mul", "Add", "Neg", "Sub", "Div")[position % 5]
        if op_type == "Div":
            self.add(op_type, self.last, self.factor)
            return
        reads = [] if op_type == "Neg" else [self.number()]
        if op_type == "Mul":
            self.factor = reads[0]
        self.add(op_type, self.last, *reads)

    def model(self) -> onnx.ModelProto:
        first, last = (helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in ("x", self.last))
        graph = helper.make_graph(self.nodes, "large", [first], [last], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def chain(count: int) -> onnx.ModelProto:
    """Return elementwise nodes in a row, most with a constant of their own."""
    growing = _Growing()
    for position in range(count):
        growing.link(position)
    return growing.model()


def diamonds(count: int) -> onnx.ModelProto:
    """Return elementwise diamonds in a row, four nodes each: a value is taken apart, put together and turned over."""
    growing = _Growing()
    for _ in range(count // 4):
        start = growing.last
        left = growing.add("Mul", start, growing.number())
        right = growing.add("Sub", start, left)
        growing.add("Sub", growing.number(), growing.add("Add", left, right))
    return growing.model()


def mixed(count: int) -> onnx.ModelProto:
    """Return MatMul, Conv and elementwise nodes, and two in a hundred that openvino does not take (sequences)."""
    growing = _Growing()
    zero = growing.constant(np.zeros(()))
    growing.constants[-1].CopyFrom(numpy_helper.from_array(np.zeros((), np.int64), zero))
    for position in range(count):
        place = position % _EVERY
        if place == _EVERY - 3:  # these stand where a chain turns a value over, or takes a number off
            growing.add("SequenceConstruct", growing.last)
        elif place == _EVERY - 2:
            growing.add("SequenceAt", growing.last, zero)
        elif place % 20 == 7:
            growing.add("MatMul", growing.last, growing.constant(growing.orthogonal(4)))
        elif place % 20 == 12:
            growing.add("Conv", growing.last, growing.constant(growing.orthogonal(8).reshape(8, 8, 1, 1)))
        else:
            growing.link(position)
    return growing.model()


MODELS: Mapping[str, Callable[[int], onnx.ModelProto]] = {"chain": chain, "diamonds": diamonds, "mixed": mixed}
