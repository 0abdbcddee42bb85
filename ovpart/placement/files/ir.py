"""openvino's own format, IR: read as a model of one node that openvino runs whole; written from models or clusters."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ovpart.backend import context as ep
from ovpart.backend.cut import value_info
from ovpart.errors import CompileError, ModelError, OptionError
from ovpart.model.types import ValueType
from ovpart.placement.cutting import cut_of
from ovpart.placement.engines import ReadsFiles

if TYPE_CHECKING:
    import onnx

    from ovpart.backend.base import Backend, Cut, Port
    from ovpart.model.graph import Model
    from ovpart.partition.plan import Plan


@runtime_checkable
class WritesIR(Protocol):
    """A backend that writes IR."""

    def write_ir(self, source: Cut | Model, path: Path, *, fp16: bool) -> None:
        """Write a cut or a model."""


def is_ir(model: object) -> bool:
    """Whether a model is given as a file of IR."""
    return isinstance(model, str | os.PathLike) and Path(model).suffix.lower() == ".xml"


def read_ir(path: str | os.PathLike[str], engine: Backend) -> onnx.ModelProto:
    """Return a model of one EPContext node that stands for a file of IR.

    Parameters
    ----------
    path : path
        The ``.xml``; its weights lie beside it as ``.bin``.
    engine : Backend
        Reads it.

    Raises
    ------
    ModelError
        If it is not there, or openvino cannot read it, or has ports that ONNX has not.
    """
    import onnx.helper

    file = Path(path)
    if not file.is_file():
        raise ModelError(f"model {file.name!r} does not exist: {os.fspath(file)!r}")
    if not isinstance(engine, ReadsFiles):
        raise ModelError(f"{engine.name} reads no IR: {file.name}")
    try:
        inputs, outputs = engine.ports_of_file(file)
    except CompileError as error:
        raise ModelError(f"{file.name} cannot be read: {error}") from error
    context = ep.Context(file.stem, embedded=False, main=True, data=file.name.encode(), sdk="")
    node = ep.make_node(context, [end.name for end in inputs], [end.name for end in outputs])
    proto = onnx.ModelProto(producer_name="ovpart", ir_version=8)
    proto.graph.name = file.stem
    proto.graph.node.append(node)
    proto.graph.input.extend(_declared(end, file) for end in inputs)
    proto.graph.output.extend(_declared(end, file) for end in outputs)
    proto.opset_import.extend(onnx.helper.make_opsetid(domain, version) for domain, version in (("", 17), (_DOMAIN, 1)))
    return proto


_DOMAIN = "com.microsoft"


def _declared(end: Port, file: Path) -> onnx.ValueInfoProto:
    if end.dtype is None:
        raise ModelError(f"{file.name}: port {end.name!r} is of a type that ONNX has not")
    return value_info(end.name, ValueType("tensor", end.dtype, end.shape))


def write_ir(model: Model, path: Path, engine: Backend, *, fp16: bool = False) -> tuple[Path, ...]:
    """Write a whole model as IR.

    Parameters
    ----------
    model : Model
        The model.
    path : Path
        The ``.xml`` to write; the weights go beside it, ``.bin``.
    engine : Backend
        Converts it.
    fp16 : bool
        Whether weights are kept in f16: half the size; f32 is computed all the same.

    Raises
    ------
    CompileError
        If openvino cannot convert the model.
    OptionError
        If `path` does not end in ``.xml``.
    """
    if path.suffix != ".xml":
        raise OptionError(f"{path.name!r} is no name for IR: it ends in .xml")
    try:
        _writer(engine).write_ir(model, path, fp16=fp16)
    except CompileError as error:
        raise CompileError(f"{error}. Write the clusters that it takes instead", stage=error.stage) from error
    return path, path.with_suffix(".bin")


def write_clusters(model: Model, plan: Plan, folder: Path, engine: Backend, *, fp16: bool = False) -> tuple[Path, ...]:
    """Write each delegated cluster of a plan as IR, ``cluster_N.xml`` in running order (``cluster_N_P`` for parts).

    Parameters
    ----------
    model : Model
        With constants folded.
    plan : Plan
        Of that model.
    folder : Path
        Made if it is not there.

    Raises
    ------
    CompileError
        If openvino cannot convert one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    writer = _writer(engine)
    written: list[Path] = []
    for number, cluster in enumerate(plan.clusters):
        if cluster.is_island:
            continue
        parts = cluster.parts or (cluster.nodes,)
        for position, part in enumerate(parts):
            name = f"cluster_{number}" if len(parts) == 1 else f"cluster_{number}_{position}"
            path = folder / f"{name}.xml"
            writer.write_ir(cut_of(model, part), path, fp16=fp16)
            written += [path, path.with_suffix(".bin")]
    return tuple(written)


def _writer(engine: Backend) -> WritesIR:
    if not isinstance(engine, WritesIR):
        raise OptionError(f"{engine.name} writes no IR")
    return engine
