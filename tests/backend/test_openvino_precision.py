"""Quantised cuts are computed as ONNX defines them, whatever openvino's low-precision passes would make of them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from onnx import TensorProto, helper, numpy_helper

import ovpart
from ovpart.backend.cut import make_cut
from ovpart.backend.openvino import OpenVINOBackend
from ovpart.backend.openvino_precision import LOW_PRECISION, exact_options
from ovpart.model.read import read_model


def convolution(weights: np.ndarray) -> onnx.ModelProto:
    """X u8 -> QLinearConv with weights of full range: sums of pairs of products leave 16 bits."""
    scalars = {"xs": np.float32(0.02), "xz": np.uint8(3), "ws": np.float32(0.01), "wz": np.int8(0)}
    scalars |= {"ys": np.float32(0.9), "yz": np.uint8(128)}
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in scalars.items()]
    node = helper.make_node("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["y"])
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 32, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, [1, 16, 6, 6])],
        [numpy_helper.from_array(weights, "w"), *constants],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def test_products_of_8_bits_do_not_saturate():
    random = np.random.default_rng(7)
    weights = random.integers(-127, 128, (16, 32, 3, 3)).astype(np.int8)
    x = random.integers(0, 256, (1, 32, 8, 8)).astype(np.uint8)
    windows = sliding_window_view(x.astype(np.int64) - 3, (3, 3), axis=(2, 3))
    sums = np.einsum("nchwij,ocij->nohw", windows, weights.astype(np.int64))
    wanted = np.clip(np.rint(sums * (0.02 * 0.01 / 0.9)) + 128, 0, 255)
    request = (
        OpenVINOBackend().compile(make_cut(read_model(convolution(weights)), (0,), ("x",), ("y",)), "CPU", {}).bind()
    )
    request.set_input(0, x)
    request.run()
    assert np.abs(request.take_output(0).astype(int) - wanted).max() <= 1


def test_the_property_is_set_for_quantised_graphs_on_the_cpu_unless_the_user_sets_it():
    quantised = convolution(np.zeros((16, 32, 3, 3), np.int8)).graph
    plain = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [], [])
    branches = helper.make_node("If", ["c"], ["y"], then_branch=quantised, else_branch=plain)
    inside = helper.make_graph([branches], "g", [], [])
    assert exact_options(quantised, "CPU", {}, {}) == {LOW_PRECISION: "NO"}
    assert exact_options(inside, "CPU", {}, {}) == {LOW_PRECISION: "NO"}
    assert exact_options(plain, "CPU", {}, {}) == {}
    assert exact_options(quantised, "GPU", {}, {}) == {}
    assert exact_options(quantised, "CPU", {LOW_PRECISION: "YES"}, {LOW_PRECISION: "YES"}) == {LOW_PRECISION: "YES"}


@pytest.mark.parametrize("scale", [np.finfo(np.float32).max / 255, 1e30, 2000.0])
def test_a_quantised_mask_keeps_its_zero(scale):
    # Alone, openvino gives NaN, or takes the zero point off after multiplying: 0 comes back as 1e-7 of the range.
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("Add", ["d", "x"], ["y"]),
    ]
    constants = [numpy_helper.from_array(np.float32(scale), "s"), numpy_helper.from_array(np.int8(127), "z")]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy"]
    graph = helper.make_graph(nodes, "mask", ends[:1], ends[1:], constants)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    x = np.float32([0, 0, -100, 0]) * np.float32(scale)
    (got,) = ovpart.Session(proto, min_gain=0, evidence="off").run(None, {"x": x})
    np.testing.assert_array_equal(got[[0, 1, 3]], [0, 0, 0])
    np.testing.assert_allclose(got[2], 2 * x[2], 1e-5)
