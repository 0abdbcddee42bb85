"""Atoms: nodes that an engine computes better, or only rightly, when it sees them together.

Every atom has one *root*; all that its other members make is read inside the atom alone. So an atom is convex, atoms
never wind around each other, and holding one together costs no cluster: its members can all move up to the level of
their root, and nobody outside notices. What would need more (a DequantizeLinear that two operators read) is no atom;
the one exception are open groups, cells whose state others read too.

===========  ======================================================================================================
quantised    DequantizeLinear → operator (→ activation) → QuantizeLinear. Cut apart, it runs in f32: 1.5 times slower
             (748 µs against 1,130 to 1,180 for one convolution, openvino 2026.4.1).
shape        Shape → Gather → ... → Concat → Reshape: cut off, the consumer's engine sees a shape of unknown content.
recurrent    Transpose → LSTM, GRU, RNN → Squeeze or Transpose.
a group      An operator written out (attention, normalisation, GELU, ...), see :mod:`ovpart.partition.patterns`, with
             what feeds it alone: transposes, the convolution before an activation.
===========  ======================================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ovpart.model.graph import Graph, Node
from ovpart.partition.patterns import Group

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
}  # fmt: skip
_ANCHORS = frozenset({"Shape", "Size", *_RECURRENT, *_QUANTISE, *_DEQUANTISE})


@dataclass(frozen=True, slots=True)
class Atom:
    """Nodes that are placed together.

    Attributes
    ----------
    kind : str
        ``"quantised"``, ``"shape"``, ``"recurrent"``, or the kind of a group.
    nodes : tuple of int
        Node indices, ascending; the last is the root.
    """

    kind: str
    nodes: tuple[int, ...]


def find_atoms(graph: Graph, labels: Sequence[object], groups: Sequence[Group] = ()) -> list[Atom]:
    """Find the atoms of a scope.

    Parameters
    ----------
    graph : Graph
        The scope.
    labels : sequence of object
        One a node; a node joins a reader of an equal label only. ``None``: belongs nowhere, never in an atom. With the
        same label for all nodes, the atoms that the operators alone would form.
    groups : sequence of Group
        Groups of the scope; those whose members' labels differ are no atoms.

    Returns
    -------
    list of Atom
        Disjoint, in the order of their roots. Linear in nodes and edges; nothing is built where there is neither a
        group nor an anchor (Shape, DequantizeLinear, ...).
    """
    held = [group for group in groups if len({labels[index] for index in group.nodes}) == 1]
    if _ANCHORS.isdisjoint(graph.op_types):
        return grown(graph, labels, held)
    outputs = frozenset(graph.outputs)
    role = _seed(graph, labels)
    root = list(range(len(graph.nodes)))
    last: dict[int, int] = {}
    for atom in grown(graph, labels, held):
        role.update(dict.fromkeys(atom.nodes, atom.kind))
        last.update(dict.fromkeys(atom.nodes[:-1], atom.nodes[-1]))
    for node in reversed(graph.nodes):
        index = node.index
        if index in last:
            root[index] = root[last[index]]
            continue
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


def grown(graph: Graph, labels: Sequence[object], groups: Sequence[Group]) -> list[Atom]:
    """Return groups as atoms, each with the nodes before it that it takes where it alone reads them.

    Another group that a group takes becomes part of it. Atoms of one node are left out.
    """
    of = {index: number for number, group in enumerate(groups) for index in group.nodes}
    members = [set(group.nodes) for group in groups]
    outputs = frozenset(graph.outputs)
    for number in range(len(groups) - 1, -1, -1):
        group, inside = groups[number], members[number]
        waiting = list(inside) if group.takes else []
        while waiting:
            for name in graph.nodes[waiting.pop()].inputs:
                source = graph.producer.get(name)
                if source is None or source in inside or graph.nodes[source].op_type not in group.takes:
                    continue
                node = graph.nodes[source]
                other = of.get(source)
                if labels[source] != labels[group.nodes[-1]] or not outputs.isdisjoint(node.outputs):
                    continue
                if (other is not None and groups[other].nodes[-1] != source) or groups[number].open:
                    continue
                if _live_readers(graph, source, labels) <= inside:
                    joining = {source} if other is None else members[other]
                    of.update(dict.fromkeys(joining, number))
                    waiting.extend(joining - inside)
                    inside |= joining
                    if other is not None:
                        members[other] = set()
    return [
        Atom(group.kind, (*sorted(inside - {group.nodes[-1]}), group.nodes[-1]))
        for group, inside in zip(groups, members, strict=True)
        if len(inside) > 1
    ]


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
        if node.op_type in _RECURRENT:
            role[node.index] = "recurrent"
            after = reader(node.index)
            if after is not None and after.op_type in ("Squeeze", "Transpose", "Reshape"):
                role[after.index] = "recurrent.out"
    return role


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
