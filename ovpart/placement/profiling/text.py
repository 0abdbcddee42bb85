"""A profile as text of 80 columns, and as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ovpart.partition.plan import RUNTIME

if TYPE_CHECKING:
    from ovpart.partition.plan import Label
    from ovpart.placement.profiling.facts import ClusterFact, LayerFact, Profiled

WIDTH = 80
"""Columns of the text."""
MOST = 15
"""Clusters, nodes and layers that the text lists; the JSON has them all."""
MOST_OPERATORS = 8
"""Operators that the text lists."""


def as_data(profiled: Profiled) -> dict[str, Any]:
    """Return a profile as dicts, lists, strings and numbers; times in microseconds per run."""
    return {
        "model": profiled.model,
        "device": profiled.device,
        "runs": profiled.runs,
        "run_us": profiled.run_us,
        "profiled_run_us": profiled.profiled_us,
        "in_clusters_us": profiled.computing_us,
        "told_by_engines": profiled.told,
        "mapped_to_nodes": profiled.mapped,
        "clusters": [_cluster_data(cluster) for cluster in profiled.clusters],
        "layers": [asdict(layer) for layer in profiled.layers],
        "nodes": [asdict(node) for node in profiled.nodes],
    }


def _cluster_data(cluster: ClusterFact) -> dict[str, Any]:
    data = asdict(cluster)
    label = data.pop("label")
    return {**data, "engine": label["engine"], "device": label["device"]}


def to_json(profiled: Profiled) -> str:
    """Return a profile as JSON text."""
    return json.dumps(as_data(profiled), indent=1, ensure_ascii=False)


def duration(us: float) -> str:
    """Return a time in words of three digits.

    Examples
    --------
    >>> duration(12345.6), duration(71.2), duration(3.21)
    ('12.3 ms', '71 µs', '3.2 µs')
    """
    if us >= 1000:
        return f"{us / 1000:.3g} ms" if us < 1e6 else f"{us / 1000:.0f} ms"
    return f"{us:.0f} µs" if us >= 10 else f"{us:.1f} µs"


def render(profiled: Profiled) -> str:
    """Return a profile as plain text; names that cannot be broken may stand out."""
    parts = (_head, _clusters, _operators, _nodes, _unmapped, _honesty)
    return "\n".join(row for part in parts for row in part(profiled))


def _head(profiled: Profiled) -> Iterator[str]:
    yield f"{profiled.model}   device {profiled.device}   profiled over {profiled.runs} runs"
    yield f"  a run takes {duration(profiled.run_us)}, {duration(profiled.profiled_us)} while it is profiled"


def _clusters(profiled: Profiled) -> Iterator[str]:
    yield "clusters"
    shown = profiled.clusters[:MOST]
    if len(profiled.clusters) > MOST:
        shown = tuple(sorted(profiled.clusters, key=lambda cluster: -cluster.us)[:MOST])
    for cluster in shown:
        times = f", {cluster.calls:.4g} calls" if cluster.calls != 1 else ""
        scope = f" in {cluster.path[-1]} of {cluster.path[-2]}" if cluster.path else ""
        if not cluster.computes:
            scope += ", its bodies included"
        yield (
            f"{cluster.number:>5}  {_place(cluster.label):<16}{cluster.nodes:>6} nodes {duration(cluster.us):>9}"
            f" {_share(cluster.us, profiled.profiled_us):>6}{times}{scope}"
        )
    if left := len(profiled.clusters) - len(shown):
        yield f"       … and {left} more"
    between = max(0.0, profiled.profiled_us - profiled.computing_us)
    yield f"       {'between them':<28} {duration(between):>9} {_share(between, profiled.profiled_us):>6}"


def _operators(profiled: Profiled) -> Iterator[str]:
    found = list(profiled.by_operator().items())
    if not found:
        return
    yield "operators"
    for op, (count, us) in found[:MOST_OPERATORS]:
        yield f"  {_short(op, 33):<33}{count:>7} {duration(us):>9} {_share(us, profiled.profiled_us):>6}"
    if rest := found[MOST_OPERATORS:]:
        us = sum(spent for _, (_, spent) in rest)
        name = f"… and {len(rest)} more"
        yield f"  {name:<33}{'':>7} {duration(us):>9} {_share(us, profiled.profiled_us):>6}"


def _nodes(profiled: Profiled) -> Iterator[str]:
    timed = sorted((n for n in profiled.nodes if n.us is not None), key=lambda node: -(node.us or 0.0))
    if not timed:
        return
    followers: dict[tuple[tuple[str, ...], str], int] = {}
    for node in profiled.nodes:
        if node.leader:
            followers[node.path, node.leader] = followers.get((node.path, node.leader), 0) + 1
    yield "slowest nodes"
    for node in timed[:MOST]:
        us = node.us or 0.0
        more = followers.get((node.path, node.key), 0)
        what = f"{_short(node.op, 18)} {node.name}"
        beside = f" (+{more} fused)" if more else ""
        row = f"  {duration(us):>9} {_share(us, profiled.profiled_us):>6}  {node.engine:<12} {what}"
        yield _short(row, WIDTH - len(beside)) + beside


def _unmapped(profiled: Profiled) -> Iterator[str]:
    found = [layer for layer in profiled.layers if not layer.nodes]
    if not found:
        return
    yield "layers that no node could be found for"
    for layer in found[:3]:
        share = _share(layer.us, profiled.profiled_us)
        yield _short(f"  {duration(layer.us):>9} {share:>6}  {layer_name(layer)}", WIDTH)
    if len(found) > 3:
        us = sum(layer.us for layer in found[3:])
        yield f"  {duration(us):>9} {_share(us, profiled.profiled_us):>6}  … and {len(found) - 3} more"


def layer_name(layer: LayerFact) -> str:
    """Return what a layer is called and what it computes."""
    return f"{layer.kind} {layer.name}" if layer.kind else layer.name


def _honesty(profiled: Profiled) -> Iterator[str]:
    yield from textwrap.wrap(honestly(profiled), WIDTH)


def honestly(profiled: Profiled) -> str:
    """Return how much of the time could be mapped to nodes, in a sentence."""
    return (
        f"Of the time within clusters, engines told {profiled.told:.1%} layer by layer, and {profiled.mapped:.1%} "
        "could be mapped to nodes. The rest is what engines do around their layers."
    )


def _place(label: Label) -> str:
    return label.engine if label == RUNTIME else f"{label.engine} {label.device}"


def _share(us: float, total: float) -> str:
    return f"{us / total:.1%}" if total else "-"


def _short(text: str, columns: int) -> str:
    return text if len(text) <= columns else text[: columns - 1] + "…"
