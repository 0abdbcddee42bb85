"""The plan: which cluster every node of the main scope is in, what crosses between them, in which order they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ovpart.capability.verdict import Guard, Verdict
from ovpart.model.graph import Graph, Model, Node
from ovpart.partition.overruling import Overruling

if TYPE_CHECKING:
    import os

    import networkx as nx

    from ovpart.partition.explain import Explanation

CONSTANT = "constant"
"""Place of a node that is computed once, not at each run; it belongs to no cluster."""
DEAD = "dead"
"""Place of a node that no output depends on."""
RUNTIME_ENGINE = "runtime"
"""Runs control flow whose bodies have plans of their own: no engine, but ovpart's own runtime."""
ISLAND_ENGINES = frozenset({"onnxruntime", "reference", RUNTIME_ENGINE})
"""Where nodes are that are not delegated: their clusters are islands, all others are delegated."""


@dataclass(frozen=True, slots=True)
class Label:
    """An engine and one of its devices: what a cluster is compiled for.

    Attributes
    ----------
    engine : str
        Name of a backend: ``"openvino"``, ``"onnxruntime"``, ``"reference"``.
    device : str
        Device of that engine.
    """

    engine: str
    device: str = "CPU"

    @property
    def delegated(self) -> bool:
        """Whether it stands for a device asked for, not for a fallback."""
        return self.engine not in ISLAND_ENGINES


RUNTIME = Label(RUNTIME_ENGINE)
"""Where control flow runs whose bodies have plans of their own."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A convex set of nodes for one engine and device, compiled as one model.

    Attributes
    ----------
    id : str
        Hash of the cluster's content: operators, attributes, types, first outputs. Never of node names or positions.
    label : Label
        Where it runs.
    nodes : tuple of int
        Node indices, ascending (a topological order).
    inputs, outputs : tuple of str
        Boundary values; constants are not among the inputs. Outputs: what other clusters or the graph's outputs read.
    parts : tuple of tuple of int
        Consecutive parts where one compile would be too long; empty means one part, all of `nodes`. The boundary of a
        part: :func:`ovpart.partition.boundary.boundary`.
    """

    id: str
    label: Label
    nodes: tuple[int, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parts: tuple[tuple[int, ...], ...] = ()

    @property
    def is_island(self) -> bool:
        """Whether it runs on onnxruntime or the reference implementation, or is control flow that the runtime runs."""
        return not self.label.delegated


@dataclass(frozen=True, slots=True)
class Plan:
    """What runs where, and why. Made by :func:`ovpart.plan`; the same model, table and options give the same plan.

    Attributes
    ----------
    graph : Graph
        The main scope that the plan is of.
    device : str
        The device asked for.
    clusters : tuple of Cluster
        All clusters, islands included, in an order in which they can run.
    verdicts : tuple of Verdict
        One a node, parallel to ``graph.nodes``.
    places : tuple of str
        One a node: a cluster's id, ``"constant"`` or ``"dead"``.
    lower_bound : int
        The least number of clusters that any partition with these labels can have.
    fingerprint : str
        :attr:`ovpart.model.graph.Model.fingerprint` of the model.
    model : str
        What reports call the model.
    join : str
        ``"joined"`` or ``"connected"``, as asked for.
    min_gain : float
        As asked for, µs per run; 0: no component was judged.
    overruled : mapping of int to Overruling
        Node index → why a node that may be delegated is not: its component does not pay, its quantised unit has a
        member that is not delegated, or its bodies would take too long to compile.
    bodies : mapping of str to mapping of str to Plan
        For each node of a cluster labelled :data:`RUNTIME`, by key: attribute → plan of that body. In such a plan, what
        the body captures are inputs.
    """

    graph: Graph
    device: str
    clusters: tuple[Cluster, ...]
    verdicts: tuple[Verdict, ...]
    places: tuple[str, ...]
    lower_bound: int
    fingerprint: str = ""
    model: str = ""
    join: str = "joined"
    min_gain: float = 0.0
    overruled: Mapping[int, Overruling] = field(default_factory=dict)
    bodies: Mapping[str, Mapping[str, Plan]] = field(default_factory=dict)

    @property
    def delegated(self) -> tuple[Cluster, ...]:
        """The clusters on devices asked for, in running order."""
        return tuple(cluster for cluster in self.clusters if not cluster.is_island)

    @property
    def islands(self) -> tuple[Cluster, ...]:
        """The clusters on onnxruntime or the reference implementation, in running order."""
        return tuple(cluster for cluster in self.clusters if cluster.is_island)

    @property
    def coverage(self) -> float:
        """Share of nodes that are delegated; constant and dead ones count on neither side. 1.0 where no other is."""
        placed = sum(len(cluster.nodes) for cluster in self.clusters)
        return sum(len(cluster.nodes) for cluster in self.delegated) / placed if placed else 1.0

    @property
    def coverage_flops(self) -> float:
        """Share of floating point operations that are delegated, from inferred shapes. 1.0 if there are none at all.

        Bodies with plans of their own are counted by these: of an If the branch with most, of a loop one iteration.
        """
        from ovpart.partition.flops import node_flops

        return self._share(node_flops, either=True)

    @property
    def coverage_weights(self) -> float:
        """Share of the bytes of constants that delegated nodes read. 1.0 if there are none at all."""
        from ovpart.partition.flops import weight_bytes

        return self._share(weight_bytes, either=False)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """Conditions under which the plan is right: the union over delegated nodes, the tightest bound of each."""
        bounds: dict[tuple[str, tuple[str, ...]], int] = {}
        for cluster in self.delegated:
            for index in cluster.nodes:
                guard = self.verdicts[index].guard
                if guard is not None:
                    key = (guard.kind, guard.inputs)
                    bounds[key] = min(bounds.get(key, guard.bound), guard.bound)
        return tuple(Guard(kind, inputs, bound) for (kind, inputs), bound in sorted(bounds.items()))

    @property
    def delegates(self) -> bool:
        """Whether anything is delegated, in the main scope or in a body that has a plan of its own."""
        return bool(self.delegated) or any(
            body.delegates for branches in self.bodies.values() for body in branches.values()
        )

    def cluster(self, cluster_id: str) -> Cluster:
        """Return the cluster with an id.

        Raises
        ------
        OptionError
            If there is none.
        """
        from ovpart.partition.explain import find_cluster

        return find_cluster(self, cluster_id)

    def explain(self, node: str) -> Explanation:
        """Say where a node is, and why.

        Parameters
        ----------
        node : str
            Its first output (unique), or its name where no other node has it.

        Raises
        ------
        OptionError
            If no node, or more than one, is called so.
        """
        from ovpart.partition.explain import explain

        return explain(self, node)

    def to_networkx(self) -> nx.DiGraph:
        """Return the main scope as a graph; see :func:`ovpart.partition.graphs.to_networkx`."""
        from ovpart.partition.graphs import to_networkx

        return to_networkx(self)

    def to_json(self) -> str:
        """Return the plan as JSON; the schema is ``ovpart/partition/plan.schema.json``."""
        from ovpart.partition.saved import to_json

        return to_json(self)

    @staticmethod
    def from_json(text: str, scope: Graph | Model, *, fingerprint: str | None = None) -> Plan:
        """Read a plan back.

        Parameters
        ----------
        text : str
            What :meth:`to_json` gave.
        scope : Graph or Model
            The same model, or its main scope where no body has a plan of its own.
        fingerprint : str, optional
            The model's; without it the plan is checked against the graph alone.

        Raises
        ------
        PlanError
            If the text is no plan, or one of another model.
        """
        from ovpart.partition.saved import from_json

        return from_json(text, scope, fingerprint=fingerprint)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan to a file, as JSON."""
        Path(path).write_text(self.to_json(), encoding="utf-8")

    @staticmethod
    def load(path: str | os.PathLike[str], model: Model) -> Plan:
        """Read a plan from a file; see :meth:`from_json`."""
        return Plan.from_json(Path(path).read_text(encoding="utf-8"), model, fingerprint=model.fingerprint)

    def _share(self, amount: Callable[[Graph, Node], int], *, either: bool) -> float:
        """Return the delegated share of a quantity of nodes."""
        from ovpart.partition.nested import amounts

        found = amounts(self, amount, either=either)
        total = sum(found.values())
        return sum(here for label, here in found.items() if label.delegated) / total if total else 1.0
