"""From a model, its verdicts and the label of each node to a plan."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ovpart.capability.verdict import Verdict
from ovpart.errors import PlanError
from ovpart.model.graph import Graph, Model
from ovpart.partition.boundary import boundaries
from ovpart.partition.cluster import Line, partition
from ovpart.partition.costs import CostTable, node_gains
from ovpart.partition.flops import value_bytes
from ovpart.partition.identity import cluster_id
from ovpart.partition.nested import Nested
from ovpart.partition.overruling import Overruling, not_worth
from ovpart.partition.parts import PART_LIMIT, endless, slices, split
from ovpart.partition.plan import CONSTANT, DEAD, RUNTIME, Cluster, Label, Plan
from ovpart.partition.slack import Value
from ovpart.partition.whole import Held, hold_together
from ovpart.partition.worth import recolour

FALLBACK = Label("onnxruntime", "CPU")
"""Where nodes go that are not delegated."""
USER_RULES = frozenset({"pin", "exclude"})
"""Rules of verdicts that are the user's own word: nothing here overrules them."""


@dataclass(slots=True)
class _Draft:
    """A plan in the making: integers for nodes and labels.

    ``labels[i]`` is an index into `kinds`; the fallback is the last of them. What is `kept` has its label for good.
    """

    graph: Graph
    verdicts: Sequence[Verdict]
    kinds: list[Label]
    labels: list[int | None]
    preds: list[list[int]]
    overruled: dict[int, Overruling]
    unknown_dim: int
    kept: frozenset[int]

    @property
    def fallback(self) -> int:
        return len(self.kinds) - 1


def make_plan(
    model: Model,
    verdicts: Sequence[Verdict],
    labels: Sequence[Label | None],
    *,
    device: str,
    join: str = "joined",
    min_gain: float = 0.0,
    costs: CostTable | None = None,
    part_limit: int = PART_LIMIT,
    fallback: Label = FALLBACK,
    kept: Collection[int] = (),
    bodies: Mapping[int, Nested] | None = None,
) -> Plan:
    """Partition the main scope of a model; equal arguments give equal plans, however its nodes are ordered and named.

    Parameters
    ----------
    labels : sequence of Label or None
        Where each node may run: the device's label if it may be delegated, else the fallback's (or the last resort's).
        For constant and dead nodes it is not looked at.
    device, join : str
        The device asked for; ``"joined"`` (as few clusters as possible) or ``"connected"`` (each cluster connected).
    min_gain : float
        Predicted saving, in µs per run, that a component must bring to be delegated; 0: every component is.
    costs : CostTable, optional
        Figures for `min_gain`.
    part_limit : int
        Connected elementwise nodes that a delegated cluster may have before it is compiled in parts.
    fallback : Label
        Where nodes go that turn out not to be worth delegating; those that are `kept` stay where their label says.
    bodies : mapping of int to Nested, optional
        For each node labelled :data:`ovpart.partition.plan.RUNTIME` the plans of its bodies, and what they save.

    Raises
    ------
    PlanError
        If a node that computes has no label, or there is not one verdict and one label a node.
    """
    costs = costs or CostTable()
    draft = _draft(model.graph, verdicts, labels, fallback, costs.unknown_dim, kept)
    _hold_back_endless(draft, part_limit)
    held = hold_together(model.graph, draft.preds, draft.labels, fallback=draft.fallback, kept=draft.kept)
    draft.overruled.update(held.overruled)
    inner_gains = {index: nested.gain_us for index, nested in (bodies or {}).items()}
    line = _line(draft, held, join == "connected", min_gain, costs, inner_gains)
    clusters, places = _clusters(draft, line, part_limit, held.atoms)
    return Plan(
        graph=model.graph,
        device=device,
        clusters=clusters,
        verdicts=tuple(verdicts),
        places=places,
        lower_bound=line.lower_bound,
        fingerprint=model.fingerprint,
        model=model.name,
        join=join,
        min_gain=min_gain,
        overruled=draft.overruled,
        bodies=_bodies(model.graph, clusters, bodies or {}),
    )


def _bodies(graph: Graph, clusters: Sequence[Cluster], nested: Mapping[int, Nested]) -> dict[str, Mapping[str, Plan]]:
    """Return the plans of bodies that the runtime runs, by the key of their node."""
    run_here = [index for cluster in clusters if cluster.label == RUNTIME for index in cluster.nodes]
    return {graph.nodes[index].key: nested[index].plans for index in run_here if index in nested}


def _draft(
    graph: Graph,
    verdicts: Sequence[Verdict],
    labels: Sequence[Label | None],
    fallback: Label,
    unknown_dim: int,
    kept: Collection[int],
) -> _Draft:
    """Return labels as numbers, and predecessors; constant and dead nodes get neither."""
    if not len(graph.nodes) == len(verdicts) == len(labels):
        raise PlanError(
            f"a plan needs one verdict and one label a node: {len(graph.nodes)} nodes, {len(verdicts)} verdicts, "
            f"{len(labels)} labels"
        )
    given = {id(label): label for label in labels if label is not None}  # few objects, many nodes: no hashing of each
    kinds = _ordered_kinds(given.values(), fallback)
    number: dict[int, int | None] = {key: kinds.index(label) for key, label in given.items()}
    number[id(None)] = None
    numbers = [number[id(label)] for label in labels]
    source = graph.producer.get
    preds = [[p for name in node.inputs if (p := source(name)) is not None] for node in graph.nodes]
    for index in graph.hosts:
        preds[index] += [p for name in graph.nodes[index].captures if (p := source(name)) is not None]
    idle = graph.constant | graph.dead
    for index, before in enumerate(preds) if idle else ():
        if index in idle:
            numbers[index], preds[index] = None, []
        elif not idle.isdisjoint(before):
            preds[index] = [p for p in before if p not in idle]
    for node in graph.nodes if numbers.count(None) > len(idle) else ():
        if numbers[node.index] is None and node.index not in idle:
            raise PlanError(f"node {node.label!r} ({node.op_id}) computes at each run and has no label")
    users = (index for index, verdict in enumerate(verdicts) if verdict.rule in USER_RULES)
    return _Draft(graph, verdicts, kinds, numbers, preds, {}, unknown_dim, frozenset(kept).union(users))


def _ordered_kinds(found: Iterable[Label], fallback: Label) -> list[Label]:
    """Return labels by name, engines that nothing is delegated to later, the fallback last."""
    others = sorted(set(found) - {fallback}, key=lambda label: (not label.delegated, label.engine, label.device))
    return [*others, fallback]


def _hold_back_endless(draft: _Draft, part_limit: int) -> None:
    """Give nodes to the fallback whose bodies, or many inputs, would compile without end."""
    for node in [node for node in draft.graph.nodes if len(node.inputs) > part_limit or node.bodies]:
        label = draft.labels[node.index]
        if label is None or not draft.kinds[label].delegated or node.index in draft.kept:
            continue
        why = endless(node, part_limit)
        if why is not None:
            draft.labels[node.index] = draft.fallback
            draft.overruled[node.index] = why


def _line(
    draft: _Draft,
    held: Held,
    connected: bool,
    min_gain: float,
    costs: CostTable,
    nested_gains: Mapping[int, float],
) -> Line:
    """Partition, with the worth filter where it is on."""

    def near(units: Sequence[int]) -> Sequence[Value]:
        return _values(draft, units)

    if min_gain <= 0:
        return partition(
            draft.preds, draft.labels, atoms=held.atoms, values_of=near, connected=connected, rooted=held.rooted
        )
    graph = draft.graph
    engines = [None if label is None else draft.kinds[label].engine for label in draft.labels]
    gains = node_gains(graph, engines, draft.kinds[draft.fallback].engine, costs)
    for index, gain in nested_gains.items():
        gains[index] = gain
    for index in draft.kept:
        gains[index] = math.inf
    found = recolour(
        draft.preds,
        draft.labels,
        gain_us=gains,
        values=_values(draft),
        fallback=draft.fallback,
        min_gain=min_gain,
        costs=costs,
        atoms=held.atoms,
        values_of=near,
        connected=connected,
        rooted=held.rooted,
    )
    draft.labels = found.labels
    for index, gain in found.gains_us.items():
        told = f"predicted to save {gain:.0f} µs a run, min_gain is {min_gain:g}"
        draft.overruled[index] = not_worth(told, source="predicted")
    return found.line


def _values(draft: _Draft, near: Sequence[int] | None = None) -> list[Value]:
    """Return the values that some of the given nodes make or read (all values, without), constants left out."""
    graph = draft.graph
    names: Iterable[str] = graph.consumers
    if near is not None:
        nodes = [graph.nodes[index] for index in near if draft.labels[index] is not None]
        names = dict.fromkeys(name for node in nodes for name in (*node.reads, *node.outputs) if name)
    found = []
    memo: dict[int, int] = {}
    for name in names:
        source = graph.producer.get(name)
        if name in graph.initializers if source is None else draft.labels[source] is None:
            continue
        readers = tuple(r for r in graph.consumers.get(name, ()) if draft.labels[r] is not None)
        if readers:
            kind = graph.type_of(name)
            size = memo.get(id(kind))
            if size is None:
                size = memo[id(kind)] = value_bytes(kind, draft.unknown_dim)
            found.append(Value(-1 if source is None else source, readers, size))
    return found


def _clusters(
    draft: _Draft, line: Line, part_limit: int, atoms: Sequence[Sequence[int]]
) -> tuple[tuple[Cluster, ...], tuple[str, ...]]:
    """Return the clusters in running order and the place of each node."""
    graph = draft.graph
    nodes: list[list[int]] = [[] for _ in line.labels]
    place = [-1 if label is None else position for position, label in zip(line.positions, draft.labels, strict=True)]
    for index, position in enumerate(place):
        if position >= 0:
            nodes[position].append(index)
    clusters = []
    inside = {index: atom for atom in atoms for index in atom if len({place[i] for i in atom}) == 1}
    crossing = boundaries(graph, draft.preds, place, len(nodes))
    for members, number, (inputs, outputs) in zip(nodes, line.labels, crossing, strict=True):
        label = draft.kinds[number]
        parts = split(graph, draft.preds, members, part_limit, inside) if label.delegated else slices(members)
        clusters.append(Cluster(cluster_id(graph, members), label, tuple(members), inputs, outputs, parts))
    ids = [cluster.id for cluster in clusters]
    dead, idle = graph.dead, (CONSTANT, DEAD)
    places = [ids[position] if position >= 0 else idle[index in dead] for index, position in enumerate(place)]
    return tuple(clusters), tuple(places)
