"""The report as a page: what the template is given, and the template filled."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from typing import TYPE_CHECKING

from ovpart.errors import OptionError
from ovpart.partition.flops import node_flops
from ovpart.placement.profiling.text import duration, honestly
from ovpart.report.html.drawing import INPUTS, draw
from ovpart.report.html.rows import node_rows, place_name, tell_node
from ovpart.report.html.words import visible
from ovpart.report.text import outcome_words, percent

if TYPE_CHECKING:
    from jinja2 import Environment

    from ovpart.partition.plan import Cluster, Plan
    from ovpart.placement.profiling.facts import Profiled
    from ovpart.report.model import Report

MOST_CLUSTERS = 1_000
"""Clusters that have a row of their own."""
MOST_LISTED = 40
"""Nodes that the list of one cluster has."""
MOST_LISTED_IN_ALL = 4_000
"""Nodes that all these lists have: the table below has the rest."""
MOST_ENTRIES = 300
"""Reasons, demotions and notes that are listed."""


@dataclass(frozen=True, slots=True)
class ClusterView:
    """What the page says of a cluster.

    Attributes
    ----------
    number : int
        Its position in running order, from 1.
    id, place : str
        Its id; engine and device.
    is_island, is_open : bool
        Whether nodes fall back to it; whether all its nodes are in `listed`.
    nodes : int
        How many there are.
    us : float or None
        Microseconds per run, where profiled.
    of_flops : float or None
        Its share of the operations of the main scope.
    ops : str
        Its operators, the most frequent first.
    inputs, outputs : tuple of (str, str)
        What crosses: name and type.
    listed : tuple of mapping
        Nodes: ``name``, ``op``, ``state``, ``reason``, ``rule``.
    """

    number: int
    id: str
    place: str
    is_island: bool
    is_open: bool
    nodes: int
    us: float | None
    of_flops: float | None
    ops: str
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    listed: tuple[dict[str, str], ...]


def to_html(report: Report) -> str:
    """Return a report as one HTML page: no network, no other file.

    Raises
    ------
    OptionError
        If jinja2, which fills the template, is not installed.
    """
    plan = report.plan
    style, script = _file("page.css"), _file("page.js")
    times = None if report.profile is None else _node_times(report.profile)
    rows = node_rows(plan, times)
    return (
        _environment()
        .from_string(_file("page.html.jinja"))
        .render(
            report=report,
            plan=plan,
            drawing=draw(plan),
            clusters=_clusters(plan, report.profile),
            left_out=max(0, len(plan.clusters) - MOST_CLUSTERS),
            data=_as_json(rows),
            rows_left_out=rows["left_out"],
            profile=report.profile,
            measured=outcome_words,
            honestly=None if report.profile is None else honestly(report.profile),
            style=style,
            script=script,
            script_hash=_hash(script),
            most=MOST_ENTRIES,
            ends_above=INPUTS,
        )
    )


def _environment() -> Environment:
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        message = "HTML reports are made with jinja2, which is not installed: pip install 'ovpart[html]'"
        raise OptionError(message) from error
    made = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_finalized
    )
    made.filters.update(percent=percent, place=place_name, duration=duration, listed=_listed, safe_here=_safe_here)
    return made


def _finalized(value: object) -> object:
    """Make every text that the template shows visible in all its characters; ours is marked as safe, and stays."""
    from markupsafe import Markup

    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _listed(words: Sequence[str]) -> str:
    """Return words in a row, to be escaped like any other text: jinja's own ``join`` escapes, and hides nothing."""
    return ", ".join(map(visible, words))


def _safe_here(ours: str) -> object:
    """Mark what this package has written itself as no text of a model."""
    from markupsafe import Markup

    return Markup(ours)


def _as_json(data: object) -> str:
    """Return data as JSON that can stand in a script element: nothing in it ends one, or begins a comment."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _file(name: str) -> str:
    return (resources.files("ovpart.report.html") / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _node_times(profiled: Profiled) -> dict[tuple[tuple[str, ...], str], tuple[float | None, str]]:
    return {(node.path, node.key): (node.us, node.leader) for node in profiled.nodes}


def _clusters(plan: Plan, profiled: Profiled | None) -> tuple[ClusterView, ...]:
    flops = [sum(node_flops(plan.graph, plan.graph.nodes[i]) for i in cluster.nodes) for cluster in plan.clusters]
    total = sum(flops)
    took = {} if profiled is None else {c.id: c.us for c in profiled.clusters if not c.path}
    views = []
    room = MOST_LISTED_IN_ALL
    for number, cluster in enumerate(plan.clusters[:MOST_CLUSTERS], 1):
        listed = cluster.nodes[: min(MOST_LISTED, room)]
        room -= len(listed)
        of_flops = flops[number - 1] / total if total else None
        views.append(_cluster(plan, cluster, number, of_flops, took.get(cluster.id), listed))
    return tuple(views)


def _cluster(
    plan: Plan, cluster: Cluster, number: int, of_flops: float | None, us: float | None, listed: Sequence[int]
) -> ClusterView:
    graph = plan.graph
    return ClusterView(
        number=number,
        id=cluster.id,
        place=place_name(cluster.label),
        is_island=cluster.is_island,
        is_open=len(listed) == len(cluster.nodes),
        nodes=len(cluster.nodes),
        us=us,
        of_flops=of_flops,
        ops=_operators(plan, cluster),
        inputs=tuple((name, str(graph.type_of(name))) for name in islice(cluster.inputs, MOST_LISTED)),
        outputs=tuple((name, str(graph.type_of(name))) for name in islice(cluster.outputs, MOST_LISTED)),
        listed=tuple(tell_node(plan, graph.nodes[index]) for index in listed),
    )


def _operators(plan: Plan, cluster: Cluster) -> str:
    counted = Counter(plan.graph.nodes[index].op_id for index in cluster.nodes).most_common(9)
    told = [f"{op} × {count}" if count > 1 else op for op, count in counted[:8]]
    return ", ".join([*told, "…"] if len(counted) > 8 else told)
