"""Where a model comes from: a path, bytes or a ``ModelProto``, and its skeleton."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ovpart.errors import ModelError
from ovpart.model.external import OpenFile, map_file
from ovpart.model.weights import Stored, writeable
from ovpart.model.wire import WireError, mark_stub, skeleton

if TYPE_CHECKING:
    import numpy as np
    import onnx


# What stands in a checkout in place of a file that git-lfs has not fetched (its specification, "The pointer").
_LARGE_FILE_POINTER = b"version https://git-lfs"
_LIMIT = 1 << 31
"""Bytes: protobuf serializes nothing that is larger."""


@dataclass(frozen=True, slots=True)
class Source:
    """A model that was parsed, and not yet looked at.

    Attributes
    ----------
    path : Path or None
        The file, if there is one.
    given : onnx.ModelProto, bytes or Path
        What the user gave.
    what : str
        How messages call it.
    proto : onnx.ModelProto
        The skeleton.
    stored : list of Stored
        Where the data of the stubs lies, by stub index; types and shapes are filled in when the stubs are met.
    content : bytes
        The skeleton as it was serialized: what the fingerprint is made of.
    """

    path: Path | None
    given: onnx.ModelProto | bytes | Path
    what: str
    proto: onnx.ModelProto
    stored: list[Stored]
    content: bytes


def open_source(model: str | os.PathLike[str] | bytes | onnx.ModelProto, open_file: OpenFile = map_file) -> Source:
    """Map or take a model, and parse all of it but the data of large tensors.

    Raises
    ------
    ModelError
        Where there is no such file, or it is no ONNX model.
    """
    import onnx

    if isinstance(model, (str, os.PathLike)):
        path = Path(model)
        if path.is_dir():
            raise ModelError(f"{str(path)!r} is a folder; a model is one .onnx file in it")
        buffer = open_file(str(path), f"model {path.name!r}")
        if not buffer.size:
            raise ModelError(f"model {str(path)!r} is an empty file")
        return _parsed(path, path, repr(path.name), buffer)
    if isinstance(model, (bytes, bytearray, memoryview)):
        data = bytes(model)
        if not data:
            raise ModelError("the model is empty: 0 bytes")
        return _parsed(None, data, "the model", writeable(data))
    if isinstance(model, onnx.ModelProto):
        if model.ByteSize() >= _LIMIT:
            return _taken_apart(model)
        return _parsed(None, model, "the model", writeable(model.SerializeToString()))
    raise ModelError(f"a model is a path, bytes or an onnx.ModelProto, not {type(model).__name__}")


def _parsed(path: Path | None, given: onnx.ModelProto | bytes | Path, what: str, buffer: np.ndarray) -> Source:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        small, regions = skeleton(buffer.data)
        proto = onnx.ModelProto.FromString(small)
    except (WireError, DecodeError) as error:
        if bytes(buffer[: len(_LARGE_FILE_POINTER)]) == _LARGE_FILE_POINTER:
            raise ModelError(f"{what} is a git-lfs pointer, not the model itself: fetch it (git lfs pull)") from None
        if any(word in str(error).lower() for word in ("depth", "nesting")):  # upb's word for it, and Python's
            raise ModelError(f"{what} is nested deeper than protobuf reads: 100 messages, or some 30 bodies") from None
        raise ModelError(f"{what} is no ONNX model, or is cut off: {error}") from None
    if not proto.HasField("graph"):
        raise ModelError(f"{what} has no graph: it is no ONNX model, or nothing but its header")
    stored = [Stored("", (), r.end - r.start, buffer, r.start) for r in regions]
    return Source(path, given, what, proto, stored, small)


def _taken_apart(model: onnx.ModelProto) -> Source:
    """Make the skeleton of a ``ModelProto`` over 2 GB, which cannot be serialized, one tensor at a time."""
    import onnx

    stored: list[Stored] = []
    proto = onnx.ModelProto()
    for field, value in model.ListFields():
        if field.name == "graph":
            continue
        if field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED:
            getattr(proto, field.name).extend(value)
        else:
            setattr(proto, field.name, value)
    graph = proto.graph
    graph.name = model.graph.name
    for name in ("node", "input", "output", "value_info", "sparse_initializer", "quantization_annotation"):
        getattr(graph, name).extend(getattr(model.graph, name))
    for tensor in model.graph.initializer:
        if not tensor.HasField("raw_data") or tensor.ByteSize() <= 1 << 20:
            graph.initializer.append(tensor)
            continue
        data = tensor.raw_data
        stub = graph.initializer.add(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
        mark_stub(stub, len(stored))
        stored.append(Stored("", (), len(data), writeable(data), 0))
    return Source(None, model, "the model", proto, stored, proto.SerializeToString())
