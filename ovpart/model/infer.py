"""Types and shapes of every value: onnx's inference on the skeleton, then rules of our own, then what the file says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ovpart.model.graph import Graph, Node
from ovpart.model.typeproto import read_type
from ovpart.model.types import UNKNOWN, ValueType, dtype_name

if TYPE_CHECKING:
    import onnx


def infer(proto: onnx.ModelProto, graph: Graph) -> tuple[Graph, list[str]]:
    """Return the graph with types, and notes on what did not agree."""
    import onnx

    try:
        inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    except Exception as error:
        return typed(graph, proto.graph), [f"onnx's inference gave up: {error}"]
    return typed(graph, inferred.graph), []


def typed(graph: Graph, proto: onnx.GraphProto) -> Graph:
    """Return a graph with the types that a ``GraphProto`` says, bodies included."""
    types: dict[str, ValueType] = {}
    known: dict[bytes, ValueType] = {b"": UNKNOWN}
    for values in (proto.value_info, proto.output, proto.input):
        for value in values:
            if value.HasField("type"):
                code = value.type.SerializeToString()
                found = known.get(code)
                if found is None:
                    found = known[code] = read_type(value.type, made_up=True)
                types[value.name] = found
    for name, tensor in graph.initializers.items():
        types[name] = ValueType("tensor", dtype_name(tensor.data_type), tuple(tensor.dims))
    hosts = {node.key: node for node in graph.nodes if node.bodies}
    if not hosts:
        return replace(graph, types=types)
    nodes: list[Node] = list(graph.nodes)
    for found_node in proto.node:
        key = next(filter(None, found_node.output), "")
        host = hosts.get(key)
        if host is not None:
            bodies = {}
            for attribute in found_node.attribute:
                for name, body in [(attribute.name, attribute.g)] + [
                    (f"{attribute.name}[{i}]", g) for i, g in enumerate(attribute.graphs)
                ]:
                    if name in host.bodies:
                        bodies[name] = typed(host.bodies[name], body)
            nodes[host.index] = replace(host, bodies=bodies)
    return replace(graph, nodes=tuple(nodes), types=types)
