"""Turn a plan into a schedule: cut, compile, and repair the plan where an engine refuses a cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ovpart.backend.base import Executable
from ovpart.backend.cut import port
from ovpart.capability.demotion import Demotion
from ovpart.errors import CompileError, OvpartError
from ovpart.model.graph import Model
from ovpart.partition.plan import RUNTIME, Cluster, Label, Plan
from ovpart.placement.bisect import first_failing_prefix
from ovpart.placement.cutting import cut_of
from ovpart.placement.engines import Engines
from ovpart.placement.fallback import refuse_fallback
from ovpart.placement.nested import MakeForm, Path, ScopeState, control_flow, inside_of, nested_plans_of
from ovpart.placement.suspects import demote_died, demote_hung, demotions_of, wants_trial
from ovpart.placement.trial.trials import NOT_STARTED, TrialDied, TrialExecutable, TrialRefused
from ovpart.planning import FALLBACK, LAST_RESORT
from ovpart.runtime.control_flow import ControlFlow
from ovpart.runtime.oversight import Oversight, Trace, TracedExecutable
from ovpart.runtime.schedule import OnFailure, Schedule, bind_schedule

_log = logging.getLogger("ovpart")

SINGLE_DEMOTIONS = 8
"""After so many single nodes were demoted for one plan, what is refused next is demoted as a whole cluster."""

Compiled = Mapping[tuple[str, Label], tuple[Executable, ...]]
"""The parts of each cluster, compiled. A cluster's id is a hash of its content alone: the label belongs to the key."""
Replan = Callable[[Sequence[Demotion]], Plan]
"""Makes the plan anew with what trials have taught."""
Progress = Callable[[int, int, Cluster], None]
"""Told before each compile: how many clusters are done, of how many, and which one comes."""


@dataclass(frozen=True, slots=True)
class Realised:
    """A plan with its executables.

    Attributes
    ----------
    model : Model
        With constants folded.
    plan : Plan
        The plan that runs: repaired where an engine refused a cluster of the first one.
    executables : mapping
        What runs each cluster; kept so that a repaired plan compiles only what changed.
    demotions : tuple of Demotion
        What was learnt on the way, the demotions handed in included.
    """

    model: Model
    plan: Plan
    executables: Compiled
    demotions: tuple[Demotion, ...]

    @property
    def on_trial(self) -> bool:
        """Whether some cluster runs in the process for trials."""
        return any(isinstance(part, TrialExecutable) for parts in self.executables.values() for part in parts)

    def reusable(self) -> Compiled:
        """Return the executables that a new plan may use again: all but those that have stood their trial."""
        passed = self.stood_trial()
        return {key: parts for key, parts in self.executables.items() if key not in passed}

    def stood_trial(self) -> set[tuple[str, Label]]:
        """Return the clusters, by id and label, that were on trial and of which every part has run."""
        return {
            key
            for key, parts in self.executables.items()
            if parts and all(isinstance(part, TrialExecutable) and part.has_run for part in parts)
        }


def realise(
    model: Model,
    plan: Plan,
    engines: Engines,
    replan: Replan,
    *,
    demotions: Sequence[Demotion] = (),
    known: Compiled | None = None,
    progress: Progress | None = None,
    make_form: MakeForm | None = None,
) -> Realised:
    """Compile every cluster of a plan, demoting what an engine refuses.

    Parameters
    ----------
    model : Model
        With constants folded.
    plan : Plan
        Of that model.
    engines : Engines
        What compiles.
    replan : callable
        Called with all demotions so far when a cluster was refused.
    demotions : sequence of Demotion
        What is known already.
    known : mapping
        Executables compiled for an earlier plan of the same model.
    progress : callable, optional
        Told before each compile.
    make_form : callable, optional
        Makes the form of a body; only a plan without bodies of their own can do without it.

    Raises
    ------
    CompileError
        Under ``strict``, or if no engine takes a node, the last resort included.
    """
    learnt = list(demotions)
    executables = {**(known or {})}
    while True:
        refuse_fallback(plan, engines.options)
        refused = _compile_missing(model, plan, engines, make_form, executables, progress)
        if refused is None:
            used = {_key(cluster): executables[_key(cluster)] for cluster in plan.clusters}
            return Realised(model, plan, used, tuple(learnt))
        cluster, error = refused
        compiled_before = any(model.graph.nodes[index].key in engines.contexts for index in cluster.nodes)
        if engines.options.strict or cluster.label == LAST_RESORT or compiled_before:
            raise error
        fresh = _demote(model, plan, cluster, error, engines, len(learnt) - len(demotions))
        known_already = {(d.node, d.engine, d.device) for d in learnt}
        if all((d.node, d.engine, d.device) in known_already for d in fresh):
            raise error  # planning has no other place for these nodes: it would be asked for ever
        for demotion in fresh[:1]:
            _log.warning("%s refused %s: %s", demotion.engine, demotion.node, demotion.words.strip()[:200])
        learnt.extend(fresh)
        plan = replan(learnt)


def realise_alone(model: Model, plan: Plan, engines: Engines) -> Realised:
    """Compile a plan of one cluster, without repair.

    Raises
    ------
    CompileError
        If the engine refuses it.
    """
    (cluster,) = plan.clusters
    return Realised(model, plan, {_key(cluster): compile_cluster(model, cluster, engines, alone=True)}, ())


def _key(cluster: Cluster) -> tuple[str, Label]:
    return cluster.id, cluster.label


def _compile_missing(
    model: Model,
    plan: Plan,
    engines: Engines,
    make_form: MakeForm | None,
    executables: dict[tuple[str, Label], tuple[Executable, ...]],
    progress: Progress | None,
) -> tuple[Cluster, CompileError] | None:
    for done, cluster in enumerate(plan.clusters):
        if _key(cluster) in executables:
            continue
        if progress is not None:
            progress(done, len(plan.clusters), cluster)
        try:
            if cluster.label == RUNTIME and make_form is not None:
                executables[_key(cluster)] = _control_flow(model, plan, cluster, engines, make_form)
            elif wants_trial(plan, cluster, engines):
                parts = cluster.parts or (cluster.nodes,)
                executables[_key(cluster)] = tuple(engines.try_out(cut_of(model, p), cluster.label) for p in parts)
            else:
                executables[_key(cluster)] = compile_cluster(model, cluster, engines, alone=len(plan.clusters) == 1)
        except CompileError as error:
            return cluster, error
    return None


def _control_flow(
    model: Model, plan: Plan, cluster: Cluster, engines: Engines, make_form: MakeForm
) -> tuple[Executable, ...]:
    """Return an executable for each node of a cluster that the runtime runs."""
    must_tell = engines.options.strict or engines.options.disable_fallback
    lazy = False if must_tell else engines.options.lazy
    nodes = [model.graph.nodes[index] for index in cluster.nodes]
    return tuple(control_flow(model, node, plan.bodies[node.key], make_form, lazy=lazy) for node in nodes)


def with_current_bodies(plan: Plan, realised: Realised) -> Plan:
    """Return a plan with the plans of bodies as they run now: trials may have mended them."""
    bodies = dict(plan.bodies)
    for cluster in plan.clusters:
        if cluster.label == RUNTIME:
            # Another thread may just have put another plan in the place of this one: then its own bodies stand.
            for index, executable in zip(cluster.nodes, realised.executables.get(_key(cluster), ()), strict=False):
                bodies[plan.graph.nodes[index].key] = nested_plans_of(executable)
    return replace(plan, bodies=bodies) if bodies else plan


def inside_of_plan(realised: Realised) -> dict[Path, ScopeState]:
    """Return what the runs so far showed of bodies with plans of their own, by path; the main scope's is empty."""
    found: dict[Path, ScopeState] = {}
    for cluster in realised.plan.clusters:
        if cluster.label != RUNTIME:
            continue
        for index, executable in zip(cluster.nodes, realised.executables[_key(cluster)], strict=True):
            more = inside_of(realised.plan.graph.nodes[index].key, executable)
            most = max(found.get((), ScopeState(0)).runs, more[()].runs)
            found.update({**more, (): ScopeState(most)})
    return found


def close_bodies(realised: Realised) -> None:
    """Let go of what bodies have compiled."""
    for executables in realised.executables.values():
        for executable in executables:
            if isinstance(executable, ControlFlow):
                executable.close()


def without_engines(realised: Realised) -> Realised:
    """Return what is left of a plan when its executables are let go of: what its bodies have counted."""
    bodies = {key: parts for key, parts in realised.executables.items() if key[1] == RUNTIME}
    return replace(realised, executables=bodies)


def compile_cluster(model: Model, cluster: Cluster, engines: Engines, *, alone: bool = False) -> tuple[Executable, ...]:
    """Compile the parts of one cluster.

    Parameters
    ----------
    alone : bool
        Whether the cluster is all that there is to run: onnxruntime then gets the untouched model where it can, and
        its threads may spin.

    Raises
    ------
    CompileError
        If the engine refuses a part.
    """
    makes_all = set(model.graph.outputs) <= set(cluster.outputs)
    untouched = model.is_untouched and not cluster.parts and not engines.oversight.timed
    if alone and makes_all and cluster.label == FALLBACK and untouched:
        return (engines.compile_whole(model, cluster.label),)
    if model.graph.nodes[cluster.nodes[0]].key in engines.contexts:
        keys = [model.graph.nodes[index].key for index in cluster.nodes]
        cuts = [cut_of(model, (index,)) for index in cluster.nodes]
        return tuple(engines.load(key, cut, cluster.label) for key, cut in zip(keys, cuts, strict=True))
    parts = cluster.parts or (cluster.nodes,)
    return tuple(engines.compile(cut_of(model, part), cluster.label, alone=alone) for part in parts)


def traced(executable: Executable, cluster: Cluster, trace: Trace | None) -> Executable:
    """Return an executable whose runs are noted, itself where there is nothing to note them in."""
    if trace is None:
        return executable
    label = cluster.label
    told = {"cluster": cluster.id, "engine": label.engine, "device": label.device, "nodes": len(cluster.nodes)}
    return TracedExecutable(executable, f"{label.engine} {label.device}", told, trace)


def bind(realised: Realised, on_failure: OnFailure | None = None, oversight: Oversight | None = None) -> Schedule:
    """Stitch the executables of a plan together.

    Parameters
    ----------
    realised : Realised
        A plan with all its executables.
    on_failure : callable, optional
        See :func:`ovpart.runtime.schedule.bind_schedule`.
    oversight : Oversight, optional
        Where each run of each cluster is noted, and whether it is timed.
    """
    trace, timed = (None, False) if oversight is None else (oversight.trace, oversight.timed)
    model, plan = realised.model, realised.plan
    graph = model.graph
    made = {name for cluster in plan.clusters for name in cluster.outputs}
    handed_through = made.union(graph.inputs)
    return bind_schedule(
        inputs=[port(name, graph.type_of(name)) for name in graph.inputs],
        outputs=graph.outputs,
        steps=[(c.id, traced(e, c, trace)) for c in plan.clusters for e in realised.executables[_key(c)]],
        constants={name: model.weights.array(name) for name in graph.outputs if name not in handed_through},
        on_failure=on_failure,
        timed=timed,
    )


def _demote(
    model: Model, plan: Plan, cluster: Cluster, error: CompileError, engines: Engines, already: int
) -> list[Demotion]:
    """Return the demotions that a refused cluster teaches: the guilty node, or all nodes after too many of those."""
    if isinstance(error, TrialRefused) and (error.hung or error.stage == NOT_STARTED):
        return demote_hung(model, plan, cluster, error)
    nodes = model.graph.nodes
    on_trial = wants_trial(plan, cluster, engines)
    by_key = {nodes[index].key: index for index in cluster.nodes}
    if already >= SINGLE_DEMOTIONS:
        guilty = list(cluster.nodes)
    elif error.node in by_key:
        guilty = [by_key[error.node]]
    elif len(cluster.nodes) == 1:
        guilty = list(cluster.nodes)
    else:
        guilty = [
            first_failing_prefix(
                cluster.nodes, lambda prefix: _refuses(model, prefix, cluster.label, engines, on_trial)
            )
        ]
    return demotions_of(model, cluster.label, guilty, error.stage, str(error))


def _refuses(model: Model, nodes: Sequence[int], label: Label, engines: Engines, on_trial: bool) -> bool:
    try:
        (engines.try_out if on_trial else engines.compile)(cut_of(model, nodes), label)
    except CompileError:
        return True
    return False


def demote_failed(
    realised: Realised, cluster: Cluster, error: OvpartError, engines: Engines, known: int
) -> list[Demotion]:
    """Return the demotions that a cluster teaches which failed while running; `known` of those before are old ones.

    Which node failed is not known from a run in this process, so that all are demoted; a run on trial that took its
    process down can be had again, and the node be searched for.
    """
    model = realised.model
    if isinstance(error, TrialDied) and len(realised.demotions) - known < SINGLE_DEMOTIONS:
        position = list(realised.executables[_key(cluster)]).index(error.executable)
        nodes = (cluster.parts or (cluster.nodes,))[position]
        return demote_died(model, realised.plan, cluster, nodes, error, engines)
    return demotions_of(model, cluster.label, cluster.nodes, "run", str(error))
