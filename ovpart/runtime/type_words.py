"""Types as onnxruntime writes them: ``tensor(float)``, ``seq(tensor(int64))``, ``map(string,tensor(float))``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def type_words(proto: onnx.TypeProto) -> str:
    """Return a declared type in onnxruntime's words; ``?`` stands for what the file leaves out.

    Examples
    --------
    >>> from onnx import TensorProto, helper
    >>> tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, [None])
    >>> type_words(helper.make_optional_type_proto(helper.make_sequence_type_proto(tensor)))
    'optional(seq(tensor(float)))'
    """
    kind = proto.WhichOneof("value")
    if kind == "tensor_type":
        words = f"tensor({_element(proto.tensor_type.elem_type)})"
    elif kind == "sparse_tensor_type":
        words = f"sparse_tensor({_element(proto.sparse_tensor_type.elem_type)})"
    elif kind == "sequence_type":
        words = f"seq({type_words(proto.sequence_type.elem_type)})"
    elif kind == "optional_type":
        words = f"optional({type_words(proto.optional_type.elem_type)})"
    elif kind == "map_type":
        words = f"map({_element(proto.map_type.key_type)},{type_words(proto.map_type.value_type)})"
    else:
        words = "tensor(?)" if kind is None else f"{kind.removesuffix('_type')}(?)"
    return words


def _element(number: int) -> str:
    """Return an element type's name: onnx's enum names in small letters are onnxruntime's words."""
    import onnx

    names = onnx.TensorProto.DataType
    return names.Name(number).lower() if number and number in names.values() else "?"
