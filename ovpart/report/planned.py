"""The report of a dry run: a model is read and planned, and no engine is loaded."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from ovpart.capability.measured import differences
from ovpart.capability.table import load_table
from ovpart.model.free_dimensions import with_sizes
from ovpart.model.read import read_model
from ovpart.options import resolve
from ovpart.planning import edits_of, plan
from ovpart.report.model import make_report

if TYPE_CHECKING:
    from ovpart.model.graph import Model
    from ovpart.report.model import Report


def planned(path: str | os.PathLike[str], **options: Any) -> tuple[Report, Model]:
    """Plan a model, and tell what would run where and why.

    Parameters
    ----------
    path : path
        The model.
    **options
        Planning options, ``device`` among them.

    Returns
    -------
    (Report, Model)
        The report, with its plan and the time that it took, and the model as it was planned.

    Raises
    ------
    ModelError, OptionError, TableError
        As :func:`ovpart.plan`.
    """
    start = time.perf_counter()
    resolved = resolve(options, planning_only=True)
    model = with_sizes(read_model(path, edits_of(resolved)), resolved.free_dimensions)
    made = plan(model, **{**options, "free_dimensions": None})
    planning_ms = (time.perf_counter() - start) * 1000
    differs = differences(load_table(resolved.table).measured_with)
    return make_report(made, model, options=resolved, planning_ms=planning_ms, table_differs=differs), model
