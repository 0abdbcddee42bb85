"""Between ``onnx.TypeProto`` and :class:`ovpart.model.types.ValueType`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ovpart.model.types import DTYPES, UNKNOWN, Dim, ValueType, dtype_name, dtype_number

if TYPE_CHECKING:
    import onnx

# How onnx writes element types in schemas ("tensor(float)") where that is not the lower-case enum name.
_SCHEMA_NAMES: Mapping[str, str] = {
    "float": "f32",
    "double": "f64",
    "float16": "f16",
    "bfloat16": "bf16",
    "complex64": "c64",
    "complex128": "c128",
    "bool": "bool",
    "string": "string",
    "float8e4m3fn": "f8e4m3fn",
    "float8e4m3fnuz": "f8e4m3fnuz",
    "float8e5m2": "f8e5m2",
    "float8e5m2fnuz": "f8e5m2fnuz",
    "float8e8m0": "f8e8m0",
    "float4e2m1": "f4e2m1",
    **{f"int{bits}": f"i{bits}" for bits in (2, 4, 8, 16, 32, 64)},
    **{f"uint{bits}": f"u{bits}" for bits in (2, 4, 8, 16, 32, 64)},
}


def short_type(written: str) -> str:
    """Turn ``"tensor(float)"`` into ``"f32"``; type variables and types that are no tensor stay as they are."""
    if written.startswith("tensor("):
        return _SCHEMA_NAMES.get(written[7:-1], written)
    return written


def read_type(proto: onnx.TypeProto, *, made_up: bool = False) -> ValueType:
    """Return what a ``TypeProto`` says.

    Parameters
    ----------
    proto : onnx.TypeProto
        Any kind; empty gives :data:`ovpart.model.types.UNKNOWN`.
    made_up : bool
        Whether symbols of the form ``unk__3``, which onnx's inference invents, count as unknown dimensions.

    Returns
    -------
    ValueType
        Dimensions below zero and empty symbols are unknown dimensions.
    """
    kind = proto.WhichOneof("value")
    if kind is None:
        return UNKNOWN
    if kind == "tensor_type":
        tensor = proto.tensor_type
        shape = _shape(tensor.shape, made_up) if tensor.HasField("shape") else None
        return ValueType("tensor", dtype_name(tensor.elem_type), shape)
    if kind == "sequence_type":
        return ValueType("sequence", _inner_dtype(proto.sequence_type.elem_type), None, proto.SerializeToString())
    if kind == "optional_type":
        return ValueType("optional", _inner_dtype(proto.optional_type.elem_type), None, proto.SerializeToString())
    if kind == "sparse_tensor_type":
        return ValueType(
            "sparse_tensor", dtype_name(proto.sparse_tensor_type.elem_type), None, proto.SerializeToString()
        )
    name = "map" if kind == "map_type" else "opaque"
    return ValueType(name, None, None, proto.SerializeToString())


def write_type(value: ValueType) -> onnx.TypeProto:
    """Return a new ``TypeProto`` that says the same; empty for an unknown kind."""
    import onnx

    proto = onnx.TypeProto()
    if value.kind == "tensor":
        tensor = proto.tensor_type
        tensor.elem_type = dtype_number(value.dtype) if value.dtype in DTYPES else 0
        if value.shape is not None:
            tensor.shape.SetInParent()
            for dim in value.shape:
                entry = tensor.shape.dim.add()
                if isinstance(dim, int):
                    entry.dim_value = dim
                elif dim is not None:
                    entry.dim_param = dim
    elif value.encoded:
        proto.ParseFromString(value.encoded)
    return proto


def _shape(proto: onnx.TensorShapeProto, made_up: bool) -> tuple[Dim, ...]:
    dims: list[Dim] = []
    for entry in proto.dim:
        if entry.HasField("dim_value"):
            dims.append(entry.dim_value if entry.dim_value >= 0 else None)
        else:
            name = entry.dim_param if isinstance(entry.dim_param, str) else ""  # bytes: no UTF-8
            dims.append(None if not name or (made_up and name.startswith("unk__")) else name)
    return tuple(dims)


def _inner_dtype(proto: onnx.TypeProto) -> str | None:
    """Return the element type of the innermost tensor of a sequence or optional."""
    kind = proto.WhichOneof("value")
    if kind == "tensor_type":
        return dtype_name(proto.tensor_type.elem_type)
    if kind == "sequence_type":
        return _inner_dtype(proto.sequence_type.elem_type)
    if kind == "optional_type":
        return _inner_dtype(proto.optional_type.elem_type)
    return None
