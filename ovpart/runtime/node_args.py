"""Inputs and outputs of a session, described as onnxruntime describes them."""

from __future__ import annotations

from dataclasses import dataclass

from ovpart.backend.cut import port
from ovpart.model.graph import Model
from ovpart.model.typeproto import read_type
from ovpart.runtime.feed import onnx_type
from ovpart.runtime.type_words import type_words


@dataclass(frozen=True, slots=True)
class NodeArg:
    """An input or output of a session, as onnxruntime describes it.

    Attributes
    ----------
    name : str
        Of the value.
    type : str
        ``"tensor(float)"`` and the like.
    shape : list
        Numbers, names of symbolic dims, ``None`` where nothing is known; empty where the rank is unknown.
    """

    name: str
    type: str
    shape: list[int | str | None]


def node_arg(model: Model, name: str) -> NodeArg:
    """Describe an input or output as the file declares it; a shape that the file leaves out is the inferred one."""
    declared = {value.name: value.type for value in (*model.proto.graph.input, *model.proto.graph.output)}
    kind = read_type(declared[name]) if name in declared else model.graph.type_of(name)
    if kind.shape is None:
        kind = model.graph.type_of(name)
    is_told = name in declared and declared[name].WhichOneof("value") not in (None, "tensor_type")
    words = type_words(declared[name]) if is_told else onnx_type(port(name, kind))
    return NodeArg(name, words, list(kind.shape or ()))
