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
from ovpart.model.types import dtype_name, dtype_of_array, numpy_dtype

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


def from_array(array: Array) -> Any:
    """Return an ``OrtValue`` over an array's memory, or of a sequence of tensors.

    Raises
    ------
    InputError
        For maps and empty optionals, of which onnxruntime can make no ``OrtValue``.
    """
    if isinstance(array, list):
        return _packed(array)
    if not isinstance(array, (np.ndarray, np.generic)):
        raise InputError(f"an output of type {type(array).__name__} cannot be had as an OrtValue: use run")
    array = np.asarray(array)
    if array.dtype.kind in "OUS" or array.dtype.isbuiltin == 1:
        return OrtValue.ortvalue_from_numpy(array)
    return OrtValue(value_of_array(array, dtype_of_array(array)), array)


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


def _packed(arrays: Sequence[Array]) -> Any:
    """Return a sequence as an ``OrtValue``: onnxruntime makes one in no other way than as an output of a model."""
    values = {f"x{index}": from_array(array) for index, array in enumerate(arrays)}
    kinds = [value.element_type() for value in values.values()]
    session = _packer(len(values), kinds[0] if kinds else 1)
    return session.run_with_ort_values(["sequence"], values)[0]


def _unpacked(value: Any) -> list[Array]:
    session = _unpacker(value.data_type())
    (count,) = session.run_with_ort_values(["count"], {"sequence": value, "index": _index(0)})
    return [
        to_array(session.run_with_ort_values(["item"], {"sequence": value, "index": _index(i)})[0])
        for i in range(int(count.numpy()))
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
def _unpacker(data_type: str) -> Any:
    """Return a session that counts a sequence and gives its items."""
    from onnx import TensorProto, helper

    name = data_type.removeprefix("seq(tensor(").removesuffix("))")
    element_type = TensorProto.DataType.Value(name.upper())
    sequence = helper.make_tensor_sequence_value_info("sequence", element_type, None)
    index = helper.make_tensor_value_info("index", TensorProto.INT64, [])
    item = helper.make_tensor_value_info("item", element_type, None)
    count = helper.make_tensor_value_info("count", TensorProto.INT64, [])
    nodes = [
        helper.make_node("SequenceAt", ["sequence", "index"], ["item"]),
        helper.make_node("SequenceLength", ["sequence"], ["count"]),
    ]
    return _session(helper.make_graph(nodes, "unpack", [sequence, index], [item, count]))


def _session(graph: Any) -> Any:
    from onnx import helper

    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return import_onnxruntime().InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
