"""The few types of BSON that the index of a blob file is made of: texts, integers, and documents of these.

The index comes with files that nobody vouches for, so that every length is checked before it is believed.
The format: https://bsonspec.org/spec.html.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from ovpart.errors import CompileError

Document = Mapping[str, "str | int | Document"]
"""What is read and written."""

_TEXT, _DOCUMENT, _INT32, _INT64 = 0x02, 0x03, 0x10, 0x12
_DEEPEST = 4
_LARGEST_INT32 = 2**31 - 1


def encode(document: Document) -> bytes:
    """Return a document as BSON, its keys in alphabetical order."""
    body = b"".join(_element(key, document[key]) for key in sorted(document))
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def _element(key: str, value: str | int | Document) -> bytes:
    name = key.encode() + b"\0"
    if isinstance(value, str):
        text = value.encode() + b"\0"
        return bytes([_TEXT]) + name + struct.pack("<i", len(text)) + text
    if isinstance(value, int):
        narrow = abs(value) <= _LARGEST_INT32
        return bytes([_INT32 if narrow else _INT64]) + name + struct.pack("<i" if narrow else "<q", value)
    return bytes([_DOCUMENT]) + name + encode(value)


def decode(data: bytes | memoryview, *, depth: int = 0) -> dict[str, str | int | Document]:
    """Read a document.

    Raises
    ------
    CompileError
        If it is none, or holds other types.
    """
    data = bytes(data)
    if len(data) < 5 or struct.unpack_from("<i", data)[0] != len(data) or data[-1] or depth > _DEEPEST:
        raise _broken("a document's length is wrong")
    found: dict[str, str | int | Document] = {}
    at = 4
    while at < len(data) - 1:
        kind = data[at]
        end = data.find(b"\0", at + 1)
        if end < 0:
            raise _broken("a name does not end")
        key, at = _text(data[at + 1 : end]), end + 1
        found[key], at = _value(data, kind, at, depth)
    return found


def _value(data: bytes, kind: int, at: int, depth: int) -> tuple[str | int | Document, int]:
    if kind in (_INT32, _INT64):
        form, width = ("<i", 4) if kind == _INT32 else ("<q", 8)
        if at + width > len(data):
            raise _broken("a number is cut off")
        number: int = struct.unpack_from(form, data, at)[0]
        return number, at + width
    if kind not in (_TEXT, _DOCUMENT) or at + 4 > len(data):
        raise _broken(f"type {kind:#x} is not expected")
    length = struct.unpack_from("<i", data, at)[0]
    start = at + 4 if kind == _TEXT else at
    if length < 1 or start + length > len(data) - 1:
        raise _broken("a length leads beyond the end")
    if kind == _TEXT:
        return _text(data[start : start + length - 1]), start + length
    return decode(data[start : start + length], depth=depth + 1), start + length


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _broken("a text is not UTF-8") from error


def _broken(why: str) -> CompileError:
    return CompileError(f"the index of the compiled blobs is broken: {why}. Compile the model again", stage="load")
