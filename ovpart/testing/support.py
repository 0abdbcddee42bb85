"""Hold a model to what it needs of a device: what may fall back, how much must be delegated, in how many clusters."""

from __future__ import annotations

import os
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ovpart.capability.control import select
from ovpart.errors import OptionError, OvpartWarning
from ovpart.partition.plan import Plan
from ovpart.planning import plan as make
from ovpart.report.facts import Fallback
from ovpart.report.gather import fallbacks_of
from ovpart.report.text import percent

if TYPE_CHECKING:
    import onnx

WIDTH = 100
"""Columns of a failure: pytest puts ``E   `` before each line."""
MOST_NODES = 5
"""Nodes of one reason that a failure names."""
MOST_REASONS = 20
"""Reasons that a failure lists."""


def planned(
    model: str | os.PathLike[str] | bytes | onnx.ModelProto | Plan, device: str, options: dict[str, Any]
) -> Plan:
    """Return a plan as it is given, or plan a model with the filter for small gains off.

    Whether a device takes a node is a fact of the table; whether it is worth while depends on a cost table that a test
    of coverage should not hang on. ``min_gain`` in `options` brings the filter back.
    """
    return model if isinstance(model, Plan) else make(model, device=device, **{"min_gain": 0, **options})


def assert_supported(
    model: str | os.PathLike[str] | bytes | onnx.ModelProto | Plan,
    device: str = "CPU",
    *,
    coverage: float = 1.0,
    clusters: int | None = None,
    allow: Sequence[str] = (),
    **options: Any,
) -> Plan:
    """Fail unless a device takes a model's nodes, and say which ones it does not take, and why.

    Neither openvino nor the device is needed: what is asked is the support table.

    Parameters
    ----------
    model : path, bytes, onnx.ModelProto or Plan
        The model, or a plan of it (``session.plan`` is one that real engines have taken).
    device : str
        The device; not looked at where `model` is a plan.
    coverage : float
        Share, 0 to 1, of the nodes that must be delegated. Nodes that `allow` names, constant and dead ones count on
        neither side.
    clusters : int, optional
        Most clusters that the plan may have, islands included.
    allow : sequence of str
        Nodes that may fall back: operators, node names, globs, or regions ``a..b``, as in ``exclude``.
    **options
        Planning options. ``min_gain`` is 0 unless it is given.

    Returns
    -------
    Plan
        The plan, for whatever else a test wants to look at.

    Raises
    ------
    AssertionError
        Naming the nodes that fell back, grouped by reason, each with the table's line and a hint.
    OptionError
        If `coverage` or `clusters` is out of range, or a planning option is.

    Warns
    -----
    OvpartWarning
        Where an entry of `allow` means no node.
    """
    __tracebackhide__ = True
    if not 0 <= coverage <= 1:
        raise OptionError(f"coverage={coverage!r}: a share of the nodes is a number from 0 to 1, not per cent")
    if clusters is not None and clusters < 0:
        raise OptionError(f"clusters={clusters!r}: a number of clusters is 0 or more")
    if isinstance(model, Plan) and options:
        raise OptionError(f"{', '.join(sorted(options))}: options of planning have no effect on a plan that is made")
    plan = planned(model, device, options)
    allowed = _allowed(plan, allow)
    mine = {index for cluster in plan.delegated for index in cluster.nodes} - allowed
    left = {index for cluster in plan.islands for index in cluster.nodes} - allowed
    reached = len(mine) / (len(mine) + len(left)) if mine or left else 1.0
    problems = []
    if reached < coverage:
        problems.append(
            f"{len(mine)} of {len(mine) + len(left)} nodes are delegated: {percent(reached)}, not {percent(coverage)}"
        )
    if clusters is not None and len(plan.clusters) > clusters:
        islands = f"{len(plan.islands)} of them islands"
        problems.append(f"{len(plan.clusters)} clusters, {islands}; at most {clusters} are asked for")
    if problems:
        raise AssertionError("\n".join(_failure(plan, problems, left, allowed)))
    return plan


def _allowed(plan: Plan, allow: Sequence[str]) -> set[int]:
    found: set[int] = set()
    for selector in (allow,) if isinstance(allow, str) else allow:
        try:
            found |= select(plan.graph, selector, "allow")
        except OptionError as error:
            warnings.warn(f"{error}; the entry has no effect", OvpartWarning, stacklevel=3)
    return found


def _failure(plan: Plan, problems: Sequence[str], left: set[int], allowed: set[int]) -> Iterator[str]:
    yield f"{plan.model} on {plan.device}: {problems[0]}"
    yield from problems[1:]
    fallbacks = [fallback for fallback in fallbacks_of(plan) if left.intersection(fallback.indices)]
    if fallbacks:
        yield "not delegated"
    for fallback in fallbacks[:MOST_REASONS]:
        yield from reason_lines(plan, fallback, left)
    if len(fallbacks) > MOST_REASONS:
        yield f"  … and {len(fallbacks) - MOST_REASONS} more reasons; print(ovpart.plan(...).explain(node)) tells each"
    if forgiven := sum(len(allowed.intersection(cluster.nodes)) for cluster in plan.islands):
        yield f"allowed to fall back, and not counted: {forgiven}"
    if fallbacks:
        yield "allow=[...] names nodes that may fall back, table=[...] lays a table of your own over the shipped one"


def reason_lines(plan: Plan, fallback: Fallback, among: set[int]) -> Iterator[str]:
    """Say why some nodes are not delegated: their number and operators, the reason, who says so, the hint, the nodes.

    Parameters
    ----------
    plan : Plan
        The plan.
    fallback : Fallback
        Nodes with one reason.
    among : set of int
        Those of its nodes that are to be named.
    """
    nodes = [plan.graph.nodes[index] for index in fallback.indices if index in among]
    ops = list(dict.fromkeys(node.op_id for node in nodes))
    yield from _wrapped(f"{len(nodes)} × {', '.join(ops)}: {fallback.reason} ({fallback.rule})", "  ", "      ")
    for hint in fallback.hints[:2]:
        yield from _wrapped(f"→ {hint}", "      ", "        ")
    named = ", ".join(node.label for node in nodes[:MOST_NODES])
    more = f" and {len(nodes) - MOST_NODES} more" if len(nodes) > MOST_NODES else ""
    yield from _wrapped(f"nodes: {named}{more}", "      ", "        ")


def _wrapped(text: str, first: str, then: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=then, break_long_words=False, break_on_hyphens=False
    )
