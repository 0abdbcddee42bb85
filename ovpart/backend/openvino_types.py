"""Element types of openvino and numpy, and tensors over numpy memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovpart.model.types import dtype_name, numpy_dtype
from ovpart.model.weights import SUB_BYTE

if TYPE_CHECKING:
    import numpy as np

    from ovpart.backend.base import Array

OPENVINO_NAMES = {
    "f32": "f32", "f16": "f16", "bf16": "bf16", "f64": "f64", "i8": "i8", "i16": "i16", "i32": "i32", "i64": "i64",
    "u8": "u8", "u16": "u16", "u32": "u32", "u64": "u64", "bool": "boolean", "f8e4m3fn": "f8e4m3", "f8e5m2": "f8e5m2",
    "f8e8m0": "f8e8m0", "f4e2m1": "f4e2m1", "i4": "i4", "u4": "u4",
}  # fmt: skip
"""Short dtype name → openvino's name of the type; what is missing cannot cross openvino's ports."""

THROWN = (RuntimeError, ValueError, TypeError, IndexError, OverflowError, MemoryError)
"""What openvino's exceptions become in Python: its own are a RuntimeError, C++'s ``std::bad_alloc`` a MemoryError."""

_SHORT_NAMES = {theirs: ours for ours, theirs in OPENVINO_NAMES.items()}


def short_name(kind: Any) -> str | None:
    """Return the short dtype name of an element type of openvino, ``None`` where it has none."""
    return _SHORT_NAMES.get(kind.get_type_name())


def is_plain(dtype: np.dtype | None) -> bool:
    """Whether numpy itself has a dtype, so that openvino knows it by its array."""
    return dtype is not None and dtype.isbuiltin == 1


def tensor_over(array: np.ndarray) -> tuple[Any, np.ndarray]:
    """Return a tensor over an array, and the array whose memory it reads.

    Parameters
    ----------
    array : numpy.ndarray
        C-contiguous, writeable, native byte order; ``ml_dtypes`` for types that numpy has not.

    Returns
    -------
    (openvino.Tensor, numpy.ndarray)
        The array itself, or a packed copy for types below a byte. openvino does not keep it alive.

    Raises
    ------
    TypeError
        If openvino has no such type.
    """
    import numpy as np
    import onnx.helper
    import openvino
    from onnx import numpy_helper

    if is_plain(array.dtype):
        return openvino.Tensor(array, shared_memory=True), array
    short = dtype_name(onnx.helper.np_dtype_to_tensor_dtype(array.dtype)) or ""
    if short not in OPENVINO_NAMES:
        raise TypeError(f"openvino has no type for {array.dtype}")
    kind = getattr(openvino.Type, OPENVINO_NAMES[short])
    if short in SUB_BYTE:
        memory = np.frombuffer(bytearray(numpy_helper.from_array(array).raw_data), np.uint8)
    else:
        memory = array.view(np.dtype(f"u{array.dtype.itemsize}"))
    return openvino.Tensor(memory, openvino.Shape(list(array.shape)), kind), memory


def copied_out(tensor: Any, dtype: np.dtype) -> Array:
    """Return a copy of a tensor's values as `dtype`; openvino shows types that numpy has not as bytes or float16."""
    import numpy as np
    import onnx
    import onnx.helper
    from onnx import numpy_helper

    data = tensor.data
    if is_plain(dtype):
        return data.copy()
    number = onnx.helper.np_dtype_to_tensor_dtype(dtype)
    if dtype_name(number) not in SUB_BYTE:
        return data.copy().view(dtype)
    packed = onnx.TensorProto(data_type=number, dims=list(tensor.shape), raw_data=data.tobytes())
    return np.array(numpy_helper.to_array(packed))


def numpy_dtype_of(kind: Any) -> np.dtype:
    """Return the numpy dtype of an element type of openvino.

    Raises
    ------
    TypeError
        If there is none.
    """
    short = short_name(kind)
    if short is None:
        raise TypeError(f"openvino's type {kind.get_type_name()} has no equal in ONNX")
    return numpy_dtype(short)
