"""Symbolic dimensions that can only be one number: an operator demands that they equal a dimension that is one.

A recurrent network exported with a batch of one for its initial state takes no other batch, whatever its inputs
declare. To know so gives ranks to what follows a ``Squeeze`` without axes, which drops a dimension only if it is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ovpart.model.attributes import attribute
from ovpart.model.graph import Graph, Node
from ovpart.model.types import Dim

if TYPE_CHECKING:
    import onnx

# Inputs of LSTM, GRU and RNN that carry the batch, and where (onnx Operators, LSTM-22 "Inputs", layout 0).
_BATCH_AXES = {0: 1, 4: 0, 5: 1, 6: 1}
_RECURRENT = ("LSTM", "GRU", "RNN")


def bound_symbols(graph: Graph) -> dict[str, int]:
    """Return symbols of the main scope that can only have one value, with that value.

    A symbol that would have to be two numbers at once is left out: the engine's own words tell of such a model best.
    """
    found: dict[str, set[int]] = {}
    for node in graph.nodes if not graph.op_types.isdisjoint(_RECURRENT) else ():
        if node.op_type not in _RECURRENT:
            continue
        for one, other in _equal_dims(graph, node):
            if isinstance(one, str) and isinstance(other, int):
                found.setdefault(one, set()).add(other)
    return {symbol: values.pop() for symbol, values in found.items() if len(values) == 1}


def bind_symbols(graph: onnx.GraphProto, values: Mapping[str, int]) -> bool:
    """Write numbers in place of symbols into the declared types of a working copy; return whether any was found."""
    changed = False
    for declared in (*graph.input, *graph.value_info):
        for dim in declared.type.tensor_type.shape.dim:
            if dim.dim_param in values:
                dim.dim_value = values[dim.dim_param]
                changed = True
    return changed


def _equal_dims(graph: Graph, node: Node) -> Iterator[tuple[Dim, Dim]]:
    """Give pairs of dimensions that a recurrent operator demands to be equal, both ways round."""
    if node.domain or attribute(node, "layout"):
        return
    batches = []
    for position, axis in _BATCH_AXES.items():
        name = node.inputs[position] if position < len(node.inputs) else ""
        shape = graph.type_of(name).shape if name else None
        if shape is not None and axis < len(shape):
            batches.append(shape[axis])
    for one in batches:
        for other in batches:
            yield one, other
