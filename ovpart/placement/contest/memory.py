"""Choices between sessions: what one has measured, the next one starts with."""

from __future__ import annotations

import os

from ovpart.capability.evidence import Choice
from ovpart.capability.table import Table
from ovpart.model.graph import Model
from ovpart.options import Options
from ovpart.partition.plan import Plan
from ovpart.placement.contest.race import Outcome
from ovpart.placement.evidence import Notebook
from ovpart.planning import as_chosen, is_said, plan_digest


def recall(notebook: Notebook, model: Model, plan: Plan, options: Options, table: Table) -> tuple[Plan, Outcome | None]:
    """Return the plan to start with, and what an earlier session measured of it and of others.

    Parameters
    ----------
    notebook : Notebook
        What is known of the model.
    model : Model
        The model.
    plan : Plan
        What rests on predictions.
    options, table
        The session's.

    Returns
    -------
    plan : Plan
        `plan` itself where nothing is known of it, with as many threads as now.
    outcome : Outcome or None
        ``None`` where nothing is known.
    """
    choice = notebook.choice
    if choice is None or is_said(options) or choice.threads != threads_of(options) or choice.plan != plan_digest(plan):
        return plan, None
    outcome = Outcome(choice.us, choice.kept, known_before=True)
    return as_chosen(model, plan, choice, options, table, notebook.demotions), outcome


def choice_of(plan: Plan, outcome: Outcome, options: Options) -> Choice:
    """Return what was measured as evidence; `plan` is the one that rested on predictions."""
    return Choice(plan_digest(plan), threads_of(options), outcome.kept, dict(outcome.us))


def threads_of(options: Options) -> int:
    """Return how many threads each engine has."""
    return options.num_threads or os.cpu_count() or 1
