"""Value types: short dtype names and an immutable stand-in for ``onnx.TypeProto``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Dim = int | str | None
"""A dimension: a number, a symbol carried by name, or ``None`` where nothing is known."""

# onnx.TensorProto.DataType (onnx.proto, onnx 1.23), in the order of its numbers; index = the enum value.
DTYPES: tuple[str, ...] = (
    "undefined",
    "f32",
    "u8",
    "i8",
    "u16",
    "i16",
    "i32",
    "i64",
    "string",
    "bool",
    "f16",
    "f64",
    "u32",
    "u64",
    "c64",
    "c128",
    "bf16",
    "f8e4m3fn",
    "f8e4m3fnuz",
    "f8e5m2",
    "f8e5m2fnuz",
    "u4",
    "i4",
    "f4e2m1",
    "f8e8m0",
    "u2",
    "i2",
)

_BITS = {
    "f32": 32, "u8": 8, "i8": 8, "u16": 16, "i16": 16, "i32": 32, "i64": 64, "bool": 8, "f16": 16, "f64": 64,
    "u32": 32, "u64": 64, "c64": 64, "c128": 128, "bf16": 16, "f8e4m3fn": 8, "f8e4m3fnuz": 8, "f8e5m2": 8,
    "f8e5m2fnuz": 8, "u4": 4, "i4": 4, "f4e2m1": 4, "f8e8m0": 8, "u2": 2, "i2": 2,
}  # fmt: skip


# Types that numpy has (int64 comes from engines under another name of the same type, which compares equal).
_NUMPY = {
    "f32": "float32", "u8": "uint8", "i8": "int8", "u16": "uint16", "i16": "int16", "i32": "int32", "i64": "int64",
    "string": "object", "bool": "bool", "f16": "float16", "f64": "float64", "u32": "uint32", "u64": "uint64",
    "c64": "complex64", "c128": "complex128",
}  # fmt: skip
# The others come from ml_dtypes: float8_e8m0fnu and float4_e2m1fn since 0.5.
_ML_DTYPES = {
    "bf16": "bfloat16", "f8e4m3fn": "float8_e4m3fn", "f8e4m3fnuz": "float8_e4m3fnuz", "f8e5m2": "float8_e5m2",
    "f8e5m2fnuz": "float8_e5m2fnuz", "f8e8m0": "float8_e8m0fnu", "f4e2m1": "float4_e2m1fn", "i4": "int4",
    "u4": "uint4", "i2": "int2", "u2": "uint2",
}  # fmt: skip


def dtype_name(number: int) -> str | None:
    """Return the short name of an ``onnx.TensorProto.DataType`` number, ``None`` where onnx has no such type."""
    return DTYPES[number] if 0 < number < len(DTYPES) else None


def dtype_number(name: str) -> int:
    """Return the ``onnx.TensorProto.DataType`` number of a short dtype name."""
    return DTYPES.index(name)


def packed_nbytes(dtype: str, count: int) -> int:
    """Return how many bytes `count` elements take in ``raw_data`` (sub-byte types are packed, onnx.proto ``raw_data``).

    Raises
    ------
    KeyError
        If `dtype` has no fixed size (``"string"``).
    """
    return (count * _BITS[dtype] + 7) // 8


def dtype_bits(name: str) -> int:
    """Return how many bits an element takes.

    Raises
    ------
    KeyError
        If the type has no fixed size (``"string"``).
    """
    return _BITS[name]


@cache
def numpy_dtype(name: str) -> np.dtype:
    """Return the numpy dtype that holds values of a short dtype name (``ml_dtypes`` where numpy has none)."""
    import numpy as np

    if name in _ML_DTYPES:
        import ml_dtypes

        theirs: np.dtype = np.dtype(getattr(ml_dtypes, _ML_DTYPES[name]))
        return theirs
    return np.dtype(_NUMPY[name])


@cache
def _names() -> dict[np.dtype, str]:
    """Return numpy dtype → short dtype name, for the types that are installed."""
    import ml_dtypes

    installed = [name for name, theirs in _ML_DTYPES.items() if hasattr(ml_dtypes, theirs)]
    return {numpy_dtype(name): name for name in (*_NUMPY, *installed)}


def dtype_of_array(array: np.ndarray) -> str:
    """Return the short dtype name of an array as a run gives it; an array of objects holds strings.

    Raises
    ------
    ValueError
        Where ONNX has no such type, or not in this byte order.
    """
    if array.dtype.kind in "OUST":
        return "string"
    name = _names().get(array.dtype)
    if name is None:
        raise ValueError(f"ONNX has no element type for numpy's {array.dtype!r}")
    return name


@dataclass(frozen=True, slots=True)
class ValueType:
    """What is known of a value.

    Attributes
    ----------
    kind : str
        ``"tensor"``, ``"sparse_tensor"``, ``"sequence"``, ``"optional"``, ``"map"``, ``"opaque"`` or ``"unknown"``.
    dtype : str or None
        Short dtype name of a tensor's elements (of the inner tensor for a sequence or optional); ``None`` if unknown.
    shape : tuple of Dim, or None
        One entry a dimension; ``None`` where the rank is not known. Always ``None`` for what is no tensor.
    encoded : bytes
        The serialized ``onnx.TypeProto`` for kinds other than tensor, so that a cut can repeat it; else empty.
    """

    kind: str = "unknown"
    dtype: str | None = None
    shape: tuple[Dim, ...] | None = None
    encoded: bytes = b""

    @property
    def rank(self) -> int | None:
        """Number of dimensions, ``None`` where unknown."""
        return None if self.shape is None else len(self.shape)

    @property
    def is_static(self) -> bool:
        """Whether every dimension is a number."""
        return self.shape is not None and all(isinstance(d, int) for d in self.shape)

    def __str__(self) -> str:
        if self.kind != "tensor":
            return self.kind if self.dtype is None else f"{self.kind}({self.dtype})"
        dims = "?" if self.shape is None else ",".join("?" if d is None else str(d) for d in self.shape)
        return f"{self.dtype or '?'}[{dims}]"


UNKNOWN = ValueType()
