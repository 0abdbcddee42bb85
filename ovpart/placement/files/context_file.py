"""Writing a plan with its compiled clusters as an ONNX file: EPContext nodes, and the islands as they are."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovpart.backend import context as ep
from ovpart.backend.cut import ir_version_for, make_cut, value_info
from ovpart.errors import CompileError, OptionError, OvpartWarning
from ovpart.model.external import map_file
from ovpart.partition.boundary import boundary
from ovpart.placement.files.contexts import comparable

if TYPE_CHECKING:
    import onnx

    from ovpart.model.graph import Model
    from ovpart.model.types import ValueType
    from ovpart.partition.plan import Cluster
    from ovpart.placement.engines import Engines
    from ovpart.placement.realise import Realised

Sign = Callable[[str, bytes], str]
"""Called with partition and blob; returns the signature that is kept beside it."""
_LARGEST_PROTO = 2_000_000_000


@dataclass(slots=True)
class _File:
    """What the file is collected in; `others` are the blobs that sessions which share have written beside it."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: dict[str, onnx.TensorProto] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    others: Mapping[str, memoryview] = field(default_factory=dict)
    contexts: list[tuple[ep.Context, Sequence[str], Sequence[str]]] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    crossing: dict[str, None] = field(default_factory=dict)


def write_context(
    realised: Realised | None,
    original: Model,
    engines: Engines,
    path: Path,
    *,
    embed: bool = True,
    sign: Sign | None = None,
) -> tuple[Path, ...]:
    """Write a model whose delegated clusters are compiled.

    Parameters
    ----------
    realised : Realised or None
        The plan with its executables; ``None`` where it waits for a first run.
    original : Model
        The model as it was read.
    engines : Engines
        Of the session.
    path : Path
        The file to write; blobs that are not embedded go into ``STEM_OpenVINOExecutionProvider.bin`` beside it, or,
        of sessions that share, into the one that the first of them has written in that folder.
    embed : bool
        Whether the blobs go into the model itself.
    sign : callable, optional
        Signs each blob.

    Returns
    -------
    tuple of Path
        The files written.

    Raises
    ------
    CompileError
        If a device cannot give its compiled clusters.
    OptionError
        If the plan waits for a run, the device is emulated, or the file would be larger than protobuf allows.
    """
    if realised is None or realised.on_trial:
        raise OptionError("the plan waits for what only a run shows (ranks, a trial): run the session once, then save")

    if engines.options.emulate:
        raise OptionError(
            f"device {engines.options.device!r} is emulated: what is compiled is for the CPU. Compile where it is"
        )
    group = None if embed or engines.sharing is None else engines.sharing.group
    if group is None:
        return _write(realised, original, engines, path, embed, sign, None)
    with group.writing:
        folder = path.resolve().parent
        written = _write(realised, original, engines, path, embed, sign, group.blob_files.get(folder))
        group.blob_files.update(dict.fromkeys((folder,) if len(written) > 1 else (), written[-1]))
        return written


def _write(
    realised: Realised,
    original: Model,
    engines: Engines,
    path: Path,
    embed: bool,
    sign: Sign | None,
    shared: Path | None,
) -> tuple[Path, ...]:
    """Write the model, and its blobs beside it: into a file of its own, or to those in a file that is shared."""
    import onnx

    file = _File(others=_blobs_in(shared))
    for cluster in realised.plan.clusters:
        if cluster.is_island:
            _add_island(file, realised.model, cluster)
        else:
            _add_delegated(file, realised, original, cluster, engines, sign)
    if not file.contexts:
        warnings.warn(
            f"{original.name}: nothing is delegated, so that no compiled cluster is in {path.name}; min_gain=0 "
            "delegates what does not pay too",
            OvpartWarning,
            stacklevel=5,
        )
    blob_file = shared or path.with_name(f"{path.stem}_{ep.SOURCE}.bin")
    _add_contexts(file, embed, blob_file.name)
    proto = _proto(file, realised.model, original)
    if proto.ByteSize() > _LARGEST_PROTO:
        raise OptionError(f"{path.name} would be larger than 2 GB: keep the blobs beside it (embed_mode 0)")
    onnx.save(proto, path)
    if embed or not file.blobs:
        return (path,)
    if not file.blobs.keys() <= file.others.keys():
        ep.write_container(blob_file, {**file.others, **file.blobs})
    return (path, blob_file)


def _blobs_in(shared: Path | None) -> Mapping[str, memoryview]:
    """Return the blobs of a file that is to get more of them."""
    if shared is None or not shared.is_file():
        return {}
    mapped: Any = map_file(str(shared), f"the blobs' file {shared.name!r}")
    return ep.unpack(memoryview(mapped)) or {}


def _add_island(file: _File, model: Model, cluster: Cluster) -> None:
    """Add the nodes of an island, and the constants that they read."""
    from onnx import numpy_helper

    cut = make_cut(model, cluster.nodes, cluster.inputs, cluster.outputs)
    file.nodes.extend(cut.proto.graph.node)
    for tensor in cut.proto.graph.initializer:
        file.initializers[tensor.name] = tensor
    for name, array in cut.weights.items():
        if name not in file.initializers:
            file.initializers[name] = numpy_helper.from_array(array, name)
    file.crossing |= dict.fromkeys((*cluster.inputs, *cluster.outputs))


def _add_delegated(
    file: _File, realised: Realised, original: Model, cluster: Cluster, engines: Engines, sign: Sign | None
) -> None:
    """Add a node for each part of a compiled cluster."""
    executables = realised.executables[cluster.id, cluster.label]
    parts = cluster.parts or (cluster.nodes,)
    whole = len(executables) != len(parts)
    for number, executable in enumerate(executables):
        inputs, outputs = boundary(realised.model.graph, cluster.nodes if whole else parts[number])
        first = realised.model.graph.nodes[cluster.nodes[number]].key if whole or len(parts) == 1 else ""
        known = engines.contexts.get(first)
        # What came from a blob is written as it came: openvino cannot read what it exports of it.
        blob = executable.export() if known is None or isinstance(known, Path) else bytes(known)
        if blob is None:
            raise CompileError(
                f"{cluster.label.device} cannot give its compiled clusters: no context file can be made for it",
                stage="compile",
            )
        # A hash of the content alone may stand twice in a model; its first output stands in it once.
        name = f"{ep.SOURCE}_{cluster.id}_{realised.model.graph.producer[outputs[0]]}"
        if name in file.others and ep.digest(file.others[name]) != ep.digest(blob):
            name = f"{name}_{ep.digest(blob)[:12]}"  # a model of the same form, with other weights
        context = _context(name, realised, original, cluster, number, blob, engines)
        if sign is not None:
            context = replace(context, notes={**context.notes, "signature": sign(name, blob)})
        file.blobs[name] = blob
        file.contexts.append((context, inputs, outputs))
        file.places.append(len(file.nodes) + len(file.contexts) - 1)
        file.crossing |= dict.fromkeys((*inputs, *outputs))


def _context(
    name: str, realised: Realised, original: Model, cluster: Cluster, number: int, blob: bytes, engines: Engines
) -> ep.Context:
    device = cluster.label.device
    fingerprint = engines.version_of(cluster.label)
    version = fingerprint.partition(" | ")[0].removeprefix("openvino ")
    guards = {realised.plan.verdicts[index].guard for index in cluster.nodes} - {None}
    notes = {
        "openvino": version,
        "fingerprint": comparable(fingerprint, device),
        "model": original.fingerprint,
        "sha256": ep.digest(blob),
        "size": len(blob),
        "guards": sorted([g.kind, list(g.inputs), g.bound] for g in guards if g is not None),
    }
    return ep.Context(
        partition=name,
        embedded=True,
        main=number == 0,
        data=b"",
        sdk=".".join(version.split(".")[:2]),
        device=device,
        original="" if original.path is None else original.path.name,
        notes=notes,
    )


def _add_contexts(file: _File, embed: bool, blob_file: str) -> None:
    """Put the context nodes at their places, the container into the first one."""
    for number, ((context, inputs, outputs), place) in enumerate(zip(file.contexts, file.places, strict=True)):
        data = blob_file.encode() if not embed else ep.pack(file.blobs) if number == 0 else b""
        node = ep.make_node(replace(context, embedded=embed, main=not embed or number == 0, data=data), inputs, outputs)
        file.nodes.insert(place, node)


def _proto(file: _File, model: Model, original: Model) -> onnx.ModelProto:
    import onnx

    graph = model.graph
    proto = onnx.ModelProto(producer_name="ovpart", doc_string=original.proto.doc_string)
    proto.metadata_props.extend(original.proto.metadata_props)
    entry = proto.metadata_props.add()
    entry.key, entry.value = "ovpart.context", json.dumps({"model": original.name, "fingerprint": original.fingerprint})
    proto.graph.name = original.proto.graph.name or "compiled"
    proto.graph.node.extend(file.nodes)
    declared = {value.name: value for value in (*original.proto.graph.input, *original.proto.graph.output)}
    for ends, names in ((proto.graph.input, graph.inputs), (proto.graph.output, graph.outputs)):
        ends.extend(_declared(declared.get(name), name, graph.type_of(name)) for name in names)
    made = {name for node in file.nodes for name in node.output}
    for name in graph.outputs:
        if name not in made and name not in graph.inputs and name not in file.initializers:
            from onnx import numpy_helper

            file.initializers[name] = numpy_helper.from_array(model.weights.array(name), name)
    proto.graph.initializer.extend(file.initializers.values())
    ends_of_graph = {*graph.inputs, *graph.outputs}
    inner = [name for name in file.crossing if name not in ends_of_graph]
    proto.graph.value_info.extend(value_info(name, graph.type_of(name)) for name in inner)
    domains = {""} | {domain for node in file.nodes for domain in _domains(node)}
    versions = {domain: model.opsets.get(domain, 1) for domain in domains}
    proto.opset_import.extend(onnx.helper.make_opsetid(d, v) for d, v in sorted(versions.items()))
    dtypes = [graph.type_of(name).dtype for name in (*graph.inputs, *inner)]
    proto.ir_version = ir_version_for(proto.opset_import, dtypes)
    return proto


def _declared(said: onnx.ValueInfoProto | None, name: str, kind: ValueType) -> onnx.ValueInfoProto:
    """Return the file's own word on an input or output, unless it is known to be wrong: nothing corrects it later."""
    known = value_info(name, kind)
    if said is None:
        return known
    ours, theirs = known.type.tensor_type, said.type.tensor_type
    wrong_rank = ours.HasField("shape") and theirs.HasField("shape") and len(ours.shape.dim) != len(theirs.shape.dim)
    return known if kind.kind == "tensor" and (wrong_rank or not theirs.HasField("shape")) else said


def _domains(node: onnx.NodeProto) -> Iterator[str]:
    yield "" if node.domain == "ai.onnx" else node.domain
    for attribute in node.attribute:
        for body in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
            for inner in body.node:
                yield from _domains(inner)
