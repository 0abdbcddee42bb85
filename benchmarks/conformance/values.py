"""Arrays of element types that numpy does not have, handed to engines and read from their memory."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

_BITS = {"UINT4": 4, "INT4": 4, "FLOAT4E2M1": 4, "UINT2": 2, "INT2": 2}
_OPENVINO = {
    "BFLOAT16": "bf16", "FLOAT8E4M3FN": "f8e4m3", "FLOAT8E5M2": "f8e5m2", "FLOAT8E8M0": "f8e8m0",
    "FLOAT4E2M1": "f4e2m1", "INT4": "i4", "UINT4": "u4",
}  # fmt: skip
_NUMBERS = {theirs: getattr(onnx.TensorProto, ours) for ours, theirs in _OPENVINO.items()}


def as_array(value: Any) -> Any:
    """Return an array for a numpy scalar, anything else as it is."""
    return np.asarray(value) if isinstance(value, np.generic) else value


def is_plain(value: Any) -> bool:
    """Whether numpy itself has the element type of a value."""
    return not isinstance(value, np.ndarray) or value.dtype.isbuiltin == 1


def packed(array: np.ndarray) -> np.ndarray:
    """Return the bytes of an array as ONNX lays them, elements below a byte packed."""
    return np.frombuffer(bytearray(numpy_helper.from_array(array).raw_data), np.uint8)


def unpacked(memory: bytes, number: int, shape: list[int]) -> np.ndarray:
    """Return the array of which `memory` holds the bytes."""
    tensor = onnx.TensorProto(data_type=number, dims=shape, raw_data=memory)
    return np.array(numpy_helper.to_array(tensor))


def ort_value(array: Any) -> Any:
    """Return a value of onnxruntime that holds an array."""
    import onnxruntime

    if is_plain(array):
        return onnxruntime.OrtValue.ortvalue_from_numpy(array)
    number = helper.np_dtype_to_tensor_dtype(array.dtype)
    value = onnxruntime.OrtValue.ortvalue_from_shape_and_type(list(array.shape), number)
    memory = packed(array)
    ctypes.memmove(value.data_ptr(), memory.ctypes.data, memory.nbytes)
    return value


def from_ort_value(value: Any) -> Any:
    """Return the array that a value of onnxruntime holds."""
    name = value.data_type().removeprefix("tensor(").removesuffix(")").upper()
    if name not in _BITS and name != "BFLOAT16" and not name.startswith("FLOAT8"):
        return value.numpy()
    number, shape = getattr(onnx.TensorProto, name), list(value.shape())
    bits = _BITS.get(name, 16 if name == "BFLOAT16" else 8)
    size = (math.prod(shape) * bits + 7) // 8
    return unpacked(ctypes.string_at(value.data_ptr(), size) if size else b"", number, shape)


def openvino_tensor(array: np.ndarray) -> tuple[Any, Any]:
    """Return a tensor of openvino over an array, and what must be kept alive for it."""
    import openvino

    if is_plain(array):
        # onnxruntime gives int64 as C's "long long", which openvino refuses.
        array = np.require(array.view(np.int64) if array.dtype.char == "q" else array, requirements=["C", "W"])
        return openvino.Tensor(array, shared_memory=True), array
    name = onnx.TensorProto.DataType.Name(helper.np_dtype_to_tensor_dtype(array.dtype))
    if name not in _OPENVINO:
        raise TypeError(f"openvino has no type for {name}")
    memory = packed(array)
    return openvino.Tensor(memory, openvino.Shape(list(array.shape)), getattr(openvino.Type, _OPENVINO[name])), memory


def from_openvino_tensor(tensor: Any) -> np.ndarray:
    """Return a copy of the array that a tensor of openvino holds."""
    number = _NUMBERS.get(tensor.element_type.get_type_name())
    if number is None:
        return np.array(tensor.data)
    return unpacked(tensor.data.tobytes(), number, list(tensor.shape))
