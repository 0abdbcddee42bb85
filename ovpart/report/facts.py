"""The single facts that a report is made of: frozen data, gathered by :mod:`ovpart.report.gather`."""

from __future__ import annotations

from dataclasses import dataclass

from ovpart.partition.plan import Label
from ovpart.placement.contest.race import Outcome


@dataclass(frozen=True, slots=True)
class Share:
    """What one engine and device has of the model.

    Attributes
    ----------
    label : Label
        The engine and its device.
    nodes : int
        Nodes that run there.
    of_nodes : float
        Share, 0 to 1, of the nodes that run at all.
    of_flops, of_weights : float or None
        Share of the floating-point operations, of the weight bytes; ``None`` where the model has none.
    clusters : int
        How many clusters that makes.
    """

    label: Label
    nodes: int
    of_nodes: float
    of_flops: float | None
    of_weights: float | None
    clusters: int

    @property
    def is_island(self) -> bool:
        """Whether this is where nodes fall back to."""
        return not self.label.delegated


@dataclass(frozen=True, slots=True)
class Fallback:
    """Nodes that are not on the device asked for, for one and the same reason.

    Attributes
    ----------
    ops : tuple of str
        Their operators, the most frequent first.
    reason, rule, source : str
        As in the verdict.
    hints : tuple of str
        What can be done, as in the verdicts; several where they name the culprit of each node.
    nodes : tuple of str
        Labels of the nodes, in topological order.
    indices : tuple of int
        Their indices in the main scope.
    deferred : bool
        Whether they wait for a rank that the first run will show.
    """

    ops: tuple[str, ...]
    reason: str
    rule: str
    source: str
    hints: tuple[str, ...]
    nodes: tuple[str, ...]
    indices: tuple[int, ...]
    deferred: bool = False

    @property
    def count(self) -> int:
        """Number of nodes."""
        return len(self.nodes)

    @property
    def hint(self) -> str:
        """What can be done about the first of the nodes that something can be done about; else empty."""
        return self.hints[0] if self.hints else ""


@dataclass(frozen=True, slots=True)
class Blocker:
    """What would change if the nodes of one fallback were supported.

    Attributes
    ----------
    fallback : Fallback
        The nodes and why they are not.
    clusters, clusters_if : int
        Clusters, islands included: as planned, and if the nodes were supported.
    coverage, coverage_if : float
        Share of nodes that is delegated, likewise.
    """

    fallback: Fallback
    clusters: int
    clusters_if: int
    coverage: float
    coverage_if: float


@dataclass(frozen=True, slots=True)
class OptionFact:
    """An option with its effective value.

    Attributes
    ----------
    name : str
        As declared.
    value : object
        The effective value.
    origin : str
        ``"given"`` or ``"default"``.
    """

    name: str
    value: object
    origin: str


@dataclass(frozen=True, slots=True)
class EvidenceFact:
    """Where what trials taught is kept.

    Attributes
    ----------
    path : str or None
        The file; it is there once something was learnt. ``None``: kept nowhere.
    known : int
        Demotions that earlier sessions had learnt.
    fresh : int
        Demotions that this one has added.
    """

    path: str | None
    known: int
    fresh: int


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the runs so far showed.

    Attributes
    ----------
    count : int
        Finished runs.
    outside_guard : int
        Runs with values outside a guard: they took the plan without guarded nodes.
    last_outside_guard : bool
        Whether the last run was one of those.
    replans : int
        How often the plan was made anew: for demotions, and for ranks that a first run showed.
    outcome : Outcome or None
        What was measured of the plan and of other ways; ``None`` where nothing was.
    """

    count: int = 0
    outside_guard: int = 0
    last_outside_guard: bool = False
    replans: int = 0
    outcome: Outcome | None = None
