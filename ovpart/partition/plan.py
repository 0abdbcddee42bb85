"""The plan: which cluster every node of the main scope is in, what crosses between clusters, in which order they run."""

from __future__ import annotations

from dataclasses import dataclass

from ovpart.capability.verdict import Verdict
from ovpart.model.graph import Graph

CONSTANT = "constant"
"""Place of a node that is computed once, not at each run; it belongs to no cluster."""
DEAD = "dead"
"""Place of a node that no output depends on."""


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
        Consecutive parts where one compile would be too long; empty means one part, all of `nodes`.
    """

    id: str
    label: Label
    nodes: tuple[int, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parts: tuple[tuple[int, ...], ...] = ()


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
    """

    graph: Graph
    device: str
    clusters: tuple[Cluster, ...]
    verdicts: tuple[Verdict, ...]
    places: tuple[str, ...]
    lower_bound: int
