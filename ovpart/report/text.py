"""The report as text of 80 columns, and as one line for logs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from ovpart.capability.evidence import DELEGATED, ONNXRUNTIME, PLAN
from ovpart.capability.target import parse_target
from ovpart.partition.plan import RUNTIME
from ovpart.report.facts import Blocker, Fallback, Share

if TYPE_CHECKING:
    from ovpart.placement.contest.race import Outcome
    from ovpart.report.model import Report
    from ovpart.report.scopes import ScopeFact

WIDTH = 80
"""Columns of the text."""
MOST_REASONS = 12
"""Reasons that the text lists; the JSON has them all."""
MOST_DEMOTIONS = 6
"""Demotions that the text lists."""
_WAYS = {PLAN: "the plan", ONNXRUNTIME: "onnxruntime alone", DELEGATED: "all delegated"}
_KEPT = {PLAN: "the plan is kept", ONNXRUNTIME: "onnxruntime runs it all", DELEGATED: "all is delegated that may be"}
MOST_NOTES = 4
"""Notes on the model that the text lists."""
MOST_SCOPES = 24
"""Lines of bodies that the text has."""
_OP_COLUMNS = 16
_TREE_COLUMNS = 26
_WORDS_LINES = 2


def render(report: Report) -> str:
    """Return the report as plain text, at most 80 columns wide, without a line break at its end.

    Words that cannot be broken (names of nodes, paths of tables) may stand out.
    """
    sections = (_header, _shares, _scopes, _why, _blockers, _demotions, _evidence, _guards, _runs, _options, _notes)
    return "\n".join(row for section in sections for row in section(report))


def line(report: Report) -> str:
    """Return the report in one line: how much is where, and why the rest is not on the device."""
    delegated = sum(share.nodes for share in report.shares if not share.is_island)
    total = sum(share.nodes for share in report.shares)
    # Where the device is a CPU, two engines share one processor: name the engine then.
    device, other = ("openvino", "onnxruntime") if report.device == "CPU" else (report.device, "CPU")
    first = f"{delegated} of {total} nodes on {device} in {_count(report.delegated_count, 'cluster')}"
    if report.emulated_on is not None:
        first += f" (emulated on {report.emulated_on})"
    bodies = sum(share.nodes for share in report.shares if share.label == RUNTIME)
    if bodies:
        first += f", {bodies} with plans for {'its' if bodies == 1 else 'their'} bodies"
    if delegated + bodies == total:
        return first
    reasons = [f"{_ops(f)} ({_shorten(f.reason, 60)})" for f in report.fallbacks]
    more = " …" if len(reasons) > 2 else ""
    return f"{first}; {total - delegated - bodies} on {other}: {', '.join(reasons[:2])}{more}"


def percent(share: float | None) -> str:
    """Return a share of 0 to 1 in per cent: only the whole is called 100%, only nothing 0%; ``-`` for ``None``.

    Examples
    --------
    >>> percent(0.9996), percent(1.0), percent(0.966)
    ('99.9%', '100%', '96.6%')
    """
    if share is None:
        return "-"
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    return f"{min(max(share * 100, 0.1), 99.9):.1f}%"


def _header(report: Report) -> Iterator[str]:
    engines = [f"{name} {_version(name, words)}" for name, words in report.engines.items()]
    opset = f", opset {report.opsets['']}" if "" in report.opsets else ""
    parts = [
        report.model,
        f"{_count(report.nodes, 'node')}{opset}",
        ", ".join([f"device {report.device}", *engines]),
    ]
    if report.planning_ms is not None:
        parts.append(f"planned in {_milliseconds(report.planning_ms)}")
    row = ""
    for part in parts:
        if row and len(row) + 3 + len(part) > WIDTH:
            yield row
            row = "  " + part
        else:
            row = f"{row}   {part}" if row else part
    yield row
    if report.table_differs:
        told = ", ".join(map(str, report.table_differs))
        yield from _wrapped(f"{told}: `ovpart ops check` says whether the table holds", "  ", "  ")


def _version(engine: str, words: str) -> str:
    """Return the version alone from the words in which a backend describes itself: name, version, build, hardware."""
    first = words.removeprefix(engine).split()
    return first[0].partition("-")[0] if first else ""


def _shares(report: Report) -> Iterator[str]:
    names = [_place(share) for share in report.shares]
    column = max(map(len, names), default=0)
    for name, share in zip(names, report.shares, strict=True):
        noun = "island" if share.is_island else "cluster"
        nodes = "node " if share.nodes == 1 else "nodes"
        yield (
            f"  {name:<{column}}{share.nodes:>7} {nodes} {percent(share.of_nodes):>6}  "
            f"FLOPs {percent(share.of_flops):>6}  weights {percent(share.of_weights):>6}  "
            f"{_count(share.clusters, noun)}"
        )
    if report.cluster_count:
        least = "the least possible"
        if report.cluster_count != report.lower_bound:
            least = f"the least possible for these nodes is {report.lower_bound}"
        yield f"  {_count(report.cluster_count, 'cluster')} in all, {least}"
    if report.constant or report.dead:
        asleep = [f"{report.constant} computed once"] if report.constant else []
        asleep += [f"{report.dead} that no output needs"] if report.dead else []
        yield f"  nodes that no run computes: {', '.join(asleep)}"
    if report.emulated_on is not None:
        yield f"  emulated: planned for {report.device}, its clusters run on {report.emulated_on}"


def _place(share: Share) -> str:
    return share.label.engine if share.label.device == "CPU" else f"{share.label.engine} {share.label.device}"


def _why(report: Report) -> Iterator[str]:
    if not report.fallbacks:
        return
    wanted = parse_target(report.device).labels[0]
    behind = [s for s in report.shares if not s.is_island and s.label.device != wanted]
    elsewhere = [_place(s) for s in behind] + [s.label.engine for s in report.shares if s.is_island]
    yield "why on " + " and ".join(dict.fromkeys(elsewhere))
    for fallback in report.fallbacks[:MOST_REASONS]:
        yield from _fallback(fallback)
    if left := report.fallbacks[MOST_REASONS:]:
        yield f"  … and {_count(len(left), 'more reason')} for {sum(f.count for f in left)} nodes"


def _fallback(fallback: Fallback) -> Iterator[str]:
    head = f"{fallback.count:>6}  {_shorten(_ops(fallback), _OP_COLUMNS):<{_OP_COLUMNS}}  "
    indent = " " * len(head)
    room = WIDTH - len(head) - len(fallback.rule) - 2
    if len(fallback.reason) <= room:
        yield f"{head}{fallback.reason:<{room}}  {fallback.rule}"
    else:
        yield from _wrapped(fallback.reason, head, indent)
        yield indent + fallback.rule
    if fallback.hint:
        more = f" (and {len(fallback.hints) - 1} more of that kind)" if len(fallback.hints) > 1 else ""
        yield from _wrapped(fallback.hint + more, indent + "→ ", indent + "  ")


def _scopes(report: Report) -> Iterator[str]:
    if not report.scopes:
        return
    if report.executed_flops is None:
        yield "control flow whose bodies have plans of their own"
    else:
        yield f"control flow: {percent(report.executed_flops)} of the FLOPs of all runs so far delegated"
    rows = list(_tree(report.scopes, 1))
    yield from rows[:MOST_SCOPES]
    if (left := len(rows) - MOST_SCOPES) > 0:
        yield f"  … and {_count(left, 'more line')}"


def _tree(scopes: Sequence[ScopeFact], depth: int) -> Iterator[str]:
    """Yield a line for each node with bodies, and one for each of these, inner ones further to the right."""
    before = ""
    for scope in scopes:
        if scope.key != before:
            yield _shorten(f"{'  ' * depth}{scope.op_type} {scope.node}", WIDTH)
            before = scope.key
        name = _shorten(f"{'  ' * (depth + 1)}{scope.name}", _TREE_COLUMNS)
        noun = "node " if scope.nodes == 1 else "nodes"
        figures = f"{scope.nodes:>5} {noun} {percent(scope.coverage):>6}  FLOPs {percent(scope.coverage_flops):>6}"
        ran = f"{scope.runs} runs" if scope.runs else "never run"
        yield f"{name:<{_TREE_COLUMNS}}{figures}  {_count(scope.clusters, 'cluster')}, {ran}"
        yield from _tree(scope.scopes, depth + 2)


def _blockers(report: Report) -> Iterator[str]:
    blockers = [b for b in report.blockers if (b.clusters, b.coverage) != (b.clusters_if, b.coverage_if)]
    if not blockers:
        return
    yield "what blocks most"
    names = [_shorten(_blocked(blocker), 24) for blocker in blockers]
    column = max(map(len, names))
    for name, b in zip(names, blockers, strict=True):
        yield (
            f"  {name:<{column}}  if supported: clusters {b.clusters} → {b.clusters_if}, "
            f"coverage {percent(b.coverage)} → {percent(b.coverage_if)}"
        )


def _blocked(blocker: Blocker) -> str:
    fallback = blocker.fallback
    return fallback.nodes[0] if fallback.count == 1 else f"{fallback.count} {_ops(fallback)}"


def _demotions(report: Report) -> Iterator[str]:
    if not report.demotions:
        return
    yield "demoted: the engine refused them, failed on them, or was wrong on them"
    for demotion in report.demotions[:MOST_DEMOTIONS]:
        words = " ".join(demotion.words.split())
        rows = _wrapped(words, f"  {demotion.node} ({demotion.engine}, {demotion.stage}): ", "      ")
        yield from islice(rows, _WORDS_LINES)
    if (left := len(report.demotions) - MOST_DEMOTIONS) > 0:
        yield f"  … and {_count(left, 'more node')}"


def _evidence(report: Report) -> Iterator[str]:
    found = report.evidence
    if found is None or not (found.known or found.fresh):
        return
    where = "" if found.path is None else f": {found.path}"
    yield from _wrapped(f"{_count(found.known, 'demotion')} known before, {found.fresh} new{where}", "evidence: ", "  ")


def _guards(report: Report) -> Iterator[str]:
    if not report.guards:
        return
    yield "guards"
    for guard in report.guards:
        names = ", ".join(guard.inputs)
        yield from _wrapped(f"{names}: values within ±{guard.bound}", "  ", "      ")
    rely = "relies" if report.guarded_nodes == 1 else "rely"
    yield f"  {_count(report.guarded_nodes, 'node')} {rely} on that; other runs take a plan without them"
    if report.runs.outside_guard:
        last = "the last one too" if report.runs.last_outside_guard else "the last one not"
        yield f"  {_count(report.runs.outside_guard, 'run')} of {report.runs.count} did, {last}"


def _runs(report: Report) -> Iterator[str]:
    spared = {how: sum(c.get(how, 0) for c in report.compiles.values()) for how in ("compiled", "cached", "loaded")}
    if spared["cached"] or spared["loaded"]:
        told = ((spared["loaded"], "loaded as compiled before"), (spared["cached"], "from openvino's cache"))
        yield ", ".join([f"compiled: {spared['compiled']}", *(f"{number} {how}" for number, how in told if number)])
    if report.sharing is not None:
        yield from _wrapped(report.sharing.in_words(), "", "  ")
    if report.variants is not None:
        counted = [f"{number} {how.replace('_', ' ')}" for how, number in report.variants.items()]
        yield f"forms of fixed shapes: {', '.join(counted)}"
    if report.pool is not None:
        yield from _wrapped(str(report.pool), "pool: ", "      ")
    runs = report.runs
    anew = f", planned anew {runs.replans} {'time' if runs.replans == 1 else 'times'}" if runs.replans else ""
    if runs.count or runs.replans:
        yield f"runs: {runs.count}{anew}"
    if runs.outcome is not None:
        when = "measured before" if runs.outcome.known_before else "first runs"
        yield from _wrapped(f"{when}: {outcome_words(runs.outcome)}", "  ", "      ")


def outcome_words(outcome: Outcome) -> str:
    """Return what was measured of the ways to run a model, and which is kept, in words."""
    figures = ", ".join(f"{_WAYS[way]} {_milliseconds(us / 1000)}" for way, us in outcome.us.items())
    return f"{figures}: {_KEPT[outcome.kept]}"


def _options(report: Report) -> Iterator[str]:
    # The device stands in the first line.
    options = [option for option in report.options if option.origin != "default" and option.name != "device"]
    given = [f"{option.name}={option.value}" for option in options]
    if given:
        yield from _wrapped(", ".join(given), "options: ", "         ")


def _notes(report: Report) -> Iterator[str]:
    if not report.notes:
        return
    yield "notes on the model"
    for note in report.notes[:MOST_NOTES]:
        yield from _wrapped(note, "  ", "      ")
    if len(report.notes) > MOST_NOTES:
        yield f"  … and {_count(len(report.notes) - MOST_NOTES, 'more note')}"


def _ops(fallback: Fallback) -> str:
    """Name the operators of a fallback: the most frequent one, and how many others."""
    others = len(fallback.ops) - 1
    return f"{fallback.ops[0].rpartition('.')[2]}{f' +{others}' if others else ''}"


def _wrapped(text: str, first: str, then: str) -> Sequence[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=then, break_long_words=False, break_on_hyphens=False
    )


def _shorten(text: str, columns: int) -> str:
    return text if len(text) <= columns else text[: columns - 1] + "…"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _milliseconds(value: float) -> str:
    return f"{value:.0f} ms" if value >= 10 else f"{value:.2g} ms"
