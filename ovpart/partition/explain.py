"""Why is this node there: the answer as data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from typing import TYPE_CHECKING

from ovpart.capability.verdict import Verdict
from ovpart.errors import OptionError
from ovpart.model.graph import Node
from ovpart.partition.graphs import quotient
from ovpart.partition.nested import ScopePlan, scopes
from ovpart.partition.patterns import find_groups
from ovpart.partition.plan import Cluster, Label, Plan

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why two clusters of one label could not be one.

    Attributes
    ----------
    cluster : str
        Id of the other cluster.
    path : tuple of str
        Labels of nodes, from one of the two clusters through others to the other: if both were one, it would have to
        wait for itself. Each node is read by the next; or, where `through` says the same cluster for both, is computed
        together with it.
    keys : tuple of str
        The same nodes by key.
    through : tuple of str
        Ids of the clusters that the nodes are in.
    """

    cluster: str
    path: tuple[str, ...]
    keys: tuple[str, ...]
    through: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a node is, and why.

    Attributes
    ----------
    node, key, op_id : str
        What the node is called, its first output, its operator.
    verdict : Verdict
        What the table says.
    place : str
        A cluster's id, ``"constant"`` or ``"dead"``.
    cluster : Cluster or None
        The cluster, ``None`` for constant and dead nodes.
    overruled : str
        Why it is not delegated although the verdict would allow it; else empty.
    blocked : tuple of Blocked
        For each cluster of the same label that it exchanges values with, or that comes next before and behind: the path
        that forbids it to be there.
    path : tuple of str
        Key of a node and name of its body, in turn, from the main scope inwards; empty for nodes of the main scope.
    group : str
        What the node is a part of, written out: ``"attention"``, ``"GELU"``, ...; empty if it is not.
    group_nodes : tuple of str
        Labels of all nodes of the group, in running order: none is in another cluster, unless the user or an engine
        says so.
    """

    node: str
    key: str
    op_id: str
    verdict: Verdict
    place: str
    cluster: Cluster | None
    overruled: str
    blocked: tuple[Blocked, ...]
    path: tuple[str, ...] = ()
    group: str = ""
    group_nodes: tuple[str, ...] = ()

    @property
    def label(self) -> Label | None:
        """Engine and device that it runs on, ``None`` for constant and dead nodes."""
        return self.cluster.label if self.cluster else None


def explain(plan: Plan, node: str) -> Explanation:
    """See :meth:`ovpart.partition.plan.Plan.explain`; a node that only a body has is looked for there."""
    scope = _scope_of(plan, node)
    plan = scope.plan
    found = find_node(plan, node)
    place = plan.places[found.index]
    position = next((i for i, cluster in enumerate(plan.clusters) if cluster.id == place), None)
    cluster = None if position is None else plan.clusters[position]
    group = next((g for g in find_groups(plan.graph) if found.index in g.nodes), None)
    return Explanation(
        node=found.label,
        key=found.key,
        op_id=found.op_id,
        verdict=plan.verdicts[found.index],
        place=place,
        cluster=cluster,
        overruled=str(plan.overruled.get(found.index, "")),
        blocked=() if position is None else _Search(plan).blocked(found, position),
        path=scope.path,
        group=group.kind if group else "",
        group_nodes=tuple(plan.graph.nodes[i].label for i in group.nodes) if group else (),
    )


def _scope_of(plan: Plan, node: str) -> ScopePlan:
    """Return the outermost scope that has a node, the main one where none has."""
    for scope in scopes(plan):
        graph = scope.plan.graph
        if node in graph.producer or any(found.name == node for found in graph.nodes):
            return scope
    return ScopePlan((), plan)


def find_node(plan: Plan, node: str) -> Node:
    """Return the node with a key, or else with a name.

    Raises
    ------
    OptionError
        If no node, or more than one, is called so.
    """
    nodes = plan.graph.nodes
    index = plan.graph.producer.get(node)
    if index is not None:
        return nodes[index]
    named = [found for found in nodes if found.name == node]
    if len(named) == 1:
        return named[0]
    if named:
        keys = ", ".join(found.key for found in named[:5]) + (", ..." if len(named) > 5 else "")
        raise OptionError(f"{len(named)} nodes are called {node!r}: ask by what they make instead: {keys}")
    close = get_close_matches(node, {found.name for found in nodes} | {found.key for found in nodes}, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else " Ask by a node's name, or by a value that it makes."
    raise OptionError(f"No node is called {node!r}, and none makes a value of that name.{hint}")


def find_cluster(plan: Plan, cluster_id: str) -> Cluster:
    """See :meth:`ovpart.partition.plan.Plan.cluster`."""
    for cluster in plan.clusters:
        if cluster.id == cluster_id:
            return cluster
    shown = ", ".join(cluster.id for cluster in plan.clusters[:5])
    raise OptionError(f"No cluster has the id {cluster_id!r}. There are {len(plan.clusters)}: {shown} ...")


class _Search:
    """Paths between clusters of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._graph = plan.graph
        order = {cluster.id: position for position, cluster in enumerate(plan.clusters)}
        self._at = [order.get(place, -1) for place in plan.places]

    def blocked(self, node: Node, mine: int) -> tuple[Blocked, ...]:
        """Return what keeps a node's cluster apart from those of its label around it."""
        label = self._plan.clusters[mine].label
        around = {self._at[i] for i in (*self._before(node.index), *self._behind(node.index))} - {mine}
        others = {position for position in around if self._plan.clusters[position].label == label}
        for step in (-1, 1):
            others |= self._next_alike(mine, step, label)
        found = []
        for other in sorted(others):
            path = self._path(node.index, mine, other)
            if path:
                found.append(self._as_blocked(path, other))
        return tuple(found)

    def _next_alike(self, mine: int, step: int, label: Label) -> set[int]:
        """Return the next cluster of a label in running order, before (-1) or behind (1)."""
        position = mine + step
        while 0 <= position < len(self._plan.clusters):
            if self._plan.clusters[position].label == label:
                return {position}
            position += step
        return set()

    def _as_blocked(self, path: list[int], other: int) -> Blocked:
        nodes = [self._graph.nodes[i] for i in path]
        return Blocked(
            self._plan.clusters[other].id,
            tuple(node.label for node in nodes),
            tuple(node.key for node in nodes),
            tuple(self._plan.places[i] for i in path),
        )

    def _before(self, index: int) -> list[int]:
        """Return the nodes in clusters that a node reads from."""
        found = (self._graph.producer.get(name, -1) for name in self._graph.nodes[index].reads)
        return [i for i in found if i >= 0 and self._at[i] >= 0]

    def _behind(self, index: int) -> list[int]:
        """Return the nodes in clusters that read from a node."""
        names = self._graph.nodes[index].outputs
        return [i for name in names if name for i in self._graph.consumers.get(name, ()) if self._at[i] >= 0]

    def _path(self, index: int, mine: int, other: int) -> list[int]:
        """Return a path of nodes from the earlier of two clusters through others to the later; empty if there is none.

        One that starts (or ends) at the node itself is preferred, then one of data alone.
        """
        members = self._plan.clusters[mine].nodes
        found = self._through([index], mine, other) or self._through(members, mine, other)
        return found or self._over_clusters(min(mine, other), max(mine, other))

    def _through(self, starts: Iterable[int], mine: int, other: int) -> list[int]:
        """Breadth first from nodes of `mine` along data, through clusters between the two, to `other`."""
        low, high = min(mine, other), max(mine, other)
        onward = self._behind if mine < other else self._before
        reached_from: dict[int, int] = dict.fromkeys(starts, -1)
        queue = list(reached_from)
        for index in queue:  # grows while it is walked
            for following in onward(index):
                at = self._at[following]
                if at == other and self._at[index] != mine:
                    path = [following, index]
                    while reached_from[path[-1]] >= 0:
                        path.append(reached_from[path[-1]])
                    return path[::-1] if mine < other else path
                if low < at < high and following not in reached_from:
                    reached_from[following] = index
                    queue.append(following)
        return []

    def _over_clusters(self, low: int, high: int) -> list[int]:
        """Return a path that goes from node to node inside clusters on its way; empty if no cluster is between."""
        import networkx as nx

        graph: nx.DiGraph = quotient(self._plan)
        ids = [cluster.id for cluster in self._plan.clusters]
        if graph.has_edge(ids[low], ids[high]):
            graph.remove_edge(ids[low], ids[high])
        if not nx.has_path(graph, ids[low], ids[high]):
            return []
        way = nx.shortest_path(graph, ids[low], ids[high])
        path: list[int] = []
        for maker, reader in pairwise(way):
            name = graph.edges[maker, reader]["values"][0]
            source = self._graph.producer[name]
            reads = next(i for i in self._graph.consumers[name] if self._plan.places[i] == reader)
            path.extend(i for i in (source, reads) if not path or path[-1] != i)
        return path
