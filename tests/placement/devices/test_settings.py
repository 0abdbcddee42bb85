"""Options as openvino gets them: on the real CPU plugin; for devices that are not here on what their plugins list."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field

import numpy as np
import pytest

import ovpart
from ovpart.backend.registry import backend
from ovpart.capability.target import parse_target
from ovpart.errors import OptionError, OvpartWarning
from ovpart.options import resolve
from ovpart.partition.plan import Label
from ovpart.placement.devices.settings import settle
from ovpart.placement.engines import make_engines

# What the GPU plugin of openvino 2026.4 answers to SUPPORTED_PROPERTIES, as far as options touch it.
GPU = {
    "FULL_DEVICE_NAME": "RO", "INFERENCE_PRECISION_HINT": "RW", "EXECUTION_MODE_HINT": "RW", "NUM_STREAMS": "RW",
    "MODEL_PRIORITY": "RW", "GPU_QUEUE_THROTTLE": "RW", "PERFORMANCE_HINT": "RW",
}  # fmt: skip


@dataclass
class Plugins:
    """Stands for devices that are not here: says what their plugins list."""

    values: dict[str, dict[str, object]] = field(default_factory=dict)

    def properties(self, device):
        if device.startswith("GPU"):
            return GPU
        return backend("openvino").properties(device)

    def refused(self, device, properties):
        self.values.setdefault(device, {}).update(properties)


def settled(device, **options):
    chosen = resolve({"device": device, **options})
    return settle(chosen, parse_target(device), Plugins())


def cpu_properties(**options):
    engines = make_engines(resolve(options))
    return engines.settings_of(Label("openvino", "CPU"))


@pytest.mark.parametrize(
    ("device", "default"), [("CPU", "FP32"), ("GPU", "FP16"), ("GPU.1", "FP16"), ("NPU", "FP16")]
)  # fmt: skip
def test_precision_has_a_default_for_each_device(device, default):
    assert settled(device).options.precision == default


def test_precision_as_openvino_spells_it():
    assert settled("GPU").properties["GPU"]["INFERENCE_PRECISION_HINT"] == "f16"
    assert settled("GPU", precision="FP32").properties["GPU"]["INFERENCE_PRECISION_HINT"] == "f32"
    accuracy = settled("GPU", precision="accuracy").properties["GPU"]
    assert accuracy == {"INFERENCE_PRECISION_HINT": "dynamic", "EXECUTION_MODE_HINT": "ACCURACY"}
    assert cpu_properties(precision="ACCURACY")["EXECUTION_MODE_HINT"] == "ACCURACY"


@pytest.mark.parametrize(("device", "precision"), [("CPU", "FP16"), ("NPU", "FP32")])
def test_a_precision_that_the_device_lacks_is_refused(device, precision):
    with pytest.raises(OptionError, match=f"'precision' cannot be '{precision}' on {device}"):
        settled(device, precision=precision)


def test_a_precision_for_one_of_several_devices_leaves_the_others_alone_and_says_so():
    with pytest.warns(OvpartWarning, match=r"precision='FP16' has no effect on CPU"):
        found = settled("HETERO:GPU,CPU", precision="FP16").properties
    assert found["GPU"]["INFERENCE_PRECISION_HINT"] == "f16"
    assert found["CPU"]["INFERENCE_PRECISION_HINT"] == "f32"


def test_accuracy_gives_the_answers_of_f32():
    x = np.linspace(-3, 3, 4, dtype=np.float32).reshape(1, 4)
    proto = float_model()
    exact, kept = (ovpart.Session(proto, precision=p, min_gain=0).run(None, {"x": x})[0] for p in ("FP32", "ACCURACY"))
    np.testing.assert_allclose(kept, exact, rtol=1e-6)


def float_model():
    from onnx import TensorProto
    from onnx import helper as h

    ends = [h.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    nodes = [h.make_node("Exp", ["x"], ["a"]), h.make_node("Tanh", ["a"], ["y"])]
    graph = h.make_graph(nodes, "g", ends[:1], ends[1:])
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)


def test_streams_and_threads_reach_the_device():
    session = ovpart.Session(float_model(), num_streams="2", num_threads="2", min_gain=0)
    compiled = next(iter(session._form._realised.executables.values()))[0].compiled
    assert int(compiled.get_property("NUM_STREAMS")) == 2
    assert int(compiled.get_property("INFERENCE_NUM_THREADS")) == 2
    told = {option.name: (option.value, option.origin) for option in session.report.options}
    assert told["num_streams"] == (2, "given")
    assert told["precision"] == ("FP32", "default")


def test_priority_of_models_is_for_devices_that_have_it():
    assert settled("GPU", model_priority="high").properties["GPU"]["MODEL_PRIORITY"] == "HIGH"
    assert settled("NPU", model_priority="DEFAULT").properties["NPU"]["MODEL_PRIORITY"] == "MEDIUM"
    assert settled("AUTO:GPU,CPU", model_priority="LOW").properties["AUTO:GPU,CPU"]["MODEL_PRIORITY"] == "LOW"
    with pytest.warns(OvpartWarning, match=r"model_priority='HIGH' has no effect on CPU"):
        assert "MODEL_PRIORITY" not in cpu_properties(model_priority="HIGH")


def test_throttling_and_context_are_for_gpus():
    found = settled("GPU.0", enable_opencl_throttling="True", context="0x10").properties["GPU.0"]
    assert (found["GPU_QUEUE_THROTTLE"], found["context"]) == ("LOW", 16)
    with pytest.warns(OvpartWarning) as warned:
        assert not {"GPU_QUEUE_THROTTLE", "context"} & set(cpu_properties(enable_opencl_throttling=True, context=16))
    texts = [str(warning.message) for warning in warned]
    assert [text.partition(" has")[0] for text in texts] == ["context=16", "enable_opencl_throttling=True"]


def test_choosers_hand_each_device_its_own_properties():
    found = settled("AUTO:GPU,CPU", num_threads=3, cache_dir="c").properties["AUTO:GPU,CPU"]
    assert found["CACHE_DIR"] == "c"
    assert found["DEVICE_PROPERTIES"]["GPU"] == {"INFERENCE_PRECISION_HINT": "f16"}
    assert found["DEVICE_PROPERTIES"]["CPU"] == {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 3}
    session = ovpart.Session(float_model(), device="AUTO", num_threads=1, num_streams=2, min_gain=0)
    assert session.run(None, {"x": np.zeros((1, 4), np.float32)})[0] == pytest.approx(np.tanh(1.0))


def test_emulation_names_the_options_that_it_cannot_honour():
    with pytest.warns(OvpartWarning) as warned:
        ovpart.Session(float_model(), device="GPU", emulate=True, precision="FP16", model_priority="HIGH")
    texts = " ".join(str(warning.message) for warning in warned)
    assert "precision='FP16' has no effect: GPU is emulated" in texts
    assert "model_priority='HIGH' has no effect: GPU is emulated" in texts


def test_the_cache_folder_spares_the_next_session_its_compiles(tmp_path):
    def from_cache():
        session = ovpart.Session(float_model(), cache_dir=tmp_path / "cache", min_gain=0)
        compiled = next(iter(session._form._realised.executables.values()))[0].compiled
        return bool(compiled.get_property("LOADED_FROM_CACHE"))

    assert [from_cache(), from_cache()] == [False, True]
    assert list((tmp_path / "cache").glob("*.blob"))


# --- load_config -----------------------------------------------------------------------------------------------------


def test_a_file_of_properties_reaches_its_device(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"CPU": {"NUM_STREAMS": "2", "PERF_COUNT": True}}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = cpu_properties(load_config=path)
    assert (found["NUM_STREAMS"], found["PERF_COUNT"]) == ("2", "YES")
    session = ovpart.Session(float_model(), load_config=str(path), min_gain=0)
    compiled = next(iter(session._form._realised.executables.values()))[0].compiled
    assert int(compiled.get_property("NUM_STREAMS")) == 2
    assert compiled.get_property("PERF_COUNT")


def test_unknown_properties_are_ignored_and_read_only_ones_skipped_each_with_a_warning():
    config = {"CPU": {"FAST": "YES", "FULL_DEVICE_NAME": "mine", "NUM_STREAMS": "2"}}
    with pytest.warns(OvpartWarning) as warned:
        found = cpu_properties(load_config=config)
    assert not {"FAST", "FULL_DEVICE_NAME"} & set(found)
    assert found["NUM_STREAMS"] == "2"
    first, second = (str(warning.message) for warning in warned)
    assert "CPU FAST='YES' is ignored" in first
    assert "CPU FULL_DEVICE_NAME='mine' is skipped" in second


@pytest.mark.parametrize("value", ["abc", "-7", ["2"]])
def test_a_bad_value_is_an_error_that_names_device_property_and_value(value):
    with pytest.raises(OptionError, match="CPU INFERENCE_NUM_THREADS cannot be"):
        ovpart.Session(float_model(), load_config={"CPU": {"INFERENCE_NUM_THREADS": value}})


@pytest.mark.parametrize(
    ("config", "words"),
    [("missing.json", "cannot be read"), ({"CPU": "fast"}, "not of the form")],
)  # fmt: skip
def test_what_is_no_configuration_is_refused(config, words):
    with pytest.raises(OptionError, match=words):
        ovpart.Session(float_model(), load_config=config)


def test_a_file_that_is_no_json_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("CPU: {}")
    with pytest.raises(OptionError, match="is no JSON"):
        ovpart.Session(float_model(), load_config=tmp_path / "config.json")


def test_sections_of_devices_that_are_not_used_are_named():
    with pytest.warns(OvpartWarning) as warned:
        cpu_properties(load_config={"GPU": {"NUM_STREAMS": "2"}, "TOASTER": {}})
    first, second = (str(warning.message) for warning in warned)
    assert "'GPU' has no effect: the session does not use it" in first
    assert "'TOASTER' has no effect: devices are CPU, GPU" in second


@pytest.mark.parametrize("nested", [{"CPU": {"NUM_STREAMS": 3}}, "{CPU:{NUM_STREAMS:3,PERF_COUNT:YES},GPU:{A:B}}"])
@pytest.mark.parametrize("chooser", ["AUTO", "MULTI", "HETERO"])
def test_nested_properties_reach_the_devices_of_a_chooser(chooser, nested):
    found = settled(f"{chooser}:GPU.1,CPU", load_config={chooser: {"DEVICE_PROPERTIES": nested}}).properties
    label = next(label for label in found if "CPU" in label)
    of_cpu = found[label] if chooser == "HETERO" else found[label]["DEVICE_PROPERTIES"]["CPU"]
    assert of_cpu["NUM_STREAMS"] == "3"


@pytest.mark.parametrize("nested", ["CPU", "7", "[1]", "", "{CPU:NUM_STREAMS}", '{"CPU": 3}'])
def test_nested_properties_of_another_form_are_refused(nested):
    with pytest.raises(OptionError, match="is not of the form"):
        settled("AUTO:GPU.1,CPU", load_config={"AUTO": {"DEVICE_PROPERTIES": nested}})


def test_a_choosers_own_properties_are_checked_against_its_own_list():
    config = {"AUTO": {"ENABLE_STARTUP_FALLBACK": "NO", "NUM_STREAMS": "2"}}
    with pytest.warns(OvpartWarning, match="AUTO NUM_STREAMS='2' is ignored"):
        session = ovpart.Session(float_model(), device="AUTO", load_config=config, min_gain=0)
    assert session.run(None, {"x": np.zeros((1, 4), np.float32)})[0] == pytest.approx(np.tanh(1.0))


def test_config_goes_over_options_and_files():
    found = cpu_properties(load_config={"CPU": {"NUM_STREAMS": "2"}}, num_streams=3, config={"NUM_STREAMS": "4"})
    assert found["NUM_STREAMS"] == "4"
    assert cpu_properties(load_config={"CPU": {"NUM_STREAMS": "2"}}, num_streams=3)["NUM_STREAMS"] == "2"


def test_a_property_of_config_that_cannot_be_is_an_error():
    with pytest.raises(OptionError, match="INFERENCE_NUM_THREADS"):
        ovpart.Session(float_model(), config={"INFERENCE_NUM_THREADS": "many"}, min_gain=0)
