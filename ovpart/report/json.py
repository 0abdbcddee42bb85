"""The report as JSON; its form is published in ``report.schema.json``, beside this file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from ovpart.capability.evidence import DELEGATED, ONNXRUNTIME, PLAN
from ovpart.placement.profiling.text import as_data as profile_data

if TYPE_CHECKING:
    from ovpart.report.facts import Blocker, Fallback, Share
    from ovpart.report.model import Report
    from ovpart.report.scopes import ScopeFact

SCHEMA_VERSION = 1
"""Goes up when a key is taken away or changes its meaning; new keys alone do not change it."""


def to_json(report: Report) -> str:
    """Return the report as JSON text, indented, keys in a fixed order."""
    return json.dumps(as_data(report), indent=2, ensure_ascii=False)


@cache
def schema() -> Mapping[str, Any]:
    """Return the JSON Schema of :func:`as_data`."""
    text = (resources.files("ovpart.report") / "report.schema.json").read_text(encoding="utf-8")
    loaded: Mapping[str, Any] = json.loads(text)
    return loaded


def as_data(report: Report) -> dict[str, Any]:
    """Return the report as dicts, lists, strings and numbers."""
    return {
        "schema": SCHEMA_VERSION,
        "model": {
            "name": report.model,
            "fingerprint": report.fingerprint,
            "opsets": dict(report.opsets),
            "nodes": report.nodes,
            "constant": report.constant,
            "dead": report.dead,
            "notes": list(report.notes),
        },
        "device": report.device,
        "emulated_on": report.emulated_on,
        "engines": dict(report.engines),
        "planning_ms": report.planning_ms,
        "coverage": {"nodes": report.coverage, "flops": report.coverage_flops, "weights": report.coverage_weights},
        "clusters": {
            "all": report.cluster_count,
            "delegated": report.delegated_count,
            "islands": report.island_count,
            "lower_bound": report.lower_bound,
        },
        "shares": [_share(share) for share in report.shares],
        "fallbacks": [_fallback(fallback) for fallback in report.fallbacks],
        "blockers": [_blocker(blocker) for blocker in report.blockers],
        "demotions": [asdict(demotion) for demotion in report.demotions],
        "evidence": None if report.evidence is None else asdict(report.evidence),
        "guards": [{"kind": g.kind, "inputs": list(g.inputs), "bound": g.bound} for g in report.guards],
        "guarded_nodes": report.guarded_nodes,
        "table_differs": [asdict(difference) for difference in report.table_differs],
        "options": [{"name": o.name, "value": _plain(o.value), "origin": o.origin} for o in report.options],
        "runs": _runs(report),
        "pool": None if report.pool is None else asdict(report.pool),
        "variants": None if report.variants is None else dict(report.variants),
        "compiles": {engine: dict(counts) for engine, counts in report.compiles.items()},
        "sharing": None if report.sharing is None else asdict(report.sharing),
        "scopes": [_scope(scope) for scope in report.scopes],
        "executed_flops": report.executed_flops,
        "profile": None if report.profile is None else profile_data(report.profile),
    }


def _scope(scope: ScopeFact) -> dict[str, Any]:
    return {
        "node": scope.node,
        "key": scope.key,
        "op_type": scope.op_type,
        "body": scope.name,
        "why": scope.why,
        "nodes": scope.nodes,
        "coverage": {"nodes": scope.coverage, "flops": scope.coverage_flops},
        "clusters": {"all": scope.clusters, "delegated": scope.delegated},
        "runs": scope.runs,
        "fallbacks": [_fallback(fallback) for fallback in scope.fallbacks],
        "demotions": [asdict(demotion) for demotion in scope.demotions],
        "scopes": [_scope(inner) for inner in scope.scopes],
    }


def _share(share: Share) -> dict[str, Any]:
    return {
        "engine": share.label.engine,
        "device": share.label.device,
        "island": share.is_island,
        "nodes": share.nodes,
        "of_nodes": share.of_nodes,
        "of_flops": share.of_flops,
        "of_weights": share.of_weights,
        "clusters": share.clusters,
    }


def _fallback(fallback: Fallback) -> dict[str, Any]:
    return {
        "count": fallback.count,
        "ops": list(fallback.ops),
        "reason": fallback.reason,
        "rule": fallback.rule,
        "source": fallback.source,
        "hints": list(fallback.hints),
        "deferred": fallback.deferred,
        "nodes": list(fallback.nodes),
    }


def _blocker(blocker: Blocker) -> dict[str, Any]:
    return {
        "rule": blocker.fallback.rule,
        "reason": blocker.fallback.reason,
        "ops": list(blocker.fallback.ops),
        "nodes": blocker.fallback.count,
        "clusters": blocker.clusters,
        "clusters_if_supported": blocker.clusters_if,
        "coverage": blocker.coverage,
        "coverage_if_supported": blocker.coverage_if,
    }


def _runs(report: Report) -> dict[str, Any]:
    runs = report.runs
    return {
        "count": runs.count,
        "outside_guard": runs.outside_guard,
        "last_outside_guard": runs.last_outside_guard,
        "replans": runs.replans,
        "measured": None
        if runs.outcome is None
        else {
            "plan_us": runs.outcome.us[PLAN],
            "onnxruntime_us": runs.outcome.us.get(ONNXRUNTIME),
            "delegated_us": runs.outcome.us.get(DELEGATED),
            "kept": runs.outcome.kept,
            "plan_kept": runs.outcome.keeps_plan,
            "known_before": runs.outcome.known_before,
        },
    }


def _plain(value: object) -> object:
    """Return an option's value in JSON's types; what has no JSON form (a path) as its string."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value)
