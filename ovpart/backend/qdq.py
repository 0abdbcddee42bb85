"""``enable_qdq_optimizer``: pairs of QuantizeLinear and DequantizeLinear that no operator computes in int8 are dropped.

An NPU computes some operators in int8, where their inputs and outputs are quantised. Between others a pair rounds and
costs, and gains nothing: the value is handed on as it is. Results move by what the pair would have rounded off, towards
those of the model before it was quantised. onnxruntime's OpenVINO provider has an option of that name and purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ovpart.backend.base import Cut

if TYPE_CHECKING:
    import onnx

COMPUTED_IN_INT8 = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"})
"""Operators that gain from quantised inputs and outputs."""


def without_idle_pairs(cut: Cut) -> Cut:
    """Return a cut without the pairs that nothing computed in int8 touches.

    A pair goes if both nodes have the same scale and zero point, what it quantises is made by no operator of
    :data:`COMPUTED_IN_INT8`, is no constant, and nobody of these reads what it gives; and if the quantised value itself
    is read by that DequantizeLinear alone. Before an output of the cut, what was to be quantised leaves it instead.

    Parameters
    ----------
    cut : Cut
        A cluster.

    Returns
    -------
    Cut
        `cut` itself where no pair goes.
    """
    import onnx

    graph = cut.proto.graph
    made = {name: node for node in graph.node for name in node.output if name}
    readers = _readers(graph)
    constants = {tensor.name for tensor in graph.initializer} | set(cut.weights)
    kept_names = {value.name for value in graph.output}
    idle: dict[str, str] = {}  # what a pair gives → what it was given
    renamed: dict[str, str] = {}  # what a pair before an output was given → the output
    dropped: set[str] = set()
    for node in graph.node:
        if node.op_type != "QuantizeLinear" or node.input[0] in constants:
            continue
        found = _partner(node, readers, kept_names)
        if found is None or _in_int8(made.get(node.input[0])):
            continue
        given, source = found.output[0], node.input[0]
        if any(_in_int8(reader) for reader in readers.get(given, ())):
            continue
        if given in kept_names:
            # What the pair was given is what leaves the cut now, under the name that it leaves by.
            last = made.get(source)
            if last is None or last.op_type == "DequantizeLinear" or source in kept_names or readers.get(given):
                continue
            renamed[source] = given
            dropped.add(node.output[0])
            continue
        idle[given] = node.input[0]
        dropped |= {node.output[0], given}
    if not idle and not renamed:
        return cut
    proto = onnx.ModelProto()
    proto.CopyFrom(cut.proto)
    kept = [
        (node, key)
        for node, key in zip(proto.graph.node, cut.node_names, strict=True)
        if not set(node.output) & dropped and not (node.op_type == "DequantizeLinear" and node.input[0] in dropped)
    ]
    for node, _ in kept:
        for position, name in enumerate(node.input):
            while name in idle:
                name = idle[name]
            node.input[position] = renamed.get(name, name)
        node.output[:] = [renamed.get(name, name) for name in node.output]
    left = onnx.GraphProto(node=[node for node, _ in kept])
    del proto.graph.node[:]
    proto.graph.node.extend(left.node)
    return replace(cut, proto=proto, node_names=tuple(key for _, key in kept))


def _readers(graph: onnx.GraphProto) -> Mapping[str, list[onnx.NodeProto]]:
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            if name:
                found.setdefault(name, []).append(node)
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs:
                # What a body reads is not looked into: its node counts as a reader of everything.
                for name in [output for other in graph.node for output in other.output]:
                    found.setdefault(name, []).append(node)
    return found


def _partner(
    node: onnx.NodeProto, readers: Mapping[str, list[onnx.NodeProto]], outputs: set[str]
) -> onnx.NodeProto | None:
    """Return the DequantizeLinear that undoes a QuantizeLinear, and is all that reads it."""
    following = readers.get(node.output[0], [])
    if len(following) != 1 or node.output[0] in outputs:
        return None
    (partner,) = following
    same = partner.op_type == "DequantizeLinear" and list(partner.input[1:]) == list(node.input[1:])
    return partner if same and partner.input[0] == node.output[0] else None


def _in_int8(node: onnx.NodeProto | None) -> bool:
    if node is None:
        return False
    return node.op_type in COMPUTED_IN_INT8 or any(a.HasField("g") or a.graphs for a in node.attribute)
