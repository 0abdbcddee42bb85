"""The graphs that users get, on networkx, and checks on them that trust nothing of how the plan was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovpart.partition.plan import Label, Plan

if TYPE_CHECKING:
    import networkx as nx


def to_networkx(plan: Plan) -> nx.DiGraph:
    """Return the main scope as a graph.

    Parameters
    ----------
    plan : Plan
        The plan.

    Returns
    -------
    networkx.DiGraph
        One vertex for every node, called by its key (first output), with ``op_type``, ``domain``, ``name``, ``verdict``
        (a :class:`ovpart.capability.verdict.Verdict`), ``deferred``, ``cluster`` (an id, ``"constant"`` or ``"dead"``),
        ``engine`` and ``device`` (``None`` outside clusters), and ``bodies`` where these have plans of their own:
        attribute → such a graph. One edge from node to reader, captures included, with ``values``: the names of the
        values, sorted.
    """
    import networkx as nx

    graph = nx.DiGraph(device=plan.device, fingerprint=plan.fingerprint, join=plan.join)
    labels = {cluster.id: cluster.label for cluster in plan.clusters}
    nodes = plan.graph.nodes
    for node, verdict, place in zip(nodes, plan.verdicts, plan.places, strict=True):
        label = labels.get(place)
        graph.add_node(
            node.key,
            op_type=node.op_type,
            domain=node.domain,
            name=node.name,
            verdict=verdict,
            deferred=verdict.deferred,
            cluster=place,
            engine=label.engine if label else None,
            device=label.device if label else None,
        )
        if node.key in plan.bodies:
            graph.nodes[node.key]["bodies"] = {name: to_networkx(body) for name, body in plan.bodies[node.key].items()}
    for node in nodes:
        crossing: dict[str, set[str]] = {}
        for name in node.reads:
            source = plan.graph.producer.get(name)
            if source is not None:
                crossing.setdefault(nodes[source].key, set()).add(name)
        for key, names in crossing.items():
            graph.add_edge(key, node.key, values=tuple(sorted(names)))
    return graph


def quotient(plan: Plan) -> nx.DiGraph:
    """Return the graph of clusters, made from places and reads alone.

    Returns
    -------
    networkx.DiGraph
        A vertex for each cluster id with ``label`` and ``nodes`` (indices); an edge where a value crosses, with
        ``values``. Clusters without nodes do not appear.
    """
    import networkx as nx

    graph = nx.DiGraph()
    labels = {cluster.id: cluster.label for cluster in plan.clusters}
    for index, place in enumerate(plan.places):
        if place in labels:
            if place not in graph:
                graph.add_node(place, label=labels[place], nodes=[])
            graph.nodes[place]["nodes"].append(index)
    crossing: dict[tuple[str, str], set[str]] = {}
    for index, place in enumerate(plan.places):
        if place not in labels:
            continue
        for name in plan.graph.nodes[index].reads:
            source = plan.graph.producer.get(name)
            if source is not None and plan.places[source] in labels and plan.places[source] != place:
                crossing.setdefault((plan.places[source], place), set()).add(name)
    for (maker, reader), names in sorted(crossing.items()):
        graph.add_edge(maker, reader, values=tuple(sorted(names)))
    return graph


def is_maximal(plan: Plan) -> bool:
    """Check that no two clusters of one label could be one.

    Parameters
    ----------
    plan : Plan
        With ``join="connected"`` only clusters that exchange a value are asked about.

    Returns
    -------
    bool
        ``False`` too if the clusters wait for each other (a plan that cannot run).

    Notes
    -----
    Two clusters could be one if no path leads from one to the other through a third: by reachability in the quotient.
    """
    import networkx as nx

    graph = quotient(plan)
    if not nx.is_directed_acyclic_graph(graph):
        return False
    reached: dict[str, set[str]] = {}
    behind: dict[str, set[str]] = {}
    for group in reversed(list(nx.topological_sort(graph))):
        behind[group] = set().union(*(reached[following] for following in graph.succ[group]))
        reached[group] = behind[group].union(graph.succ[group])
    alike: dict[Label, set[str]] = {}
    for group, label in graph.nodes(data="label"):
        alike.setdefault(label, set()).add(group)
    for group, label in graph.nodes(data="label"):
        others = set(graph.succ[group]) if plan.join == "connected" else set(graph)
        for other in (others & alike[label]) - behind[group] - {group}:
            if group not in behind[other]:
                return False
    return True
