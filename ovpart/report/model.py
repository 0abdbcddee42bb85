"""The report: the facts of a plan and of its runs, as frozen data."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from ovpart.capability.demotion import Demotion
from ovpart.capability.verdict import Guard
from ovpart.model.graph import Model
from ovpart.partition.plan import CONSTANT, DEAD, Plan
from ovpart.report.facts import Blocker, EvidenceFact, Fallback, OptionFact, RunFacts, Share
from ovpart.report.gather import as_if_supported, blockers_of, delegated_share, fallbacks_of, guarded_nodes, shares_of
from ovpart.report.scopes import ScopeFact, executed_share, scopes_of
from ovpart.runtime.admission import PoolFact
from ovpart.runtime.guards import merge

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovpart.capability.measured import Difference
    from ovpart.options import Options
    from ovpart.placement.nested import Path as ScopePath
    from ovpart.placement.nested import ScopeState
    from ovpart.placement.profiling.facts import Profiled
    from ovpart.placement.sharing.group import Shared
    from ovpart.report.gather import WhatIf


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """What went where and why. ``print(report)`` shows it, :meth:`save` keeps it.

    Attributes
    ----------
    model : str
        The model's name: its file's, or its graph's.
    fingerprint : str
        Of the model's content.
    opsets : mapping of str to int
        Domain (``""`` for ai.onnx) → version.
    device : str
        The device asked for.
    engines : mapping of str to str
        Engine → how its backend describes it, the version first.
    nodes, constant, dead : int
        Nodes of the main scope; those of them that are computed once; those that no output depends on.
    shares : tuple of Share
        What each engine and device has, the device asked for first.
    lower_bound : int
        The least number of clusters that any partition could have.
    fallbacks : tuple of Fallback
        Why nodes are not on the device, one entry a reason, the most frequent first.
    demotions : tuple of Demotion
        What engines refused, in their own words.
    guards : tuple of Guard
        Conditions on integer inputs that delegated nodes rely on.
    guarded_nodes : int
        How many nodes do.
    options : tuple of OptionFact
        Every option with its effective value and where it comes from.
    notes : tuple of str
        What the reader mended in the model.
    planning_ms : float or None
        Milliseconds from file to plan, where measured.
    emulated_on : str or None
        The device that runs in place of the one asked for; ``None`` where nothing is emulated.
    runs : RunFacts
        What the runs so far showed.
    compiles : mapping of str to mapping
        Engine → how often it ``compiled``, took a cluster from its cache (``cached``) or from a blob (``loaded``).
    variants : mapping of str to int, or None
        Counters of the forms of fixed shapes, ``None`` where there are none: ``made``, ``used``, ``dropped``,
        ``given_up``.
    plan : Plan
        The plan itself.
    scopes : tuple of ScopeFact
        Bodies of control flow that have plans of their own; each has those within it.
    executed_flops : float or None
        Share of the operations of all runs so far that was delegated, each body counted as often as it ran; ``None``
        where no body has a plan of its own, or nothing ran.
    profile : Profiled or None
        Where the time of a run goes, as last measured; ``None`` where it was not.
    evidence : EvidenceFact or None
        Where what trials taught is kept; ``None`` for a plan, and with ``evidence="off"``.
    table_differs : tuple of Difference
        Where the packages and the processor are not those that the support table was measured with.
    pool : PoolFact or None
        What the session has of a pool; ``None`` where it is in none.
    sharing : Shared or None
        What is shared with other sessions; ``None`` where that was not asked for.
    """

    model: str
    fingerprint: str
    opsets: Mapping[str, int]
    device: str
    engines: Mapping[str, str]
    nodes: int
    constant: int
    dead: int
    shares: tuple[Share, ...]
    lower_bound: int
    fallbacks: tuple[Fallback, ...]
    demotions: tuple[Demotion, ...]
    guards: tuple[Guard, ...]
    guarded_nodes: int
    options: tuple[OptionFact, ...]
    notes: tuple[str, ...]
    planning_ms: float | None
    emulated_on: str | None
    runs: RunFacts
    compiles: Mapping[str, Mapping[str, int]]
    variants: Mapping[str, int] | None
    evidence: EvidenceFact | None
    table_differs: tuple[Difference, ...]
    _blockers: Callable[[], tuple[Blocker, ...]] = field(compare=False)
    plan: Plan = field(compare=False)
    scopes: tuple[ScopeFact, ...] = ()
    executed_flops: float | None = None
    pool: PoolFact | None = None
    sharing: Shared | None = None
    profile: Profiled | None = None

    @property
    def coverage(self) -> float:
        """Share, 0 to 1, of the nodes that run which is delegated; constant and dead nodes count on neither side."""
        return delegated_share(self.shares, lambda share: share.of_nodes)

    @property
    def coverage_flops(self) -> float:
        """Share of the floating-point operations that is delegated, in bodies with plans of their own too."""
        return delegated_share(self.shares, lambda share: share.of_flops)

    @property
    def coverage_weights(self) -> float:
        """Share of the weight bytes that delegated nodes read."""
        return delegated_share(self.shares, lambda share: share.of_weights)

    @property
    def cluster_count(self) -> int:
        """Clusters in all, islands included."""
        return sum(share.clusters for share in self.shares)

    @property
    def delegated_count(self) -> int:
        """Clusters on the device."""
        return sum(share.clusters for share in self.shares if not share.is_island)

    @property
    def island_count(self) -> int:
        """Clusters on onnxruntime, or on onnx's reference evaluator."""
        return sum(share.clusters for share in self.shares if share.is_island)

    @property
    def blockers(self) -> tuple[Blocker, ...]:
        """What would change if the reasons that keep most nodes back fell away; computed when first asked for."""
        return self._blockers()

    @property
    def deferred(self) -> tuple[str, ...]:
        """Nodes that wait for a rank that the first run will show."""
        return tuple(node for fallback in self.fallbacks if fallback.deferred for node in fallback.nodes)

    def line(self) -> str:
        """Return the report in one line, for logs."""
        from ovpart.report.text import line

        return line(self)

    def to_json(self) -> str:
        """Return the report as JSON that fits ``ovpart/report/report.schema.json``."""
        from ovpart.report.json import to_json

        return to_json(self)

    def to_html(self) -> str:
        """Return the report as one HTML page that needs nothing but itself: no network, no server.

        Raises
        ------
        OptionError
            If jinja2 is not installed (``pip install 'ovpart[html]'``).
        """
        from ovpart.report.html.page import to_html

        return to_html(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report to a file: HTML or JSON where its name ends in ``.html`` or ``.json``, else text."""
        suffix = Path(path).suffix.lower()
        forms = {".html": self.to_html, ".htm": self.to_html, ".json": self.to_json}
        written = forms.get(suffix, self.__str__)()
        Path(path).write_text(written + "\n", encoding="utf-8")

    def __str__(self) -> str:
        from ovpart.report.text import render

        return render(self)

    def __repr__(self) -> str:
        return f"<Report: {self.line()}>"


def make_report(
    plan: Plan,
    model: Model,
    *,
    engines: Mapping[str, str] | None = None,
    options: Options | None = None,
    demotions: Sequence[Demotion] = (),
    planning_ms: float | None = None,
    emulated_on: str | None = None,
    runs: RunFacts | None = None,
    evidence: EvidenceFact | None = None,
    what_if: WhatIf | None = None,
    compiles: Mapping[str, Mapping[str, int]] | None = None,
    variants: Mapping[str, int] | None = None,
    inside: Mapping[ScopePath, ScopeState] | None = None,
    table_differs: Sequence[Difference] = (),
    pool: PoolFact | None = None,
    sharing: Shared | None = None,
    profile: Profiled | None = None,
) -> Report:
    """Gather the facts of a plan and of its runs.

    Parameters
    ----------
    plan : Plan
        The plan that runs.
    model : Model
        The model that it is of.
    options : Options, optional
        The effective options.
    demotions : sequence of Demotion
        What engines refused.
    engines, planning_ms, emulated_on, runs, evidence, compiles, variants, table_differs, pool, sharing : optional
        As in :class:`Report`, where known.
    profile : Profiled, optional
        Where the time goes, where measured.
    what_if : callable, optional
        Makes the plan anew as if the nodes with these indices were supported; by default the plan's own labels are
        changed and partitioned again.
    inside : mapping of tuple to ScopeState, optional
        What the runs so far showed of bodies that have plans of their own, by path.

    Returns
    -------
    Report
        Frozen: a later run makes a new one.
    """
    fallbacks = fallbacks_of(plan)
    shares = shares_of(plan)
    what_if = what_if or partial(as_if_supported, plan, model)
    echoed = () if options is None else options.echo()
    return Report(
        model=model.name,
        fingerprint=model.fingerprint,
        opsets=model.opsets,
        device=plan.device,
        engines={name: engines[name] for name in _in_order_of(shares, engines)} if engines else {},
        nodes=len(plan.graph.nodes),
        constant=plan.places.count(CONSTANT),
        dead=plan.places.count(DEAD),
        shares=shares,
        lower_bound=plan.lower_bound,
        fallbacks=fallbacks,
        demotions=tuple(demotions),
        guards=merge(plan.guards),
        guarded_nodes=guarded_nodes(plan),
        options=tuple(OptionFact(name, value, origin) for name, value, origin in echoed),
        notes=tuple(model.notes),
        planning_ms=planning_ms,
        emulated_on=emulated_on,
        runs=runs or RunFacts(),
        compiles=compiles or {},
        variants=variants,
        evidence=evidence,
        table_differs=tuple(table_differs),
        plan=plan,
        _blockers=cache(partial(blockers_of, plan, fallbacks, what_if)),
        scopes=scopes_of(plan, inside or {}),
        executed_flops=executed_share(plan, inside or {}),
        pool=pool,
        sharing=sharing,
        profile=profile,
    )


def _in_order_of(shares: Sequence[Share], engines: Mapping[str, str]) -> list[str]:
    """Return the engines as the shares have them, the device asked for first; others behind, by name."""
    used = dict.fromkeys(share.label.engine for share in shares if share.label.engine in engines)
    return [*used, *sorted(engines.keys() - used.keys())]
