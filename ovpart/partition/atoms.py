"""Atoms: nodes that an engine computes better, or only rightly, when it sees them together.

Every atom has one *root*; all that its other members make is read inside the atom alone. So an atom is convex, atoms
never wind around each other, and holding one together costs no cluster: its members can all move up to the level of
their root, and nobody outside notices. What would need more (a DequantizeLinear that two operators read) is no atom.

===========  ======================================================================================================
quantised    DequantizeLinear → operator (→ activation) → QuantizeLinear. Cut apart, it runs in f32: 1.5 times slower
             (748 µs against 1,130 to 1,180 for one convolution, openvino 2026.4.1).
shape        Shape → Gather → ... → Concat → Reshape: cut off, the consumer's engine sees a shape of unknown content.
attention    MatMul → scale, mask → Softmax → MatMul.
norm         ReduceMean → Sub → Pow → ReduceMean → Add → Sqrt → Div: layer normalisation written out.
gelu         Div → Erf → Add → Mul → Mul.
recurrent    Transpose → LSTM, GRU, RNN → Squeeze or Transpose.
===========  ======================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ovpart.model.graph import Graph, Node

QUANTISED = "quantised"
_QUANTISE = frozenset({"QuantizeLinear"})
_DEQUANTISE = frozenset({"DequantizeLinear"})
_ACTIVATIONS = frozenset({"Relu", "Clip", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish", "PRelu", "Tanh"})
_RECURRENT = frozenset({"LSTM", "GRU", "RNN"})

# Inputs that are shapes, sizes, positions: operator → their indices (onnx operator documentation).
SHAPE_OPERANDS: dict[str, tuple[int, ...]] = {
    "Reshape": (1,), "Expand": (1,), "Tile": (1,), "Resize": (1, 2, 3), "Upsample": (1,), "Slice": (1, 2, 3, 4),
    "Pad": (1,), "Unsqueeze": (1,), "Squeeze": (1,), "ConstantOfShape": (0,), "Range": (0, 1, 2), "TopK": (1,),
    "Split": (1,), "OneHot": (1,), "CenterCropPad": (1,), "AffineGrid": (1,),
}  # fmt: skip
# What may stand between Shape and such an input.
_SHAPE_CHAIN = frozenset({
    "Shape", "Size", "Gather", "Slice", "Concat", "Unsqueeze", "Squeeze", "Reshape", "Cast", "Identity", "Add",
    "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Min", "Max", "Floor", "Ceil", "ReduceProd", "ReduceMax",
    "ReduceMin", "ReduceSum", "Where", "Equal", "Greater", "Less",
})  # fmt: skip

# A member's role and what feeds it → the role that the feeding node takes. Roots take theirs from _seed.
_ROLES: dict[tuple[str, str], str] = {
    ("recurrent", "Transpose"): "recurrent.in",
    ("recurrent.out", "LSTM"): "recurrent", ("recurrent.out", "GRU"): "recurrent",
    ("recurrent.out", "RNN"): "recurrent",
    ("attention", "Softmax"): "attention.softmax",
    ("norm", "Sqrt"): "norm.sqrt", ("norm", "Sub"): "norm.centre", ("norm.sqrt", "Add"): "norm.eps",
    ("norm.eps", "ReduceMean"): "norm.var", ("norm.var", "Pow"): "norm.square", ("norm.var", "Mul"): "norm.square",
    ("norm.square", "Sub"): "norm.centre", ("norm.centre", "ReduceMean"): "norm.mean",
    ("gelu", "Mul"): "gelu", ("gelu", "Add"): "gelu.sum", ("gelu.sum", "Erf"): "gelu.erf",
    ("gelu.erf", "Div"): "gelu.in", ("gelu.erf", "Mul"): "gelu.in",
    **{("attention.softmax", op): "attention.softmax" for op in ("Add", "Sub", "Mul", "Div", "Where", "Cast")},
    ("attention.softmax", "MatMul"): "attention.scores",
}  # fmt: skip
_ANCHORS = frozenset({"Softmax", "Sqrt", "Erf", "Shape", "Size", *_RECURRENT, *_QUANTISE, *_DEQUANTISE})


@dataclass(frozen=True, slots=True)
class Atom:
    """Nodes that are placed together.

    Attributes
    ----------
    kind : str
        ``"quantised"``, ``"shape"``, ``"attention"``, ``"norm"``, ``"gelu"`` or ``"recurrent"``.
    nodes : tuple of int
        Node indices, ascending; the last is the root.
    """

    kind: str
    nodes: tuple[int, ...]


def find_atoms(graph: Graph, labels: Sequence[object]) -> list[Atom]:
    """Find the atoms of a scope.

    Parameters
    ----------
    graph : Graph
        The scope.
    labels : sequence of object
        One a node; a node joins a reader of an equal label only. ``None``: belongs nowhere, never in an atom. With the
        same label for all nodes, the atoms that the operators alone would form.

    Returns
    -------
    list of Atom
        Disjoint, in the order of their roots. Linear in nodes and edges; nothing is built where no anchor
        (Softmax, Shape, DequantizeLinear, ...) is.
    """
    if _ANCHORS.isdisjoint(graph.op_types):
        return []
    outputs = frozenset(graph.outputs)
    role = _seed(graph, labels)
    root = list(range(len(graph.nodes)))
    for node in reversed(graph.nodes):
        index = node.index
        if labels[index] is None or not outputs.isdisjoint(node.outputs):
            continue
        readers = _live_readers(graph, index, labels)
        if len({root[r] for r in readers}) != 1 or any(labels[r] != labels[index] for r in readers):
            continue
        taken = {_role(graph.nodes[r], role.get(r, ""), node) for r in readers}
        if "" not in taken and len(taken) == 1:
            root[index] = root[next(iter(readers))]
            role.setdefault(index, taken.pop())
    return _collect(graph, root, role)


def _live_readers(graph: Graph, index: int, labels: Sequence[object]) -> set[int]:
    """Return the nodes that read a node's outputs, without those that belong nowhere."""
    return {
        r for name in graph.nodes[index].outputs if name for r in graph.consumers.get(name, ()) if labels[r] is not None
    }


def _collect(graph: Graph, root: Sequence[int], role: dict[int, str]) -> list[Atom]:
    """Return the atoms of two nodes and more."""
    members: dict[int, list[int]] = {}
    for index, head in enumerate(root):
        if head != index:
            members.setdefault(head, []).append(index)
    found = []
    for head in sorted(members):
        nodes = (*members[head], head)
        quantised = any(graph.nodes[i].op_type in _DEQUANTISE | _QUANTISE for i in nodes)
        found.append(Atom(QUANTISED if quantised else role[nodes[0]].partition(".")[0], nodes))
    return found


def is_quantised_unit(graph: Graph, atom: Atom) -> bool:
    """Whether an atom takes dequantised values and quantises its result: kept whole it runs in integers.

    The DequantizeLinear may be outside the atom (others read it too), but not constant: a quantised weight alone makes
    no integer operator.
    """
    if not any(graph.nodes[i].op_type in _QUANTISE for i in atom.nodes):
        return False
    sources = {graph.producer.get(name) for i in atom.nodes for name in graph.nodes[i].inputs if name}
    return any(s is not None and s not in graph.constant and graph.nodes[s].op_type in _DEQUANTISE for s in sources)


def _seed(graph: Graph, labels: Sequence[object]) -> dict[int, str]:
    """Return the roles of roots that are told by what lies upstream of them."""
    role: dict[int, str] = {}

    def reader(index: int) -> Node | None:
        """Return the one node that reads a node's outputs, ``None`` if there are more or none."""
        found = _live_readers(graph, index, labels)
        return graph.nodes[found.pop()] if len(found) == 1 else None

    for node in graph.nodes:
        if labels[node.index] is None:
            continue
        if node.op_type == "Softmax":
            _set(role, reader(node.index), ("MatMul",), "attention")
        elif node.op_type == "Sqrt":
            _set(role, reader(node.index), ("Div",), "norm")
        elif node.op_type == "Erf":
            total = reader(node.index)
            if total is not None and total.op_type == "Add":
                _seed_gelu(role, total, reader)
        elif node.op_type in _RECURRENT:
            role[node.index] = "recurrent"
            _set(role, reader(node.index), ("Squeeze", "Transpose", "Reshape"), "recurrent.out")
    return role


def _set(role: dict[int, str], node: Node | None, ops: tuple[str, ...], name: str) -> None:
    """Give a node a role if it is one of the operators."""
    if node is not None and node.op_type in ops:
        role[node.index] = name


def _seed_gelu(role: dict[int, str], total: Node, reader: Callable[[int], Node | None]) -> None:
    """Mark the last product of ``x * (1 + erf(x / sqrt 2)) * 0.5``, in either order."""
    last = first = reader(total.index)
    if first is not None and first.op_type == "Mul":
        following = reader(first.index)
        if following is not None and following.op_type == "Mul":
            last = following
        _set(role, last, ("Mul",), "gelu")


def _role(reader: Node, reader_role: str, node: Node) -> str:
    """Return the role that `node` takes as one that `reader` reads, ``""`` if it does not belong to the reader."""
    known = _ROLES.get((reader_role, node.op_type))
    if known is not None:
        return known
    if node.op_type in _SHAPE_CHAIN and _reads_as_shape(reader, reader_role, node):
        return "shape"
    return _quantised_role(reader, reader_role, node)


def _reads_as_shape(reader: Node, reader_role: str, node: Node) -> bool:
    """Whether every value that the reader takes from the node is a shape, or part of the way to one."""
    if reader_role == "shape":
        return reader.op_type not in ("Shape", "Size")
    places = SHAPE_OPERANDS.get(reader.op_type, ())
    taken = [place for place, name in enumerate(reader.inputs) if name and name in node.outputs]
    return bool(taken) and all(place in places for place in taken)


def _quantised_role(reader: Node, reader_role: str, node: Node) -> str:
    """Return the role in DequantizeLinear → operator → activation → QuantizeLinear."""
    if node.op_type in _DEQUANTISE:
        return "" if reader.op_type in _DEQUANTISE | _QUANTISE | {"Shape", "Size"} else "quantised.in"
    if node.op_type in _QUANTISE:
        return ""
    if reader.op_type in _QUANTISE:
        return "quantised.act" if node.op_type in _ACTIVATIONS else "quantised.op"
    return "quantised.op" if reader_role == "quantised.act" else ""
