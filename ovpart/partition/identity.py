"""Identity of a cluster: a hash of what it computes, the same wherever its nodes stand and whatever they are called."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING

from ovpart.model.attributes import kind_of
from ovpart.model.graph import Graph, Node
from ovpart.model.types import ValueType

if TYPE_CHECKING:
    import onnx

ID_DIGITS = 12
"""Hexadecimal digits of an id: 48 bits; two clusters of one plan never hash the same text (first outputs differ)."""

MAX_TEXTS = 1 << 14
"""Pieces of text that are kept before it is hashed, so that a large cluster takes no memory."""
_SEPARATOR = "\x1f"  # no name holds it in practice, and one that did could at worst make two texts equal


def cluster_id(graph: Graph, nodes: Iterable[int]) -> str:
    """Return the id of a set of nodes.

    Hashed are operators and their versions, attributes, the names of values (outputs are unique in a scope), dtypes and
    the dimensions that are numbers; never node names, positions in the file, weights, or the names of other dimensions
    (inference makes them up).

    Parameters
    ----------
    graph : Graph
        The scope.
    nodes : iterable of int
        Node indices, ascending.
    """
    digest = sha256()
    texts: list[str] = []
    memo: dict[int, str] = {}
    heads: dict[str, str] = {}
    join, types = _SEPARATOR.join, graph.types.get
    for index in nodes:
        node = graph.nodes[index]
        if not node.bare or len(node.outputs) > 1 or node.domain:
            texts.append(_text(graph, node, memo))
        else:  # what _text gives, for nearly all nodes of a large graph
            kind = types(node.key)
            head = heads.get(node.op_type) or heads.setdefault(node.op_type, f".{node.op_type}.{node.since}(")
            made = memo.get(id(kind)) or _type_text(kind, memo)
            texts.append(f"{head}{join(node.inputs)}){node.key}{_SEPARATOR}{made}\n")
        if len(texts) >= MAX_TEXTS:
            digest.update("".join(texts).encode("utf-8", "surrogatepass"))
            texts.clear()
    digest.update("".join(texts).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:ID_DIGITS]


def _text(graph: Graph, node: Node, memo: dict[int, str]) -> str:
    """Return what is hashed of a node; `memo` maps ids of value types to their text."""
    made = []
    for name in node.outputs:
        kind = graph.types.get(name)
        made.append(memo.get(id(kind)) or _type_text(kind, memo))
    join = _SEPARATOR.join
    text = (
        f"{node.domain}.{node.op_type}.{node.since}({join(node.inputs)}){join(node.outputs)}{_SEPARATOR}{join(made)}\n"
    )
    attributes = node.proto.attribute
    if attributes:
        text += join([_attribute(a) for a in sorted(attributes, key=lambda a: a.name)])
    if node.bodies:
        for name in sorted(node.bodies):
            body = node.bodies[name]
            text += f"{name}{{{join(body.inputs)}){join(body.outputs)}\n"
            text += "".join([_text(body, inner, memo) for inner in body.nodes])
    return text


def _type_text(kind: ValueType | None, memo: dict[int, str]) -> str:
    """Return what is hashed of a type, and remember it."""
    if kind is None:
        return "?"
    dims = "?" if kind.shape is None else ",".join(str(d) if isinstance(d, int) else "?" for d in kind.shape)
    text = memo[id(kind)] = f"{kind.kind}:{kind.dtype}[{dims}]"
    return text


def _attribute(proto: onnx.AttributeProto) -> str:
    """Return name and value of an attribute; of tensors dtype and dimensions alone, of graphs nothing (see bodies)."""
    kind = kind_of(proto)
    if kind in ("GRAPH", "GRAPHS"):
        return proto.name
    if kind == "TENSOR":
        return f"{proto.name}={proto.t.data_type}{list(proto.t.dims)}"
    if kind == "TENSORS":
        return f"{proto.name}={[(t.data_type, list(t.dims)) for t in proto.tensors]}"
    if proto.doc_string:
        bare = type(proto)()
        bare.CopyFrom(proto)
        bare.ClearField("doc_string")
        proto = bare
    encoded: bytes = proto.SerializeToString(deterministic=True)
    return encoded.hex()
