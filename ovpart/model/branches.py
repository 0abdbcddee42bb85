"""Ifs whose branch is known give way to the nodes of that branch, before anything is decided about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ovpart.model.build import Builder
from ovpart.model.conditions import Known, known_branches
from ovpart.model.infer import Inference, infer
from ovpart.model.working import body_graphs

if TYPE_CHECKING:
    import onnx

MOST_ROUNDS = 16
"""Rounds of taking branches, each of which may show the shapes on which others depend."""


def take_known_branches(
    proto: onnx.ModelProto, inferred: Inference, opsets: Mapping[str, int], notes: list[str]
) -> Inference:
    """Put the nodes of branches that are known to be taken in the place of their Ifs, in all scopes.

    Parameters
    ----------
    proto : onnx.ModelProto
        The skeleton, which is changed.
    inferred : Inference
        What is known of it.
    opsets : mapping of str to int
        As imported.
    notes : list of str
        Gets a line that says how many.

    Returns
    -------
    Inference
        Of the changed skeleton; `inferred` itself where nothing was changed.

    Notes
    -----
    A wrong shape in the file must not choose a branch: what the file says of values is not believed here.
    """
    taken = 0
    for _ in range(MOST_ROUNDS):
        if next(known_branches(Known(inferred.graph, opsets)), None) is None:
            break
        strict = infer(proto, inferred.graph, opsets, believing=False).graph
        chosen = dict(known_branches(Known(strict, opsets)))
        if not chosen:
            break
        names = Counter(_defined(proto.graph))
        taken += len(chosen)
        _replace(proto.graph, chosen, names, ())
        inferred = infer(proto, Builder(opsets).main(proto.graph), opsets)
    if taken:
        many = "an If always takes" if taken == 1 else f"{taken} Ifs always take"
        notes.append(f"{many} the same branch, whose nodes stand in its place")
    return inferred


def _defined(graph: onnx.GraphProto) -> Iterator[str]:
    """Yield every name that a scope or one within it gives to a value."""
    yield from (value.name for value in graph.input)
    yield from (tensor.name for tensor in graph.initializer)
    for node in graph.node:
        yield from node.output
        for _, body in body_graphs(node):
            yield from _defined(body)


def _replace(
    graph: onnx.GraphProto, chosen: Mapping[tuple[str, ...], str], names: Counter[str], path: tuple[str, ...]
) -> None:
    """Replace the chosen Ifs of a scope, and of those within it."""
    import onnx

    nodes: list[onnx.NodeProto] = []
    changed = False
    for node in graph.node:
        here = (*path, next(filter(None, node.output), ""))
        bodies = dict(body_graphs(node))
        if here in chosen:
            nodes.extend(_inlined(graph, node, bodies[chosen[here]], names))
            changed = True
            continue
        for name, body in bodies.items():
            _replace(body, chosen, names, (*here, name))
        nodes.append(node)
    if changed:
        kept = onnx.GraphProto(node=nodes)
        del graph.node[:]
        graph.node.extend(kept.node)


def _inlined(
    graph: onnx.GraphProto, node: onnx.NodeProto, branch: onnx.GraphProto, names: Counter[str]
) -> list[onnx.NodeProto]:
    """Return the nodes of a branch, under names that nothing else has, and an Identity for what needs one."""
    import onnx

    made = {name for inner in branch.node for name in inner.output if name}
    renamed: dict[str, str] = {}
    handed = []
    for inside, outside in zip(branch.output, node.output, strict=False):
        if not outside:
            continue
        if inside.name in made and inside.name not in renamed:
            renamed[inside.name] = outside
        else:
            handed.append((inside.name, outside))
    for name in (*(tensor.name for tensor in branch.initializer), *made):
        if name not in renamed and names[name] > 1:
            renamed[name] = _fresh(name, names)
    for tensor in branch.initializer:
        copy = graph.initializer.add()
        copy.CopyFrom(tensor)
        copy.name = renamed.get(tensor.name, tensor.name)
    for value in branch.value_info:
        copied = graph.value_info.add()
        copied.CopyFrom(value)
        copied.name = renamed.get(value.name, value.name)
    nodes = []
    for inner in branch.node:
        moved = onnx.NodeProto()
        moved.CopyFrom(inner)
        _rename(moved, renamed)
        nodes.append(moved)
    for inside, outside in handed:
        nodes.append(onnx.NodeProto(op_type="Identity", input=[renamed.get(inside, inside)], output=[outside]))
    return nodes


def _fresh(stem: str, names: Counter[str]) -> str:
    count = 1
    while f"{stem}_{count}" in names:
        count += 1
    name = f"{stem}_{count}"
    names[name] += 1
    return name


def _rename(node: onnx.NodeProto, renamed: Mapping[str, str]) -> None:
    """Rename values that a node reads and makes, in its bodies too where these do not define them anew."""
    for names in (node.input, node.output):
        for place, name in enumerate(names):
            if name in renamed:
                names[place] = renamed[name]
    for _, body in body_graphs(node):
        own = set(_own(body))
        outer = {old: new for old, new in renamed.items() if old not in own}
        for inner in body.node:
            _rename(inner, outer)
        for value in body.output:
            value.name = outer.get(value.name, value.name)


def _own(graph: onnx.GraphProto) -> Iterator[str]:
    yield from (value.name for value in graph.input)
    yield from (tensor.name for tensor in graph.initializer)
    for node in graph.node:
        yield from node.output
