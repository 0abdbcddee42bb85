"""What would be if a device took more than it does: the plan made anew as if some nodes were supported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ovpart.capability.control import select
from ovpart.report.gather import as_if_supported, fallbacks_of
from ovpart.report.text import percent

if TYPE_CHECKING:
    from ovpart.model.graph import Model
    from ovpart.partition.plan import Plan

MOST_REASONS = 10
"""Reasons that are tried where nothing is named."""
WIDTH = 80


@dataclass(frozen=True, slots=True)
class Figures:
    """What a plan comes to.

    Attributes
    ----------
    clusters, delegated, islands : int
        Clusters in all, those on the device, those that nodes fall back to.
    coverage, coverage_flops, coverage_weights : float
        Shares, 0 to 1, that are delegated.
    """

    clusters: int
    delegated: int
    islands: int
    coverage: float
    coverage_flops: float
    coverage_weights: float


@dataclass(frozen=True, slots=True)
class Supposition:
    """Nodes that are supposed to be supported, and what would be then.

    Attributes
    ----------
    what : str
        The operator, node or reason.
    nodes : tuple of str
        Labels of those nodes that are not on the device.
    then : Figures
        What the plan would come to.
    """

    what: str
    nodes: tuple[str, ...]
    then: Figures


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The plan as it is, and what it would be.

    Attributes
    ----------
    model, device : str
        What was planned, and for what.
    now : Figures
        As it is.
    suppositions : tuple of Supposition
        One for each thing that was named, or for each reason; with several, the last one is all of them together.
    left : tuple of (str, int)
        Reasons that would be left with the last one, and for how many nodes.
    min_gain : float
        What a cluster must bring, µs per run: supported nodes that bring less stay behind in these figures too.
    """

    model: str
    device: str
    now: Figures
    suppositions: tuple[Supposition, ...]
    left: tuple[tuple[str, int], ...]
    min_gain: float = 0.0

    def __str__(self) -> str:
        return "\n".join(_rows(self))


def what_if(plan: Plan, model: Model, selectors: Sequence[str] = ()) -> WhatIf:
    """Tell what would be if nodes were supported.

    Parameters
    ----------
    plan : Plan
        As it is.
    model : Model
        The model that it is of.
    selectors : sequence of str
        Operators, nodes, globs or regions, as ``exclude`` takes them; without any, the reasons that keep most nodes
        back are tried one by one.

    Raises
    ------
    OptionError
        If a selector means no node.
    """
    fallbacks = fallbacks_of(plan)
    behind = {index for fallback in fallbacks for index in fallback.indices}
    if selectors:
        wanted = [(selector, select(plan.graph, selector, "if") & behind) for selector in selectors]
    else:
        wanted = [(fallback.reason, frozenset(fallback.indices)) for fallback in fallbacks[:MOST_REASONS]]
    if len(wanted) > 1:
        wanted.append(("all of these", frozenset().union(*(nodes for _, nodes in wanted))))
    made = [(what, nodes, as_if_supported(plan, model, sorted(nodes)) if nodes else plan) for what, nodes in wanted]
    supposed = made[-1][1] if made else frozenset()
    left = {f.reason: sum(index not in supposed for index in f.indices) for f in fallbacks}
    return WhatIf(
        model=model.name,
        device=plan.device,
        now=_figures(plan),
        suppositions=tuple(
            Supposition(what, tuple(plan.graph.nodes[i].label for i in sorted(nodes)), _figures(then))
            for what, nodes, then in made
        ),
        left=tuple((reason, count) for reason, count in left.items() if count),
        min_gain=plan.min_gain,
    )


def as_data(found: WhatIf) -> dict[str, Any]:
    """Return it as dicts, lists, strings and numbers."""
    from dataclasses import asdict

    return asdict(found)


def _figures(plan: Plan) -> Figures:
    return Figures(
        clusters=len(plan.clusters),
        delegated=len(plan.delegated),
        islands=len(plan.islands),
        coverage=plan.coverage,
        coverage_flops=plan.coverage_flops,
        coverage_weights=plan.coverage_weights,
    )


def _rows(found: WhatIf) -> Iterator[str]:
    yield f"{found.model}   device {found.device}"
    yield f"  {'':<38}{'nodes':>6}{'clusters':>10}{'coverage':>10}{'FLOPs':>12}"
    yield f"  {'now':<38}{'':>6}{_columns(found.now)}"
    for supposed in found.suppositions:
        what = supposed.what if len(supposed.what) <= 37 else f"{supposed.what[:36]}…"
        yield f"  {what:<38}{len(supposed.nodes):>6}{_columns(supposed.then)}"
    if not found.suppositions:
        yield "every node is on the device"
    if any(not supposed.nodes for supposed in found.suppositions):
        yield "0 nodes: all that is meant by it is on the device already, or never computed"
    if found.min_gain and any(one.nodes and one.then.coverage <= found.now.coverage for one in found.suppositions):
        yield "supported or not, what does not pay stays behind: min_gain=0 leaves that out"
    if found.suppositions and found.left:
        yield "would be left where they are"
        yield from (f"{count:>6}  {reason}" for reason, count in found.left[:MOST_REASONS])


def _columns(figures: Figures) -> str:
    return f"{figures.clusters:>10}{percent(figures.coverage):>10}{percent(figures.coverage_flops):>12}"
