"""The two sides of ``ovpart diff``: models, saved plans and saved reports, each read as what it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ovpart.errors import OptionError, PlanError
from ovpart.partition.saved import SCHEMA_VERSION
from ovpart.planning import plan
from ovpart.report.diff import named, plan_differences
from ovpart.report.json import SCHEMA_VERSION as REPORT_VERSION
from ovpart.report.text import percent

PLAN, REPORT = "plan", "report"


@dataclass(frozen=True, slots=True)
class Side:
    """One side.

    Attributes
    ----------
    name : str
        What to call it.
    kind : str
        :data:`PLAN` or :data:`REPORT`.
    data : mapping
        The JSON of it.
    """

    name: str
    kind: str
    data: Mapping[str, Any]


def read_side(path: Path, options: Mapping[str, Any]) -> Side:
    """Read a side: a file of JSON as what it says that it is, any other as a model, which is planned.

    Parameters
    ----------
    path : Path
        The file.
    options : mapping
        Of the plan, where it is a model.

    Raises
    ------
    PlanError
        If JSON is neither a plan nor a report of a format that is known.
    OptionError
        If there are options, and nothing to plan.
    ModelError, TableError
        As :func:`ovpart.plan`.
    """
    if path.suffix.lower() != ".json":
        return Side(path.name, PLAN, json.loads(plan(path, **options).to_json()))
    if options:
        raise OptionError(f"{', '.join(sorted(options))}: no effect on {path.name}, which is planned already")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PlanError(f"{path} is no JSON: {error}") from error
    if isinstance(data, dict) and data.get("ovpart_plan") == SCHEMA_VERSION:
        return Side(path.name, PLAN, data)
    if isinstance(data, dict) and data.get("schema") == REPORT_VERSION and "fallbacks" in data:
        return Side(path.name, REPORT, data)
    raise PlanError(
        f"{path} is neither a saved plan of format {SCHEMA_VERSION} (`ovpart plan --save`) nor a report of format "
        f"{REPORT_VERSION} (`ovpart plan --json`)"
    )


def differences(before: Side, after: Side) -> tuple[str, ...]:
    """Return what differs between two sides, one line each; nothing where nothing moved.

    Raises
    ------
    OptionError
        If one is a report and the other is not: a report does not have every node's place.
    """
    if before.kind != after.kind:
        raise OptionError(
            f"{before.name} is a {before.kind}, {after.name} a {after.kind}: compare two of a kind. A report does not "
            "tell where every node is"
        )
    if before.kind == PLAN:
        return plan_differences(before.data, after.data)
    return tuple(_report_differences(before.data, after.data))


def _report_differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    if before["device"] != after["device"]:
        yield f"device: {before['device']} → {after['device']}"
    for engine in sorted(before["engines"].keys() | after["engines"].keys()):
        old, new = before["engines"].get(engine, "not used"), after["engines"].get(engine, "not used")
        if old != new:
            yield f"{engine}: {old} → {new}"
    values = [{option["name"]: option["value"] for option in side["options"]} for side in (before, after)]
    for name in sorted((values[0].keys() & values[1].keys()) - {"device"}):
        if values[0][name] != values[1][name]:
            yield f"option {name}: {values[0][name]} → {values[1][name]}"
    for of in ("nodes", "flops", "weights"):
        old, new = before["coverage"][of], after["coverage"][of]
        if old != new:
            yield f"coverage of {of}: {percent(old)} → {percent(new)}"
    if before["clusters"]["all"] != after["clusters"]["all"]:
        least = after["clusters"]["lower_bound"]
        yield f"clusters: {before['clusters']['all']} → {after['clusters']['all']} (the least possible: {least})"
    reasons = [{node: f["reason"] for f in side["fallbacks"] for node in f["nodes"]} for side in (before, after)]
    yield from _falls_back(reasons[0], reasons[1])


def _falls_back(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """Yield what left the device, what came back to it, and what stays off it for another reason."""
    told: dict[str, list[str]] = {}
    for node, reason in new.items():
        if node not in old:
            told.setdefault(f"falls back now ({reason})", []).append(node)
        elif old[node] != reason:
            told.setdefault(f"falls back for another reason ({old[node]} → {reason})", []).append(node)
    for node, reason in old.items():
        if node not in new:
            told.setdefault(f"falls back no more ({reason})", []).append(node)
    yield from (f"{words}: {named(nodes)}" for words, nodes in told.items())
