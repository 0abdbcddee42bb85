"""What openvino would compute wrongly: maxima and minima of infinities, empty ranges, rescaled FakeQuantize."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx import helper as h
from onnx import numpy_helper as nh

import ovpart

INF = np.inf
LEAST = float(np.finfo(np.float32).min)


def session(nodes, shape, initializers=(), dtype=TensorProto.FLOAT):
    info = h.make_tensor_value_info
    graph = h.make_graph(nodes, "g", [info("x", dtype, shape)], [onnx.ValueInfoProto(name="y")], list(initializers))
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    made = ovpart.Session(onnx.shape_inference.infer_shapes(model), min_gain=0, strict=True)
    assert made.plan.coverage == 1
    return made


@pytest.mark.parametrize(("op", "numpy_op"), [("ReduceMax", np.max), ("ReduceMin", np.min)])
@pytest.mark.parametrize("shape", [[4, 3], ["n", "m"]])
@pytest.mark.parametrize("row", [[-INF] * 3, [INF] * 3, [LEAST] * 3, [-LEAST] * 3, [LEAST, -INF, -INF], [1, INF, -INF]])
def test_extremes_of_infinities(op, numpy_op, shape, row):
    x = np.array([row, [1, 2, 3], row, [-1, 0, 1e-39]], np.float32)
    (y,) = session([h.make_node(op, ["x"], ["y"], axes=[1], keepdims=0)], shape).run(None, {"x": x})
    np.testing.assert_array_equal(y, numpy_op(x, 1))


@pytest.mark.parametrize("shape", [[1, 3, 4, 4], ["n", 3, "h", "w"]])
@pytest.mark.parametrize("value", [-INF, INF, LEAST, 2.5])
@pytest.mark.parametrize("before", [[], ["LeakyRelu"], ["Relu"]])
def test_pools_of_infinities(shape, value, before):
    nodes = [h.make_node(op, ["x"], ["r"]) for op in before]
    nodes.append(h.make_node("MaxPool", ["r" if before else "x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]))
    x = np.full((1, 3, 4, 4), value, np.float32)
    slope = {"LeakyRelu": 0.01, "Relu": 0.0}.get("".join(before), 1.0)
    wanted = x if value > 0 else np.zeros_like(x) if slope == 0 else x * np.float32(slope)
    (y,) = session(nodes, shape).run(None, {"x": x})
    np.testing.assert_allclose(y, wanted, rtol=1e-6)


def test_names_of_outputs_and_other_readers_are_kept():
    nodes = [
        h.make_node("ReduceMax", ["x"], ["m"], axes=[1], keepdims=1),
        h.make_node("Sub", ["x", "m"], ["d"]),
        h.make_node("Identity", ["m"], ["y"]),
    ]
    x = np.array([[1, 5, 3]], np.float32)
    assert session(nodes, [1, 3]).run(None, {"x": x})[0].tolist() == [[5]]


def test_bodies_are_right_too():
    info = h.make_tensor_value_info
    yes = h.make_graph([h.make_node("ReduceMax", ["x"], ["a"], axes=[1])], "yes", [], [info("a", 1, [2, 1])])
    no = h.make_graph([h.make_node("ReduceMin", ["x"], ["b"], axes=[1])], "no", [], [info("b", 1, [2, 1])])
    nodes = [
        h.make_node("ReduceSum", ["x", "axes"], ["s"], keepdims=0),
        h.make_node("Greater", ["s", "zero"], ["c"]),
        h.make_node("If", ["c"], ["y"], then_branch=yes, else_branch=no),
    ]
    constants = [nh.from_array(np.array([0, 1]), "axes"), nh.from_array(np.float32(0), "zero")]
    made = session(nodes, [2, 3], constants)
    for x in (np.full((2, 3), INF, np.float32), np.full((2, 3), -INF, np.float32)):
        np.testing.assert_array_equal(made.run(None, {"x": x})[0], x[:, :1])


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_ranges_at_run_time_are_empty_where_they_should_be(dtype):
    number = h.np_dtype_to_tensor_dtype(np.dtype(dtype))
    inputs = [h.make_tensor_value_info(name, number, []) for name in ("start", "limit", "delta")]
    node = h.make_node("Range", ["start", "limit", "delta"], ["y"])
    graph = h.make_graph([node], "g", inputs, [h.make_tensor_value_info("y", number, ["n"])])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    made = ovpart.Session(model, min_gain=0, strict=True)
    assert made.plan.coverage == 1
    for ends in ((5, 3, 1), (0, 4, -1), (-5, -9, 2), (0, 0, 1), (0, 5, 2), (5, 0, -2), (2**24 + 1, 2**24 + 4, 1)):
        (y,) = made.run(None, dict(zip(("start", "limit", "delta"), np.array(ends, dtype), strict=True)))
        assert y.tolist() == list(range(*ends))


def test_a_value_that_many_read_is_looked_at_once():
    """Each link reads the one before it twelve times: without a memory, 12**8 questions."""
    nodes, last = [h.make_node("Sigmoid", ["x"], ["v0"])], "v0"
    for index in range(1, 9):
        nodes.append(h.make_node("Concat", [last] * 12, [f"c{index}"], axis=2))
        last = f"v{index}" if index < 8 else "y"
        nodes.append(h.make_node("MaxPool", [f"c{index}"], [last], kernel_shape=[12, 1], strides=[12, 1]))
    x = np.linspace(-2, 2, 16, dtype=np.float32).reshape(1, 1, 4, 4)
    (y,) = session(nodes, [1, 1, 4, 4]).run(None, {"x": x})
    most = (1 / (1 + np.exp(-x))).max(2, keepdims=True)
    np.testing.assert_allclose(y, np.broadcast_to(most, x.shape), rtol=1e-5)


RESCALED = {
    "norm": [("BatchNormalization", ["x", "scale", "shift", "shift", "spread"])],
    "product": [("Mul", ["x", "scales"])],
    "negative product": [("Mul", ["x", "negative"])],
    "sum": [("Add", ["x", "scales"])],
    "difference": [("Sub", ["x", "scales"])],
    "quotient": [("Div", ["x", "scales"])],
    "both": [("Mul", ["x", "scales"]), ("Add", ["t0", "negative"])],
    "product and ReLU": [("Mul", ["x", "scales"]), ("Relu", ["t0"])],
    "product and clip": [("Mul", ["x", "scales"]), ("Clip", ["t0", "zero", "one"])],
    "behind a pool": [("GlobalMaxPool", ["x"]), ("Mul", ["t0", "scales"])],
    "expanded": [("Unsqueeze", ["scale", "axes"]), ("Mul", ["x", "t0"])],
    "nothing": [("Neg", ["x"])],
}
"""What is done to a value before it is quantised: operator and inputs; ``t0`` is what the first one made."""


@pytest.mark.parametrize("before", RESCALED.values(), ids=RESCALED)
@pytest.mark.parametrize("shape", [["n", 3, 8, 8], [1, 3, "h", "w"], [1, 3, 8, 8]])
def test_what_is_rescaled_by_channel_is_quantised_rightly(before, shape):
    import onnxruntime

    rng = np.random.default_rng(4)
    scales = np.float32([0.5, 1.2, 1.9])
    constants = {
        "scale": scales, "shift": np.float32([0.3, -0.1, 0.2]), "spread": np.float32([0.5, 1, 2]), "axes": [1, 2],
        "scales": scales.reshape(1, 3, 1, 1), "negative": -scales.reshape(1, 3, 1, 1), "zero": np.float32(0),
        "one": np.float32(1), "step": np.float32(0.02), "offset": np.int8(3),
    }  # fmt: skip
    nodes = [h.make_node(kind, names, [f"t{position}"]) for position, (kind, names) in enumerate(before)]
    nodes.append(h.make_node("QuantizeLinear", [f"t{len(before) - 1}", "step", "offset"], ["q"]))
    nodes.append(h.make_node("DequantizeLinear", ["q", "step", "offset"], ["y"]))
    read = {name for node in nodes for name in node.input}
    stored = [nh.from_array(np.asarray(array), name) for name, array in constants.items() if name in read]
    made = session(nodes, shape, stored)
    x = rng.normal(size=(1, 3, 8, 8)).astype(np.float32)
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = onnxruntime.InferenceSession(made.model.proto.SerializeToString(), settings)
    (wanted,) = plain.run(["y"], {"x": x})
    (got,) = made.run(["y"], {"x": x})
    assert np.abs(got - wanted).max() <= 0.0201  # a step: products that lie between two are rounded either way
