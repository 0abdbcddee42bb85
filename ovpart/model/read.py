"""Reading a model: path, bytes or ``ModelProto`` → :class:`ovpart.model.graph.Model`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ovpart.errors import ModelError
from ovpart.model.branches import take_known_branches
from ovpart.model.build import Builder
from ovpart.model.collector import without_collector
from ovpart.model.conflicts import refuse_conflicts
from ovpart.model.edits import NO_EDITS, Edits, edit
from ovpart.model.external import Files, OpenFile, map_file
from ovpart.model.functions import inline_functions
from ovpart.model.graph import Graph, Model, Node
from ovpart.model.infer import infer
from ovpart.model.source import Source, open_source
from ovpart.model.tensors import Tensors
from ovpart.model.validate import check_text
from ovpart.model.weights import Entry, Stored, Weights, inline, inline_sparse
from ovpart.model.wire import stub_index

if TYPE_CHECKING:
    import onnx


def read_model(
    model: str | os.PathLike[str] | bytes | onnx.ModelProto, edits: Edits = NO_EDITS, open_file: OpenFile = map_file
) -> Model:
    """Read, validate and type a model.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        A file is mapped, not read: data of large tensors stays where it lies. It must not change while it is in use.
    edits : Edits, optional
        What is changed about it.
    open_file : callable, optional
        Maps the file and those of its external data; by default each model has maps of its own.

    Returns
    -------
    Model
        Nothing of it is checked again anywhere.

    Raises
    ------
    ModelError
        Where the model is broken or refers to what it must not; the message names the culprit.
    """
    with without_collector():
        return _model(open_source(model, open_file), edits, open_file)


def unknown_operators(model: Model) -> tuple[Node, ...]:
    """Return the nodes, those of bodies included, whose operator neither onnx nor the table of contrib ones knows."""
    return tuple(_unknown(model.graph))


def _unknown(graph: Graph) -> Iterator[Node]:
    for node in graph.nodes:
        if not node.since:
            yield node
        for body in node.bodies.values():
            yield from _unknown(body)


def _model(source: Source, edits: Edits, open_file: OpenFile) -> Model:
    """Turn a skeleton into a model."""
    if edits:
        edit(source.proto, edits)
    given_opsets = opset_versions(source.proto, source.what)
    proto = inline_functions(source.proto)
    opsets = opset_versions(proto, source.what) if proto is not source.proto else given_opsets
    folder = edits.folder or (source.path.parent if source.path is not None else None)
    tensors = Tensors(source.stored, Files(folder, edits.files, open_file))
    tensors.graph(proto.graph, apart=True)
    builder = Builder(opsets, tensors)
    graph = builder.main(proto.graph)
    inferred = infer(proto, graph, opsets)
    if not inferred.checked:
        refuse_conflicts(inferred.graph, opsets, inferred.silent)
    inferred = take_known_branches(proto, inferred, opsets, builder.notes)
    return Model(
        name=source.path.name if source.path is not None else proto.graph.name or "model",
        path=source.path,
        proto=proto,
        source=source.given,
        ir_version=proto.ir_version,
        opsets=opsets,
        graph=inferred.graph,
        weights=constant_entries(inferred.graph, tensors.stored),
        fingerprint=_fingerprint(source, tensors.stored, edits),
        notes=(*builder.notes, *inferred.notes),
        edited=bool(edits),
    )


def opset_versions(proto: onnx.ModelProto, what: str) -> dict[str, int]:
    """Return domain → version as a model imports them, ``""`` for ai.onnx.

    Raises
    ------
    ModelError
        Where nothing is imported, a domain twice, or a version that onnx does not know.
    """
    import onnx

    opsets: dict[str, int] = {}
    for entry in proto.opset_import:
        check_text((entry.domain,), f"opset_import of {what}")
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
    for domain, version in opsets.items():
        last = newest.get(domain)
        if last is not None and version > last:
            raise ModelError(
                f"{what} is of opset {version} of {domain or 'ai.onnx'}; the newest that onnx "
                f"{onnx.__version__} knows is {last}. Update onnx, or export for an older opset."
            )
        if version < 1:
            raise ModelError(f"{what} imports opset {version} of {domain or 'ai.onnx'!r}; versions begin at 1")
    return opsets


def _fingerprint(source: Source, stored: Sequence[Stored], edits: Edits) -> str:
    """Hash the skeleton, and of each large tensor its size and a few bytes: models of one shape differ in those."""
    digest = hashlib.blake2b(source.content, digest_size=16)
    if edits:
        digest.update(edits.digest())
    for entry in stored:
        middle = entry.offset + entry.nbytes // 2
        digest.update(f"{entry.dtype}{entry.shape}{entry.nbytes};".encode())
        digest.update(entry.buffer[middle : min(middle + 64, entry.offset + entry.nbytes)].tobytes())
    return digest.hexdigest()


def constant_entries(graph: Graph, stored: Sequence[Stored]) -> Weights:
    """Return where every constant tensor of a scope lies; `stored` is indexed by the stubs in it."""
    entries: dict[str, Entry] = {}
    for name, tensor in graph.initializers.items():
        index = stub_index(tensor)
        entries[name] = inline(tensor) if index is None else stored[index]
    for i in graph.constant:
        node = graph.nodes[i]
        if _is_given(graph, node.key):
            entry = _constant(node.proto, stored)
            if entry is not None:
                entries[node.key] = entry
    return Weights(entries)


def _is_given(graph: Graph, name: str) -> bool:
    """Whether a value comes from a ``Constant`` node."""
    index = graph.producer.get(name)
    return index is not None and graph.nodes[index].op_type == "Constant" and not graph.nodes[index].domain


def _constant(node: onnx.NodeProto, stored: Sequence[Stored]) -> Entry | None:
    """Return where the value of a ``Constant`` node lies."""
    from onnx import TensorProto, helper

    kinds = {"value_float": TensorProto.FLOAT, "value_int": TensorProto.INT64, "value_string": TensorProto.STRING}
    for attribute in node.attribute:
        if attribute.name == "value":
            index = stub_index(attribute.t)
            return inline(attribute.t) if index is None else stored[index]
        if attribute.name == "sparse_value":
            return inline_sparse(attribute.sparse_tensor)
        kind = kinds.get(attribute.name.removesuffix("s"))
        if kind is not None:
            value = helper.get_attribute_value(attribute)
            several = attribute.name.endswith("s")
            values = list(value) if several else [value]
            return inline(helper.make_tensor("", kind, [len(values)] if several else [], values))
    return None
