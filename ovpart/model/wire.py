"""The skeleton of a serialized model: everything but the data of large tensors, and where that data lies.

A model is walked in its serialized form (protobuf wire format: <https://protobuf.dev/programming-guides/encoding/>), so
that a file of any size is mapped and never read whole: tensors above :data:`LARGE_BYTES` leave the bytes of their data
behind and become *stubs*: same name, type and dims, ``data_location`` EXTERNAL, and a location that nobody can open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

LARGE_BYTES = 1024
"""Tensors with more bytes than this lie outside the skeleton, unless shape inference may need them."""

SHAPE_COUNT = 1024
"""Integer tensors of at most this many elements and one dimension stay inside: they may be shapes, axes, pads."""

MARK = "*/ovpart/*"
"""Location of a stub's data; its offset is the index of a :class:`Region`. No file can have this relative name."""

# Field numbers of onnx.proto (onnx 1.23).
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_OP_TYPE, _NODE_ATTRIBUTE = 4, 5
_ATTRIBUTE_T = 5
_DIMS, _DATA_TYPE, _EXTERNAL, _LOCATION = 1, 2, 13, 14
_DATA = frozenset({4, 5, 6, 7, 9, 10, 11})  # float, int32, string, int64, raw, double, uint64
_IN_PLACE = frozenset({4, 9, 10})
_INT32, _INT64 = 6, 7  # TensorProto.DataType

_Field = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Region:
    """Where the data of one stub lies in the buffer that was walked.

    Attributes
    ----------
    start, end : int
        Byte range: elements back to back, little endian, as in ``raw_data``.
    """

    start: int
    end: int


class WireError(ValueError):
    """The bytes are no protobuf message, or end too early."""


def skeleton(buffer: memoryview) -> tuple[bytes, list[Region]]:
    """Take the data of large tensors of the main graph out of a serialized ``ModelProto``.

    Parameters
    ----------
    buffer : memoryview of uint8
        The file or the bytes.

    Returns
    -------
    bytes
        A serialized ``ModelProto`` with stubs: initializers, and tensors of ``Constant`` nodes of the main graph.
    list of Region
        Where the data lies, by the index that the stub carries (:func:`stub_index`).

    Raises
    ------
    WireError
        Where the walk finds no protobuf.
    """
    regions: list[Region] = []
    parts: list[bytes | memoryview] = []
    kept = 0
    for number, start, payload, end in _fields(buffer, 0, len(buffer)):
        if number == _MODEL_GRAPH and payload >= 0:
            graph = _graph(buffer, payload, end, regions)
            if graph is not None:
                parts.append(buffer[kept:start])
                parts.append(_key(_MODEL_GRAPH, sum(len(p) for p in graph)))
                parts.extend(graph)
                kept = end
    parts.append(buffer[kept:])
    return b"".join(parts), regions


def mark_stub(tensor: onnx.TensorProto, index: int) -> None:
    """Turn a tensor into a stub: no data, and the index of the region that has it."""
    import onnx

    for name in ("raw_data", "float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data",
                 "external_data"):  # fmt: skip
        tensor.ClearField(name)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", MARK
    entry = tensor.external_data.add()
    entry.key, entry.value = "offset", str(index)


def stub_index(tensor: onnx.TensorProto) -> int | None:
    """Return the index that a stub carries, ``None`` for a tensor that is no stub."""
    if tensor.data_location != 1:
        return None
    entries = {e.key: e.value for e in tensor.external_data}
    if entries.get("location") != MARK:
        return None
    offset = entries.get("offset", "")
    return int(offset) if isinstance(offset, str) and offset.isdecimal() and offset.isascii() else -1


def _fields(buffer: memoryview, position: int, end: int) -> Iterator[_Field]:
    """Yield (field number, start, start of payload, end) of a message; the payload's start is -1 for scalars."""
    while position < end:
        start = position
        key, position = _varint(buffer, position, end)
        kind = key & 7
        if kind == 2:
            length, position = _varint(buffer, position, end)
            payload, position = position, position + length
        else:
            payload = -1
            if kind == 0:
                _, position = _varint(buffer, position, end)
            elif kind == 1:
                position += 8
            elif kind == 5:
                position += 4
            else:
                raise WireError(f"wire type {kind} at byte {start}")
        if position > end:
            raise WireError(f"the field at byte {start} ends {position - end} bytes past the end of its message")
        yield key >> 3, start, payload, position


def _varint(buffer: memoryview, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while position < end and shift < 70:
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise WireError(f"a number that does not end, at byte {position}")


def _key(number: int, length: int) -> bytes:
    """Return the bytes that begin a length-delimited field."""
    return _encode(number << 3 | 2) + _encode(length)


def _encode(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _graph(buffer: memoryview, start: int, end: int, regions: list[Region]) -> list[bytes | memoryview] | None:
    """Return the pieces of a graph without the data of its large tensors, ``None`` where it has none.

    This loop is `_fields` written out: it sees each node of the model, and nearly all of them only to step over.
    """
    parts: list[bytes | memoryview] = []
    kept = position = start
    while position < end:
        field = position
        key = buffer[position]
        if key & 7 != 2 or key >= 0x80 or end - position < 6:
            number, field, payload, position = next(_fields(buffer, position, end))
            if payload < 0:
                continue
            length = position - payload
        else:
            number, length, payload = key >> 3, buffer[position + 1], position + 2
            if length >= 0x80:
                length, payload = _varint(buffer, position + 1, end)
            position = payload + length
            if position > end:
                raise WireError(f"the field at byte {field} ends {position - end} bytes past the end of the graph")
        if length <= LARGE_BYTES:
            continue
        if number == _GRAPH_INITIALIZER:
            small = _tensor(buffer, payload, position, regions)
        elif number == _GRAPH_NODE:
            small = _constant(buffer, payload, position, regions)
        else:
            continue
        if small is not None:
            parts += (buffer[kept:field], _key(number, len(small)), small)
            kept = position
    if not parts:
        return None
    parts.append(buffer[kept:end])
    return parts


def _constant(buffer: memoryview, start: int, end: int, regions: list[Region]) -> bytes | None:
    """Return a ``Constant`` node without the data of its tensor; ``None`` for other nodes and small tensors."""
    fields = list(_fields(buffer, start, end))
    if not any(n == _NODE_OP_TYPE and bytes(buffer[p:e]) == b"Constant" for n, _, p, e in fields if p >= 0):
        return None

    def attribute(start: int, end: int) -> bytes | None:
        inner = list(_fields(buffer, start, end))
        return _rewrite(buffer, inner, _ATTRIBUTE_T, lambda a, b: _tensor(buffer, a, b, regions))

    return _rewrite(buffer, fields, _NODE_ATTRIBUTE, attribute)


def _rewrite(
    buffer: memoryview, fields: list[_Field], number: int, make: Callable[[int, int], bytes | None]
) -> bytes | None:
    """Replace the fields of one number by what `make` returns for their range; ``None`` if it replaces nothing."""
    small = {start: make(payload, end) for n, start, payload, end in fields if n == number and payload >= 0}
    if not any(small.values()):
        return None
    parts: list[bytes] = []
    for _, start, _, end in fields:
        new = small.get(start)
        parts.append(bytes(buffer[start:end]) if new is None else _key(number, len(new)) + new)
    return b"".join(parts)


def _tensor(buffer: memoryview, start: int, end: int, regions: list[Region]) -> bytes | None:
    """Return the stub of a tensor and note where its data lies; ``None`` where it has to stay as it is.

    Only data that lies element by element can be viewed in place: ``raw_data``, ``float_data``, ``double_data``.
    Integers in typed fields are varints.
    """
    fields = list(_fields(buffer, start, end))
    data = [f for f in fields if f[0] in _DATA]
    if len(data) != 1 or data[0][0] not in _IN_PLACE or data[0][2] < 0:
        return None
    _, data_start, payload, data_end = data[0]
    if data_end - payload <= LARGE_BYTES or _scalar(buffer, fields, _LOCATION) == 1:
        return None
    dims = sum(1 if p < 0 else e - p for n, _, p, e in fields if n == _DIMS)
    width = {_INT32: 4, _INT64: 8}.get(_scalar(buffer, fields, _DATA_TYPE) or 0)
    if width and dims <= 1 and data_end - payload <= SHAPE_COUNT * width:
        return None
    index = str(len(regions)).encode()
    regions.append(Region(payload, data_end))
    return b"".join((
        *(bytes(buffer[s:e]) for n, s, _, e in fields if s != data_start and n != _LOCATION),
        _encode(_LOCATION << 3) + b"\x01",
        _entry(b"location", MARK.encode()),
        _entry(b"offset", index),
    ))  # fmt: skip


def _scalar(buffer: memoryview, fields: list[_Field], number: int) -> int | None:
    """Return the last value of a scalar field."""
    value = None
    for found, start, payload, end in fields:
        if found == number and payload < 0:
            value = _varint(buffer, _varint(buffer, start, end)[1], end)[0]
    return value


def _entry(key: bytes, value: bytes) -> bytes:
    """Return one serialized entry of ``TensorProto.external_data``."""
    pair = _key(1, len(key)) + key + _key(2, len(value)) + value
    return _key(_EXTERNAL, len(pair)) + pair
