"""Nodes whose rounding a dynamic quantisation behind them amplifies, held on onnxruntime.

DynamicQuantizeLinear takes its scale from the largest value that it sees, and rounds all others to steps of it. An
engine that adds in another order moves values in their last digit; a few then fall on the other side of a step, and the
layers behind see differences of a whole step: outputs of real models move by up to 2 % of their range, where the
optimisation levels of onnxruntime give the same bits (openvino 2026.4.1, onnxruntime 1.31.1, AVX2). openvino computes
what lies behind the quantisation in another way still, and slower, so nothing is lost by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ovpart.capability.verdict import State, Verdict

if TYPE_CHECKING:
    from ovpart.model.graph import Graph, Node

RULE = "dynamic-quantisation"
"""Rule of the nodes that are held back."""

_CHOOSES_SCALE = "DynamicQuantize"
_FLOATS = frozenset({"f32", "f16", "bf16", "f64"})
_EXACT = frozenset({
    "Abs", "Cast", "CastLike", "Ceil", "Clip", "Concat", "ConstantOfShape", "DepthToSpace", "Expand", "Flatten",
    "Floor", "Gather", "GatherElements", "GatherND", "GlobalMaxPool", "Identity", "Max", "MaxPool", "Min", "Neg",
    "Pad", "ReduceMax", "ReduceMin", "Relu", "Reshape", "Round", "ScatterElements", "ScatterND", "Sign", "Slice",
    "SpaceToDepth", "Split", "Squeeze", "Tile", "TopK", "Transpose", "Trilu", "Unsqueeze", "Upsample", "Where",
})  # fmt: skip
"""Operators that move values or choose among them: every engine gives the same bits."""


def hold_amplified(verdicts: Sequence[Verdict], graph: Graph) -> list[Verdict]:
    """Return the verdicts, with nodes that round and that a dynamic quantisation depends on held on onnxruntime.

    Parameters
    ----------
    verdicts : sequence of Verdict
        Parallel to ``graph.nodes``.
    graph : Graph
        The scope.
    """
    if not graph.hosts and not any(op_type.startswith(_CHOOSES_SCALE) for op_type in graph.op_types):
        return list(verdicts)
    waiting = [node for node in graph.nodes if quantises_dynamically(node) and node.index not in graph.constant]
    if not waiting:
        return list(verdicts)
    name = waiting[0].op_type
    before: set[int] = set()
    while waiting:
        for value in waiting.pop().reads:
            index = graph.producer.get(value)
            if index is not None and index not in before and index not in graph.constant:
                before.add(index)
                waiting.append(graph.nodes[index])
    held = Verdict(
        State.UNSUPPORTED,
        f"its rounding is amplified by a {name} behind it",
        RULE,
        "quantise statically (QDQ), or pin the node",
        "measured",
    )
    result = list(verdicts)
    for index in before:
        if result[index].state is not State.UNSUPPORTED and _rounds(graph, graph.nodes[index]):
            result[index] = held
    return result


def quantises_dynamically(node: Node) -> bool:
    """Whether a node, or one in its bodies, chooses a scale by the values that it sees."""
    if not node.bodies:
        return node.op_type.startswith(_CHOOSES_SCALE)
    return any(quantises_dynamically(inner) for body in node.bodies.values() for inner in body.nodes)


def _rounds(graph: Graph, node: Node) -> bool:
    return node.op_type not in _EXACT and any(graph.type_of(value).dtype in _FLOATS for value in node.outputs if value)
