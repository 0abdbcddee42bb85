"""Hold a plan against onnxruntime: each cluster by itself, fed with onnxruntime's own values, and the whole end to end.

A cluster is judged by what it makes of right inputs, so that one wrong cluster does not make those behind it look wrong
too; the outputs are judged as a session gives them, so that errors which add up are seen as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ovpart.backend.base import Array, Executable
from ovpart.backend.cut import port
from ovpart.errors import CompileError, InputError, OptionError, RunError
from ovpart.model.graph import Model
from ovpart.partition.plan import RUNTIME, Cluster
from ovpart.placement.engines import Engines
from ovpart.placement.realise import Realised, compile_cluster
from ovpart.placement.verification.culprit import find_culprit
from ovpart.placement.verification.findings import FAILED, RANDOM, RIGHT, WRONG, Checked, CheckedCluster, Verification
from ovpart.placement.verification.judge import Judge, summon
from ovpart.placement.verification.measure import Difference, difference
from ovpart.placement.verification.oracle import LEVELS, Compute, engines_at, run_named, source_outputs, values_schedule
from ovpart.placement.verification.tolerance import Spread, is_quantised, judged, spread_of
from ovpart.planning import FALLBACK
from ovpart.runtime.schedule import Schedule, bind_schedule

REPEATS = 2
"""How often each input is run: a second run shows state that the first one has left behind."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How a verification is wanted.

    Attributes
    ----------
    tolerance : float or None
        Bound over the range for floats, in place of the one of each dtype.
    repeats : int
        How often each input is run.
    inputs : str
        Where the inputs are from, for the report.
    bisect : bool
        Whether wrong clusters are searched for the node that makes them so.
    """

    tolerance: float | None = None
    repeats: int = REPEATS
    inputs: str = "given"
    bisect: bool = True


def verify_plan(
    model: Model,
    realised: Realised,
    engines: Engines,
    schedule: Schedule,
    feeds: Sequence[Mapping[str, Array]],
    asked: Asked,
) -> Verification:
    """Hold a compiled plan against onnxruntime.

    Parameters
    ----------
    model : Model
        With constants folded.
    realised : Realised
        The plan and its executables.
    engines : Engines
        Of the session.
    schedule : Schedule
        What answers runs with that plan.
    feeds : sequence of mapping
        Inputs; with several, each cluster sees them in turn, so that state of one that shows in another is found.
    asked : Asked
        How.

    Raises
    ------
    CompileError, RunError, InputError
        If onnxruntime cannot compute the model on these inputs.
    OptionError
        If the clusters are compiled already.
    """
    if engines.contexts:
        raise OptionError(
            "compiled clusters cannot be held against onnxruntime, which cannot run them: verify the original"
        )
    judge = summon(model, realised, engines, feeds, tolerance=asked.tolerance)
    clusters = tuple(check_cluster(judge, realised, cluster, asked.repeats) for cluster in realised.plan.clusters)
    outputs, notes = check_outputs(judge, schedule, asked.repeats)
    culprits = [
        find_culprit(judge, cluster, found)
        for cluster, found in zip(realised.plan.clusters, clusters, strict=True)
        # Bodies of control flow that the runtime executes are no model that could be cut.
        if asked.bisect and found.status in (WRONG, FAILED) and cluster.label != RUNTIME
    ]
    return Verification(
        model=realised.plan.model,
        device=realised.plan.device,
        inputs=asked.inputs,
        feeds=len(feeds),
        repeats=asked.repeats,
        clusters=clusters,
        outputs=outputs,
        culprits=tuple(culprits),
        quantised=is_quantised(model.graph),
        notes=notes,
    )


def check_cluster(judge: Judge, realised: Realised, cluster: Cluster, repeats: int = REPEATS) -> CheckedCluster:
    """Feed a cluster with onnxruntime's values and compare what it makes of them."""
    schedule = cluster_schedule(judge.model, cluster, realised.executables[cluster.id, cluster.label])
    try:
        found = _compared(schedule, judge.values, judge.values, repeats)
    except (RunError, InputError) as error:
        return CheckedCluster(cluster.id, cluster.label, len(cluster.nodes), (), FAILED, str(error))
    quantised = is_quantised(judge.model.graph, cluster.nodes)
    spread: Mapping[str, Spread] = {}
    if quantised or not all(judged(found[name], tolerance=judge.tolerance).is_right for name in found):
        spread = _cluster_spread(judge, cluster)
    values = tuple(_checked(judge, name, found[name], spread.get(name)) for name in found)
    statuses = {value.status for value in values}
    status = WRONG if WRONG in statuses else RANDOM if statuses == {RANDOM} else RIGHT
    return CheckedCluster(cluster.id, cluster.label, len(cluster.nodes), values, status)


def check_outputs(
    judge: Judge, schedule: Schedule, repeats: int = REPEATS
) -> tuple[tuple[Checked, ...], tuple[str, ...]]:
    """Run the whole and compare its outputs with those of the user's own file on onnxruntime.

    Returns
    -------
    tuple of Checked
        One an output.
    tuple of str
        What must be said about the comparison.
    """
    names = judge.model.graph.outputs
    notes: list[str] = []
    compute = source_outputs(judge.model, judge.engines)
    wanted: Sequence[Mapping[str, Array]] = judge.values
    if compute is None:
        notes.append("onnxruntime does not take the file as it is: outputs are held against its nodes one by one")
    else:
        wanted = [compute(feed) for feed in judge.feeds]
    found: dict[str, Difference] = {}
    for feed, right in _rounds(judge.feeds, wanted, repeats):
        for name, got in zip(schedule.output_names, schedule.run(feed), strict=True):
            found[name] = _worse(found.get(name), difference(got, right[name]))
    needs_spread = is_quantised(judge.model.graph)
    needs_spread |= not all(judged(d, tolerance=judge.tolerance).is_right for d in found.values())
    spread = _output_spread(judge, wanted) if needs_spread else {}
    return tuple(_checked(judge, name, found[name], spread.get(name)) for name in dict.fromkeys(names)), tuple(notes)


def cluster_schedule(model: Model, cluster: Cluster, parts: Sequence[Executable]) -> Schedule:
    """Return a schedule of one cluster alone: from its boundary inputs to its boundary outputs."""
    made = {end.name for part in parts for end in part.outputs}
    # The untouched model, compiled whole, may ask for inputs that no node reads.
    taken = dict.fromkeys(end.name for part in parts for end in part.inputs if end.name not in made)
    return bind_schedule(
        inputs=[port(name, model.graph.type_of(name)) for name in taken],
        outputs=[name for name in cluster.outputs if name in made],
        steps=[(cluster.id, part) for part in parts],
    )


def _compared(
    schedule: Schedule, given: Sequence[Mapping[str, Array]], wanted: Sequence[Mapping[str, Array]], repeats: int
) -> dict[str, Difference]:
    """Run a schedule on each feed in turn, several times over; return the worst difference of each output."""
    found: dict[str, Difference] = {}
    for values, right in _rounds(given, wanted, repeats):
        feed = {name: values[name] for name in schedule.input_names}
        for name, got in zip(schedule.output_names, schedule.run(feed), strict=True):
            found[name] = _worse(found.get(name), difference(got, right[name]))
    return found


def _rounds(
    given: Sequence[Mapping[str, Array]], wanted: Sequence[Mapping[str, Array]], repeats: int
) -> Iterator[tuple[Mapping[str, Array], Mapping[str, Array]]]:
    for _ in range(repeats):
        yield from zip(given, wanted, strict=True)


def _cluster_spread(judge: Judge, cluster: Cluster) -> dict[str, Spread]:
    """Return what onnxruntime's levels make of a cluster's inputs, against its plainest.

    A level at which onnxruntime refuses or fails says nothing: its rewriting of 8-bit weights for ``"precise"`` makes
    nodes that it cannot run of scales per channel without zero points (onnxruntime 1.31).
    """
    model, nodes = judge.model, cluster.nodes
    if judge.written is not None:
        makers = judge.written.graph.producer
        same = [makers.get(model.graph.nodes[index].key) for index in nodes]
        if None not in same:
            model, nodes = judge.written, tuple(sorted(index for index in same if index is not None))
    plain = replace(cluster, label=FALLBACK, nodes=nodes, parts=())
    seen: dict[str, list[Difference]] = {}
    for level in LEVELS:
        try:
            parts = compile_cluster(model, plain, engines_at(judge.engines, level))
            found = _compared(cluster_schedule(model, plain, parts), judge.values, judge.values, 1)
        except (CompileError, RunError):
            continue
        for name, value in found.items():
            seen.setdefault(name, []).append(value)
    return {name: spread_of(values) for name, values in seen.items()}


def _output_spread(judge: Judge, wanted: Sequence[Mapping[str, Array]]) -> dict[str, Spread]:
    """Return how far the outputs of the whole model at onnxruntime's other levels are from its plainest.

    A level that fails says nothing, as above.
    """
    seen: dict[str, list[Difference]] = {}
    for level in LEVELS:
        compute = _at_level(judge, level)
        if compute is None:
            continue
        try:
            answers = [compute(feed) for feed in judge.feeds]
        except RunError:
            continue
        for found, right in zip(answers, wanted, strict=True):
            for name, value in found.items():
                seen.setdefault(name, []).append(difference(value, right[name]))
    return {name: spread_of(values) for name, values in seen.items()}


def _at_level(judge: Judge, level: str) -> Compute | None:
    compute = source_outputs(judge.model, judge.engines, level=level)
    if compute is not None:
        return compute
    try:
        schedule = values_schedule(judge.model, judge.engines, judge.model.graph.outputs, level=level)
    except CompileError:
        return None
    return lambda feed: run_named(schedule, feed)


def _checked(judge: Judge, name: str, found: Difference, spread: Spread | None) -> Checked:
    judgement = judged(found, tolerance=judge.tolerance, spread=spread)
    status = RANDOM if name in judge.random else RIGHT if judgement.is_right else WRONG
    return Checked(name, found, judgement, spread, status)


def _worse(before: Difference | None, now: Difference) -> Difference:
    if before is None:
        return now
    return max(before, now, key=lambda d: (bool(d.problem), d.relative, d.max_error))
