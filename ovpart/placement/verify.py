"""Hold a plan against onnxruntime: each cluster by itself, fed with onnxruntime's own values, and the whole end to end.

A cluster is judged by what it makes of right inputs, so that one wrong cluster does not make those behind it look wrong
too; the outputs are judged as a session gives them, so that errors which add up are seen as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ovpart.backend.base import Array, Executable
from ovpart.backend.cut import port
from ovpart.errors import CompileError, InputError, RunError
from ovpart.model.graph import Model
from ovpart.partition.plan import Cluster
from ovpart.placement.engines import Engines
from ovpart.placement.measure import Difference, difference
from ovpart.placement.oracle import LEVELS, Compute, engines_at, source_outputs, values_schedule
from ovpart.placement.realise import Realised, compile_cluster
from ovpart.placement.tolerance import Spread, is_quantised, judge, spread_of
from ovpart.placement.verification import FAILED, RANDOM, RIGHT, WRONG, Checked, CheckedCluster, Verification
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


@dataclass(frozen=True, slots=True)
class Judge:
    """What a plan is held against.

    Attributes
    ----------
    model : Model
        With constants folded.
    engines : Engines
        Of the session.
    feeds : tuple of mapping
        The inputs.
    values : tuple of mapping
        For each feed, onnxruntime's value of every boundary and output; the feed itself too.
    random : frozenset of str
        Values that onnxruntime gives differently each time, and what depends on them.
    tolerance : float or None
        Bound of the user's own.
    """

    model: Model
    engines: Engines
    feeds: tuple[Mapping[str, Array], ...]
    values: tuple[Mapping[str, Array], ...]
    random: frozenset[str] = frozenset()
    tolerance: float | None = None


def summon(
    model: Model,
    realised: Realised,
    engines: Engines,
    feeds: Sequence[Mapping[str, Array]],
    *,
    tolerance: float | None = None,
) -> Judge:
    """Compute every boundary value and output of a plan on onnxruntime alone.

    Raises
    ------
    CompileError, RunError, InputError
        If onnxruntime cannot compute the model on these inputs: then there is nothing to hold a plan against.
    """
    names = [name for cluster in realised.plan.clusters for name in (*cluster.inputs, *cluster.outputs)]
    names += model.graph.outputs
    schedule = values_schedule(model, engines, names)
    try:
        values = [{**feed, **_run(schedule, feed)} for feed in feeds]
        again = _run(schedule, feeds[0])
    finally:
        schedule.close()
    # Rounding does not depend on the day, but a random operator's answer does.
    random = {name for name, value in again.items() if not _agrees(value, values[0][name], tolerance)}
    return Judge(model, engines, tuple(feeds), tuple(values), frozenset(random), tolerance)


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
    """
    judge_ = summon(model, realised, engines, feeds, tolerance=asked.tolerance)
    clusters = tuple(check_cluster(judge_, realised, cluster, asked.repeats) for cluster in realised.plan.clusters)
    outputs, notes = check_outputs(judge_, schedule, asked.repeats)
    return Verification(
        model=realised.plan.model,
        device=realised.plan.device,
        inputs=asked.inputs,
        feeds=len(feeds),
        repeats=asked.repeats,
        clusters=clusters,
        outputs=outputs,
        quantised=is_quantised(model.graph),
        notes=notes,
    )


def check_cluster(judge_: Judge, realised: Realised, cluster: Cluster, repeats: int = REPEATS) -> CheckedCluster:
    """Feed a cluster with onnxruntime's values and compare what it makes of them."""
    schedule = cluster_schedule(judge_.model, cluster, realised.executables[cluster.id, cluster.label])
    try:
        found = _compared(schedule, judge_.values, judge_.values, repeats)
    except (RunError, InputError) as error:
        return CheckedCluster(cluster.id, cluster.label, len(cluster.nodes), (), FAILED, str(error))
    quantised = is_quantised(judge_.model.graph, cluster.nodes)
    spread: Mapping[str, Spread] = {}
    if quantised or not all(judge(found[name], tolerance=judge_.tolerance).is_right for name in found):
        spread = _cluster_spread(judge_, cluster)
    values = tuple(_checked(judge_, name, found[name], spread.get(name)) for name in found)
    statuses = {value.status for value in values}
    status = WRONG if WRONG in statuses else RANDOM if statuses == {RANDOM} else RIGHT
    return CheckedCluster(cluster.id, cluster.label, len(cluster.nodes), values, status)


def check_outputs(
    judge_: Judge, schedule: Schedule, repeats: int = REPEATS
) -> tuple[tuple[Checked, ...], tuple[str, ...]]:
    """Run the whole and compare its outputs with those of the user's own file on onnxruntime.

    Returns
    -------
    tuple of Checked
        One an output.
    tuple of str
        What must be said about the comparison.
    """
    names = judge_.model.graph.outputs
    notes: list[str] = []
    compute = source_outputs(judge_.model, judge_.engines)
    wanted: Sequence[Mapping[str, Array]] = judge_.values
    if compute is None:
        notes.append("onnxruntime does not take the file as it is: outputs are held against its nodes one by one")
    else:
        wanted = [compute(feed) for feed in judge_.feeds]
    found: dict[str, Difference] = {}
    for feed, right in _rounds(judge_.feeds, wanted, repeats):
        for name, got in zip(schedule.output_names, schedule.run(feed), strict=True):
            found[name] = _worse(found.get(name), difference(got, right[name]))
    needs_spread = is_quantised(judge_.model.graph)
    needs_spread |= not all(judge(d, tolerance=judge_.tolerance).is_right for d in found.values())
    spread = _output_spread(judge_, wanted) if needs_spread else {}
    return tuple(_checked(judge_, name, found[name], spread.get(name)) for name in dict.fromkeys(names)), tuple(notes)


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


def _cluster_spread(judge_: Judge, cluster: Cluster) -> dict[str, Spread]:
    """Return what onnxruntime's levels make of a cluster's inputs, against its plainest."""
    model = judge_.model
    plain = replace(cluster, label=FALLBACK, parts=())
    seen: dict[str, list[Difference]] = {}
    for level in LEVELS:
        try:
            parts = compile_cluster(model, plain, engines_at(judge_.engines, level))
        except CompileError:
            continue
        found = _compared(cluster_schedule(model, plain, parts), judge_.values, judge_.values, 1)
        for name, value in found.items():
            seen.setdefault(name, []).append(value)
    return {name: spread_of(values) for name, values in seen.items()}


def _output_spread(judge_: Judge, wanted: Sequence[Mapping[str, Array]]) -> dict[str, Spread]:
    """Return how far the outputs of the whole model at onnxruntime's other levels are from its plainest."""
    seen: dict[str, list[Difference]] = {}
    for level in LEVELS:
        compute = _at_level(judge_, level)
        if compute is None:
            continue
        for feed, right in zip(judge_.feeds, wanted, strict=True):
            for name, value in compute(feed).items():
                seen.setdefault(name, []).append(difference(value, right[name]))
    return {name: spread_of(values) for name, values in seen.items()}


def _at_level(judge_: Judge, level: str) -> Compute | None:
    compute = source_outputs(judge_.model, judge_.engines, level=level)
    if compute is not None:
        return compute
    try:
        schedule = values_schedule(judge_.model, judge_.engines, judge_.model.graph.outputs, level=level)
    except CompileError:
        return None
    return lambda feed: _run(schedule, feed)


def _checked(judge_: Judge, name: str, found: Difference, spread: Spread | None) -> Checked:
    judgement = judge(found, tolerance=judge_.tolerance, spread=spread)
    status = RANDOM if name in judge_.random else RIGHT if judgement.is_right else WRONG
    return Checked(name, found, judgement, spread, status)


def _run(schedule: Schedule, feed: Mapping[str, Array]) -> dict[str, Array]:
    return dict(zip(schedule.output_names, schedule.run(feed), strict=True))


def _agrees(left: Array, right: Array, tolerance: float | None) -> bool:
    return judge(difference(left, right), tolerance=tolerance).is_right


def _worse(before: Difference | None, now: Difference) -> Difference:
    if before is None:
        return now
    return max(before, now, key=lambda d: (bool(d.problem), d.relative, d.max_error))
