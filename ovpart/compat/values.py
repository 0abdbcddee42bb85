"""Between onnxruntime's ``OrtValue`` and what a session here takes and gives: numpy arrays, lists, dicts, ``None``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from ovpart.backend.base import Array
from ovpart.backend.onnxruntime import import_onnxruntime
from ovpart.backend.onnxruntime_request import array_of_value, value_of_array
from ovpart.errors import InputError
from ovpart.model.types import dtype_name, dtype_number, dtype_of_array, numpy_dtype
from ovpart.model.weights import SUB_BYTE

OrtValue: Any = import_onnxruntime().OrtValue


def to_array(value: Any) -> Array:
    """Return what a session takes for an ``OrtValue``; memory is shared where numpy has the element type."""
    if not value.has_value():
        return None
    if value.is_tensor():
        return array_of_value(value._ortvalue, dtype_name(value.element_type()))
    if value.is_tensor_sequence():
        return _unpacked(value)
    raise InputError(f"an OrtValue of type {value.data_type()} cannot be fed: pass the value itself to run")


def from_array(array: Array, declared: str = "") -> Any:
    """Return an ``OrtValue`` that owns an array's memory, or one of a sequence of tensors.

    Parameters
    ----------
    array : numpy.ndarray or list of numpy.ndarray
        What a run gave.
    declared : str
        Its type in onnxruntime's words, which an empty sequence cannot tell by itself: ``seq(tensor(int64))``.

    Raises
    ------
    InputError
        For maps, empty optionals and complex numbers, of which onnxruntime can make no ``OrtValue``.
    """
    if isinstance(array, list):
        return _packed(array, _element_type(declared))
    if not isinstance(array, (np.ndarray, np.generic)) or array.dtype.kind == "c":
        raise InputError(f"an output of type {_kind_of(array)} cannot be had as an OrtValue: use run")
    array = np.asarray(array)
    if array.dtype.kind in "OUS":
        return OrtValue.ortvalue_from_numpy(array)  # strings are copied
    return OrtValue(_owning(array))


def buffer_as_array(element_type: Any, shape: Sequence[int], address: int) -> np.ndarray:
    """Return an array over memory that the caller owns, and keeps.

    Parameters
    ----------
    element_type : numpy dtype or int
        A number is one of ``onnx.TensorProto.DataType``.
    shape : sequence of int
        Dims.
    address : int
        Where the memory begins.
    """
    import ctypes
    import math

    known = isinstance(element_type, int)
    dtype: np.dtype = numpy_dtype(dtype_name(element_type) or "") if known else np.dtype(element_type)
    size = math.prod(shape) * dtype.itemsize
    memory: Any = (ctypes.c_byte * size).from_address(address) if size else bytearray()
    return np.frombuffer(memory, dtype=np.uint8).view(dtype).reshape(shape)


def _owning(array: np.ndarray) -> Any:
    """Return a value of the binding that keeps the array's memory alive, or has a copy of its own.

    ``ortvalue_from_numpy`` does neither: what ``numpy()`` gives of it would be somebody else's memory as soon as the
    ``OrtValue`` is gone. Through DLPack the array lives as long as whatever was made of it.
    """
    dtype = dtype_of_array(array)
    from_dlpack = getattr(type(OrtValue.ortvalue_from_numpy(_EMPTY)._ortvalue), "from_dlpack", None)
    if from_dlpack is not None and array.dtype.kind in "iufb" and array.dtype.isbuiltin == 1:
        array = np.require(array, requirements=["C", "W"])
        is_bool = array.dtype.kind == "b"
        return from_dlpack((array.view(np.uint8) if is_bool else array).__dlpack__(), is_bool)
    if dtype in SUB_BYTE:
        return value_of_array(array, dtype)  # packed into memory of its own
    import ctypes

    array = np.ascontiguousarray(array).reshape(array.shape)
    value = OrtValue.ortvalue_from_shape_and_type(list(array.shape), dtype_number(dtype))._ortvalue
    ctypes.memmove(value.data_ptr(), array.ctypes.data, array.nbytes)
    return value


def _kind_of(array: Array) -> str:
    return str(array.dtype) if isinstance(array, np.ndarray) else type(array).__name__


_EMPTY = np.empty(0, np.float32)


def _packed(arrays: Sequence[Array], element_type: int) -> Any:
    """Return a sequence as an ``OrtValue``: onnxruntime makes one in no other way than as an output of a model."""
    values = {f"x{index}": from_array(array) for index, array in enumerate(arrays)}
    kinds = [value.element_type() for value in values.values()]
    session = _packer(len(values), kinds[0] if kinds else element_type)
    return session.run_with_ort_values(["sequence"], values)[0]


def _unpacked(value: Any) -> list[Array]:
    count, session = _unpackers(_element_type(value.data_type()))
    (found,) = count.run_with_ort_values(None, {"sequence": value})
    return [
        np.array(to_array(session.run_with_ort_values(None, {"sequence": value, "index": _index(i)})[0]))
        for i in range(int(found.numpy()))
    ]


def _index(number: int) -> Any:
    return OrtValue.ortvalue_from_numpy(np.array(number, np.int64))


@cache
def _packer(count: int, element_type: int) -> Any:
    """Return a session that makes a sequence of `count` tensors."""
    from onnx import helper

    sequence = helper.make_tensor_sequence_value_info("sequence", element_type, None)
    names = [f"x{index}" for index in range(count)]
    inputs = [helper.make_tensor_value_info(name, element_type, None) for name in names]
    node = (
        helper.make_node("SequenceConstruct", names, ["sequence"])
        if names
        else helper.make_node("SequenceEmpty", [], ["sequence"], dtype=element_type)
    )
    return _session(helper.make_graph([node], "pack", inputs, [sequence]))


@cache
def _unpackers(element_type: int) -> tuple[Any, Any]:
    """Return a session that counts a sequence, and one that gives an item of it."""
    from onnx import TensorProto, helper

    sequence = helper.make_tensor_sequence_value_info("sequence", element_type, None)
    index = helper.make_tensor_value_info("index", TensorProto.INT64, [])
    item = helper.make_tensor_value_info("item", element_type, None)
    count = helper.make_tensor_value_info("count", TensorProto.INT64, [])
    counts = helper.make_node("SequenceLength", ["sequence"], ["count"])
    picks = helper.make_node("SequenceAt", ["sequence", "index"], ["item"])
    return (
        _session(helper.make_graph([counts], "count", [sequence], [count])),
        _session(helper.make_graph([picks], "pick", [sequence, index], [item])),
    )


def _element_type(words: str) -> int:
    """Return the element type in ``seq(tensor(int64))``; float where there is none."""
    from onnx import TensorProto

    name = words.rpartition("tensor(")[2].rstrip(")").upper()
    names: list[str] = TensorProto.DataType.keys()
    number: int = TensorProto.DataType.Value(name) if name in names else TensorProto.FLOAT
    return number


def _session(graph: Any) -> Any:
    from onnx import helper

    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = import_onnxruntime().SessionOptions()
    options.intra_op_num_threads = 1  # no threads that would be missing in a forked process
    return import_onnxruntime().InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
