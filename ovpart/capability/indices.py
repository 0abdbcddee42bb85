"""The guard on indices: which inputs of a model are looked up in a table as they are, and how long the table is.

An index out of range is an error in ONNX. openvino makes zeros of it (Gather) or leaves it out (ScatterElements),
without a word: a token that a vocabulary does not have would give a plausible answer. What a model does to indices that
it computes is not followed; what comes from its inputs unchanged is tied to them, so that a run with an index out of
range is taken by onnxruntime, which refuses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovpart.capability.verdict import Guard
from ovpart.model.attributes import attribute, formal_inputs

if TYPE_CHECKING:
    from ovpart.capability.scopes import Scope
    from ovpart.model.graph import Node

_UNCHANGED = frozenset({
    "Cast", "Concat", "Dropout", "Expand", "Flatten", "Identity", "Reshape", "Slice", "Squeeze", "Tile", "Transpose",
    "Unsqueeze",
})  # fmt: skip
"""What they give is made of the elements of their first input; of Concat, of all."""
_DEPTH = 16
_INTEGERS = frozenset({"i32", "i64", "u32", "u64", "i16", "u16", "i8", "u8"})


def index_guard(scope: Scope, node: Node, name: str) -> Guard | None:
    """Return the guard under which the indices of a node lie in range, ``None`` where nothing ties them to inputs.

    Parameters
    ----------
    scope : Scope
        The main scope.
    node : Node
        A node whose first input is looked up along its ``axis``.
    name : str
        The formal input that has the indices.

    Returns
    -------
    Guard or None
        ``int32_range`` with the inputs of the model and the largest index; the least, ``-length``, lies outside, which
        costs such a run the device and is never wrong. ``None`` also where the length is not known beforehand.
    """
    length = _length(scope, node)
    values = [value for value, formal in zip(node.inputs, formal_inputs(node), strict=True) if formal == name]
    if length is None or not values:
        return None
    inputs = _sources(scope, values[0])
    return Guard("int32_range", tuple(sorted(inputs)), length - 1) if inputs else None


def tightened(guard: Guard | None, other: Guard | None) -> Guard | None:
    """Return one guard that asks what both ask, where they are on the same inputs; else the first that there is."""
    if guard is None or other is None:
        return guard or other
    if guard.inputs != other.inputs:
        return guard
    return guard if guard.bound <= other.bound else other


def _length(scope: Scope, node: Node) -> int | None:
    """Return how long the axis is that is looked up, where it is known and not empty."""
    shape = scope.type_of(node.inputs[0]).shape
    axis = attribute(node, "axis")
    if shape is None or not isinstance(axis, int) or not -len(shape) <= axis < len(shape):
        return None
    length = shape[axis]
    return length if isinstance(length, int) and length > 0 else None


def _sources(scope: Scope, value: str) -> frozenset[str]:
    """Return the integer inputs of the graph whose elements arrive unchanged."""
    graph = scope.graph
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [(value, 0)]
    while waiting:
        name, depth = waiting.pop()
        if name in seen or depth > _DEPTH:
            continue
        seen.add(name)
        index = graph.producer.get(name)
        if index is None:
            if name in graph.inputs and scope.type_of(name).dtype in _INTEGERS:
                found.add(name)
            continue
        node = graph.nodes[index]
        if node.op_type in _UNCHANGED and not node.domain:
            passed = node.inputs if node.op_type == "Concat" else node.inputs[:1]
            waiting += [(one, depth + 1) for one in passed if scope.type_of(one).dtype in _INTEGERS]
    return frozenset(found)
