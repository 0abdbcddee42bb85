"""The judge of a plan: onnxruntime's own values, at every boundary and, where they are asked for, inside clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ovpart.backend.base import Array
from ovpart.backend.cut import make_cut
from ovpart.errors import CompileError
from ovpart.model.graph import Model
from ovpart.model.read import read_model
from ovpart.partition.plan import Cluster
from ovpart.placement.engines import Engines
from ovpart.placement.realise import Realised
from ovpart.placement.verification.measure import difference
from ovpart.placement.verification.oracle import PLAINEST, engines_at, run_executable, run_named, values_schedule
from ovpart.placement.verification.tolerance import is_quantised, judged
from ovpart.planning import FALLBACK


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
    written : Model or None
        A quantised model as it stands in the file, constants not folded: only there can onnxruntime's levels do what
        they would, since they fuse products with the DequantizeLinear of their weights.
    """

    model: Model
    engines: Engines
    feeds: tuple[Mapping[str, Array], ...]
    values: tuple[Mapping[str, Array], ...]
    random: frozenset[str] = frozenset()
    tolerance: float | None = None
    written: Model | None = None


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
        values = [{**feed, **run_named(schedule, feed)} for feed in feeds]
        again = run_named(schedule, feeds[0])
    finally:
        schedule.close()
    # Rounding does not depend on the day, but a random operator's answer does.
    random = {name for name, value in again.items() if not _agrees(value, values[0][name], tolerance)}
    return Judge(model, engines, tuple(feeds), tuple(values), frozenset(random), tolerance, as_written(model))


def values_inside(judge: Judge, cluster: Cluster, names: Sequence[str]) -> tuple[Mapping[str, Array], ...]:
    """Return values that a cluster reads or makes, those in its middle too, as onnxruntime has them.

    They are computed from onnxruntime's values at the cluster's boundary.

    Returns
    -------
    tuple of mapping
        One a feed.
    """
    missing = [name for name in names if name not in judge.values[0]]
    if not missing:
        return judge.values
    plain = engines_at(judge.engines, PLAINEST)
    try:
        executable = plain.compile(make_cut(judge.model, cluster.nodes, cluster.inputs, missing), FALLBACK)
    except CompileError:  # a node that only onnx.reference computes
        schedule = values_schedule(judge.model, judge.engines, missing)
        found = [run_named(schedule, feed) for feed in judge.feeds]
        return tuple({**values, **more} for values, more in zip(judge.values, found, strict=True))
    return tuple({**values, **run_executable(executable, values)} for values in judge.values)


def _agrees(left: Array, right: Array, tolerance: float | None) -> bool:
    return judged(difference(left, right), tolerance=tolerance).is_right


def as_written(model: Model) -> Model | None:
    """Return a quantised model as it stands in the file, ``None`` where the file says something else or it is none."""
    if not is_quantised(model.graph) or model.inlined or model.edited or model.sized or model.general:
        return None
    return read_model(model.source)
