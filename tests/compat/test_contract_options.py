"""What onnxruntime promises of session options, asked of a session here.

The expectations are those of onnxruntime's own ``onnxruntime/test/python/onnxruntime_test_python.py`` (Copyright (c)
Microsoft Corporation, MIT License), as far as a session on the CPU can be asked; the models are made here.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

import ovpart
import ovpart.compat.onnxruntime as ort
from ovpart.compat.priorities import check_and_normalize_provider_args
from tests.compat import small_models as models
from tests.compat.small_models import SQUARES, X


def opened(proto: onnx.ModelProto, *args, **kwargs) -> ort.InferenceSession:
    return ort.InferenceSession(proto.SerializeToString(), *args, **kwargs)


def test_version_and_build():
    assert ort.__version__ == ort.get_version_string()
    assert "Build Info" in ort.get_build_info()
    assert "CPU" in ort.get_device()


def test_providers_that_are_there():
    assert ort.get_all_providers()[-1] == "CPUExecutionProvider"
    session = opened(models.mul(), providers=ort.get_available_providers())
    assert session.get_providers() == ["OpenVINOExecutionProvider", "CPUExecutionProvider"]


def test_provider_arguments_are_checked():
    def normal(providers, options):
        return check_and_normalize_provider_args(providers, options, ["a", "b", "c"])

    assert normal(None, None) == ([], [])
    assert normal(["a"], None) == (["a"], [{}])
    assert normal(["a", "b"], None) == (["a", "b"], [{}, {}])
    assert normal([("a", {1: 2}), "b"], None) == (["a", "b"], [{"1": "2"}, {}])
    assert normal(["a", "b"], [{1: 2}, {}]) == (["a", "b"], [{"1": "2"}, {}])
    with pytest.warns(UserWarning, match="Duplicate provider 'a'"):
        assert normal(["a", "b", "a"], [{"x": 1}, {}, {"y": 2}]) == (["a", "b"], [{"x": "1"}, {}])
    with pytest.warns(UserWarning, match="Specified provider 'd' is not in"):
        assert normal(["d"], None) == (["d"], [{}])
    for providers, options in (
        (3, None), ([3], None), (["a"], 3), (["a"], ["not dict"]), (["a", "b"], [{1: 2}]), ([("a", {1: 2})], [{3: 4}]),
        ("a", None),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="provider"):
            normal(providers, options)


def test_graph_optimization_level_and_execution_mode():
    options = ort.SessionOptions()
    assert options.graph_optimization_level == ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    assert options.execution_mode == ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.execution_mode = ort.ExecutionMode.ORT_PARALLEL
    options.inter_op_num_threads = 2
    options.intra_op_num_threads = 1
    session = opened(models.logical_and(), options)
    told = {fact.name: fact.value for fact in session.report.options}
    assert told["num_threads"] == 1
    assert told["onnxruntime_config"] == {
        "optimization": "extended",
        "execution_mode": "parallel",
        "inter_op_num_threads": 2,
    }
    a = np.array([[True, True], [False, False]])
    b = np.array([[True, False], [True, False]])
    np.testing.assert_equal(session.run([], {"input1:0": a, "input:0": b})[0], a & b)


def test_free_dimensions_by_name_and_by_denotation():
    by_name = ort.SessionOptions()
    by_name.add_free_dimension_override_by_name("Dim1", 4)
    by_name.add_free_dimension_override_by_name("Dim2", 6)
    assert opened(models.free_dimensions(), by_name).get_inputs()[0].shape == [4, 6, 5]
    by_denotation = ort.SessionOptions()
    by_denotation.add_free_dimension_override_by_denotation("DATA_BATCH", 3)
    by_denotation.add_free_dimension_override_by_denotation("DATA_CHANNEL", 5)
    session = opened(models.free_dimensions(), by_denotation)
    assert session.get_inputs()[0].name == "x"
    assert session.get_inputs()[0].shape == [3, 5, 5]
    x = -np.ones((3, 5, 5), np.float32)
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], -x)
    with pytest.raises(ValueError, match="Got invalid dimensions for input: x"):
        session.run(None, {"x": np.ones((2, 5, 5), np.float32)})


def test_a_free_dimension_that_the_model_does_not_have_warns():
    options = ort.SessionOptions()
    options.add_free_dimension_override_by_name("batch", 4)
    with pytest.warns(ovpart.OvpartWarning, match="'batch' has no effect"):
        opened(models.free_dimensions(), options)


def test_config_entries():
    options = ort.SessionOptions()
    options.add_session_config_entry("CONFIG_KEY", "CONFIG_VAL")
    assert options.get_session_config_entry("CONFIG_KEY") == "CONFIG_VAL"
    with pytest.raises(RuntimeError, match="SessionOptions does not have configuration with key: INVALID_KEY"):
        options.get_session_config_entry("INVALID_KEY")
    with pytest.warns(ovpart.OvpartWarning, match="CONFIG_KEY='CONFIG_VAL' has no effect"):
        opened(models.mul(), options)


def test_config_entries_of_onnxruntime_are_handed_to_it():
    options = ort.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = opened(models.mul(), options, providers=["CPUExecutionProvider"])
    told = {fact.name: fact.value for fact in session.report.options}
    assert told["onnxruntime_config"] == {"session.intra_op.allow_spinning": "0"}


def test_the_cpu_provider_as_a_last_resort_can_be_forbidden():
    options = ort.SessionOptions()
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    with pytest.raises(ovpart.OvpartError, match=r"[Mm]ul|fall"):
        opened(models.mul(), options, providers=["CPUExecutionProvider"], enable_fallback=0)


@pytest.mark.parametrize("providers", [None, ["CPUExecutionProvider"]])
def test_an_initializer_of_the_users_takes_the_models_place(providers):
    options = ort.SessionOptions()
    other = np.array([[2.0, 1.0], [4.0, 3.0], [6.0, 5.0]], dtype=np.float32)
    options.add_initializer("W", ort.OrtValue.ortvalue_from_numpy(other))
    session = opened(models.mul(), options, providers=providers)
    np.testing.assert_array_equal(session.run(["Y"], {"X": X})[0], X * other)


@pytest.mark.parametrize("way", ["value", "file", "folder"])
def test_external_initializers_come_from_the_user(way, tmp_path):
    options = ort.SessionOptions()
    pads = np.array([0, 0, 1, 1], np.int64)
    if way == "value":
        options.add_external_initializers(["Pads_not_on_disk"], [ort.OrtValue.ortvalue_from_numpy(pads)])
    elif way == "file":
        data = pads.tobytes()
        options.add_external_initializers_from_files_in_memory(["Pads_not_on_disk.bin"], [data], [len(data)])
    else:
        (tmp_path / "Pads_not_on_disk.bin").write_bytes(pads.tobytes())
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(tmp_path))
    session = opened(models.pads_outside(), options, providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(None, {"X": X})[0], np.pad(X, ((0, 1), (0, 1))))


def test_external_initializers_that_are_nowhere_are_an_error():
    with pytest.raises(ovpart.ModelError, match="Pads_not_on_disk"):
        opened(models.pads_outside())


def test_the_optimised_model_is_written(tmp_path):
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    opened(models.mul(), options)
    onnx.checker.check_model(onnx.load(options.optimized_model_filepath))


def test_the_optimised_model_is_written_with_its_data_outside(tmp_path):
    path = models.large_outside(tmp_path)
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "data.bin")
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "100")
    first = ort.InferenceSession(path, options)
    assert (tmp_path / "data.bin").is_file()
    os.remove(path)
    again = ort.InferenceSession(options.optimized_model_filepath)
    np.testing.assert_allclose(again.run(None, {"X": X})[0], first.run(None, {"X": X})[0])


def test_options_can_come_from_the_model(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    proto = models.mul()
    config = {
        "inter_op_num_threads": 5,
        "intra_op_num_threads": 2,
        "graph_optimization_level": 99,
        "enable_profiling": 1,
    }
    helper.set_model_props(proto, {"ort_config": json.dumps({"session_options": config})})
    assert opened(proto).get_session_options().intra_op_num_threads == 0
    monkeypatch.setenv("ORT_LOAD_CONFIG_FROM_MODEL", "1")
    session = opened(proto)
    options = session.get_session_options()
    assert (options.inter_op_num_threads, options.intra_op_num_threads) == (5, 2)
    assert options.execution_mode == ort.ExecutionMode.ORT_SEQUENTIAL
    assert options.graph_optimization_level == ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    assert options.enable_profiling is True
    assert os.path.isfile(session.end_profiling())


@pytest.mark.parametrize("providers", [None, ["CPUExecutionProvider"]])
def test_the_profile_is_a_trace(tmp_path, providers):
    options = ort.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile")
    before = time.monotonic_ns()
    session = opened(models.mul(), options, providers=providers)
    assert before <= session.get_profiling_start_time_ns() <= time.monotonic_ns()
    for _ in range(3):
        session.run([], {"X": X})
    name = session.end_profiling()
    lines = Path(name).read_text(encoding="utf-8").splitlines()
    assert "[" in lines[0]
    assert "]" in lines[-1]
    for line in lines[1:-1]:
        assert all(tag in line for tag in ("pid", "dur", "ts", "ph", "X", "name", "args"))
    events = json.loads("\n".join(lines))
    runs = [event for event in events if event["name"] == "model_run"]
    steps = [event for event in events if event["cat"] == "Cluster"]
    assert len(runs) == 3
    assert len(steps) >= 3
    assert all(any(r["ts"] <= s["ts"] and s["ts"] + s["dur"] <= r["ts"] + r["dur"] + 1 for r in runs) for s in steps)
    assert session.end_profiling() == ""
    np.testing.assert_allclose(session.run([], {"X": X})[0], SQUARES)


def test_profiles_begin_one_after_the_other(tmp_path):
    begun, names = [], set()
    for _ in range(3):
        options = ort.SessionOptions()
        options.enable_profiling = True
        options.profile_file_prefix = str(tmp_path / "profile")
        session = opened(models.mul(), options)
        begun.append(session.get_profiling_start_time_ns())
        names.add(session.end_profiling())
    assert begun == sorted(begun)
    assert len(names) == 3


def test_where_nodes_are_is_told_where_it_is_asked_for():
    options = ort.SessionOptions()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    session = opened(models.add_mul_add(), options, providers=["CPUExecutionProvider"])
    parts = session.get_provider_graph_assignment_info()
    assert [(part.ep_name, len(part.get_nodes())) for part in parts] == [("CPUExecutionProvider", 1)] * 3
    nodes = {f"{node.domain}:{node.op_type}/{node.name}" for part in parts for node in part.get_nodes()}
    assert nodes == {":Add/add_0", ":Add/add_1", ":Mul/mul_0"}
    with pytest.raises(Fail, match="'session.record_ep_graph_assignment_info' must be set to \"1\""):
        opened(models.add_mul_add()).get_provider_graph_assignment_info()


def test_delegated_nodes_are_told_as_one_subgraph():
    options = ort.SessionOptions()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    providers = [("OpenVINOExecutionProvider", {"min_gain": 0})]
    session = opened(models.add_mul_add(), options, providers=providers)
    (part,) = session.get_provider_graph_assignment_info()
    assert (part.ep_name, len(part.get_nodes())) == ("OpenVINOExecutionProvider", 3)


def test_tuning_results_are_those_of_no_provider():
    session = opened(models.mul())
    assert session.get_tuning_results() == []
    with pytest.warns(ovpart.OvpartWarning, match="UnknownEP"):
        session.set_tuning_results([{"ep": "UnknownEP"}])
    with pytest.raises(RuntimeError, match="Cannot find execution provider UnknownEP"):
        session.set_tuning_results([{"ep": "UnknownEP"}], error_on_invalid=True)


def test_a_custom_operator_library_that_is_not_there_is_an_error():
    with pytest.raises(Fail):
        ort.SessionOptions().register_custom_ops_library("./no_such_library.so")


def test_options_of_onnxruntimes_own_class_are_taken_as_far_as_they_tell():
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = opened(models.mul(), options)
    told = {fact.name: fact.value for fact in session.report.options}
    assert told["num_threads"] == 1
    assert told["onnxruntime_config"] == {"optimization": "none"}


def test_requests_for_devices_in_session_options_warn():
    options = ort.SessionOptions()
    policies = getattr(ort, "OrtExecutionProviderDevicePolicy", None)  # not in onnxruntime 1.20
    options.set_provider_selection_policy("PREFER_NPU" if policies is None else policies.PREFER_NPU)
    with pytest.warns(ovpart.OvpartWarning, match=r"set_provider_selection_policy\(.*PREFER_NPU.* has no effect"):
        opened(models.mul(), options)


def test_weights_beside_bytes_are_found_in_the_folder_given(tmp_path):
    path = models.large_outside(tmp_path)
    data = Path(path).read_bytes()
    expected = ovpart.Session(path).run(None, {"X": X})[0]
    with pytest.raises(ovpart.ModelError, match="has no folder"):
        ovpart.Session(data)
    np.testing.assert_allclose(ovpart.Session(data, data_folder=tmp_path).run(None, {"X": X})[0], expected)


def test_an_unknown_initializer_warns():
    options = ort.SessionOptions()
    options.add_initializer("V", ort.OrtValue.ortvalue_from_numpy(X))
    with pytest.warns(ovpart.OvpartWarning, match="no initializer 'V'"):
        opened(models.mul(), options)
