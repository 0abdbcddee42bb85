"""What follows from the links between the nodes of a scope: who reads what, what is constant, what is dead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ovpart.model.forms import Form, form_of
from ovpart.model.graph import Node

# Operators whose results are no tensors: constants are tensors, so their nodes are computed at run time.
_NO_TENSOR = frozenset({"SequenceEmpty", "SequenceConstruct", "SequenceInsert", "SequenceErase", "SplitToSequence",
                        "Optional", "SequenceMap", "ZipMap", "DictVectorizer", "CastMap"})  # fmt: skip

_FEW = 16
"""Readers up to which a longer tuple is made for one more; beyond it that would cost their square."""


def consumers_of(nodes: Sequence[Node]) -> dict[str, tuple[int, ...]]:
    """Return value → indices of the nodes that read it, captures included, ascending and each once."""
    readers: dict[str, tuple[int, ...]] = {}
    many: dict[str, list[int]] = {}
    for node in nodes:
        index = node.index
        alone = (index,)
        for name in node.inputs + node.captures if node.captures else node.inputs:
            found = readers.get(name)
            if found is None:
                if name:
                    readers[name] = alone
            elif len(found) < _FEW:
                if found[-1] != index:
                    readers[name] = found + alone
            else:
                more = many.setdefault(name, list(found))
                if more[-1] != index:
                    more.append(index)
    readers.update((name, tuple(found)) for name, found in many.items())
    return readers


def constant_nodes(nodes: Sequence[Node], forms: Sequence[Form | None], initializers: Iterable[str]) -> frozenset[int]:
    """Return the nodes that depend on constants only, and always give the same tensors.

    Parameters
    ----------
    nodes : sequence of Node
        In topological order.
    forms : sequence of Form or None
        Parallel to `nodes`.
    initializers : iterable of str
        Names of what is constant to begin with.
    """
    constant: set[str] = {"", *initializers}
    found: set[int] = set()
    for node, form in zip(nodes, forms, strict=True):
        for name in node.inputs:
            if name not in constant:
                break
        else:
            if constant.issuperset(node.captures) and _repeats(node, form):
                constant.update(node.outputs)
                found.add(node.index)
    return frozenset(found)


def _repeats(node: Node, form: Form | None) -> bool:
    """Whether a node always gives the same tensors for the same inputs; operators that nobody describes may not."""
    if form is None or form.random or node.op_type in _NO_TENSOR:
        return False
    if node.op_type == "Dropout" and len(node.inputs) > 2:  # training_mode: drops at random
        return False
    return all(
        _repeats(inner, form_of(inner.op_type, inner.domain, inner.since) if inner.since else None)
        for body in node.bodies.values()
        for inner in body.nodes
    )


def dead_nodes(
    nodes: Sequence[Node],
    outputs: Iterable[str],
    producer: Mapping[str, int],
    consumers: Mapping[str, tuple[int, ...]],
) -> frozenset[int]:
    """Return the nodes that no output depends on."""
    wanted = set(outputs)
    if producer.keys() - consumers.keys() <= wanted:
        return frozenset()  # nearly always: all that is made is used
    alive = bytearray(len(nodes))
    for name in wanted:
        if name in producer:
            alive[producer[name]] = 1
    for node in reversed(nodes):
        if alive[node.index]:
            for name in node.reads:
                if name in producer:
                    alive[producer[name]] = 1
    return frozenset(index for index, needed in enumerate(alive) if not needed)
