"""Plans within plans: control flow whose bodies have plans of their own, what they save, and how to walk over them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovpart.partition.costs import CostTable, node_gains
from ovpart.partition.flops import value_bytes

if TYPE_CHECKING:
    from ovpart.partition.plan import Plan


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
