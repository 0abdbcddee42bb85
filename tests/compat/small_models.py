"""Small models for the tests of onnxruntime's face."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype=np.float32)
SQUARES = X * X


def tensor(name: str, dtype: int = TensorProto.FLOAT, shape: Sequence[int | str | None] | None = (3, 2)):
    return helper.make_tensor_value_info(name, dtype, shape)


def sequence(name: str, dtype: int = TensorProto.INT64):
    return helper.make_tensor_sequence_value_info(name, dtype, None)


def model(nodes, inputs, outputs, initializers=(), opset: int = 17, **fields: object) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "graph", inputs, outputs, list(initializers))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def mul() -> onnx.ModelProto:
    """Y = X * W, where W holds what X holds in the tests."""
    return model(
        [helper.make_node("Mul", ["X", "W"], ["Y"])],
        [tensor("X")],
        [tensor("Y")],
        [numpy_helper.from_array(X, "W")],
    )


def matmul(rows: int | str | None = 3) -> onnx.ModelProto:
    """Y = X @ [[1], [2]]."""
    weight = numpy_helper.from_array(np.array([[1.0], [2.0]], np.float32), "W")
    node = helper.make_node("MatMul", ["X", "W"], ["Y"])
    return model([node], [tensor("X", shape=(rows, 2))], [tensor("Y", shape=(rows, 1))], [weight])


def logical_and() -> onnx.ModelProto:
    """Declare the inputs in another order than the node has them."""
    return model(
        [helper.make_node("And", ["input:0", "input1:0"], ["output:0"])],
        [tensor("input1:0", TensorProto.BOOL, (2, 2)), tensor("input:0", TensorProto.BOOL, (2, 2))],
        [tensor("output:0", TensorProto.BOOL, (2, 2))],
    )


def identity_string() -> onnx.ModelProto:
    return model(
        [helper.make_node("Identity", ["input:0"], ["output:0"])],
        [tensor("input:0", TensorProto.STRING, (2, 2))],
        [tensor("output:0", TensorProto.STRING, (2, 2))],
    )
