"""What makes a model one that cannot be run: checked once, when it is read, and nowhere again.

``onnx.checker`` is not the gate: it refuses models that run (outputs without a shape) and passes some that crash an
engine. What is checked here is what engines rely on without looking.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from ovpart.errors import ModelError
from ovpart.model.attributes import kind_of
from ovpart.model.forms import Form
from ovpart.model.types import DTYPES, dtype_name, packed_nbytes

if TYPE_CHECKING:
    import onnx

MAX_BYTES = 1 << 48
"""No tensor is larger: the address space of today's machines."""

# TensorProto field that holds the elements of a dtype where raw_data is not used, and entries an element (onnx.proto).
_FIELDS = {
    "f32": ("float_data", 1), "c64": ("float_data", 2), "f64": ("double_data", 1), "c128": ("double_data", 2),
    "i64": ("int64_data", 1), "u32": ("uint64_data", 1), "u64": ("uint64_data", 1), "string": ("string_data", 1),
}  # fmt: skip


def check_text(values: Collection[object], where: str) -> None:
    """Refuse names that are no UTF-8, which protobuf hands out as bytes.

    Raises
    ------
    ModelError
        Naming the bytes.
    """
    if set(map(type, values)) <= {str}:
        return
    for value in values:
        if not isinstance(value, str):
            raise ModelError(f"{where} has a name that is no UTF-8: {value!r:.80}")


def check_tensor(tensor: onnx.TensorProto, where: str, nbytes: int | None = None) -> None:
    """Refuse a tensor with a bad type, bad dims, or data that its dims do not fit.

    Parameters
    ----------
    tensor : onnx.TensorProto
        An initializer or an attribute.
    where : str
        How a message calls it: ``"initializer 'w'"``.
    nbytes : int, optional
        Length of the data, for a stub.

    Raises
    ------
    ModelError
        Naming the tensor, what it has and what it should have.
    """
    dtype = dtype_name(tensor.data_type)
    if dtype is None:
        raise ModelError(
            f"{where} has element type {tensor.data_type}; onnx.TensorProto.DataType has 1 to {len(DTYPES) - 1}"
        )
    dims = tuple(tensor.dims)
    if any(d < 0 for d in dims):
        raise ModelError(f"{where} has a negative dimension: dims {list(dims)}")
    count = math.prod(dims)
    if count > MAX_BYTES:
        raise ModelError(f"{where} has dims {list(dims)}: {count} elements, more than any memory holds")
    if nbytes is None and tensor.data_location == 1:
        return  # looked at when its file is
    if nbytes is None and tensor.HasField("raw_data"):
        nbytes = len(tensor.raw_data)
    if nbytes is not None and dtype != "string":
        need, unit = packed_nbytes(dtype, count), "bytes"
        found = nbytes
    else:
        field, per_element = _FIELDS.get(dtype, ("int32_data", 1))
        found = len(getattr(tensor, field))
        need, unit = count * per_element, f"entries of {field}"
        if field == "int32_data" and packed_nbytes(dtype, 2) <= 1:
            need = packed_nbytes(dtype, count)  # several elements share an entry
    if found != need:
        raise ModelError(f"{where} has {found} {unit}, but dims {list(dims)} of {dtype} take {need}")


def check_types(values: Iterable[onnx.ValueInfoProto], where: str, *, needed: bool = False) -> None:
    """Refuse declared types with an element type that onnx does not have, or a missing type where one is needed."""
    for value in values:
        number = value.type.tensor_type.elem_type if value.type.HasField("tensor_type") else None
        if number is not None and number >= len(DTYPES):
            last = len(DTYPES) - 1
            raise ModelError(
                f"{where} {value.name!r} has element type {number}; onnx.TensorProto.DataType has 1 to {last}"
            )
        if needed and (value.type.WhichOneof("value") is None or number == 0):
            raise ModelError(f"{where} {value.name!r} has no type: give it one (onnx.helper.make_tensor_value_info)")


def check_form(form: Form, node: onnx.NodeProto, where: str) -> None:
    """Refuse a node that does not fit the form of its operator.

    Raises
    ------
    ModelError
        Where the number of inputs or outputs, the name or type of an attribute is not the schema's, or something
        required is left out. More than the form has is refused of onnx's operators only: the table of contrib ones may
        be older than the engine that is installed.
    """
    for kind, values, least, most in (
        ("input", node.input, form.min_inputs, form.max_inputs),
        ("output", node.output, form.min_outputs, form.max_outputs),
    ):
        if len(values) < least or (len(values) > most and not form.contrib):
            bound = f"{least}" if least == most else f"{least} to {most}" if most < 2**31 - 1 else f"at least {least}"
            raise ModelError(
                f"{where} has {len(values)} {kind}s; the operator (since opset {form.since}) takes {bound}"
            )
    for formal, name in zip(form.inputs, node.input, strict=False):
        if not name and not formal.optional and not formal.variadic:
            raise ModelError(f"{where} leaves out its input {formal.name!r}, which is required")
    given = set()
    check_text([a.name for a in node.attribute], where)
    for attribute in node.attribute:
        name = attribute.name
        given.add(name)
        known = form.attributes.get(name)
        if attribute.ref_attr_name:
            raise ModelError(
                f"attribute {name!r} of {where} refers to attribute {attribute.ref_attr_name!r} of a function, "
                "but stands outside of functions"
            )
        if known is None:
            if not name.startswith("__") and not form.contrib:  # "__": onnx's own mark for private ones
                raise ModelError(
                    f"{where} has an attribute {name!r}, which the operator (since opset {form.since}) does not have; "
                    f"it has {', '.join(sorted(form.attributes)) or 'none'}"
                )
        elif known.kind != kind_of(attribute):
            raise ModelError(f"attribute {name!r} of {where} is {kind_of(attribute)}; the operator takes {known.kind}")
    for name, known in form.attributes.items():
        if known.required and name not in given:
            raise ModelError(f"{where} lacks its attribute {name!r} ({known.kind}), which is required")


def signature(node: onnx.NodeProto) -> tuple[object, ...]:
    """Return what :func:`check_form` depends on, so that nodes with an equal one are checked once."""
    return (
        tuple(bool(x) for x in node.input),
        len(node.output),
        tuple((a.name, a.type or kind_of(a), bool(a.ref_attr_name)) for a in node.attribute),
    )
