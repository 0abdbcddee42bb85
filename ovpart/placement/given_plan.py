"""A plan that the user brings: from memory or from a file, for this model and no other."""

from __future__ import annotations

import os
from dataclasses import replace

from ovpart.errors import PlanError
from ovpart.model.graph import Model
from ovpart.partition.plan import Plan


def given_plan(given: Plan | str | os.PathLike[str], model: Model) -> Plan:
    """Return the plan over this reading of its model.

    Raises
    ------
    PlanError
        If it is no plan, or one of another model.
    """
    if not isinstance(given, Plan):
        return Plan.load(given, model)
    if given.fingerprint != model.fingerprint:
        message = f"the plan is of another model ({given.model}), not of {model.name}; make one of this"
        raise PlanError(message)
    return replace(given, graph=model.graph)
