"""Extensions of openvino in a session: the engine that has them, and the types behind operators that only it knows."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ovpart.backend.base import Cut
from ovpart.errors import CompileError, OvpartWarning
from ovpart.model.graph import Model
from ovpart.model.types import ValueType
from ovpart.model.variants import with_types
from ovpart.placement.cutting import cut_of
from ovpart.placement.engines import Engines
from ovpart.planning import DEVICE_ENGINE

_log = logging.getLogger("ovpart")


@runtime_checkable
class Extended(Protocol):
    """A backend whose engine the user has extended."""

    @property
    def portable(self) -> bool:
        """Whether another process can have the same extensions."""

    def types_of(self, cut: Cut) -> Sequence[ValueType]:
        """Return the types of a cut's outputs."""


def typed_by_extensions(model: Model, engines: Engines) -> Model:
    """Return the model with the types of values that operators of extensions make.

    No inference knows these operators, and a first run on onnxruntime, which shows types elsewhere, may be impossible:
    onnxruntime need not know them either. So openvino is asked, one node at a time, from the inputs on.
    """
    backend = engines.backends.get(DEVICE_ENGINE)
    if not isinstance(backend, Extended):
        return model
    asked: set[int] = set()
    while True:
        graph = model.graph
        found: dict[str, ValueType] = {}
        for node in graph.nodes:
            open_ended = any(name and not _is_known(graph.type_of(name)) for name in node.outputs)
            if node.since or node.index in asked or node.bodies or not open_ended:
                continue
            if not all(_is_known(graph.type_of(name)) for name in node.reads):
                continue
            asked.add(node.index)
            try:
                cut = cut_of(model, (node.index,))
                found.update(zip((end.name for end in cut.outputs), backend.types_of(cut), strict=True))
            except CompileError as error:  # it is no operator of the extensions: planning says what becomes of it
                _log.debug("openvino tells no types for %s: %s", node.label, error)
        if not found:
            return model
        model = with_types(model, found)


def tried_elsewhere(engines: Engines, label_engine: str) -> bool:
    """Return whether clusters of an engine can be tried in another process; says so where they cannot."""
    backend = engines.backends.get(label_engine)
    if not isinstance(backend, Extended) or backend.portable:
        return True
    warnings.warn(
        "extensions that are objects of this process cannot be had in another one: clusters that would be tried in a "
        "process of their own are compiled here at once. Libraries can be tried: pass their paths.",
        OvpartWarning,
        stacklevel=2,
    )
    return False


def keeps_evidence(engines: Engines) -> bool:
    """Return whether what engines answer can be told apart later: objects of a process have no lasting identity."""
    backend = engines.backends.get(DEVICE_ENGINE)
    return not isinstance(backend, Extended) or backend.portable


def _is_known(kind: ValueType) -> bool:
    return kind.kind not in ("tensor", "unknown") or (kind.dtype is not None and kind.shape is not None)
