"""A scope with the scopes around it: types and constants of any value that its nodes may read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ovpart.model.attributes import attribute

if TYPE_CHECKING:
    import numpy as np

    from ovpart.model.graph import Graph, Model, Node
    from ovpart.model.types import ValueType
    from ovpart.model.weights import Weights


@dataclass(frozen=True, slots=True)
class Scope:
    """A graph and where its captures come from.

    Attributes
    ----------
    graph : Graph
        The scope.
    weights : Weights
        Constants of the main scope.
    outer : Scope or None
        The scope around it; ``None`` for the main scope.
    host : Node or None
        The node of `outer` that the graph is a body of.
    """

    graph: Graph
    weights: Weights
    outer: Scope | None = None
    host: Node | None = None

    def home(self, value: str) -> Scope | None:
        """Return the scope that defines a value, ``None`` where none does."""
        for scope in self.outwards():
            graph = scope.graph
            if value in graph.producer or value in graph.initializers or value in graph.inputs:
                return scope
        return None

    def outwards(self) -> Iterator[Scope]:
        """Walk from this scope to the main one."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer

    def type_of(self, value: str) -> ValueType:
        """Return the type of a value of this scope or of one around it."""
        home = self.home(value) if self.outer is not None else self
        return (home or self).graph.type_of(value)

    def is_constant(self, value: str) -> bool:
        """Whether a value of this scope or of one around it is a constant."""
        home = self.home(value) if self.outer is not None else self
        return home is not None and home.graph.is_constant(value)

    def array(self, value: str, most: int) -> np.ndarray | None:
        """Return the values of an initializer or of a ``Constant`` node.

        Parameters
        ----------
        value : str
            Its name.
        most : int
            Most elements; of a larger one nothing is read.

        Returns
        -------
        numpy.ndarray or None
            ``None`` where it is no constant, is computed from constants, or is too large.
        """
        home = self.home(value) if self.outer is not None else self
        if home is None:
            return None
        if home.outer is None:
            if value not in home.weights or math.prod(home.weights.shape(value)) > most:
                return None
            return home.weights.array(value)
        return _body_array(home.graph, value, most)


def main_scope(model: Model) -> Scope:
    """Return the main scope of a model."""
    return Scope(model.graph, model.weights)


def _body_array(graph: Graph, value: str, most: int) -> np.ndarray | None:
    """Return a constant of a body: its tensor stands in the graph or in the node, whole."""
    import numpy as np
    import onnx
    from onnx import numpy_helper

    found: Any = graph.initializers.get(value)
    index = graph.producer.get(value)
    if found is None and index is not None and graph.nodes[index].op_type == "Constant":
        for name, dtype in _CONSTANT_ATTRIBUTES.items():
            given = attribute(graph.nodes[index], name)
            if given is not None:
                found = given if name == "value" else np.array(given, dtype)
                break
    if isinstance(found, onnx.TensorProto):
        outside = found.data_location == onnx.TensorProto.EXTERNAL
        return None if outside or math.prod(found.dims) > most else numpy_helper.to_array(found)
    return found if isinstance(found, np.ndarray) and found.size <= most else None


# Attributes of Constant and what they hold (onnx Constant-13: 64-bit integers, 32-bit floats).
_CONSTANT_ATTRIBUTES = {
    "value": "", "value_int": "int64", "value_ints": "int64", "value_float": "float32", "value_floats": "float32",
    "value_string": "object", "value_strings": "object",
}  # fmt: skip
