from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto
from onnx import helper as h

import ovpart
from ovpart import onnx_backend
from ovpart.errors import CompileError, InputError, ModelError

X = np.arange(6, dtype=np.float32).reshape(2, 3) - 2
Y = np.full((2, 3), 3, np.float32)


def value(name, shape=(2, 3), dtype=TensorProto.FLOAT):
    return h.make_tensor_value_info(name, dtype, shape)


def model(nodes, inputs, outputs, initializers=(), domains=()):
    graph = h.make_graph(list(nodes), "g", list(inputs), list(outputs), list(initializers))
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17), *domains], ir_version=8)


SUM = model([h.make_node("Add", ["x", "y"], ["z"])], [value("x"), value("y")], [value("z")])


@pytest.mark.parametrize("inputs", [[X, Y], (X, Y), {"y": Y, "x": X}])
def test_inputs_go_by_position_or_by_name(inputs):
    prepared = onnx_backend.prepare(SUM, "CPU", min_gain=0, rtol=1e-3, atol=1e-7)
    (z,) = prepared.run(inputs)
    np.testing.assert_array_equal(z, X + Y)
    assert prepared.session.plan.coverage == 1


def test_a_single_input_needs_no_list():
    relu = model([h.make_node("Relu", ["x"], ["y"])], [value("x")], [value("y")])
    np.testing.assert_array_equal(onnx_backend.run_model(relu, X)[0], np.maximum(X, 0))


def test_a_wrong_number_of_inputs_is_told_with_the_names():
    with pytest.raises(InputError, match=r"2 inputs \(x, y\), got 1"):
        onnx_backend.prepare(SUM).run([X])


def test_run_takes_no_options():
    with pytest.raises(InputError, match="device_id"):
        onnx_backend.prepare(SUM).run([X, Y], device_id=1)


def test_a_node_is_typed_as_what_is_fed():
    node = h.make_node("TopK", ["x", "k"], ["values", "places"])
    values, places = onnx_backend.run_node(node, [X, np.array([2], np.int64)], opset_version=17)
    np.testing.assert_array_equal(values, X[:, :0:-1])
    assert places.tolist() == [[2, 1], [2, 1]]
    assert places.dtype == np.int64


def test_inputs_that_a_node_leaves_out_are_not_fed():
    node = h.make_node("Clip", ["x", "", "most"], ["y"])
    np.testing.assert_array_equal(onnx_backend.run_node(node, [X, np.float32(1)])[0], np.minimum(X, 1))


def test_a_node_that_nobody_can_type_needs_to_be_told():
    node = h.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")
    with pytest.raises(ModelError, match="outputs_info"):
        onnx_backend.run_node(node, [X])
    (y,) = onnx_backend.run_node(node, [X], outputs_info=[(np.float32, (2, 3))])
    assert y[0, 2] == 0


def test_devices_are_those_of_openvino():
    assert onnx_backend.supports_device("CPU")
    assert onnx_backend.supports_device("CPU:0")
    assert not onnx_backend.supports_device("CUDA")
    assert not onnx_backend.is_compatible(SUM, "CUDA")


def training():
    """Momentum, which onnxruntime lacks and onnx.reference has."""
    domain = "ai.onnx.preview.training"
    node = h.make_node("Momentum", ["r", "t", "x", "g", "v"], ["x2", "v2"], domain=domain, alpha=0.9, beta=1.0,
                       mode="standard", norm_coefficient=0.0)  # fmt: skip
    inputs = [value("r", ()), value("t", (), TensorProto.INT64), value("x"), value("g"), value("v")]
    return model([node], inputs, [value("x2"), value("v2")], domains=[h.make_opsetid(domain, 1)])


def test_what_no_native_engine_has_runs_on_the_reference_unless_that_is_ruled_out():
    feed = [np.float32(0.1), np.int64(0), X, X, Y]
    prepared = onnx_backend.prepare(training())
    x, v = prepared.run([np.asarray(part) for part in feed])
    np.testing.assert_allclose(x, X - np.float32(0.1) * v, rtol=1e-6)
    assert [cluster.label.engine for cluster in prepared.session.plan.clusters] == ["reference"]
    with pytest.raises(CompileError, match="Momentum"):
        onnx_backend.prepare(training(), fallback="onnxruntime")


def test_constants_are_not_computed_by_an_engine_that_is_ruled_out():
    draw = h.make_node("Constant", [], ["c"], value_floats=[1.0, 2.0, 3.0])
    proto = model([draw, h.make_node("Add", ["x", "c"], ["y"])], [value("x")], [value("y")])
    session = ovpart.Session(proto, fallback="onnxruntime")
    np.testing.assert_array_equal(session.run(None, {"x": X})[0], X + np.array([1, 2, 3], np.float32))
