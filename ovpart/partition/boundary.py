"""What crosses: the values that a set of nodes takes from outside and those that others need of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ovpart.model.graph import Graph


def boundary(graph: Graph, nodes: Iterable[int]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the inputs and outputs of one set of nodes (a cluster, or one of its parts).

    Parameters
    ----------
    graph : Graph
        The scope.
    nodes : iterable of int
        Node indices.

    Returns
    -------
    tuple of tuple of str
        Inputs in the order in which the nodes, ascending, first read them: captures included, constants never.
        Outputs in the order in which they are made: what other nodes read that are not dead, and outputs of the graph.
    """
    ordered = sorted(nodes)
    inside = frozenset(ordered)
    wanted = frozenset(graph.outputs)
    inputs: dict[str, None] = {}
    outputs: list[str] = []
    for index in ordered:
        node = graph.nodes[index]
        for name in node.reads:
            if graph.producer.get(name, -1) not in inside and not graph.is_constant(name):
                inputs[name] = None
        for name in node.outputs:
            if name and (
                name in wanted or any(r not in inside and r not in graph.dead for r in graph.consumers.get(name, ()))
            ):
                outputs.append(name)
    return tuple(inputs), tuple(outputs)


def boundaries(
    graph: Graph, preds: Sequence[Sequence[int]], place: Sequence[int], count: int
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return what :func:`boundary` does, for all clusters of a plan at once.

    Parameters
    ----------
    graph : Graph
        The scope.
    preds : sequence of sequence of int
        For each node the nodes that it reads from, constant and dead ones left out.
    place : sequence of int
        Cluster of each node, negative for nodes in none.
    count : int
        Number of clusters.
    """
    inputs: list[dict[str, None]] = [{} for _ in range(count)]
    crossing: set[str] = set()
    producer = graph.producer
    given = [name for name in graph.consumers if name not in producer and name not in graph.initializers]
    readers_of_given = {index for name in given for index in graph.consumers[name]}
    for index, before in enumerate(preds):
        mine = place[index]
        if mine < 0:
            continue
        for pred in before:
            if place[pred] != mine:
                break
        else:
            if index not in readers_of_given:
                continue
        node = graph.nodes[index]
        for name in node.inputs + node.captures if node.captures else node.inputs:
            source = producer.get(name)
            if source is None:
                if name and name not in graph.initializers:
                    inputs[mine][name] = None
            elif place[source] >= 0 and place[source] != mine:
                inputs[mine][name] = None
                crossing.add(name)
    crossing.update(name for name in graph.outputs if name in producer and place[producer[name]] >= 0)
    outputs: list[list[tuple[int, int, str]]] = [[] for _ in range(count)]
    for name in crossing:
        index = producer[name]
        outputs[place[index]].append((index, graph.nodes[index].outputs.index(name), name))
    return [
        (tuple(taken), tuple(name for _, _, name in sorted(made))) for taken, made in zip(inputs, outputs, strict=True)
    ]
