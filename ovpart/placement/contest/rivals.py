"""Who runs against a plan that rests on predictions: the whole model on onnxruntime, and all that may be delegated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ovpart.capability.demotion import Demotion
from ovpart.capability.evidence import DELEGATED, ONNXRUNTIME
from ovpart.capability.table import Table
from ovpart.model.graph import Model
from ovpart.partition.costs import CostTable
from ovpart.partition.nested import saving_us
from ovpart.partition.overruling import not_worth
from ovpart.partition.plan import RUNTIME, Plan
from ovpart.placement.engines import Engines
from ovpart.placement.suspects import wants_trial
from ovpart.placement.verification.tolerance import is_quantised
from ovpart.planning import FALLBACK, LAST_RESORT, all_delegated, held_back, is_said

MAX_WEIGHT_BYTES = 512 << 20
"""Larger models are not measured: while a race lasts, each contestant holds the weights in a layout of its own."""
MOST_CLUSTERS = 16
"""A way with more clusters is not tried: each costs a compile and, at every run, its boundary."""
LEAST_US = 100.0
"""Runs of onnxruntime shorter than this are not raced against openvino, whose call alone takes about a fifth of it
more, and compiles for a thousand times as long."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way of running a model, not compiled.

    Attributes
    ----------
    name : str
        :data:`ovpart.capability.evidence.ONNXRUNTIME` or :data:`ovpart.capability.evidence.DELEGATED`.
    plan : Plan
        What it runs.
    compared : bool
        Whether its answers must be those of the plan that it runs against.
    """

    name: str
    plan: Plan
    compared: bool = True


def is_told(plan: Plan, engines: Engines) -> bool:
    """Whether the user has said what to do, or nothing else can be done: then nothing is measured."""
    return bool(
        is_said(engines.options)
        or engines.contexts
        or engines.absent
        or any(cluster.label == LAST_RESORT for cluster in plan.clusters)  # no rival does without it
    )


def ways_beside(
    model: Model, plan: Plan, engines: Engines, table: Table, demotions: Sequence[Demotion], *, guarded: bool, us: float
) -> list[Way]:
    """Return the ways that are worth a compile beside a plan; all of them are right by the table's word.

    Parameters
    ----------
    model : Model
        With constants folded.
    plan : Plan
        The plan that rests on predictions.
    engines : Engines
        What compiles.
    table : Table
        The support table.
    demotions : sequence of Demotion
        What trials have taught.
    guarded : bool
        Whether guarded nodes may be delegated.
    us : float
        What a run of the plan takes, in µs.
    """
    weights = model.weights
    if sum(weights.nbytes(name) for name in weights) > MAX_WEIGHT_BYTES:
        return []
    ways = []
    if plan.delegates:
        # A rounding that falls the other way is a whole step: what onnxruntime makes of a quantised model is no further
        # from right than what the plan makes of it.
        compared = not is_quantised(model.graph)
        ways.append(Way(ONNXRUNTIME, held_back(model, plan, not_worth("", source="measured")), compared))
    if us >= LEAST_US or plan.delegates:
        everything = all_delegated(model, engines.options, table, demotions=demotions, guarded=guarded)
        if is_promising(everything, plan, engines, us):
            ways.append(Way(DELEGATED, everything))
    return ways


def is_promising(everything: Plan, plan: Plan, engines: Engines, us: float) -> bool:
    """Whether a plan that delegates all it may is another one, can be tried here, and is not predicted to be hopeless.

    Hopeless is what is predicted to lose more than a run takes: it would double it.
    """
    mine = {(cluster.id, cluster.label) for cluster in plan.clusters}
    theirs = {(cluster.id, cluster.label) for cluster in everything.clusters}
    if mine == theirs or not everything.delegates or len(everything.clusters) > MOST_CLUSTERS:
        return False
    if any(wants_trial(everything, cluster, engines) for cluster in everything.clusters):
        return False
    if any(cluster.label == RUNTIME for cluster in everything.clusters):
        return False  # bodies in loops have been judged by figures of their own
    return saving_us(everything, FALLBACK.engine, CostTable()) > -us
