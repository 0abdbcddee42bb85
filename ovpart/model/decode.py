"""From the bytes of a tensor to a numpy array, the same with every version of onnx.

``onnx.numpy_helper`` gives bfloat16 and the float8 types as float32 before onnx 1.18, and copies; this gives views.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovpart.model.types import dtype_bits, dtype_name, numpy_dtype

if TYPE_CHECKING:
    import numpy as np
    import onnx

# TensorProto field → numpy dtype of its entries, where that is what raw_data would hold (onnx.proto, TensorProto).
_WHOLE_FIELDS = {"float_data": "<f4", "double_data": "<f8", "int64_data": "<i8"}


def values_of(buffer: np.ndarray, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the values that lie in a buffer.

    Parameters
    ----------
    buffer : numpy.ndarray
        uint8, one dimension: elements back to back, as ``raw_data`` has them.
    dtype : str
        Short dtype name, not ``"string"``.
    shape : tuple of int
        Dims.

    Returns
    -------
    numpy.ndarray
        A view; a new array for types that share bytes, which numpy has no view of.
    """
    bits = dtype_bits(dtype)
    if bits >= 8:
        return buffer.view(numpy_dtype(dtype)).reshape(shape)
    import numpy as np

    # The first element of a byte is in its lowest bits.
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    parts = (buffer[:, None] >> shifts) & np.uint8((1 << bits) - 1)
    count = int(np.prod(shape, dtype=np.int64))
    return parts.reshape(-1)[:count].view(numpy_dtype(dtype)).reshape(shape)


def raw_bytes(tensor: onnx.TensorProto) -> bytes:
    """Return the data of a tensor as ``raw_data`` would have it, from whatever field it is in; not for strings."""
    import numpy as np

    if tensor.HasField("raw_data"):
        return tensor.raw_data
    for field, code in _WHOLE_FIELDS.items():
        entries = getattr(tensor, field)
        if len(entries):
            return np.array(entries, dtype=code).tobytes()
    bits = dtype_bits(dtype_name(tensor.data_type) or "")
    if len(tensor.uint64_data):
        return np.array(tensor.uint64_data, dtype="<u8").astype(f"<u{bits // 8}").tobytes()
    # An entry of int32_data holds the bits of one element, or of as many as fit into a byte.
    return np.array(tensor.int32_data, dtype="<i4").astype(f"<u{max(bits, 8) // 8}").tobytes()


def array_of(tensor: onnx.TensorProto) -> np.ndarray:
    """Return the values of a tensor that holds its data, as a new array; objects of ``str`` for strings."""
    import numpy as np

    dtype, shape = dtype_name(tensor.data_type) or "", tuple(tensor.dims)
    if dtype == "string":
        texts = [text.decode("utf-8", "surrogateescape") for text in tensor.string_data]
        return np.array(texts, dtype=object).reshape(shape)
    return values_of(np.frombuffer(bytearray(raw_bytes(tensor)), dtype=np.uint8), dtype, shape)
