"""What the file itself says of types: believed where inference knows nothing, noted where the two disagree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ovpart.model.forms import form_of
from ovpart.model.graph import Graph, Node
from ovpart.model.rules import is_open, tensor, unknown_dims
from ovpart.model.typeproto import read_type
from ovpart.model.types import ValueType

if TYPE_CHECKING:
    import onnx

_MAX_NOTES = 20


def declared_types(proto: onnx.GraphProto) -> dict[str, ValueType]:
    """Return the types that the file gives to values of a scope, outputs included."""
    types: dict[str, ValueType] = {}
    known: dict[bytes, ValueType] = {}
    for values in (proto.value_info, proto.output):
        for value in values:
            code = value.type.SerializeToString()
            if code:
                found = known.get(code)
                if found is None:
                    found = known[code] = read_type(value.type)
                if found.kind != "unknown":
                    types[value.name] = found
    return types


def unruled(graph: Graph, declared: Mapping[str, ValueType]) -> dict[str, ValueType]:
    """Return what the file says of outputs of operators that nobody has a rule for: believed from the start."""
    nodes = graph.nodes
    return {
        name: said
        for name, said in declared.items()
        if (index := graph.producer.get(name)) is not None and not nodes[index].since and not nodes[index].bodies
    }


def believable(graph: Graph, declared: Mapping[str, ValueType], *, static: bool) -> dict[str, ValueType]:
    """Return what the file may add to what is inferred of a scope.

    A value whose operator nobody has a rule for is believed whole. Where a rule exists but could not tell, rank and
    dtype are; the dims only if all inputs of the model are `static`: people who make the inputs of a finished model
    dynamic leave the old sizes standing further on.
    """
    added: dict[str, ValueType] = {}
    for name, said in declared.items():
        index = graph.producer.get(name)
        if index is None:
            continue
        now = graph.type_of(name)
        if not is_open(now) or _contradicts(now, said):
            continue
        if said.kind == "tensor" and not static and _ruled(graph.nodes[index]):
            said = tensor(said.dtype, unknown_dims(said.rank))
        if said != now:
            added[name] = said
    return added


def _ruled(node: Node) -> bool:
    form = form_of(node.op_type, node.domain, node.since) if node.since else None
    return form is not None and (form.has_rule or node.domain != "")


def _contradicts(inferred: ValueType, said: ValueType) -> bool:
    if inferred.kind == "unknown" or said.kind == "unknown":
        return False
    if inferred.kind != said.kind:
        return True
    if inferred.dtype is not None and said.dtype is not None and inferred.dtype != said.dtype:
        return True
    if inferred.shape is None or said.shape is None:
        return False
    if len(inferred.shape) != len(said.shape):
        return True
    return any(
        isinstance(a, int) and isinstance(b, int) and a != b for a, b in zip(inferred.shape, said.shape, strict=True)
    )


def disagreements(graph: Graph, declared: Mapping[str, ValueType]) -> list[str]:
    """Say where the file contradicts inference, in which inference wins."""
    found = list(_disagreements(graph, declared))
    more = len(found) - _MAX_NOTES
    return found if more <= 0 else [*found[:_MAX_NOTES], f"and {more} more values of which the file says otherwise"]


def _disagreements(graph: Graph, declared: Mapping[str, ValueType]) -> Iterator[str]:
    for name, said in declared.items():
        inferred = graph.types.get(name)
        if inferred is not None and inferred is not said and inferred != said and _contradicts(inferred, said):
            yield f"the file says that {name!r} is {said}, inference says {inferred}"
