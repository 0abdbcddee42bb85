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


def sequences(op_type: str) -> onnx.ModelProto:
    """Return a model of SequenceLength, SequenceConstruct or SequenceInsert, with the names of onnxruntime's."""
    cases = {
        "SequenceLength": ([sequence("X", TensorProto.FLOAT)], [tensor("Y", TensorProto.INT64, ())]),
        "SequenceConstruct": (
            [tensor("tensor1", TensorProto.INT64, (2, 3)), tensor("tensor2", TensorProto.INT64, (2, 3))],
            [sequence("output_sequence")],
        ),
        "SequenceInsert": (
            [sequence("input_seq"), tensor("tensor", TensorProto.INT64, (2, 3))],
            [sequence("output_sequence")],
        ),
    }
    inputs, outputs = cases[op_type]
    names = [value.name for value in inputs]
    return model([helper.make_node(op_type, names, [outputs[0].name])], inputs, outputs)


def optional_sequence() -> onnx.ModelProto:
    """Identity of an optional sequence of tensors."""
    kind = helper.make_optional_type_proto(
        helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [5]))
    )
    ends = [helper.make_value_info(name, kind) for name in ("opt_in", "opt_out")]
    return model([helper.make_node("Identity", ["opt_in"], ["opt_out"])], ends[:1], ends[1:], opset=16)


def free_dimensions() -> onnx.ModelProto:
    """Y = |x| over [Dim1, Dim2, 5], of which the first is a DATA_BATCH and the second a DATA_CHANNEL."""
    made = model(
        [helper.make_node("Abs", ["x"], ["y"])],
        [tensor("x", shape=("Dim1", "Dim2", 5))],
        [tensor("y", shape=("Dim1", "Dim2", 5))],
    )
    dims = made.graph.input[0].type.tensor_type.shape.dim
    dims[0].denotation, dims[1].denotation = "DATA_BATCH", "DATA_CHANNEL"
    return made


def pads_outside() -> onnx.ModelProto:
    """Return a Pad whose pads lie in a file that does not exist."""
    pads = onnx.TensorProto(name="Pads_not_on_disk", data_type=TensorProto.INT64, dims=[4], data_location=1)
    for key, value in (("location", "Pads_not_on_disk.bin"), ("offset", "0"), ("length", "32")):
        pads.external_data.add(key=key, value=value)
    node = helper.make_node("Pad", ["X", "Pads_not_on_disk"], ["Y"])
    return model([node], [tensor("X", shape=(3, 2))], [tensor("Y", shape=(4, 3))], [pads])


def large_outside(folder) -> str:
    """Write a MatMul whose weight lies in a file beside the model; return the model's path."""
    weight = numpy_helper.from_array(np.arange(512, dtype=np.float32).reshape(2, 256), "W")
    node = helper.make_node("MatMul", ["X", "W"], ["Y"])
    made = model([node], [tensor("X")], [tensor("Y", shape=(3, 256))], [weight])
    path = str(folder / "model.onnx")
    onnx.save(made, path, save_as_external_data=True, location="weights.bin", size_threshold=100)
    return path


def add_mul_add() -> onnx.ModelProto:
    """Three nodes with names."""
    nodes = [
        helper.make_node("Add", ["A", "B"], ["c"], name="add_0"),
        helper.make_node("Mul", ["c", "B"], ["d"], name="mul_0"),
        helper.make_node("Add", ["d", "A"], ["E"], name="add_1"),
    ]
    return model(nodes, [tensor("A"), tensor("B")], [tensor("E")])


def tree(**attributes) -> onnx.ModelProto:
    """Return a TreeEnsembleClassifier of one tree."""
    count = len(attributes["nodes_modes"])
    node = helper.make_node(
        "TreeEnsembleClassifier",
        ["X"],
        ["label", "probs"],
        domain="ai.onnx.ml",
        nodes_treeids=[0] * count,
        nodes_nodeids=list(range(count)),
        nodes_featureids=[0] * count,
        nodes_missing_value_tracks_true=[0] * count,
        nodes_hitrates=[1.0] * count,
        class_treeids=[0] * len(attributes["class_weights"]),
        class_ids=[0] * len(attributes["class_weights"]),
        classlabels_int64s=[0, 1],
        post_transform="LOGISTIC",
        base_values=[-0.405],
        **attributes,
    )
    inputs = [tensor("X", shape=(None, 3))]
    outputs = [tensor("label", TensorProto.INT64, (None,)), tensor("probs", shape=(None, 2))]
    made = model([node], inputs, outputs, opset=15)
    made.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    return made


def lora() -> onnx.ModelProto:
    """Y = X @ (W + A @ B), where A and B are inputs with zeros for defaults."""
    nodes = [
        helper.make_node("MatMul", ["A", "B"], ["ab"]),
        helper.make_node("Add", ["W", "ab"], ["w"]),
        helper.make_node("MatMul", ["X", "w"], ["Y"]),
    ]
    zeros = [
        numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in (("A", (4, 2)), ("B", (2, 4)))
    ]
    weight = numpy_helper.from_array(np.arange(16, dtype=np.float32).reshape(4, 4), "W")
    inputs = [tensor("X", shape=(4, 4)), tensor("A", shape=(4, 2)), tensor("B", shape=(2, 4))]
    return model(nodes, inputs, [tensor("Y", shape=(4, 4))], [*zeros, weight])
