"""EPContext: compiled clusters as nodes of an ONNX file, in the layout of onnxruntime's OpenVINO provider.

A node of com.microsoft stands for a cluster; its blob lies in the node (``embed_mode`` 1) or in a file beside the model
(0). Blobs of one model share a container: a header, an index in BSON that gives offset and size of each by
``partition_name``, and the blobs, each at a multiple of 64 KB. Embedded, the first node carries the container and has
``main_context`` 1. Providers before onnxruntime 1.24 have the bare blob in its place; both are read, containers are
written.

Nothing in such a file is believed before it is checked: names of files must be plain, offsets must lie inside, sizes
and hashes must agree with the notes that ovpart leaves.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovpart.backend import bson
from ovpart.capability.priority import CONTEXT_SOURCE
from ovpart.errors import CompileError

if TYPE_CHECKING:
    import onnx

    from ovpart.model.graph import Node

SOURCE = CONTEXT_SOURCE
"""Attribute ``source`` of the nodes that are ours or the provider's."""
PRODUCER = "onnxruntime-openvino-ep-ovpart"
_MAGIC = b"OVEP_BIN"
_HEADER = struct.Struct("<8sQQQQ")
_ALIGNMENT = 64 * 1024
_LARGEST_INDEX = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Context:
    """What an EPContext node says.

    Attributes
    ----------
    partition : str
        Name of its cluster, by which the container finds its blob.
    embedded : bool
        Whether the blob lies in a node of the model.
    main : bool
        Whether the node carries the container.
    data : bytes
        The blob or container, or the name of the file that holds it.
    sdk : str
        openvino's version, major and minor.
    device : str
        Device that the blob is for; ``""`` where the file does not say.
    original : str
        File name of the model that was compiled; ``""`` where the file does not say.
    notes : mapping
        What ovpart adds: ``openvino``, ``fingerprint``, ``sha256``, ``size``, ``guards``, ``model``, ``signature``.
    """

    partition: str
    embedded: bool
    main: bool
    data: bytes
    sdk: str
    device: str = ""
    original: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)


def read_node(node: Node) -> Context:
    """Read the attributes of an EPContext node.

    Raises
    ------
    CompileError
        If one is missing or not what it must be.
    """
    found = {a.name: a.i if a.type == 2 else a.s for a in node.proto.attribute}

    def text(name: str) -> str:
        value = found.get(name, b"")
        if not isinstance(value, bytes):
            raise CompileError(f"EPContext node {node.label!r}: {name} is no text", stage="load", node=node.key)
        return value.decode(errors="replace")

    try:
        notes = json.loads(text("notes") or "{}")
    except ValueError:
        notes = {}  # another writer's words, which need not be JSON
    data = found.get("ep_cache_context", b"")
    if not isinstance(data, bytes):
        raise CompileError(f"EPContext node {node.label!r}: ep_cache_context is no text", stage="load", node=node.key)
    return Context(
        partition=text("partition_name") or node.name,
        embedded=bool(found.get("embed_mode", 1)),
        main=bool(found.get("main_context", 1)),
        data=data,
        sdk=text("ep_sdk_version"),
        device=text("hardware_architecture"),
        original=text("onnx_model_filename"),
        notes=notes.get("ovpart", {}) if isinstance(notes, dict) and isinstance(notes.get("ovpart"), dict) else {},
    )


def is_ir(context: Context) -> bool:
    """Whether a node stands for a model in IR beside the file, which is compiled when it is loaded."""
    return not context.embedded and context.data.endswith(b".xml")


def make_node(context: Context, inputs: Sequence[str], outputs: Sequence[str]) -> onnx.NodeProto:
    """Return the node that stands for a compiled cluster."""
    import onnx.helper

    attributes: dict[str, Any] = {
        "embed_mode": int(context.embedded),
        "main_context": int(context.main),
        "ep_cache_context": context.data,
        "ep_sdk_version": context.sdk,
        "source": SOURCE,
        "partition_name": context.partition,
        "hardware_architecture": context.device,
        "onnx_model_filename": context.original,
        "notes": json.dumps({"ovpart": dict(context.notes)}, sort_keys=True),
        "max_size": 0,
    }
    return onnx.helper.make_node(
        "EPContext", list(inputs), list(outputs), name=context.partition, domain="com.microsoft", **attributes
    )


def digest(blob: bytes | memoryview) -> str:
    """Return the hash that the notes keep of a blob."""
    return hashlib.sha256(blob).hexdigest()


def pack(blobs: Mapping[str, bytes | memoryview]) -> bytes:
    """Return the container of some blobs.

    Parameters
    ----------
    blobs : mapping of str to bytes
        Partition name → blob.
    """
    return b"".join(_pieces(blobs))


def write_container(path: Path, blobs: Mapping[str, bytes | memoryview]) -> None:
    """Write a container into a file, in place of what stands there: who has that one mapped goes on reading it."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with fresh.open("wb") as file:
            file.writelines(_pieces(blobs))
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _pieces(blobs: Mapping[str, bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """Yield what a container consists of, one after the other."""
    index_size, start = -1, 0
    index = b""
    while len(index) != index_size:  # offsets are part of the index, whose size they depend on
        index_size = len(index)
        at = start = _aligned(_HEADER.size + index_size)
        entries: dict[str, bson.Document] = {}
        for name, blob in blobs.items():
            entries[name] = {"data_offset": at, "size": len(blob)}
            at = _aligned(at + len(blob))
        index = bson.encode({"version": "1.0.0", "producer": PRODUCER, "blob_metadata_map": entries})
    yield from (_HEADER.pack(_MAGIC, 1, _HEADER.size, _HEADER.size, len(index)), index)
    yield bytes(start - _HEADER.size - len(index))
    for blob in blobs.values():
        yield from (blob, bytes(_aligned(len(blob)) - len(blob)))


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def unpack(data: bytes | memoryview) -> dict[str, memoryview] | None:
    """Return the blobs of a container by partition name, in place; ``None`` where it is none.

    Raises
    ------
    CompileError
        If an offset or a size leads outside of it, or its version is unknown.
    """
    view = memoryview(data)
    if len(view) < _HEADER.size or bytes(view[:8]) != _MAGIC:
        return None
    _, version, header, start, size = _HEADER.unpack_from(view)
    if version != 1 or header != _HEADER.size:
        raise _broken(f"version {version} is not known")
    if size > _LARGEST_INDEX or start < header or start + size > len(view):
        raise _broken("its index lies outside of it")
    index = bson.decode(view[start : start + size])
    entries = index.get("blob_metadata_map")
    if not isinstance(entries, Mapping):
        raise _broken("it has no index of blobs")
    blobs: dict[str, memoryview] = {}
    for name, entry in entries.items():
        at, length = (entry.get("data_offset"), entry.get("size")) if isinstance(entry, Mapping) else (None, None)
        if not isinstance(at, int) or not isinstance(length, int):
            raise _broken(f"blob {name!r} has no offset or size")
        if at < start + size or length < 1 or at + length > len(view):
            raise _broken(f"blob {name!r} lies outside of it")
        blobs[name] = view[at : at + length]
    return blobs


def file_of(context: Context, folder: Path | None) -> Path:
    """Return the file that holds the blob of a context that is not embedded.

    Raises
    ------
    CompileError
        If its name leads out of the folder, or it is not there.
    """
    name = context.data.decode(errors="replace")
    if folder is None:
        raise CompileError(
            f"the blobs lie in {name!r} beside the model, which came without a folder: load the model from its file",
            stage="load",
        )
    plain = name == Path(name).name and name not in ("", ".", "..") and not any(c in name for c in "\\\0:")
    if not plain:
        raise CompileError(f"the blobs' file {name!r} is not the name of a file beside the model", stage="load")
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise CompileError(f"the blobs' file {name!r} is not beside the model in {folder}", stage="load")
    return path


def _broken(why: str) -> CompileError:
    return CompileError(f"the container of the compiled blobs is broken: {why}. Compile the model again", stage="load")
