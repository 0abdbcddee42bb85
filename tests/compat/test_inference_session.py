from __future__ import annotations

import threading

import numpy as np
import pytest
from onnxruntime.capi import onnxruntime_pybind11_state as binding

import ovpart
import ovpart.compat.onnxruntime as ort
from tests.compat.small_models import SQUARES, X, mul

BOTH = [["OpenVINOExecutionProvider"], ["CPUExecutionProvider"]]


@pytest.mark.parametrize("providers", [None, *BOTH])
def test_a_model_runs_from_path_and_bytes(tmp_path, providers):
    path = tmp_path / "mul.onnx"
    path.write_bytes(mul().SerializeToString())
    for given in (path, str(path), path.read_bytes()):
        session = ort.InferenceSession(given, providers=providers)
        for wanted in (None, [], ["Y"]):
            (y,) = session.run(wanted, {"X": X})
            np.testing.assert_allclose(y, SQUARES)


def test_openvino_comes_first_where_nothing_is_said():
    session = ovpart.InferenceSession(mul().SerializeToString())
    assert session.get_providers() == ["OpenVINOExecutionProvider", "CPUExecutionProvider"]
    assert session.get_providers() == ort.get_available_providers()


def test_the_cpu_provider_alone_means_onnxruntime_alone():
    session = ort.InferenceSession(mul().SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert session.report.coverage == 0


def test_providers_of_other_builds_are_left_out_with_a_warning_at_the_callers_line():
    with pytest.warns(ovpart.OvpartWarning, match="Specified provider 'CUDAExecutionProvider' is not in") as caught:
        session = ort.InferenceSession(
            mul().SerializeToString(), providers=["CUDAExecutionProvider", "CPUExecutionProvider"]
        )
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert caught[0].filename == __file__


def test_a_device_that_is_not_there_is_answered_by_onnxruntime_with_a_warning():
    providers = [("OpenVINOExecutionProvider", {"device_type": "GPU.7"})]
    with pytest.warns(ovpart.OvpartWarning, match=r"GPU\.7.*Falling back to CPUExecutionProvider"):
        session = ort.InferenceSession(mul().SerializeToString(), providers=providers)
    np.testing.assert_allclose(session.run(None, {"X": X})[0], SQUARES)
    with pytest.raises(ovpart.DeviceNotFound, match=r"GPU\.7") as raised:
        ort.InferenceSession(mul().SerializeToString(), providers=providers, enable_fallback=0)
    assert isinstance(raised.value, RuntimeError)


def test_set_providers_makes_the_session_anew_and_leaves_it_where_that_fails():
    session = ort.InferenceSession(mul().SerializeToString())
    session.set_providers(["CPUExecutionProvider"])
    assert session.get_providers() == ["CPUExecutionProvider"]
    unknown = pytest.raises(RuntimeError, match="Unknown Provider Type: InvalidProvider")
    with pytest.warns(ovpart.OvpartWarning, match="'InvalidProvider' is not in"), unknown:
        session.set_providers(["InvalidProvider"])
    np.testing.assert_allclose(session.run(None, {"X": X})[0], SQUARES)


def test_provider_options_are_told_as_text():
    providers = [("OpenVINOExecutionProvider", {"device_type": "CPU"}), "CPUExecutionProvider"]
    session = ort.InferenceSession(mul().SerializeToString(), providers=providers)
    assert session.get_provider_options() == {
        "OpenVINOExecutionProvider": {"device_type": "CPU"},
        "CPUExecutionProvider": {},
    }


def test_missing_inputs_are_a_value_error_in_onnxruntimes_words():
    session = ort.InferenceSession(mul().SerializeToString())
    with pytest.raises(ValueError, match=r"Required inputs \(\['X'\]\) are missing from input feed \(\[\]\)"):
        session.run(None, {})


def test_errors_are_ours_and_onnxruntimes():
    session = ort.InferenceSession(mul().SerializeToString())
    for kind in (ovpart.InputError, binding.InvalidArgument):
        with pytest.raises(kind, match="Unexpected input data type"):
            session.run(None, {"X": X.astype(np.float64)})
        with pytest.raises(kind, match="Invalid output name"):
            session.run(["Z"], {"X": X})
    for kind in (ovpart.ModelError, binding.NoSuchFile):
        with pytest.raises(kind):
            ort.InferenceSession("no_such_file.onnx")
    for kind in (ovpart.ModelError, binding.InvalidProtobuf):
        with pytest.raises(kind):
            ort.InferenceSession(b"no model at all")


def test_io_binding_reads_and_writes_memory_of_the_caller():
    session = ort.InferenceSession(mul().SerializeToString())
    given, target = X.copy(), np.zeros((3, 2), np.float32)
    bound = session.io_binding()
    bound.bind_input("X", "cpu", 0, np.float32, given.shape, given.ctypes.data)
    bound.bind_output("Y", "cpu", 0, np.float32, target.shape, target.ctypes.data)
    session.run_with_iobinding(bound)
    np.testing.assert_allclose(target, SQUARES)
    given *= 2
    session.run_with_iobinding(bound)
    np.testing.assert_allclose(target, 2 * SQUARES)
    np.testing.assert_allclose(bound.copy_outputs_to_cpu()[0], 2 * SQUARES)


def test_io_binding_takes_and_gives_ort_values():
    session = ort.InferenceSession(mul().SerializeToString())
    bound = session.io_binding()
    bound.bind_ortvalue_input("X", ort.OrtValue.ortvalue_from_numpy(X))
    made = ort.OrtValue.ortvalue_from_shape_and_type([3, 2], np.float32)
    bound.bind_ortvalue_output("Y", made)
    session.run_with_iobinding(bound)
    np.testing.assert_allclose(made.numpy(), SQUARES)
    bound.clear_binding_outputs()
    bound.bind_output("Y")
    session.run_with_iobinding(bound)
    np.testing.assert_allclose(bound.get_outputs()[0].numpy(), SQUARES)


def test_io_binding_refuses_memory_of_another_device_and_wrong_shapes():
    session = ort.InferenceSession(mul().SerializeToString())
    bound = session.io_binding()
    with pytest.raises(ovpart.OptionError, match="device_type='cuda'"):
        bound.bind_output("Y", "cuda")
    bound.bind_cpu_input("X", X)
    bound.bind_ortvalue_output("Y", ort.OrtValue.ortvalue_from_shape_and_type([2, 3], np.float32))
    with pytest.raises(binding.InvalidArgument, match="output 'Y'"):
        session.run_with_iobinding(bound)


def test_io_binding_belongs_to_its_session():
    first, second = (ort.InferenceSession(mul().SerializeToString()) for _ in range(2))
    with pytest.raises(ValueError, match="must be used with the session that created it"):
        second.run_with_iobinding(first.io_binding())


def test_run_async_calls_back_with_results_or_with_words():
    session = ort.InferenceSession(mul().SerializeToString())
    told: list[tuple[object, ...]] = []
    done = threading.Semaphore(0)

    def callback(*what: object) -> None:
        told.append(what)
        done.release()

    session.run_async(["Y"], {"X": X}, callback, 17)
    assert done.acquire(timeout=30)
    session.run_async(["Y"], {}, callback, 18)
    assert done.acquire(timeout=30)
    (results, data, error), (nothing, other, words) = told
    np.testing.assert_allclose(results[0], SQUARES)
    assert (data, error, nothing, other) == (17, "", [], 18)
    assert "Required inputs" in words


def test_overrides_of_free_dimensions_hold():
    proto = mul()
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "rows"
    options = ort.SessionOptions()
    options.add_free_dimension_override_by_name("rows", X.shape[0])
    session = ort.InferenceSession(proto.SerializeToString(), options)
    assert session.get_inputs()[0].shape == list(X.shape)
    np.testing.assert_allclose(session.run(None, {"X": X})[0], SQUARES)
