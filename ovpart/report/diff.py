"""What differs between two plans, in words: nodes that moved, reasons that changed, clusters that split or joined.

Both are taken as the JSON that :meth:`ovpart.partition.plan.Plan.to_json` writes, so that a plan of last year's model
can be told from this year's, which no :class:`~ovpart.partition.plan.Plan` of one graph could hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MOST_NAMED = 5
"""Nodes that one line names."""


def plan_differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what differs between two saved plans, one line each; nothing where both place every node alike.

    Lines of tables (``op_support.yaml:212``), sources and hints are not compared: they change with every edit of a
    table, and no node with them. The content of weights is not compared either.

    Parameters
    ----------
    before, after : mapping
        Saved plans, parsed.
    """
    return tuple(_differences(before, after))


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    if before["device"] != after["device"]:
        yield f"device: {before['device']} → {after['device']}"
    for name in sorted(before["options"].keys() | after["options"].keys()):
        old, new = before["options"].get(name), after["options"].get(name)
        if old != new:
            yield f"option {name}: {old} → {new}"
    old_places, new_places = _places(before), _places(after)
    gone = [key for key in old_places if key not in new_places]
    fresh = [key for key in new_places if key not in old_places]
    if gone:
        yield f"no longer in the model: {named(gone)}"
    if fresh:
        yield from (f"new, on {place}: {named(keys)}" for place, keys in _grouped(fresh, new_places).items())
    kept = [key for key in old_places if key in new_places]
    yield from _moves(kept, old_places, new_places, _reasons(after))
    yield from _reason_changes(kept, old_places, new_places, _reasons(before), _reasons(after))
    old_count, new_count = len(before["clusters"]), len(after["clusters"])
    if old_count != new_count:
        yield f"clusters: {old_count} → {new_count} (the least possible: {after['lower_bound']})"
    elif _partition(before, kept) != _partition(after, kept):
        yield f"the same number of clusters ({new_count}), but nodes are put together differently"
    yield from _in_bodies(before.get("bodies", {}), after.get("bodies", {}))


def _in_bodies(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs in bodies with plans of their own; where one side has none, the node itself has moved."""
    for key in before:
        for name in sorted(before[key].keys() & after.get(key, {}).keys()):
            for words in _differences(before[key][name], after[key][name]):
                yield f"{name} of {key}: {words}"


def _places(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return node key → ``"openvino CPU"``, ``"constant"`` or ``"dead"``."""
    places = {key: f"{c['engine']} {c['device']}" for c in plan["clusters"] for key in c["nodes"]}
    return {**places, **dict.fromkeys(plan["constant"], "constant"), **dict.fromkeys(plan["dead"], "dead")}


def _reasons(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return node key → why it is where it is."""
    said = {key: str(plan["verdicts"][number]["reason"]) for key, number in plan["verdict_of"].items()}
    return {**said, **{key: str(why["reason"]) for key, why in plan["overruled"].items()}}


def _moves(
    kept: Sequence[str], old: Mapping[str, str], new: Mapping[str, str], reasons: Mapping[str, str]
) -> Iterator[str]:
    moved: dict[tuple[str, str, str], list[str]] = {}
    for key in kept:
        if old[key] != new[key]:
            moved.setdefault((old[key], new[key], reasons.get(key, "")), []).append(key)
    for (origin, target, reason), keys in moved.items():
        yield f"{origin} → {target}: {named(keys)}{f' ({reason})' if reason else ''}"


def _reason_changes(
    kept: Sequence[str],
    old: Mapping[str, str],
    new: Mapping[str, str],
    reasons_before: Mapping[str, str],
    reasons_after: Mapping[str, str],
) -> Iterator[str]:
    changed: dict[tuple[str, str], list[str]] = {}
    for key in kept:
        told = (reasons_before.get(key, ""), reasons_after.get(key, ""))
        if old[key] == new[key] and told[0] != told[1]:
            changed.setdefault(told, []).append(key)
    for (was, now), keys in changed.items():
        yield f"another reason for {named(keys)}: {was!r} → {now!r}"


def _partition(plan: Mapping[str, Any], kept: Sequence[str]) -> set[frozenset[str]]:
    among = set(kept)
    return {frozenset(among.intersection(cluster["nodes"])) for cluster in plan["clusters"]}


def _grouped(keys: Sequence[str], places: Mapping[str, str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for key in keys:
        groups.setdefault(places[key], []).append(key)
    return groups


def named(keys: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    more = f" and {len(keys) - MOST_NAMED} more" if len(keys) > MOST_NAMED else ""
    return f"{', '.join(keys[:MOST_NAMED])}{more}"
