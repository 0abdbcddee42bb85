"""What a profile shows, as frozen data. Times are microseconds per run of the model, means over the runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ovpart.partition.plan import RUNTIME, Label

Path = tuple[str, ...]
"""Of a scope: key of a node and name of its body, in turn; empty for the main scope."""


@dataclass(frozen=True, slots=True)
class LayerFact:
    """A layer of an engine.

    Attributes
    ----------
    path, cluster : tuple of str, str
        The scope, and the cluster in it.
    name, kind : str
        As the engine calls it, and what it computes with.
    us : float
        Microseconds.
    nodes : tuple of str
        Keys of the nodes that are computed in it; empty where none can be named.
    """

    path: Path
    cluster: str
    name: str
    kind: str
    us: float
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClusterFact:
    """A cluster.

    Attributes
    ----------
    path, id : tuple of str, str
        The scope, and the cluster's id.
    number : int
        Its position in the running order of its scope, from 1.
    label : Label
        Engine and device.
    nodes : int
        How many nodes it has.
    calls : float
        How often it is called per run of the model.
    us : float
        Microseconds, from the engine being called to its answer.
    layers_us : float or None
        Microseconds of its layers; ``None`` where the engine does not tell.
    mapped_us : float
        Microseconds of those layers whose nodes are known.
    """

    path: Path
    id: str
    number: int
    label: Label
    nodes: int
    calls: float
    us: float
    layers_us: float | None
    mapped_us: float

    @property
    def computes(self) -> bool:
        """Whether it computes itself: control flow that the runtime runs is the clusters of its bodies."""
        return self.label != RUNTIME


@dataclass(frozen=True, slots=True)
class NodeFact:
    """A node.

    Attributes
    ----------
    path, key, name, op : tuple of str, str
        The scope, its key, what it is called, and its operator.
    cluster : str
        The id of its cluster.
    engine, device : str
        Where it runs.
    us : float or None
        Microseconds of the layers that it leads; ``None`` where it leads none.
    leader : str
        Key of the node in whose layer it is computed, where it leads none itself.
    """

    path: Path
    key: str
    name: str
    op: str
    cluster: str
    engine: str
    device: str
    us: float | None
    leader: str = ""


@dataclass(frozen=True, slots=True)
class Profiled:
    """Where the time of a run goes. ``print(profiled)`` shows it.

    Attributes
    ----------
    model, device : str
        What was profiled, and the device asked for.
    runs : int
        How many runs the means are over.
    run_us : float
        Microseconds of an ordinary run, which times nothing.
    profiled_us : float
        Microseconds of a run that is profiled.
    clusters : tuple of ClusterFact
        Clusters that ran, those of bodies too.
    layers : tuple of LayerFact
        Layers of engines, the slowest first.
    nodes : tuple of NodeFact
        Nodes of clusters that ran, in topological order, scope by scope.
    """

    model: str
    device: str
    runs: int
    run_us: float
    profiled_us: float
    clusters: tuple[ClusterFact, ...]
    layers: tuple[LayerFact, ...]
    nodes: tuple[NodeFact, ...]

    @property
    def computing_us(self) -> float:
        """Microseconds within clusters; what a run takes beyond that is handing over."""
        return sum(cluster.us for cluster in self.clusters if cluster.computes)

    @property
    def mapped(self) -> float:
        """Share, 0 to 1, of the time within clusters that could be mapped to nodes."""
        total = self.computing_us
        return min(1.0, sum(cluster.mapped_us for cluster in self.clusters) / total) if total else 1.0

    @property
    def told(self) -> float:
        """Share, 0 to 1, of the time within clusters that engines tell of at all, layer by layer."""
        total = self.computing_us
        return min(1.0, sum(cluster.layers_us or 0.0 for cluster in self.clusters) / total) if total else 1.0

    def by_operator(self) -> Mapping[str, tuple[int, float]]:
        """Return operator → how many nodes lead a layer, and their microseconds; the slowest first."""
        sums: dict[str, tuple[int, float]] = {}
        for node in self.nodes:
            if node.us is not None:
                count, us = sums.get(node.op, (0, 0.0))
                sums[node.op] = count + 1, us + node.us
        return dict(sorted(sums.items(), key=lambda item: (-item[1][1], item[0])))

    def to_json(self) -> str:
        """Return it as JSON."""
        from ovpart.placement.profiling.text import to_json

        return to_json(self)

    def __str__(self) -> str:
        from ovpart.placement.profiling.text import render

        return render(self)
