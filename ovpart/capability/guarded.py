"""What holds for some integers only: proved for all, tied to inputs of the model, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ovpart.capability.indices import index_guard, tightened
from ovpart.capability.ranges import Proof, Ranges
from ovpart.capability.scopes import Scope
from ovpart.capability.table import Entry
from ovpart.capability.verdict import Guard, State, Verdict


@dataclass(frozen=True, slots=True)
class Finding:
    """What the table says, before values are looked at.

    Attributes
    ----------
    verdict : Verdict
        The answer, without a guard.
    guard : Entry or None
        The entry that asks for a guard.
    waits : str
        The value whose rank or type must be known first, ``""`` where none is waited for.
    in_range : str
        The formal input whose elements must be indices in range, ``""`` where there is none.
    """

    verdict: Verdict
    guard: Entry | None = None
    waits: str = ""
    in_range: str = ""


def under_guards(ranges: Ranges, scope: Scope, findings: Sequence[Finding]) -> list[Verdict]:
    """Return the verdicts of the main scope, each with the guard that it holds under.

    Parameters
    ----------
    ranges : Ranges
        Proves what integers fit into 32 bits.
    scope : Scope
        The main scope.
    findings : sequence of Finding
        One a node.
    """
    graph = scope.graph
    here = [
        (node, finding)
        for node, finding in zip(graph.nodes, findings, strict=True)
        if (finding.guard is not None or finding.in_range)
        and node.index not in graph.constant
        and node.index not in graph.dead
    ]
    verdicts = [finding.verdict for finding in findings]
    asked = [node.index for node, finding in here if finding.guard is not None]
    made: dict[tuple[int, Proof], Verdict] = {}
    for index, proof in zip(asked, ranges.prove(scope, asked) if asked else (), strict=True):
        entry = findings[index].guard
        if (proof.holds and not proof.inputs) or entry is None:
            continue
        key = (id(findings[index]), proof)
        if key not in made:
            made[key] = _under_guard(verdicts[index], entry, proof)
        verdicts[index] = made[key]
    for node, finding in here:
        verdict = verdicts[node.index]
        if finding.in_range and verdict.state is State.SUPPORTED:
            guard = tightened(verdict.guard, index_guard(scope, node, finding.in_range))
            if guard is not verdict.guard:
                verdicts[node.index] = replace(verdict, guard=guard)
    return verdicts


def _under_guard(verdict: Verdict, entry: Entry, proof: Proof) -> Verdict:
    if proof.holds:
        return replace(verdict, guard=Guard("int32_range", proof.inputs, proof.bound))
    return Verdict(
        State.UNSUPPORTED,
        "int64 beyond 32 bits would be cut",
        entry.rule,
        f"nothing bounds {proof.culprit!r}: clip it, or cast it to int32 in the model",
        str(entry.row.get("source", "")),
    )
