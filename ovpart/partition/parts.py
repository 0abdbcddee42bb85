"""Parts: consecutive pieces of a cluster whose compile time would grow worse than its size.

openvino fuses connected elementwise operators, in time that grows worse than quadratically with their number: a chain
of 300 compiles in 0.28 s, of 1,000 in 3.2 s, of 3,000 in 46 s (2026.4.1); 6,000 MatMul, Add, Relu take 3.7 s. Where all
of them read one value besides, it is far worse: 200 in 1.9 s, 400 in 13 s. Sum, Max, Min and Mean of many inputs are
chains too: of 200 inputs 1.7 s, of 400 13 s.

onnxruntime takes more than linear time too, but from much larger sizes on: a chain of 5,000 opens in 0.9 s of
processor, of 10,000 in 2.3, of 20,000 in 19, of 100,000 in 123 and more (1.31.1); twenty slices of 5,000 take 19 s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ovpart.model.graph import Graph, Node
from ovpart.partition.overruling import Overruling

Preds = Sequence[Sequence[int]] | Mapping[int, Sequence[int]]
PART_LIMIT = 200
"""Elementwise nodes connected with each other in one compile: 0.2 s, or 2 s where all read one value besides."""
NESTING_LIMIT = 8
"""Bodies within each other in one node: If in If compiles in 0.04 s at 8 levels, 0.06 at 10, 0.4 at 14, 4.9 at 18, and
from there on twice as long with every level (openvino 2026.4.1)."""

ISLAND_LIMIT = 20_000
"""Nodes that an island may have before onnxruntime opens it in slices."""
ISLAND_SLICE = 5_000
"""Nodes of such a slice."""

ELEMENTWISE = frozenset({
    "Abs", "Acos", "Acosh", "Add", "And", "Asin", "Asinh", "Atan", "Atanh", "BitShift", "BitwiseAnd",
    "BitwiseNot", "BitwiseOr", "BitwiseXor", "Cast", "CastLike", "Ceil", "Celu", "Clip", "Cos", "Cosh", "Div",
    "Elu", "Equal", "Erf", "Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish",
    "Identity", "IsInf", "IsNaN", "LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mish",
    "Mod", "Mul", "Neg", "Not", "Or", "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Shrink",
    "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tan", "Tanh",
    "ThresholdedRelu", "Where", "Xor", "DequantizeLinear", "QuantizeLinear",
})  # fmt: skip
"""Operators that an engine may fuse into one loop over elements."""
VARIADIC = frozenset({"Max", "Mean", "Min", "Sum"})
"""Operators that are computed as a chain, one link for each input after the first."""


def split(
    graph: Graph,
    preds: Sequence[Sequence[int]],
    nodes: Sequence[int],
    limit: int = PART_LIMIT,
    atoms: Mapping[int, Sequence[int]] | None = None,
) -> tuple[tuple[int, ...], ...]:
    """Split a cluster into parts that run one after the other.

    Parameters
    ----------
    graph : Graph
        The scope.
    preds : sequence of sequence of int
        For each node of the scope the nodes that it reads from.
    nodes : sequence of int
        The cluster, ascending.
    limit : int
        Elementwise nodes that may be connected with each other within a part.
    atoms : mapping of int to sequence of int, optional
        For each node of an atom all nodes of it, the root last: none is cut. An atom of more than the limit is a part.

    Returns
    -------
    tuple of tuple of int
        Empty if one part is enough. Else parts in an order in which they can run, each ascending and convex: together
        the cluster.
    """
    if len(nodes) <= limit and not any(graph.nodes[index].op_type in VARIADIC for index in nodes):
        return ()
    ops = [(index, graph.nodes[index].op_type) for index in nodes]
    simple = {index: _links(graph.nodes[index]) if op in VARIADIC else 1 for index, op in ops if op in ELEMENTWISE}
    if sum(simple.values()) <= limit:
        return ()
    held = [index for index in nodes if index in atoms and atoms[index][-1] == index] if atoms else []
    if atoms and held:
        units, unit_preds = _contracted(preds, nodes, atoms, held)
        for root in held:
            links = sum(simple.pop(index, 0) for index in atoms[root])
            if links:
                simple[root] = links
        parts = _parts(simple, unit_preds, units, limit)
        whole = [[n for unit in part for n in atoms.get(unit, (unit,))] for part in parts]
    else:
        whole = _parts(simple, preds, nodes, limit)
    return tuple(tuple(sorted(part)) for part in whole) if len(whole) > 1 else ()


def _contracted(
    preds: Sequence[Sequence[int]], nodes: Sequence[int], atoms: Mapping[int, Sequence[int]], roots: Sequence[int]
) -> tuple[list[int], dict[int, list[int]]]:
    """Return the nodes of a cluster with atoms at their roots, and what each then reads from."""

    def at(index: int) -> int:
        return atoms[index][-1] if index in atoms else index

    before = {index: [at(p) for p in preds[index]] for index in nodes if index not in atoms}
    for root in roots:
        before[root] = list(dict.fromkeys(at(p) for n in atoms[root] for p in preds[n] if at(p) != root))
    return [index for index in nodes if index in before], before


def _parts(simple: Mapping[int, int], preds: Preds, nodes: Sequence[int], limit: int) -> list[list[int]]:
    """Return consecutive sets of nodes, in each of which no more than a limit of links are connected."""
    parts: list[list[int]] = [[]]
    head: dict[int, int] = {}
    size: dict[int, int] = {}
    for index in _depth_first(preds, nodes):
        links = simple.get(index)
        if links is not None:
            touched: list[int] = []
            joined = links
            for pred in preds[index]:
                if pred in head:
                    while head[pred] != pred:
                        head[pred] = pred = head[head[pred]]
                    if pred not in touched:
                        touched.append(pred)
                        joined += size[pred]
            if joined > limit and parts[-1]:
                parts.append([])
                head.clear()
                size.clear()
                touched, joined = [], links
            head[index] = index
            size[index] = joined
            for other in touched:
                head[other] = index
        parts[-1].append(index)
    return parts


def slices(nodes: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Split an island into parts that run one after the other; empty if one part is enough.

    Parameters
    ----------
    nodes : sequence of int
        The island, ascending, which is a topological order: consecutive nodes are convex.
    """
    if len(nodes) <= ISLAND_LIMIT:
        return ()
    return tuple(tuple(nodes[start : start + ISLAND_SLICE]) for start in range(0, len(nodes), ISLAND_SLICE))


def endless(node: Node, limit: int = PART_LIMIT) -> Overruling | None:
    """Return why a node must not be delegated, however right it would be: it compiles too long, and has no parts.

    Parameters
    ----------
    node : Node
        Any node.
    limit : int
        Elementwise nodes that its bodies, and inputs that the node itself, may have.

    Returns
    -------
    Overruling or None
        ``None`` where it compiles in good time.
    """
    if len(node.inputs) > limit and node.op_type in VARIADIC:
        told = f"{len(node.inputs)}, each a link of a chain, which parts would have {limit} of"
        return Overruling("too many inputs to compile", detail=told)
    depth = simple = 0
    level = list(node.bodies.values())
    while level:
        depth += 1
        simple += sum(_links(inner) for body in level for inner in body.nodes if inner.op_type in ELEMENTWISE)
        level = [deeper for body in level for inner in body.nodes for deeper in inner.bodies.values()]
    if depth > NESTING_LIMIT:
        told = f"{depth} levels, and from {NESTING_LIMIT} on compile time doubles with every one"
        return Overruling("bodies nested too deep to compile", detail=told)
    if simple > limit:
        told = f"{simple} elementwise operators, which parts would have {limit} of"
        return Overruling("bodies too long to compile", detail=told)
    return None


def _links(node: Node) -> int:
    """Return how many links of a chain an elementwise node is."""
    return max(1, len(node.inputs) - 1) if node.op_type in VARIADIC else 1


def _depth_first(preds: Preds, nodes: Sequence[int]) -> list[int]:
    """Return the nodes in a topological order that follows one chain as long as it can: fewer values cross parts."""
    order: list[int] = []
    waiting = set(nodes)
    for start in reversed(nodes):
        if start not in waiting:
            continue
        waiting.remove(start)
        path, left = [start], [iter(preds[start])]
        while path:
            for pred in left[-1]:
                if pred in waiting:
                    waiting.remove(pred)
                    path.append(pred)
                    left.append(iter(preds[pred]))
                    break
            else:
                order.append(path.pop())
                left.pop()
    return order
