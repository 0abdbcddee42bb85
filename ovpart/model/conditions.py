"""Conditions of If that are known before any run: from constants, and from shapes and ranks.

Exporters write branches for what they did not know ("squeeze if this has two dimensions"). Where inference knows it,
one branch can never run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ovpart.model.decode import array_of
from ovpart.model.graph import Graph, Node

if TYPE_CHECKING:
    import numpy as np

MOST_ELEMENTS = 64
"""Elements of a value that is followed: shapes have fewer."""
MOST_STEPS = 32
"""Operators in a row that are followed."""
_MOVING = frozenset({"Cast", "Concat", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Unsqueeze"})
"""Operators that hand elements on: dims that are not known may stand among them."""
_FOLLOWED = _MOVING | {
    "Add", "And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min", "Mul", "Not",
    "Or", "ReduceProd", "ReduceSum", "Sub", "Where", "Xor",
}  # fmt: skip
"""Operators that are computed where all they read is known, exact on integers and booleans. Not Div and Mod: those of
negative numbers are rounded this way by one implementation and that way by another."""


@dataclass(frozen=True, slots=True)
class _Value:
    """Elements, and which of them are not known (a mask of 0 and 1); ``None``: all are."""

    elements: np.ndarray
    unknown: np.ndarray | None = None


@dataclass(slots=True)
class Known:
    """Values of a scope that are known before any run.

    Attributes
    ----------
    graph : Graph
        The scope.
    opsets : mapping of str to int
        As imported.
    outer : Known or None
        Of the scope around it.
    """

    graph: Graph
    opsets: Mapping[str, int]
    outer: Known | None = None
    _found: dict[str, _Value | None] = field(default_factory=dict)

    def value(self, name: str) -> np.ndarray | None:
        """Return a value's elements, ``None`` where they are not all known, are floats, or are too many."""
        found = self._follow(name, 0)
        return None if found is None or found.unknown is not None else found.elements

    def _follow(self, name: str, steps: int) -> _Value | None:
        if name not in self._found:
            self._found[name] = None  # what it reads comes before it: never asked for on the way
            found = self._value(name, steps)
            exact = found is not None and found.elements.size <= MOST_ELEMENTS and found.elements.dtype.kind in "iub"
            self._found[name] = found if exact else None
        return self._found[name]

    def _value(self, name: str, steps: int) -> _Value | None:
        graph = self.graph
        index = graph.producer.get(name)
        if index is not None:
            return self._made(graph.nodes[index], steps) if steps < MOST_STEPS else None
        if name in graph.overridable:
            return None
        if name in graph.initializers:
            return _small(graph.initializers[name])
        return self.outer._follow(name, steps) if self.outer is not None and name not in graph.inputs else None

    def _made(self, node: Node, steps: int) -> _Value | None:
        """Return what a node of one output makes."""
        if node.domain or node.bodies or len(node.outputs) != 1:
            return None
        if node.op_type in ("Shape", "Size"):
            return self._of_shape(node)
        if node.op_type == "Constant":
            return _constant(node)
        if node.op_type not in _FOLLOWED:
            return None
        read: dict[str, _Value] = {}
        for place, name in enumerate(node.inputs):
            if not name:
                continue
            known = self._follow(name, steps + 1)
            moved = node.op_type in _MOVING and (place == 0 or node.op_type == "Concat")
            if known is None or (known.unknown is not None and not moved):
                return None
            read[name] = known
        return _computed(node, read, self.opsets.get("", 1))

    def _of_shape(self, node: Node) -> _Value | None:
        import numpy as np

        scope: Known | None = self
        name = node.inputs[0]
        while scope is not None and scope.outer is not None and not scope._has(name):
            scope = scope.outer
        kind = (scope or self).graph.type_of(name)
        if kind.kind != "tensor" or kind.shape is None:
            return None
        sizes = [dim if isinstance(dim, int) else -1 for dim in kind.shape]
        if node.op_type == "Size":
            return _Value(np.asarray(np.prod(sizes, dtype=np.int64))) if kind.is_static else None
        bounds = {a.name: a.i for a in node.proto.attribute}
        part = slice(bounds.get("start", 0), bounds.get("end"))
        unknown = np.array([not isinstance(dim, int) for dim in kind.shape], np.int64)[part]
        return _Value(np.array(sizes, np.int64)[part], unknown if unknown.any() else None)

    def _has(self, name: str) -> bool:
        graph = self.graph
        return name in graph.producer or name in graph.initializers or name in graph.inputs


def known_branches(known: Known, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield (path, branch) of each If whose branch is known, outer ones first, and nothing within one.

    A path goes inwards: keys of nodes and names of their bodies in turn, the If's own key at the end.
    """
    for index in known.graph.hosts:
        node = known.graph.nodes[index]
        if node.op_type == "If" and not node.domain and node.since:
            condition = known.value(node.inputs[0])
            if condition is not None and condition.size == 1:
                yield (*path, node.key), "then_branch" if condition.item() else "else_branch"
                continue
        for name, body in node.bodies.items():
            yield from known_branches(Known(body, known.opsets, known), (*path, node.key, name))


def _small(tensor: object) -> _Value | None:
    """Return the elements of a small tensor that holds its data."""
    import onnx

    if not isinstance(tensor, onnx.TensorProto) or tensor.data_location == onnx.TensorProto.EXTERNAL:
        return None
    return _Value(array_of(tensor)) if tensor.ByteSize() < 16 * MOST_ELEMENTS else None


def _constant(node: Node) -> _Value | None:
    import numpy as np

    for attribute in node.proto.attribute:
        if attribute.name == "value":
            return _small(attribute.t)
        if attribute.name == "value_int":
            return _Value(np.asarray(attribute.i, np.int64))
        if attribute.name == "value_ints":
            return _Value(np.array(list(attribute.ints), np.int64))
    return None


def _computed(node: Node, read: Mapping[str, _Value], opset: int) -> _Value | None:
    """Return what onnx's reference makes of known inputs; ``None`` where it fails, as the node then would at a run."""
    import numpy as np
    import onnx
    from onnx import helper, reference

    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.elements.dtype), value.elements.shape)
        for name, value in read.items()
    ]
    graph = helper.make_graph([node.proto], "one", inputs, [onnx.ValueInfoProto(name=node.key)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    try:
        evaluator = reference.ReferenceEvaluator(model)
        (found,) = evaluator.run(None, {name: value.elements for name, value in read.items()})
        if all(value.unknown is None for value in read.values()):
            return _Value(np.asarray(found))
        handed_on = set(node.inputs if node.op_type == "Concat" else node.inputs[:1])
        masks = {name: value.unknown for name, value in read.items()}
        masks.update((name, read[name].elements * 0) for name in handed_on if name and masks[name] is None)
        (mask,) = evaluator.run(None, {n: read[n].elements if m is None else m for n, m in masks.items()})
    except Exception:  # its kernels raise whatever numpy does; the engine tells the user when the node is run
        return None
    return _Value(np.asarray(found), np.asarray(mask) if np.asarray(mask).any() else None)
