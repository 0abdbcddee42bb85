"""What onnxruntime promises of OrtValues, asked of a session here.

The expectations are those of onnxruntime's own ``onnxruntime/test/python/onnxruntime_test_python.py`` (Copyright (c)
Microsoft Corporation, MIT License), as far as a session on the CPU can be asked; the models are made here.
"""

from __future__ import annotations

import gc

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnxruntime.capi.onnxruntime_pybind11_state import OrtValueVector

import ovpart
import ovpart.compat.onnxruntime as ort
from tests.compat import small_models as models
from tests.compat.small_models import SQUARES, X


def opened(proto: onnx.ModelProto, *args, **kwargs) -> ort.InferenceSession:
    return ort.InferenceSession(proto.SerializeToString(), *args, **kwargs)


@pytest.mark.parametrize("providers", [None, ["CPUExecutionProvider"]])
def test_ort_values(providers):
    value = ort.OrtValue.ortvalue_from_numpy(X)
    assert (value.device_name(), value.shape(), value.data_type()) == ("cpu", [3, 2], "tensor(float)")
    assert value.is_tensor()
    assert not hasattr(value, "tensor_size_in_bytes") or value.tensor_size_in_bytes() == 24
    session = opened(models.mul(), providers=providers)
    np.testing.assert_array_equal(session.run(["Y"], {"X": value})[0], SQUARES)
    (result,) = session.run_with_ort_values(["Y"], {"X": value}, ort.RunOptions())
    assert isinstance(result, ort.OrtValue)
    np.testing.assert_array_equal(result.numpy(), SQUARES)
    np.testing.assert_array_equal(value.numpy(), X)
    fetches = OrtValueVector()
    cpu = ort.OrtDevice.make("cpu", 0)._get_c_device()
    session.run_with_ortvaluevector(ort.RunOptions(), ["X"], [value._ortvalue], ["Y"], fetches, [cpu])
    np.testing.assert_array_equal(fetches[0].numpy(), SQUARES)


def test_results_as_ort_values_outlive_everything():
    session = opened(models.mul())
    values = [session.run_with_ort_values(None, {"X": ort.OrtValue.ortvalue_from_numpy(X * n)})[0] for n in range(20)]
    del session
    gc.collect()
    arrays = [value.numpy() for value in values]
    del values
    gc.collect()
    for n, array in enumerate(arrays):
        np.testing.assert_allclose(array, SQUARES * n)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "u2", "i4", "i8", "u8", "?"])
def test_memory_of_results_lives_as_long_as_what_is_made_of_it(dtype):
    from ovpart.compat.values import from_array

    for shape in ((2, 3), (), (0, 4)):
        arrays = [np.full(shape, n % 2, dtype) for n in range(50)]
        made = [from_array(array).numpy() for array in arrays]
        expected = [array.copy() for array in arrays]
        del arrays
        gc.collect()
        _ = [np.full(shape, 7, dtype) for _ in range(200)]
        for array, wanted in zip(made, expected, strict=True):
            np.testing.assert_array_equal(array, wanted)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_sequences_as_ort_values(count):
    session = opened(models.sequences("SequenceInsert"))
    inserted = ort.OrtValue.ortvalue_from_numpy(np.full((2, 3), 7, np.int64))
    sequence = session.run_with_ort_values(None, {"input_seq": from_items(count), "tensor": inserted})[0]
    assert sequence.is_tensor_sequence()
    (again,) = session.run(None, {"input_seq": sequence, "tensor": inserted})
    assert [int(item[0, 0]) for item in again] == [*range(count), 7, 7]


def from_items(count: int) -> ort.OrtValue:
    from ovpart.compat.values import from_array

    return from_array([np.full((2, 3), number, np.int64) for number in range(count)]) if count else empty_int64()


def empty_int64() -> ort.OrtValue:
    node = helper.make_node("SequenceEmpty", [], ["output_sequence"], dtype=onnx.TensorProto.INT64)
    proto = models.model([node], [], [models.sequence("output_sequence")])
    return ort.InferenceSession(proto.SerializeToString()).run_with_ort_values(None, {})[0]


def test_bfloat16_goes_through_ort_values():
    import ml_dtypes

    kind = onnx.TensorProto.BFLOAT16
    proto = models.model(
        [helper.make_node("Cast", ["x"], ["y"], to=kind)], [models.tensor("x")], [models.tensor("y", kind)]
    )
    session = opened(proto)
    (value,) = session.run_with_ort_values(None, {"x": ort.OrtValue.ortvalue_from_numpy(X)})
    assert value.element_type() == kind
    back = models.model(
        [helper.make_node("Cast", ["y"], ["x"], to=1)], [models.tensor("y", kind)], [models.tensor("x")]
    )
    (again,) = opened(back).run(None, {"y": value})
    np.testing.assert_array_equal(again, X.astype(ml_dtypes.bfloat16).astype(np.float32))


def test_sparse_tensors_and_devices_are_onnxruntimes():
    device = ort.OrtDevice.make("cpu", 0)
    assert (device.device_id(), device.device_type()) == (0, 0)
    values, indices = np.array([1.0, 2.0, 3.0], np.float32), np.array([3, 5, 15], np.int64)
    sparse = ort.SparseTensor.sparse_coo_from_numpy([9, 9], values, indices, device)
    assert sparse.format() == ort.OrtSparseFormat.ORT_SPARSE_COO
    value = ort.OrtValue.ort_value_from_sparse_tensor(sparse)
    np.testing.assert_array_equal(value.as_sparse_tensor().values(), values)
    with pytest.raises(ovpart.InputError, match=r"sparse_tensor\(float\)"):
        opened(models.mul()).run(None, {"X": value})


def test_shared_allocators():
    info = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(info, None)
    options = ort.SessionOptions()
    options.log_severity_level = 2
    options.add_session_config_entry("session.use_env_allocators", "1")
    session = opened(models.mul(), options, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"X": X})[0], SQUARES)


def test_numpy_helper_values_survive(tmp_path):
    proto = models.mul()
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(X + 1, "W"))
    np.testing.assert_allclose(opened(proto).run(None, {"X": X})[0], X * (X + 1))


def test_what_onnxruntime_has_no_value_for_is_named():
    from ovpart.compat.values import from_array

    for value, words in ((np.ones(1, np.complex64), "complex64"), ({1: 2.0}, "dict"), (None, "NoneType")):
        with pytest.raises(ovpart.InputError, match=f"type {words} cannot be had as an OrtValue"):
            from_array(value)
