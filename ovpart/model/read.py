"""Reading a model: path, bytes or ``ModelProto`` → :class:`ovpart.model.graph.Model`."""

from __future__ import annotations

import gc
import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ovpart.errors import ModelError
from ovpart.model.build import Builder
from ovpart.model.external import Files, map_file
from ovpart.model.graph import Graph, Model
from ovpart.model.infer import infer
from ovpart.model.types import dtype_name, packed_nbytes
from ovpart.model.validate import check_tensor
from ovpart.model.weights import Entry, Stored, Weights, inline, inline_sparse, writeable
from ovpart.model.wire import LARGE_BYTES, SHAPE_COUNT, WireError, mark_stub, skeleton, stub_index

if TYPE_CHECKING:
    import numpy as np
    import onnx


def read_model(model: str | os.PathLike[str] | bytes | onnx.ModelProto) -> Model:
    """Read, validate and type a model.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        A file is mapped, not read: data of large tensors stays where it lies.

    Returns
    -------
    Model
        Nothing of it is checked again anywhere.

    Raises
    ------
    ModelError
        Where the model is broken or refers to what it must not; the message names the culprit.
    """
    with _collector_off():
        path, source, buffer = _source(model)
        name = path.name if path is not None else ""
        what = f"{name!r}" if name else "the model"
        proto, stored = _skeleton(buffer, what)
        fingerprint = hashlib.blake2b(proto.SerializeToString(deterministic=True), digest_size=16)
        files = Files(path.parent if path is not None else None)
        opsets = _opsets(proto, what)
        regions = _take_in(proto.graph, stored, files, fingerprint)
        builder = Builder(opsets)
        graph = builder.main(proto.graph)
        graph, notes = infer(proto, graph)
        weights = _weights(graph, regions)
        return Model(
            name=name or proto.graph.name or "model",
            path=path,
            proto=proto,
            source=source,
            ir_version=proto.ir_version,
            opsets=opsets,
            graph=graph,
            weights=weights,
            fingerprint=fingerprint.hexdigest(),
            notes=(*builder.notes, *notes),
        )


def _source(
    model: str | os.PathLike[str] | bytes | onnx.ModelProto,
) -> tuple[Path | None, onnx.ModelProto | bytes | Path, np.ndarray]:
    """Return the path if there is one, what the user gave, and its serialized form."""
    if isinstance(model, (str, os.PathLike)):
        path = Path(model)
        if path.is_dir():
            raise ModelError(f"{str(path)!r} is a folder; a model is one .onnx file in it")
        buffer = map_file(str(path), f"model {path.name!r}")
        if not buffer.size:
            raise ModelError(f"model {str(path)!r} is an empty file")
        return path, path, buffer
    if isinstance(model, (bytes, bytearray, memoryview)):
        data = bytes(model)
        if not data:
            raise ModelError("the model is empty: 0 bytes")
        return None, data, writeable(data)
    import onnx

    if isinstance(model, onnx.ModelProto):
        return None, model, writeable(model.SerializeToString())
    raise ModelError(f"a model is a path, bytes or an onnx.ModelProto, not {type(model).__name__}")


def _skeleton(buffer: np.ndarray, what: str) -> tuple[onnx.ModelProto, list[Stored]]:
    """Parse everything but the data of large tensors."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        small, regions = skeleton(buffer.data)
        proto = onnx.ModelProto.FromString(small)
    except (WireError, DecodeError) as error:
        raise ModelError(f"{what} is no ONNX model, or is cut off: {error}") from None
    if not proto.HasField("graph"):
        raise ModelError(f"{what} has no graph: it is no ONNX model, or nothing but its header")
    # Types and shapes come when the stubs are met in the graph.
    return proto, [Stored("", (), r.end - r.start, buffer, r.start) for r in regions]


def _opsets(proto: onnx.ModelProto, what: str) -> dict[str, int]:
    """Return domain → version; refuse versions that do not exist."""
    import onnx

    opsets: dict[str, int] = {}
    for entry in proto.opset_import:
        domain = "" if entry.domain == "ai.onnx" else entry.domain
        if opsets.setdefault(domain, entry.version) != entry.version:
            raise ModelError(
                f"{what} imports two versions of {domain or 'ai.onnx'!r}: {opsets[domain]}, {entry.version}"
            )
    if not opsets:
        if proto.ir_version >= 3:
            raise ModelError(f"{what} imports no opset (opset_import is empty), so that its operators have no meaning")
        opsets[""] = 1  # ONNX IR spec: files older than IR 3 are of opset 1
    known = onnx.helper.OP_SET_ID_VERSION_MAP
    newest = {"": onnx.defs.onnx_opset_version(), "ai.onnx.ml": max(v for d, v in known if d == "ai.onnx.ml")}
    for domain, last in newest.items():
        if opsets.get(domain, 0) > last:
            raise ModelError(
                f"{what} is of opset {opsets[domain]} of {domain or 'ai.onnx'}; the newest that onnx "
                f"{onnx.__version__} knows is {last}. Update onnx, or export for an older opset."
            )
    return opsets


def _take_in(graph: onnx.GraphProto, stored: list[Stored], files: Files, fingerprint: hashlib.blake2b) -> list[Stored]:
    """Give each stub its type, find external data, and check every initializer of the main scope."""
    regions = list(stored)
    for tensor in graph.initializer:
        _take_in_tensor(tensor, regions, files, f"initializer {tensor.name!r}")
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    _take_in_tensor(attribute.t, regions, files, f"the tensor of Constant {list(node.output)}")
    for region in regions:
        fingerprint.update(f"{region.dtype}{region.shape}{region.nbytes};".encode())
    return regions


def _take_in_tensor(tensor: onnx.TensorProto, regions: list[Stored], files: Files, where: str) -> None:
    index = stub_index(tensor)
    if index is not None:
        if not 0 <= index < len(regions):
            raise ModelError(f"{where} has a location that is reserved")
        check_tensor(tensor, where, regions[index].nbytes)
        regions[index] = replace(regions[index], dtype=dtype_name(tensor.data_type) or "", shape=tuple(tensor.dims))
        return
    check_tensor(tensor, where)
    if tensor.data_location != 1:
        return
    dtype = dtype_name(tensor.data_type) or ""
    if dtype == "string":
        raise ModelError(f"{where} has strings as external data, which ONNX does not allow")
    count = math.prod(tensor.dims)
    nbytes = packed_nbytes(dtype, count)
    buffer, offset = files.locate(tensor, nbytes)
    found = Stored(dtype, tuple(tensor.dims), nbytes, buffer, offset)
    if nbytes > LARGE_BYTES and not (dtype in ("i32", "i64") and len(found.shape) <= 1 and count <= SHAPE_COUNT):
        mark_stub(tensor, len(regions))
        regions.append(found)
    else:
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
        tensor.raw_data = buffer[offset : offset + nbytes].tobytes()


def _weights(graph: Graph, regions: Sequence[Stored]) -> Weights:
    """Find where every constant tensor lies."""
    entries: dict[str, Entry] = {}
    for name, tensor in graph.initializers.items():
        index = stub_index(tensor)
        entries[name] = inline(tensor) if index is None else regions[index]
    for i in graph.constant:
        node = graph.nodes[i]
        if node.op_type == "Constant" and not node.domain:
            entry = _constant(node.proto, regions)
            if entry is not None:
                entries[node.key] = entry
    return Weights(entries)


def _constant(node: onnx.NodeProto, regions: Sequence[Stored]) -> Entry | None:
    """Return where the value of a ``Constant`` node lies."""
    import onnx.helper

    attribute = node.attribute[0]
    if attribute.name == "value":
        index = stub_index(attribute.t)
        return inline(attribute.t) if index is None else regions[index]
    if attribute.name == "sparse_value":
        return inline_sparse(attribute.sparse_tensor)
    kinds = {
        "value_float": 1,
        "value_floats": 1,
        "value_int": 7,
        "value_ints": 7,
        "value_string": 8,
        "value_strings": 8,
    }
    if attribute.name not in kinds:
        return None
    value = onnx.helper.get_attribute_value(attribute)
    several = attribute.name.endswith("s")
    values = list(value) if several else [value]
    return inline(onnx.helper.make_tensor("", kinds[attribute.name], [len(values)] if several else [], values))


@contextmanager
def _collector_off() -> Iterator[None]:
    """Keep the garbage collector from walking millions of new objects that all stay; nothing here makes cycles."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
