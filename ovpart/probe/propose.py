"""Entry lines that measurements ask for: what to write into the table, for a person to look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ovpart.probe.case import DYNAMIC, DYNAMIC_CONST, NAN, STATIC, STATIC_CONST, WIDE32, Case, Key
from ovpart.probe.measurement import BAD, GOOD, Measurement, Outcome

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

_CONDITIONS: Mapping[frozenset[str], str] = {
    frozenset({DYNAMIC, DYNAMIC_CONST}): "dynamic: true",
    frozenset({STATIC, STATIC_CONST}): "dynamic: false",
    frozenset({STATIC, DYNAMIC}): "not_const: [{rest}]",
    frozenset({STATIC_CONST, DYNAMIC_CONST}): "const: [{rest}]",
    frozenset({DYNAMIC}): "not_const: [{rest}], dynamic: true",
    frozenset({DYNAMIC_CONST}): "const: [{rest}], dynamic: true",
    frozenset({STATIC}): "not_const: [{rest}], dynamic: false",
    frozenset({STATIC_CONST}): "const: [{rest}], dynamic: false",
}
"""Forms that are not right, where others are → the condition that tells them apart."""


def proposals(measurements: Iterable[Measurement], cases: Mapping[Key, Case]) -> Iterator[str]:
    """Yield entry lines for what was measured: first what is not right, last what is, operator by operator.

    A line speaks of the dtypes and versions that share an outcome on the same attributes and forms. It says what was
    seen, not why: whoever writes it into the table gives the reason.
    """
    by_op: dict[str, list[Measurement]] = defaultdict(list)
    for one in measurements:
        by_op[one.key.op].append(one)
    for op, mine in sorted(by_op.items()):
        yield f"  {op}:"
        yield from _refusals(mine, cases)
        yield from _leaves(mine)


def _refusals(mine: Sequence[Measurement], cases: Mapping[Key, Case]) -> Iterator[str]:
    groups: dict[tuple[int, str, frozenset[str], str, str], list[Measurement]] = defaultdict(list)
    by_values: dict[tuple[int, str, str], list[Measurement]] = defaultdict(list)
    for one in mine:
        by_values[one.key.version, one.key.dtype, one.key.tag].append(one)
    for (version, _, tag), some in by_values.items():
        bad = [one for one in some if one.outcome in BAD]
        if bad:
            forms = frozenset(one.key.form for one in bad)
            every = frozenset(one.key.form for one in some)
            groups[version, tag, _telling(forms, every), bad[0].kind, bad[0].outcome].extend(bad)
    for (version, tag, forms, kind, _), bad in groups.items():
        yield "    - {" + ", ".join(_refusal(version, forms, kind, bad, cases)) + "}  # " + tag


def _telling(forms: frozenset[str], every: frozenset[str]) -> frozenset[str]:
    """Return the forms that a condition has to tell from the others: none where all are alike."""
    if forms == every:
        return frozenset()
    if every <= {STATIC, DYNAMIC}:  # a single input: constness has no say
        return frozenset({STATIC, STATIC_CONST} if STATIC in forms else {DYNAMIC, DYNAMIC_CONST})
    return forms


def _refusal(
    version: int, forms: AbstractSet[str], kind: str, bad: Sequence[Measurement], cases: Mapping[Key, Case]
) -> Iterator[str]:
    first = bad[0]
    yield f"opset: {version}.."
    if kind in (NAN, WIDE32):
        yield "semantics: ieee"
    yield f"touches: [{', '.join(dict.fromkeys(one.key.dtype for one in bad))}]"
    case = cases.get(first.key)
    if case is not None and case.draft.attributes and "plain" not in first.key.tag:
        yield f"when: {{{', '.join(f'{name}: {value}' for name, value in case.draft.attributes.items())}}}"
    if condition := _CONDITIONS.get(frozenset(forms)):
        count = len(case.draft.inputs) if case is not None else 2
        yield condition.format(rest=", ".join(f"in{i}" for i in range(1, count)))
    yield "state: unsupported"
    reason = first.words if first.outcome is Outcome.WRONG else f"{first.outcome}: {first.words}"
    yield f'reason: "{reason[:80]}"'.replace("\\", "/")
    yield "source: measured"


def _leaves(mine: Sequence[Measurement]) -> Iterator[str]:
    """Yield the lines of dtypes that are right in an ordinary case, by version."""
    right: dict[int, list[str]] = defaultdict(list)
    for one in mine:
        if one.outcome in GOOD and one.key.dtype not in right[one.key.version]:
            right[one.key.version].append(one.key.dtype)
    for version, dtypes in sorted(right.items()):
        yield f"    - {{opset: {version}.., types: {{in0: [{', '.join(dtypes)}]}}, state: supported, source: measured}}"
