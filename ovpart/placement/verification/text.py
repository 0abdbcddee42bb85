"""A verification as text of 80 columns."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator

from ovpart.placement.verification.findings import WRONG, Checked, CheckedCluster, Verification

WIDTH = 80
"""Columns of the text."""
MOST = 12
"""Right clusters that the text lists; wrong ones stand there all."""


def render(found: Verification) -> str:
    """Return a verification as plain text, without a line break at its end."""
    return "\n".join(row for section in (_head, _clusters, _outputs, _culprits, _notes) for row in section(found))


def _head(found: Verification) -> Iterator[str]:
    verdict = "right" if found.is_right else "WRONG"
    kind = ", quantised" if found.quantised else ""
    yield f"{found.model}   {verdict}   device {found.device}{kind}   against onnxruntime without optimisations"
    inputs = "1 input" if found.feeds == 1 else f"{found.feeds} inputs"
    yield f"  {inputs} ({found.inputs}), each run {found.repeats} times"


def _clusters(found: Verification) -> Iterator[str]:
    listed = list(found.wrong) + [c for c in found.clusters if c not in found.wrong][:MOST]
    listed.sort(key=found.clusters.index)
    if listed:
        yield "clusters, each fed with onnxruntime's own values"
        yield from _table_head()
    for cluster in listed:
        yield from _cluster(cluster)
    if left := len(found.clusters) - len(listed):
        yield f"  … and {left} more, all right"


def _table_head() -> Iterator[str]:
    yield f"  {'':<25}{'max':>9}{'mean':>9}{'p99':>9}{'/range':>9}{'SQNR dB':>9}"


def _cluster(cluster: CheckedCluster) -> Iterator[str]:
    where = cluster.label.engine if cluster.label.device == "CPU" else f"{cluster.label.engine} {cluster.label.device}"
    name = f"{cluster.id[:8]} {where} {cluster.nodes}"
    mark = cluster.status if cluster.status == "right" else cluster.status.upper()
    worst = cluster.worst
    if worst is None:
        yield f"  {name:<25}  {mark}"
        yield from _wrapped(cluster.words, "      ")
        return
    yield f"  {name:<25}{_figures(worst)}  {mark}"
    for value in cluster.values:
        if value.status == WRONG:
            yield from _why(value)


def _figures(value: Checked) -> str:
    found = value.found
    if found.problem:
        return f"{found.problem[:45]:>45}"
    numbers = [found.max_error, found.mean_error, found.p99_error, found.relative]
    sqnr = "-" if found.sqnr_db is None else "exact" if math.isinf(found.sqnr_db) else f"{found.sqnr_db:.1f}"
    return "".join(f"{number:>9.2g}" for number in numbers) + f"{sqnr:>9}"


def _why(value: Checked) -> Iterator[str]:
    found = value.found
    if found.problem:
        yield from _wrapped(f"{value.name}: {found.problem}", "      ")
        return
    told = f"{value.name}: error {found.relative:.2g} of the range, bound {value.judgement.bound:.2g}"
    if found.kind == "exact":
        told = f"{value.name}: {found.relative:.2%} of the elements differ"
    if value.spread is not None:
        spread = value.spread
        exact = math.isinf(spread.sqnr_db)
        told += f"; onnxruntime's own levels differ by {spread.relative:.2g}"
        told += "" if exact else f" ({spread.sqnr_db:.1f} dB)"
    yield from _wrapped(told, "      ")


def _outputs(found: Verification) -> Iterator[str]:
    if not found.outputs:
        return
    yield "outputs, from end to end"
    yield from _table_head()
    shown = [value for value in found.outputs if value.status == WRONG]
    shown += [value for value in found.outputs if value.status != WRONG][:MOST]
    for value in shown:
        mark = value.status if value.status == "right" else value.status.upper()
        yield f"  {_fitted(value.name, 24):<25}{_figures(value)}  {mark}"
        if found.quantised and value.found.sqnr_db is not None and value.spread is not None:
            cosine = "-" if value.found.cosine is None else f"{value.found.cosine:.7f}"
            levels = "all levels agree" if math.isinf(value.spread.sqnr_db) else f"{value.spread.sqnr_db:.1f} dB"
            yield f"      cosine {cosine}; onnxruntime among its own levels: {levels}"
        if value.status == WRONG:
            yield from _why(value)
    if left := len(found.outputs) - len(shown):
        yield f"  … and {left} more, all right"


def _fitted(name: str, columns: int) -> str:
    """Return a name that fits: its beginning and its end, since names of outputs differ there."""
    return name if len(name) <= columns else f"{name[: columns // 2 - 1]}…{name[-columns // 2 :]}"


def _culprits(found: Verification) -> Iterator[str]:
    if not found.culprits:
        return
    yield "what makes them wrong"
    for culprit in found.culprits:
        company = "" if len(culprit.indices) == 1 else f", together with {len(culprit.indices) - 1} nodes before it"
        yield from _wrapped(f"{culprit.op} {culprit.node!r}{company}: {culprit.words}", "  ")


def _notes(found: Verification) -> Iterator[str]:
    if found.notes:
        yield "notes"
    for note in found.notes:
        yield from _wrapped(note, "  ")


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
