"""Writes docs/topologies.md from the results that lie beside the models."""

from __future__ import annotations

import datetime
import math
import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.topologies.documents import LISTED
from benchmarks.topologies.drive import ROOT, stored_result
from benchmarks.topologies.measure import TOLERANCE, is_right
from benchmarks.topologies.registry import TOPOLOGIES, UNAVAILABLE
from benchmarks.topologies.topology import GROUPS, NPU

PAGE = ROOT / "docs" / "topologies.md"
Result = Mapping[str, Any]
OTHERS = ("onnxruntime", "openvino", "provider")

_INTRODUCTION = f"""# Topologies

The networks that the documents of openvino's provider for onnxruntime list as validated (those of 2022 and of 2025),
each at its full depth and with its own operators and opset, with random weights; and kinds of model beside them.
`make topologies` builds them with torch, runs them and writes this page.
The notes tell what differs from the original.

*Coverage*: the share of nodes, and of floating-point operations, that ovpart gives to openvino's CPU where it delegates
all that may be (`min_gain=0`), with clusters and islands.
*Kept*: the share of floating-point operations that stays there with the defaults: a session measures on its first runs,
and leaves to onnxruntime what that does faster on this machine. Times are those of the defaults.
*Error*: the largest difference from onnxruntime without optimisations, over the largest absolute value of the output;
the worst of all outputs, over two inputs, and of both ways.
Integers, such as classes and selected boxes, must be equal.
A row is right up to {TOLERANCE:g}; a quantised network (*q*), in which a rounding that falls the other way is a
whole step, also where its ratio of signal to noise is no more than 1 dB below that of onnxruntime's own optimisations.
*Time*: the median of a run over that of onnxruntime with its optimisations, taken in turns; smaller is faster.
*Best*: ovpart's time over that of the fastest other engine whose answers are right.
"""


def write() -> None:
    """Write the page."""
    PAGE.write_text(text(), encoding="utf-8")


def text() -> str:
    """Return the page."""
    found = {name: result for name in TOPOLOGIES if (result := stored_result(name)) is not None}
    parts = [_INTRODUCTION, *_summary(found)]
    for group in GROUPS:
        names = list(dict.fromkeys([*LISTED.get(group, ()), *(n for n, t in TOPOLOGIES.items() if t.group == group)]))
        if names:
            parts += [f"## {group}\n", *_table(names, found), *_notes(names, found, group)]
    return "\n".join(parts).rstrip() + "\n"


def line(result: Result) -> str:
    """Return a result in one line, for whoever watches."""
    told = result["engines"].get("ovpart-all", {}).get("told", {})
    verdict = "right" if is_right(result, "ovpart") else "WRONG"
    share = f"{told['coverage']:.0%} {told['clusters']}+{told['islands']}" if told else "-"
    errors = "  ".join(f"{engine} {_error(result, engine)}" for engine in ("ovpart", "ovpart-all", *OTHERS))
    return f"{result['name']}: {verdict}, {share}, {errors}; times {_ratio(result, 'ovpart')}"


def _summary(found: Mapping[str, Result]) -> Iterator[str]:
    listed = list(dict.fromkeys(name for names in LISTED.values() for name in names))
    built = [name for name in listed if name in found]
    right = [name for name, result in found.items() if is_right(result, "ovpart")]
    versions = ", ".join(
        dict.fromkeys(
            f"{engine}: {row['versions']}"
            for result in found.values()
            for engine, row in result["engines"].items()
            if engine in ("openvino", "onnxruntime", "provider") and row.get("versions")
        )
    )
    yield f"{datetime.datetime.now(tz=datetime.UTC).date().isoformat()}; {versions}.\n"
    loads = [result["load"] for result in found.values() if "load" in result]
    if loads:
        yield (
            f"- The machine has {os.cpu_count()} cores, and its load was {statistics.median(loads):.0f} (median) "
            "while the engines took turns: theirs, and that of whatever else it did."
        )
    yield f"- Listed in the documents: {len(listed)} networks; {len(built)} are built and run here."
    yield f"- Right in ovpart: {len(right)} of {len(found)}" + _of_others(found) + "."
    ratios = {name: ratio for name, result in found.items() if (ratio := against_best(result)) is not None}
    if ratios:
        mean = math.exp(statistics.fmean(math.log(ratio) for ratio in ratios.values()))
        worst = sorted(ratios, key=lambda name: -ratios[name])[:3]
        yield f"- Time over that of the fastest other engine that is right: {mean:.2f} (geometric mean)."
        yield "- The worst three: " + ", ".join(f"{name} ({ratios[name]:.2f})" for name in worst) + "."
    yield ""


def _of_others(found: Mapping[str, Result]) -> str:
    counts = [f"{engine} {sum(is_right(result, engine) for result in found.values())}" for engine in OTHERS]
    return f" (by the same measure: {', '.join(counts)})"


def _table(names: Sequence[str], found: Mapping[str, Result]) -> Iterator[str]:
    yield (
        "| network | nodes | opset | coverage: nodes, FLOPs | clusters + islands | kept "
        "| error: ovpart | openvino | provider | time: ovpart | openvino | provider | best |"
    )
    yield "|---|" + "---:|" * 12
    for name in names:
        if name in found:
            yield _row(found[name])
        else:
            why = UNAVAILABLE.get(name, "not run yet" if name in TOPOLOGIES else "not built")
            yield f"| {name} | {why} |" + " |" * 11
    yield ""


def _row(result: Result) -> str:
    told = result["engines"].get("ovpart-all", {}).get("told", {})
    kept = result["engines"].get("ovpart", {}).get("told", {})
    name = result["name"] + (" *q*" if result["quantised"] else "")
    shown = f"{told['coverage']:.0%}, {told['coverage_flops']:.0%}" if told else "-"
    places = f"{told['clusters']} + {told['islands']}" if told else "-"
    errors = [_ours(result), _error(result, "openvino"), _error(result, "provider")]
    if not is_right(result, "ovpart"):
        errors[0] = f"**{errors[0]}**"
    times = [_ratio(result, engine) for engine in ("ovpart", "openvino", "provider")]
    best = against_best(result)
    stays = f"{kept['coverage_flops']:.0%}" if kept else "-"
    cells = [name, f"{result['nodes']:,}", str(result["opset"]), shown, places, stays, *errors, *times]
    return f"| {' | '.join([*cells, '-' if best is None else f'{best:.2f}'])} |"


def _ours(result: Result) -> str:
    """Return the worse of ovpart's two errors."""
    ways = [way for way in ("ovpart", "ovpart-all") if way in result["engines"]]
    threw = [way for way in ways if result["engines"][way].get("failed")]
    return _error(result, threw[0] if threw else max(ways, key=lambda way: result["engines"][way].get("error") or 0.0))


def _error(result: Result, engine: str) -> str:
    row = result["engines"].get(engine)
    if row is None:
        return "-"
    if row.get("failed"):
        return "threw"
    if row.get("error") is None:
        return "?"
    if row["error"] == 0 or math.isinf(row["error"]):
        return "wrong" if row["error"] else "0"
    noise = f" ({row['sqnr']:.0f} dB)" if result["quantised"] and row["error"] > TOLERANCE and "sqnr" in row else ""
    return f"{row['error']:.1g}{noise}"


def ratio_of(result: Result, engine: str, other: str) -> float | None:
    """Return the median over the rounds of the time of one engine over that of another; None where one has none."""
    ours, theirs = (result["engines"].get(name, {}).get("ns") for name in (engine, other))
    if not ours or not theirs:
        return None
    return float(statistics.median(mine / its for mine, its in zip(ours, theirs, strict=False)))


def against_best(result: Result) -> float | None:
    """Return ovpart's time over that of the fastest other engine that is right; None where none is."""
    ratios = [
        ratio
        for engine in OTHERS
        if is_right(result, engine) and (ratio := ratio_of(result, "ovpart", engine)) is not None
    ]
    return max(ratios, default=None)


def _ratio(result: Result, engine: str) -> str:
    ratio = ratio_of(result, engine, "onnxruntime")
    return "-" if ratio is None else f"{ratio:.2f}"


def _notes(names: Sequence[str], found: Mapping[str, Result], group: str) -> Iterator[str]:
    """Yield what differs from the originals, and the words of engines that threw or were wrong."""
    lines = [
        f"- {name}: {TOPOLOGIES[name].note}."
        for name in names
        if name in TOPOLOGIES and TOPOLOGIES[name].note and TOPOLOGIES[name].group == group
    ]
    for name in names:
        if name in found and (group != NPU or TOPOLOGIES[name].group == NPU):
            lines += [f"- {name}: {words}" for words in _words(found[name])]
    if lines:
        yield from lines
        yield ""


def _words(result: Result) -> Iterator[str]:
    for engine in ("plain", "ovpart", "ovpart-all", *OTHERS):
        row = result["engines"].get(engine, {})
        said = row.get("failed") or row.get("words")
        if said:
            title = "onnxruntime without optimisations" if engine == "plain" else engine
            plain = " ".join(said.split()).replace("|", "\\|").replace("<", "\\<")
            yield f'{title} says "{plain[:200]}"'
