"""Plans within plans: control flow whose bodies have plans of their own, what they save, and how to walk over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovpart.partition.costs import CostTable, node_gains
from ovpart.partition.flops import node_flops, value_bytes
from ovpart.partition.plan import RUNTIME

if TYPE_CHECKING:
    from ovpart.model.graph import Graph, Node
    from ovpart.partition.plan import Label, Plan


@dataclass(frozen=True, slots=True)
class Nested:
    """The plans of the bodies of one node.

    Attributes
    ----------
    plans : mapping of str to Plan
        Attribute → plan.
    gain_us : float
        What they are predicted to save per run of the node, against the whole node on the fallback.
    asked : bool
        Whether the user has asked for them, whatever they save.
    """

    plans: Mapping[str, Plan]
    gain_us: float
    asked: bool = False


@dataclass(frozen=True, slots=True)
class ScopePlan:
    """A scope of a plan.

    Attributes
    ----------
    path : tuple of str
        Key of a node and name of its body, in turn, from the main scope inwards; empty for the main scope.
    plan : Plan
        The scope's.
    """

    path: tuple[str, ...]
    plan: Plan


def scopes(plan: Plan, path: tuple[str, ...] = ()) -> Iterator[ScopePlan]:
    """Yield the main scope and every body with a plan of its own, outer ones first, in the order of their nodes."""
    yield ScopePlan(path, plan)
    for node in plan.graph.nodes:
        for name, body in sorted(plan.bodies.get(node.key, {}).items()):
            yield from scopes(body, (*path, node.key, name))


def saving_us(plan: Plan, fallback: str, costs: CostTable) -> float:
    """Predict what a body's plan saves per run against the body inside a session of the fallback engine.

    Parameters
    ----------
    plan : Plan
        Of the body.
    fallback : str
        The engine to compare with.
    costs : CostTable
        Figures. Every cluster is a call that the session would not make; what crosses between clusters is handed over.

    Notes
    -----
    Control flow in the body counts as a call; what its own bodies save is in `plan.bodies` and added by the caller.
    """
    graph = plan.graph
    engines: list[str | None] = [None] * len(graph.nodes)
    for cluster in plan.clusters:
        for index in cluster.nodes:
            engines[index] = cluster.label.engine
    saved = sum(node_gains(graph, engines, fallback, costs))
    made = {name for cluster in plan.clusters for name in cluster.outputs}
    crossing = sum(
        value_bytes(graph.type_of(name), costs.unknown_dim)
        for cluster in plan.clusters
        for name in cluster.inputs
        if name in made
    )
    calls = sum(len(cluster.parts) or 1 for cluster in plan.clusters)
    return saved - costs.call_us * calls - costs.byte_ns * crossing / 1e3


def amounts(plan: Plan, amount: Callable[[Graph, Node], int], *, either: bool) -> dict[Label, int]:
    """Return how much of a quantity each label has, bodies with plans of their own included.

    Parameters
    ----------
    plan : Plan
        Of any scope.
    amount : callable
        The quantity of one node.
    either : bool
        Whether of the branches of an If only the one counts that has most of it, as in :func:`node_flops`: one of them
        runs. Bodies of loops count once.
    """
    found: dict[Label, int] = {}
    for cluster in plan.clusters:
        if cluster.label != RUNTIME:
            here = sum(amount(plan.graph, plan.graph.nodes[index]) for index in cluster.nodes)
            found[cluster.label] = found.get(cluster.label, 0) + here
            continue
        for index in cluster.nodes:
            node = plan.graph.nodes[index]
            inner = [amounts(body, amount, either=either) for body in plan.bodies.get(node.key, {}).values()]
            if either and node.op_type == "If" and inner:
                inner = [max(inner, key=lambda of: sum(of.values()))]
            for of in inner:
                for label, here in of.items():
                    found[label] = found.get(label, 0) + here
    return found


def executed_flops(plan: Plan, runs: Mapping[tuple[str, ...], int]) -> tuple[int, int]:
    """Return the operations that runs took: those that were delegated, and all.

    Parameters
    ----------
    plan : Plan
        Of the main scope.
    runs : mapping of tuple to int
        Path of a scope → how often it ran.
    """
    mine = total = 0
    for scope in scopes(plan):
        graph, count = scope.plan.graph, runs.get(scope.path, 0)
        for cluster in scope.plan.clusters if count else ():
            if cluster.label != RUNTIME:
                here = count * sum(node_flops(graph, graph.nodes[index]) for index in cluster.nodes)
                total += here
                mine += 0 if cluster.is_island else here
    return mine, total
