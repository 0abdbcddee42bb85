"""The bodies that have plans of their own, as a tree: what is where in each, and how often it ran."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovpart.partition.nested import executed_flops
from ovpart.placement.nested import Path, ScopeState
from ovpart.report.facts import Fallback
from ovpart.report.gather import fallbacks_of

if TYPE_CHECKING:
    from ovpart.capability.demotion import Demotion
    from ovpart.partition.plan import Plan


@dataclass(frozen=True, slots=True)
class ScopeFact:
    """A body that has a plan of its own.

    Attributes
    ----------
    node, key, op_type : str
        The node that it is a body of: what it is called, its first output, its operator.
    name : str
        The attribute: ``"then_branch"``, ``"else_branch"``, ``"body"``.
    why : str
        Why the device does not take the node whole.
    nodes : int
        Nodes that run in it, bodies within it not counted.
    coverage, coverage_flops : float
        Share of these that is delegated; of the operations, with the bodies within it.
    clusters, delegated : int
        Clusters in all, and those on the device.
    runs : int
        How often it ran so far.
    fallbacks : tuple of Fallback
        Why nodes of it are not on the device.
    demotions : tuple of Demotion
        What engines refused in it.
    scopes : tuple of ScopeFact
        Bodies within it.
    """

    node: str
    key: str
    op_type: str
    name: str
    why: str
    nodes: int
    coverage: float
    coverage_flops: float
    clusters: int
    delegated: int
    runs: int
    fallbacks: tuple[Fallback, ...]
    demotions: tuple[Demotion, ...]
    scopes: tuple[ScopeFact, ...]


def scopes_of(plan: Plan, states: Mapping[Path, ScopeState], path: Path = ()) -> tuple[ScopeFact, ...]:
    """Return the bodies of a scope that have plans of their own, in the order of their nodes.

    Parameters
    ----------
    plan : Plan
        Of the scope.
    states : mapping of tuple to ScopeState
        What the runs so far showed, by path; scopes that are not in it never ran.
    path : tuple of str
        Of the scope.
    """
    return tuple(_scopes(plan, states, path))


def _scopes(plan: Plan, states: Mapping[Path, ScopeState], path: Path) -> Iterator[ScopeFact]:
    for node, verdict in zip(plan.graph.nodes, plan.verdicts, strict=True):
        for name, body in sorted(plan.bodies.get(node.key, {}).items()):
            inner = (*path, node.key, name)
            state = states.get(inner, ScopeState(0))
            yield ScopeFact(
                node=node.label,
                key=node.key,
                op_type=node.op_type,
                name=name,
                why=verdict.reason,
                nodes=sum(len(cluster.nodes) for cluster in body.clusters),
                coverage=body.coverage,
                coverage_flops=body.coverage_flops,
                clusters=len(body.clusters),
                delegated=len(body.delegated),
                runs=state.runs,
                fallbacks=fallbacks_of(body),
                demotions=state.demotions,
                scopes=scopes_of(body, states, inner),
            )


def executed_share(plan: Plan, states: Mapping[Path, ScopeState]) -> float | None:
    """Return the share of the operations of all runs so far that was delegated.

    Returns
    -------
    float or None
        ``None`` where no body has a plan of its own, or nothing ran, or nothing computes.
    """
    mine, total = executed_flops(plan, {path: state.runs for path, state in states.items()})
    return mine / total if total else None
