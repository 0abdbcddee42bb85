"""A node's explanation as text: where it is, who says so, and which path keeps it from the next cluster."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ovpart.report.text import WIDTH

if TYPE_CHECKING:
    from ovpart.partition.explain import Explanation

SHOWN = 6
"""Members of a group that are named."""
_IDLE = {
    "constant": "computed once, not at each run: it depends on constants alone",
    "dead": "never computed: no output depends on it",
}


def explained(explanation: Explanation) -> str:
    """Return an explanation as plain text of 80 columns."""
    return "\n".join(row for paragraph in _paragraphs(explanation) for row in _wrapped(paragraph))


def _paragraphs(explanation: Explanation) -> Iterator[str]:
    verdict = explanation.verdict
    yield f"{explanation.op_id} {explanation.node}"
    if explanation.path:
        hosts = zip(explanation.path[::2], explanation.path[1::2], strict=True)
        yield "  in: " + ", ".join(f"{body} of {host}" for host, body in hosts)
    cluster = explanation.cluster
    if cluster is None:
        yield f"  place: {_IDLE[explanation.place]}"
    else:
        others = len(cluster.nodes) - 1
        company = f"with {others} other{'' if others == 1 else 's'}" if others else "alone"
        yield f"  place: {cluster.label.engine} {cluster.label.device}, cluster {cluster.id}, {company}"
    if explanation.group:
        yield f"  part of: {explanation.group}, with {', '.join(_others(explanation))}"
    source = f" ({verdict.source})" if verdict.source else ""
    yield f"  verdict: {verdict.state.value}: {verdict.reason}"
    yield f"  rule: {verdict.rule}{source}"
    if verdict.hint:
        yield f"  hint: {verdict.hint}"
    if verdict.guard is not None:
        inputs = ", ".join(verdict.guard.inputs)
        yield f"  guard: holds while {inputs} stay within ±{verdict.guard.bound}"
    if verdict.deferred:
        yield "  deferred: planned again when the first run has shown the rank of its inputs"
    if explanation.overruled:
        yield f"  left behind: {explanation.overruled}"
    for blocked in explanation.blocked:
        yield f"  not in cluster {blocked.cluster}: this path would leave it and come back: {' → '.join(blocked.path)}"


def _others(explanation: Explanation) -> list[str]:
    """Return what else is in a node's group."""
    names = list(explanation.group_nodes)
    names.remove(explanation.node)
    return names if len(names) <= SHOWN else [*names[:SHOWN], f"{len(names) - SHOWN} more"]


def _wrapped(paragraph: str) -> list[str]:
    return textwrap.wrap(paragraph, WIDTH, subsequent_indent="      ", break_long_words=False, break_on_hyphens=False)
