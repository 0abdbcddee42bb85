"""Models whose clusters are compiled already: which blobs they hold, and whether those may be taken up here."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovpart.backend import context as ep
from ovpart.capability.priority import compiled_before
from ovpart.capability.target import parse_target
from ovpart.errors import CompileError, ModelError, OptionError, OvpartError, OvpartWarning
from ovpart.model.edits import NO_EDITS, Edits
from ovpart.model.external import OpenFile, map_file
from ovpart.model.read import read_model
from ovpart.partition.plan import Label
from ovpart.placement.files.ir import is_ir, read_ir
from ovpart.planning import DEVICE_ENGINE

if TYPE_CHECKING:
    import onnx

    from ovpart.backend.base import Backend
    from ovpart.model.graph import Model
    from ovpart.placement.engines import Engines

_log = logging.getLogger("ovpart")

BEYOND_COMPILED = (
    "these inputs need another plan than the one that was compiled (integers beyond 32 bits, or an initializer that is "
    "overridden): run the original model on them"
)
"""Why a run is refused that the compiled clusters would answer wrongly."""
Check = Callable[[str, memoryview, str], None]
"""Called with partition, blob and signature (``""`` where there is none); raises where it does not trust the blob."""
Blobs = Mapping[str, memoryview | Path]
"""Key of an EPContext node → its blob, or the file of IR (``.xml``) that it names."""


def open_model(
    model: str | os.PathLike[str] | bytes | onnx.ModelProto, engines: Engines, edits: Edits = NO_EDITS
) -> Model:
    """Read a model; one in openvino's IR becomes a model of one node that stands for it.

    Raises
    ------
    ModelError
        If it is broken, or not there.
    """
    if not is_ir(model) or not isinstance(model, str | os.PathLike):
        return read_model(model, edits, opened_by(engines))
    device = parse_target(engines.options.device).labels[0]
    made = read_model(read_ir(model, engines.backend_of(Label(DEVICE_ENGINE, device))))
    return replace(made, path=Path(model), name=Path(model).name)


def opened_by(engines: Engines) -> OpenFile:
    """Return what maps files for a session."""
    return map_file if engines.sharing is None else engines.sharing.open_file


def with_contexts(model: Model, engines: Engines, check: Check | None = None) -> tuple[Model, Engines]:
    """Return what to run: the model with engines that know the blobs of its compiled clusters, or its original.

    Parameters
    ----------
    model : Model
        As read; one without EPContext nodes comes back as it is, with no blobs.
    engines : Engines
        Of the session.
    check : callable, optional
        The user's word on whether a blob is to be trusted.

    Raises
    ------
    CompileError
        If a blob is for another version of openvino or another device and the original model is not there, or a blob is
        missing, changed or cut off.

    Warns
    -----
    OvpartWarning
        Where the original is compiled anew.
    """
    nodes = model.graph.nodes
    contexts = {nodes[index].key: ep.read_node(nodes[index]) for index in compiled_before(model.graph)}
    _refuse_others(model, contexts)
    if not contexts:
        return model, engines
    if engines.options.emulate:
        raise OptionError(f"{model.name} holds compiled clusters, which cannot be emulated: run the original model")
    device = parse_target(engines.options.device).labels[0]
    engine = engines.backend_of(Label(DEVICE_ENGINE, device))
    for key, context in contexts.items():
        if ep.is_ir(context):
            continue  # which every openvino reads
        stale = _stale(context, engine, engines.options.device)
        if stale is None:
            continue
        original = _original(model, context, opened_by(engines))
        if original is None:
            raise CompileError(
                f"{model.name}, cluster {context.partition!r}: {stale}. Compile the model again here "
                "(ovpart compile), or put the original beside it",
                stage="load",
                node=key,
            )
        warnings.warn(
            f"{model.name}: {stale}; the original {original.name} is compiled anew", OvpartWarning, stacklevel=4
        )
        return original, engines
    _warn_of_no_effect(engines, model)
    # What selects nodes of the original may mean none of these.
    options = replace(engines.options, exclude=(), pin=())
    blobs = _blobs(model, contexts, check, opened_by(engines))
    return model, replace(engines, options=options, contexts=blobs)


def _refuse_others(model: Model, contexts: Mapping[str, ep.Context]) -> None:
    """Refuse clusters that were compiled for an engine that is not ours."""
    for node in model.graph.nodes:
        if node.op_type == "EPContext" and node.domain == "com.microsoft" and node.key not in contexts:
            source = next((a.s.decode(errors="replace") for a in node.proto.attribute if a.name == "source"), "")
            raise ModelError(
                f"{model.name}: node {node.label!r} is a cluster compiled for {source or 'nobody'!r}, which nobody "
                "else can run. Give the original model"
            )


def _warn_of_no_effect(engines: Engines, model: Model) -> None:
    for name in ("precision", "exclude", "pin", "min_gain", "table", "unknown", "semantics", "join", "verify"):
        if name in engines.options.given:
            value = getattr(engines.options, name)
            warnings.warn(
                f"{name}={value!r} has no effect: the clusters of {model.name} are compiled already",
                OvpartWarning,
                stacklevel=4,
            )


def comparable(fingerprint: str, device: str) -> str:
    """Return what of a backend's fingerprint must be the same for a blob to fit.

    A CPU's name need not be: openvino's blob for a CPU is a graph, made for the kinds of arithmetic that it has.
    """
    facts = fingerprint.split(" | ")
    return " | ".join(facts[:1] + facts[2:]) if device == "CPU" else fingerprint


def _stale(context: ep.Context, engine: Backend, device: str) -> str | None:
    """Say why a blob does not fit here, ``None`` where nothing speaks against it."""
    labels = parse_target(device).labels
    target = context.device or labels[0]
    if target.partition(".")[0] not in {label.partition(".")[0] for label in labels}:
        return f"it was compiled for device {target!r}, asked for is {device!r}"
    if parse_target(target).chooser:
        return f"{target!r} takes no clusters that are compiled already"
    here = engine.fingerprint(target)
    version = here.partition(" | ")[0].removeprefix("openvino ")
    made_by = str(context.notes.get("openvino") or context.sdk)
    exact = bool(context.notes.get("openvino"))
    if (version != made_by) if exact else (version.split(".")[:2] != made_by.split(".")[:2]):
        return f"it was compiled by openvino {made_by or '(unknown)'}, here is {version}"
    made_for = str(context.notes.get("fingerprint", ""))
    if made_for and made_for != comparable(here, target):
        return f"it was compiled for {made_for!r}, here {target} is {comparable(here, target)!r}"
    return None


def _original(model: Model, context: ep.Context, open_file: OpenFile) -> Model | None:
    """Return the model that was compiled, where it lies beside this one and is the same still."""
    name, wanted = context.original, context.notes.get("model")
    if not name or not wanted or model.path is None or name != Path(name).name or name in (".", ".."):
        return None
    path = model.path.parent / name
    if not path.is_file():
        return None
    try:
        found = read_model(path, NO_EDITS, open_file)
    except OvpartError as error:
        _log.info("the original %s cannot be read: %s", path, error)
        return None
    return found if found.fingerprint == wanted else None


def _blobs(model: Model, contexts: Mapping[str, ep.Context], check: Check | None, open_file: OpenFile) -> Blobs:
    folder = None if model.path is None else model.path.parent
    files: dict[Path, memoryview] = {}
    embedded: dict[str, memoryview] = {}
    for context in contexts.values():
        if context.embedded and context.main and context.data:
            packed = ep.unpack(context.data)
            embedded |= {context.partition: memoryview(context.data)} if packed is None else packed
    found: dict[str, memoryview | Path] = {}
    for key, context in contexts.items():
        if ep.is_ir(context):
            found[key] = ep.file_of(context, folder)
            continue
        if context.embedded:
            blob = embedded.get(context.partition)
        else:
            path = ep.file_of(context, folder)
            if path not in files:
                files[path] = _mapped(path, open_file)
            packed = ep.unpack(files[path])
            blob = files[path] if packed is None else packed.get(context.partition)
        if blob is None:
            raise CompileError(
                f"{model.name} has no blob for cluster {context.partition!r}: compile the model again",
                stage="load",
                node=key,
            )
        found[key] = _checked(model, context, blob, check)
    return found


def _mapped(path: Path, open_file: OpenFile) -> memoryview:
    if path.stat().st_size == 0:
        raise CompileError(f"the blobs' file {path.name!r} is empty: compile the model again", stage="load")
    mapped: Any = open_file(str(path), f"the blobs' file {path.name!r}")
    return memoryview(mapped)


def _checked(model: Model, context: ep.Context, blob: memoryview, check: Check | None) -> memoryview:
    size, digest = context.notes.get("size"), context.notes.get("sha256")
    if size is not None and size != len(blob):
        raise CompileError(
            f"{model.name}: the blob of {context.partition!r} has {len(blob)} bytes, {size} were written: it is not "
            "the one that was compiled with this model. Compile it again",
            stage="load",
        )
    if digest is not None and digest != ep.digest(blob):
        raise CompileError(
            f"{model.name}: the blob of {context.partition!r} is not the one that was written: its hash differs. "
            "Compile the model again",
            stage="load",
        )
    if check is not None:
        check(context.partition, blob, str(context.notes.get("signature", "")))
    return blob
