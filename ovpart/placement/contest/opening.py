"""Opens a contest for the place of a plan: who runs in it, and how they are compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from ovpart.backend.base import Array
from ovpart.capability.evidence import ONNXRUNTIME
from ovpart.capability.table import Table
from ovpart.errors import OvpartError
from ovpart.model.graph import Model
from ovpart.partition.plan import Plan
from ovpart.placement.contest.contest import Contest, Entry
from ovpart.placement.contest.race import Outcome
from ovpart.placement.contest.rivals import Way, is_told, ways_beside
from ovpart.placement.engines import Engines
from ovpart.placement.nested import MakeForm
from ovpart.placement.realise import Realised, bind, realise, realise_alone
from ovpart.planning import all_delegated
from ovpart.runtime.guards import merge
from ovpart.runtime.schedule import Schedule

AnswerFailure = Callable[[Realised, str, OvpartError, Mapping[str, Array]], Sequence[Array]]
"""Answers a run in which a cluster of a rival failed; see :data:`ovpart.runtime.schedule.OnFailure`."""
Decided = Callable[[Plan, Outcome], None]
"""Told the plan that rested on predictions, and what was measured of it and its rivals."""


def open_contest(
    model: Model,
    realised: Realised,
    planned: Schedule,
    engines: Engines,
    table: Table,
    guarded: bool,
    make_form: MakeForm,
    answer_failure: AnswerFailure,
) -> Contest | None:
    """Return what measures a plan that rests on predictions alone.

    Parameters
    ----------
    model : Model
        With constants folded.
    realised : Realised
        The plan with its executables.
    planned : Schedule
        What runs it.
    engines, table
        What compiles, and what says which way is right.
    guarded : bool
        Whether guarded nodes may be delegated.
    make_form : callable
        Makes the form of a body.
    answer_failure : callable
        See :data:`AnswerFailure`.

    Returns
    -------
    Contest or None
        ``None`` where the user has said what to do.
    """
    if is_told(realised.plan, engines):
        return None

    def make(way: Way) -> Entry:
        if way.name == ONNXRUNTIME:
            made = replace(realise_alone(model, way.plan, engines), demotions=realised.demotions)
        else:
            known = realised.demotions
            replan = partial(all_delegated, model, engines.options, table, guarded=guarded)
            made = realise(model, way.plan, engines, replan, demotions=known, make_form=make_form)
        schedule = bind(made, on_failure=partial(answer_failure, made), oversight=engines.oversight)
        return Entry(way, made, schedule, merge(made.plan.guards) if guarded else ())

    def ways(us: float) -> list[Way]:
        return ways_beside(model, realised.plan, engines, table, realised.demotions, guarded=guarded, us=us)

    return Contest(planned, ways, make)
