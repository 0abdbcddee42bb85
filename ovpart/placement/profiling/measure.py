"""Measure where the time of a run goes: the plan that runs now, compiled a second time by engines that keep time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ovpart.backend.base import Array, LayerTime, TellsLayers
from ovpart.errors import CompileError, RunError
from ovpart.partition.flops import node_flops
from ovpart.partition.plan import Cluster, Plan
from ovpart.placement.engines import Engines
from ovpart.placement.form import Form
from ovpart.placement.nested import forms_of
from ovpart.placement.profiling.facts import ClusterFact, LayerFact, NodeFact, Path, Profiled
from ovpart.runtime.oversight import Oversight
from ovpart.runtime.pool import CLOSED

if TYPE_CHECKING:
    from ovpart.placement.realise import Realised
    from ovpart.runtime.profile import StepTime

WARM_UP = 2
"""Runs that are not counted: openvino lays out its weights in the first one."""
MOST_SETTLING = 12
"""Runs after which it is decided which way of running a model is the fastest; most are at their end with the first."""


@dataclass(frozen=True, slots=True)
class _Scope:
    """A scope that has run."""

    path: Path
    plan: Plan
    realised: Realised
    times: Mapping[str, StepTime]


def profile_form(form: Form, engines: Engines, model: str, feed: Mapping[str, Array], runs: int) -> Profiled:
    """Profile the plan that a form runs.

    Parameters
    ----------
    form : Form
        What answers ordinary runs; it is run too, so that what is profiled is what has settled.
    engines : Engines
        Of the session.
    model : str
        What to call it.
    feed : mapping of str to array
        Inputs, checked.
    runs : int
        How often it is run, after the warm-up.

    Raises
    ------
    RunError
        If an engine fails on these inputs, or the session is closed.
    CompileError
        If an engine refuses a cluster with its timing on.
    """
    for _ in range(MOST_SETTLING):
        form.run(feed, None)
        form.settle(None)
        if form.steady is not None:
            break
    run_us = _mean_us(form, feed, runs)
    twin = form.twin(_timing(engines))
    try:
        for _ in range(WARM_UP):
            twin.run(feed, None)
        if twin.demotions:
            refused = twin.demotions[0]
            raise CompileError(
                f"{refused.engine} refuses {refused.node!r} while it keeps time, which it took before: {refused.words}",
                node=refused.node,
            )
        before = {scope.path: scope.times for scope in _scopes(twin)}
        for scope in _scopes(twin):
            for executable in _tellers(scope):
                executable.forget_layer_times()
        profiled_us = _mean_us(twin, feed, runs)
        scopes = list(_scopes(twin))
        facts = [_facts(scope, before.get(scope.path, {}), runs) for scope in scopes]
    finally:
        twin.close()
    layers = sorted((layer for _, found in facts for layer in found), key=lambda layer: -layer.us)
    return Profiled(
        model=model,
        device=engines.options.device,
        runs=runs,
        run_us=run_us,
        profiled_us=profiled_us,
        clusters=tuple(cluster for found, _ in facts for cluster in found),
        layers=tuple(layers),
        nodes=tuple(node for scope in scopes for node in _nodes(scope, layers)),
    )


def _timing(engines: Engines) -> Engines:
    """Return engines that keep time; a run that fails is an error, since another plan would be profiled otherwise."""
    options = replace(engines.options, verify="off")
    return replace(engines, options=options, oversight=Oversight(raises_failures=True, timed=True))


def _mean_us(form: Form, feed: Mapping[str, Array], runs: int) -> float:
    begin = time.perf_counter()
    for _ in range(runs):
        form.run(feed, None)
    return (time.perf_counter() - begin) * 1e6 / runs


def _scopes(form: Form, path: Path = ()) -> Iterator[_Scope]:
    """Yield the scopes that have run, outer ones first."""
    realised, schedule = form.realised, form.steady
    if realised is None or schedule is None:
        raise RunError(CLOSED)
    yield _Scope(path, realised.plan, realised, schedule.times())
    for cluster in realised.plan.clusters:
        executables = realised.executables[cluster.id, cluster.label]
        for index, executable in zip(cluster.nodes, executables, strict=False):
            for inner, body in forms_of(realised.plan.graph.nodes[index].key, executable).items():
                if isinstance(body, Form) and body.realised is not None:
                    yield from _scopes(body, (*path, *inner))


def _tellers(scope: _Scope, cluster: Cluster | None = None) -> list[TellsLayers]:
    """Return the executables of a scope, or of one cluster, that time their layers."""
    clusters = scope.plan.clusters if cluster is None else (cluster,)
    parts = (part for one in clusters for part in scope.realised.executables[one.id, one.label])
    return [part for part in parts if isinstance(part, TellsLayers)]


def _facts(scope: _Scope, before: Mapping[str, StepTime], runs: int) -> tuple[list[ClusterFact], list[LayerFact]]:
    """Return what the clusters of a scope took, and their layers."""
    clusters, layers = [], []
    for number, cluster in enumerate(scope.plan.clusters, 1):
        spent, earlier = scope.times[cluster.id], before.get(cluster.id)
        count = spent.count - (earlier.count if earlier else 0)
        if not count:
            continue
        tellers = _tellers(scope, cluster)
        found = [_layer(scope, cluster, layer, runs) for teller in tellers for layer in teller.layer_times()]
        layers += found
        clusters.append(
            ClusterFact(
                path=scope.path,
                id=cluster.id,
                number=number,
                label=cluster.label,
                nodes=len(cluster.nodes),
                calls=count / runs,
                us=(spent.total_us - (earlier.total_us if earlier else 0.0)) / runs,
                layers_us=sum(layer.us for layer in found) if tellers else None,
                mapped_us=sum(layer.us for layer in found if layer.nodes),
            )
        )
    return clusters, _with_absorbed(scope, layers)


def _with_absorbed(scope: _Scope, layers: Sequence[LayerFact]) -> list[LayerFact]:
    """Add to a layer the node that it is all about, where the engine has kept only the names of those after it.

    openvino calls a product with its bias by the bias, onnxruntime a convolution by the function fused to its end. A
    node of no layer, that computes more than those of a layer and that nothing else reads, is computed nowhere else.
    """
    index = {node.key: node.index for node in scope.plan.graph.nodes}
    known = {index[key] for layer in layers for key in layer.nodes if key in index}
    nodes = scope.plan.graph.nodes
    found = []
    for layer in layers:
        here = {index[key] for key in layer.nodes if key in index}
        more = _absorbed(scope.plan, layer.cluster, here, known)
        keys = tuple(nodes[i].key for i in sorted(here | more))
        found.append(replace(layer, nodes=keys) if more else layer)
    return found


def _absorbed(plan: Plan, cluster: str, here: set[int], known: set[int]) -> set[int]:
    """Return the nodes without a layer, from the one that computes most, on the way to those of a layer."""
    graph = plan.graph
    way = set(here)
    heaviest, most = -1, max((node_flops(graph, graph.nodes[i]) for i in here), default=0)
    pending = list(here)
    while pending:
        for name in graph.nodes[pending.pop()].reads:
            maker = graph.producer.get(name, -1)
            if maker < 0 or maker in known or maker in way or plan.places[maker] != cluster:
                continue
            outputs = graph.nodes[maker].outputs
            if all(reader in way for value in outputs for reader in graph.consumers.get(value, ())):
                way.add(maker)
                pending.append(maker)
                flops = node_flops(graph, graph.nodes[maker])
                heaviest, most = (maker, flops) if flops > most else (heaviest, most)
    if heaviest < 0:
        return set()
    behind = {heaviest}
    for i in sorted(way):
        if any(graph.producer.get(name) in behind for name in graph.nodes[i].reads):
            behind.add(i)
    return behind - here


def _layer(scope: _Scope, cluster: Cluster, layer: LayerTime, runs: int) -> LayerFact:
    return LayerFact(scope.path, cluster.id, layer.name, layer.kind, layer.us / runs, layer.nodes)


def _nodes(scope: _Scope, layers: Sequence[LayerFact]) -> Iterator[NodeFact]:
    """Yield the nodes of a scope: a layer's time is that of the node in it that computes most, the others follow it."""
    graph = scope.plan.graph
    index = {node.key: node.index for node in graph.nodes}
    led: dict[str, float] = {}
    leader: dict[str, str] = {}
    for layer in layers:
        here = [key for key in layer.nodes if key in index] if layer.path == scope.path else []
        if here:
            first = max(here, key=lambda key: (node_flops(graph, graph.nodes[index[key]]), -index[key]))
            led[first] = led.get(first, 0.0) + layer.us
            for key in here:
                leader.setdefault(key, first)
    ran = {cluster.id for cluster in scope.plan.clusters if scope.times[cluster.id].count}
    labels = {cluster.id: cluster.label for cluster in scope.plan.clusters}
    for node, place in zip(graph.nodes, scope.plan.places, strict=True):
        if place in ran:
            us = led.get(node.key)
            label = labels[place]
            yield NodeFact(
                path=scope.path,
                key=node.key,
                name=node.label,
                op=node.op_id,
                cluster=place,
                engine=label.engine,
                device=label.device,
                us=us,
                leader="" if us is not None else leader.get(node.key, ""),
            )
