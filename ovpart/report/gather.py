"""Gather the facts of a plan: shares, fallbacks by reason, guards, and what blocks most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ovpart.capability.priority import CONTEXT_RULE
from ovpart.capability.target import parse_target
from ovpart.model.graph import Model
from ovpart.partition.build import make_plan
from ovpart.partition.flops import node_flops, weight_bytes
from ovpart.partition.nested import amounts
from ovpart.partition.overruling import ENGINE, FORK, NOT_WORTH
from ovpart.partition.plan import RUNTIME, Label, Plan
from ovpart.report.facts import Blocker, Fallback, Share

OVERRULING_HINTS = {
    NOT_WORTH: "min_gain=0 delegates it all the same",
    ENGINE: "pip install openvino",
    FORK: "open no session before the fork",
}
"""What can be done about nodes that are left behind by a rule that is no line of the table."""
WhatIf = Callable[[Sequence[int]], Plan]
"""Makes the plan anew as if these nodes were supported."""


def shares_of(plan: Plan) -> tuple[Share, ...]:
    """Return what each engine and device has, the device asked for first.

    Nodes and clusters are those of the main scope; operations and weights of bodies that have plans of their own count
    where they are in these.

    Parameters
    ----------
    plan : Plan
        The plan.
    """
    nodes: dict[Label, int] = {}
    clusters: dict[Label, int] = {}
    for cluster in plan.clusters:
        nodes[cluster.label] = nodes.get(cluster.label, 0) + len(cluster.nodes)
        clusters[cluster.label] = clusters.get(cluster.label, 0) + 1
    flops = amounts(plan, node_flops, either=True)
    weights = amounts(plan, weight_bytes, either=False)
    all_flops, all_weights = sum(flops.values()), sum(weights.values())
    return tuple(
        Share(
            label=label,
            nodes=nodes.get(label, 0),
            of_nodes=nodes.get(label, 0) / sum(nodes.values()),
            of_flops=flops.get(label, 0) / all_flops if all_flops else None,
            of_weights=weights.get(label, 0) / all_weights if all_weights else None,
            clusters=clusters.get(label, 0),
        )
        for label in sorted({**nodes, **flops, **weights}, key=lambda label: (not label.delegated, label == RUNTIME))
    )


def delegated_share(shares: Iterable[Share], of: Callable[[Share], float | None]) -> float:
    """Return the share that is delegated, 1 where there is nothing to share out.

    Parameters
    ----------
    shares : iterable of Share
        All of them.
    of : callable
        Which share: of nodes, of FLOPs, of weights.
    """
    found = [(of(share), share.is_island) for share in shares]
    known = [(amount, is_island) for amount, is_island in found if amount is not None]
    return sum(amount for amount, is_island in known if not is_island) if known else 1.0


def fallbacks_of(plan: Plan) -> tuple[Fallback, ...]:
    """Return why nodes are not on the device, one entry a reason, the most frequent first."""
    by_reason: dict[_Why, list[int]] = {}
    wanted = parse_target(plan.device).labels[0]
    for cluster in plan.clusters:
        if cluster.label == RUNTIME or (not cluster.is_island and cluster.label.device == wanted):
            continue
        for index in cluster.nodes:
            by_reason.setdefault(_why(plan, index), []).append(index)
    fallbacks = [_fallback(plan, why, sorted(nodes)) for why, nodes in by_reason.items()]
    return tuple(sorted(fallbacks, key=lambda f: (-f.count, f.indices)))


@dataclass(frozen=True, slots=True)
class _Why:
    """Why a node is not on the device: what fallbacks are grouped by."""

    reason: str
    rule: str
    source: str
    deferred: bool = False


def _why(plan: Plan, index: int) -> _Why:
    # Nodes that the device would take and that the partition left behind all the same: their verdict is a yes.
    overruled = plan.overruled.get(index)
    if overruled is None:
        verdict = plan.verdicts[index]
        # A deferred verdict names the value that it waits for; what is to be told is that the first run will show it.
        reason = "rank or type not known before the first run" if verdict.deferred else verdict.reason
        return _Why(reason, verdict.rule, verdict.source, verdict.deferred)
    return _Why(overruled.reason, overruled.rule, overruled.source)


def _fallback(plan: Plan, why: _Why, indices: Sequence[int]) -> Fallback:
    nodes = [plan.graph.nodes[index] for index in indices]
    hints = [plan.verdicts[index].hint for index in indices if index not in plan.overruled]
    hints += [OVERRULING_HINTS[why.rule]] if why.rule in OVERRULING_HINTS else []
    return Fallback(
        ops=tuple(op for op, _ in Counter(node.op_id for node in nodes).most_common()),
        reason=why.reason,
        rule=why.rule,
        source=why.source,
        hints=tuple(dict.fromkeys(hint for hint in hints if hint)),
        nodes=tuple(node.label for node in nodes),
        indices=tuple(indices),
        deferred=why.deferred,
    )


def guarded_nodes(plan: Plan) -> int:
    """Return how many delegated nodes rely on a guard."""
    return sum(plan.verdicts[i].guard is not None for cluster in plan.delegated for i in cluster.nodes)


def blockers_of(plan: Plan, fallbacks: Iterable[Fallback], what_if: WhatIf, *, most: int = 3) -> tuple[Blocker, ...]:
    """Return what would change if the reasons that keep most nodes back fell away, the largest effect first.

    Parameters
    ----------
    plan : Plan
        The plan.
    fallbacks : iterable of Fallback
        Why nodes are not on the device, the most frequent reason first.
    what_if : callable
        Makes the plan anew as if the nodes were supported.
    most : int
        How many reasons to try; each costs a partition of the whole graph.
    """
    tried = [f for f in fallbacks if f.rule not in (*OVERRULING_HINTS, CONTEXT_RULE) and not f.deferred][:most]
    blockers = []
    for fallback in tried:
        changed = what_if(fallback.indices)
        clusters, clusters_if = len(plan.clusters), len(changed.clusters)
        blockers.append(Blocker(fallback, clusters, clusters_if, plan.coverage, changed.coverage))
    return tuple(sorted(blockers, key=lambda b: (b.clusters_if - b.clusters, b.coverage - b.coverage_if)))


def as_if_supported(plan: Plan, model: Model, nodes: Sequence[int]) -> Plan:
    """Make a plan anew as if some nodes were supported on the device.

    Parameters
    ----------
    plan : Plan
        The plan as it is.
    model : Model
        The model that it is of.
    nodes : sequence of int
        Indices of the nodes.

    Notes
    -----
    Nodes whose verdict is a yes are offered to the device again, though they may not have paid before: with more
    neighbours on their side they may now.
    """
    delegate = Label("openvino", parse_target(plan.device).labels[0])
    wanted = set(nodes).union(plan.overruled)
    place = {cluster.id: cluster.label for cluster in plan.clusters}
    labels = [delegate if index in wanted else place.get(where) for index, where in enumerate(plan.places)]
    return make_plan(model, plan.verdicts, labels, device=plan.device, join=plan.join, min_gain=plan.min_gain)
