"""Devices as users name them, on a machine that has a CPU: what is there runs, what is absent is told or emulated."""

from __future__ import annotations

import json
import warnings

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto
from onnx import helper as h

import ovpart
from ovpart.errors import CompileError, DeviceNotFound, OptionError, OvpartWarning
from ovpart.placement.devices.presence import is_there

X = np.array([[0.1, 0.4, 0.7, 0.9]], np.float32)


def mixed_model():
    """X -> Relu -> Acos (nobody knows of it on NPU) -> Sqrt in f64 (no device) -> Relu -> y."""
    nodes = [
        h.make_node("Relu", ["x"], ["a"], name="first"),
        h.make_node("Acos", ["a"], ["b"], name="acos"),
        h.make_node("Cast", ["b"], ["c"], name="up", to=TensorProto.DOUBLE),
        h.make_node("Sqrt", ["c"], ["d"], name="root"),
        h.make_node("Cast", ["d"], ["e"], name="down", to=TensorProto.FLOAT),
        h.make_node("Relu", ["e"], ["y"], name="last"),
    ]
    ends = [h.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    return h.make_model(
        h.make_graph(nodes, "g", ends[:1], ends[1:]), opset_imports=[h.make_opsetid("", 17)], ir_version=8
    )


def integer_model():
    """X -> Add -> BitwiseNot (not on GPU) -> Mul -> y, in int32."""
    nodes = [
        h.make_node("Add", ["x", "x"], ["a"], name="add"),
        h.make_node("BitwiseNot", ["a"], ["b"], name="not"),
        h.make_node("Mul", ["b", "x"], ["y"], name="mul"),
    ]
    ends = [h.make_tensor_value_info(name, TensorProto.INT32, [1, 4]) for name in ("x", "y")]
    return h.make_model(
        h.make_graph(nodes, "g", ends[:1], ends[1:]), opset_imports=[h.make_opsetid("", 18)], ir_version=8
    )


def expected(proto, x):
    return onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"x": x})[0]


def places(plan):
    by_id = {cluster.id: f"{cluster.label.engine} {cluster.label.device}" for cluster in plan.clusters}
    return {node.name: by_id.get(place) for node, place in zip(plan.graph.nodes, plan.places, strict=True)}


def test_a_priority_list_partitions_across_devices_in_one_plan():
    plan = ovpart.plan(integer_model(), device="HETERO:GPU,CPU", min_gain=0)
    assert places(plan) == {"add": "openvino GPU", "not": "openvino CPU", "mul": "openvino GPU"}
    assert plan.coverage == 1
    assert plan.explain("not").verdict.rule.startswith("op_support.yaml:")
    swapped = ovpart.plan(integer_model(), device="HETERO:CPU,GPU", min_gain=0)
    assert set(places(swapped).values()) == {"openvino CPU"}


def test_behind_npu_stands_openvinos_cpu_and_then_onnxruntime():
    plan = ovpart.plan(mixed_model(), device="NPU", min_gain=0)
    assert places(plan) == {
        "first": "openvino NPU", "acos": "openvino CPU", "up": "onnxruntime CPU", "root": "onnxruntime CPU",
        "down": "onnxruntime CPU", "last": "openvino NPU",
    }  # fmt: skip
    session = ovpart.Session(mixed_model(), device="NPU", emulate=True, min_gain=0)
    np.testing.assert_allclose(session.run(None, {"x": X})[0], expected(mixed_model(), X), 1e-6)
    text = str(session.report)
    assert "why on openvino and onnxruntime" in text
    assert "no document lists it for NPU" in text


def test_fallback_can_be_forbidden_for_all_or_by_engine():
    with pytest.raises(CompileError, match=r"4 of 6 nodes .*acos \(Acos\).*root \(Sqrt\)"):
        ovpart.Session(mixed_model(), device="NPU", emulate=True, disable_fallback=True)
    with pytest.raises(CompileError, match=r"1 of 6 nodes would run on openvino on CPU.*acos"):
        ovpart.Session(mixed_model(), device="NPU", emulate=True, disable_fallback="openvino", min_gain=0)
    with pytest.raises(CompileError, match=r"3 of 6 nodes would run on onnxruntime on CPU.*root"):
        ovpart.Session(mixed_model(), device="NPU", emulate=True, disable_fallback="onnxruntime")
    session = ovpart.Session(integer_model(), device="CPU", disable_fallback=True)
    assert session.report.coverage == 1  # whether it pays or not
    assert session.run(None, {"x": np.ones((1, 4), np.int32)})[0].tolist() == [[-3] * 4]


@pytest.mark.parametrize(
    "device",
    ["CPU", "GPU", "GPU.0", "GPU.1", "NPU", "HETERO:GPU,CPU", "HETERO:NPU,GPU,CPU", "AUTO:GPU,CPU", "MULTI:GPU,CPU",
     "BATCH:GPU(4)"],
)  # fmt: skip
def test_every_device_can_be_emulated(device):
    proto = integer_model()
    x = np.arange(4, dtype=np.int32).reshape(1, 4)
    session = ovpart.Session(proto, device=device, emulate=True, min_gain=0)
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], expected(proto, x))
    assert session.report.device == device


@pytest.mark.parametrize("device", ["AUTO", "BATCH:CPU", "BATCH:CPU(4)"])
def test_openvinos_choosers_run(device):
    session = ovpart.Session(integer_model(), device=device, min_gain=0)
    assert {cluster.label.device.partition(":")[0] for cluster in session.plan.delegated} == {device.partition(":")[0]}
    assert session.run(None, {"x": np.ones((1, 4), np.int32)})[0].tolist() == [[-3] * 4]


@pytest.mark.skipif(is_there("GPU", ovpart.get_available_openvino_device_ids()), reason="a GPU is here")
@pytest.mark.parametrize("chooser", ["AUTO", "MULTI", "HETERO"])
def test_choosers_go_on_without_an_absent_device_and_say_so(chooser):
    with pytest.warns(OvpartWarning, match=f"'{chooser}:GPU,CPU': 'GPU' is not on this machine; going on with"):
        session = ovpart.Session(integer_model(), device=f"{chooser}:GPU,CPU", min_gain=0)
    assert session.report.device == {"HETERO": "CPU"}.get(chooser, f"{chooser}:CPU")
    assert session.report.coverage == 1
    assert session.run(None, {"x": np.ones((1, 4), np.int32)})[0].tolist() == [[-3] * 4]


@pytest.mark.parametrize("device", ["GPU.7", "HETERO:GPU.7,NPU.7", "AUTO:GPU.7,GPU.8", "BATCH:GPU.7"])
def test_absent_devices_are_named_with_what_is_there(device):
    with pytest.raises(DeviceNotFound, match=rf"'{device}' is not on this machine; openvino offers: CPU.*emulate=True"):
        ovpart.Session(integer_model(), device=device)


def test_a_plan_for_auto_needs_the_devices_by_name():
    with pytest.raises(OptionError, match="AUTO:GPU,CPU"):
        ovpart.plan(integer_model(), device="AUTO")
    plan = ovpart.plan(integer_model(), device="AUTO:GPU,CPU", min_gain=0)
    assert places(plan)["not"] == "onnxruntime CPU"  # AUTO might send it to the GPU, which has no BitwiseNot


def test_the_first_of_one_gpu_is_that_gpu():
    assert is_there("GPU.0", ["CPU", "GPU"])
    assert is_there("GPU", ["CPU", "GPU.0", "GPU.1"])
    assert not is_there("GPU.1", ["CPU", "GPU"])
    assert not is_there("CPU.0", ["CPU"])


def test_a_plan_for_several_devices_is_saved_and_read_back(tmp_path):
    plan = ovpart.plan(integer_model(), device="HETERO:GPU,CPU", min_gain=0)
    plan.save(tmp_path / "plan.json")
    session = ovpart.Session(integer_model(), device="HETERO:GPU,CPU", emulate=True, plan=tmp_path / "plan.json")
    assert places(session.plan) == places(plan)
    assert json.loads(session.report.to_json())["device"] == "HETERO:GPU,CPU"


def test_a_node_that_one_device_refuses_goes_to_the_next():
    from ovpart.capability.demotion import Demotion
    from ovpart.capability.table import load_table
    from ovpart.model.read import read_model
    from ovpart.options import resolve
    from ovpart.planning import plan_model

    options = resolve({"device": "HETERO:GPU,CPU", "min_gain": 0})
    on_gpu = Demotion("y", "openvino", "compile", "no kernel", "GPU")
    plan = plan_model(read_model(integer_model()), options, load_table(), demotions=[on_gpu])
    assert places(plan)["mul"] == "openvino CPU"
    on_cpu = Demotion("y", "openvino", "compile", "no kernel", "CPU")
    plan = plan_model(read_model(integer_model()), options, load_table(), demotions=[on_gpu, on_cpu])
    assert places(plan)["mul"] == "onnxruntime CPU"


def test_nothing_is_said_where_all_takes_effect():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ovpart.Session(integer_model(), device="CPU", precision="FP32", num_threads=2, num_streams=2)
