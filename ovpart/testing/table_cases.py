"""The support table as test cases: one for each operator and version, with what the table says of it on a device."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ovpart.capability.table import Entry, Table, load_table
from ovpart.capability.validate import bounds
from ovpart.capability.verdict import State

FIRST_OPSET = 7
"""Versions of ai.onnx that were replaced before this one are left out: no engine promises them."""
MIXED = "mixed"
"""What the table says of a version where it depends on types, attributes or shapes."""
_RESULTS = frozenset({"state", "reason", "hint", "source", "evidence", "opset", "guard", "semantics"})


@dataclass(frozen=True, slots=True)
class OpCase:
    """An operator in one version, and what the table says of it on a device.

    Attributes
    ----------
    op : str
        ``"Resize"``, ``"com.microsoft.Gelu"``.
    since : int
        The version of the operator's domain in which this form of it was introduced.
    last : int
        The last version of the domain, of those that the installed onnx knows, in which this form holds.
    device : str
        The device.
    entries : tuple of Entry
        The operator's own entries that can hold in these versions, in the order in which they are looked at. Those that
        hold for every operator (``"*"``) are left out.
    """

    op: str
    since: int
    last: int
    device: str
    entries: tuple[Entry, ...]

    @property
    def state(self) -> str:
        """``"supported"``, ``"unsupported"``, ``"unknown"``; ``"mixed"`` where it depends on the node."""
        states = dict.fromkeys(entry.state.value for entry in self.entries if entry.state is not None)
        if not states:
            return State.UNKNOWN.value
        return next(iter(states)) if len(states) == 1 else MIXED

    @property
    def id(self) -> str:
        """``"Resize-18"``: what pytest calls the case."""
        return f"{self.op}-{self.since}"

    def __str__(self) -> str:
        return self.id

    def describe(self) -> str:
        """Return what the table says, one entry a line: who says so, the answer, the conditions, the reason."""
        rows = [f"{self.id} on {self.device}: {self.state}"]
        for entry in self.entries:
            conditions = [f"{key} {value}" for key, value in entry.row.items() if key not in _RESULTS]
            reason = entry.row.get("reason", "")
            where = f" where {', '.join(conditions)}" if conditions else ""
            answer = "guard" if entry.state is None else entry.state.value
            rows.append(f"  {entry.rule}  {answer}{where}{f': {reason}' if reason else ''}")
        return "\n".join(rows)


def op_cases(
    device: str = "CPU",
    *,
    ops: Sequence[str] | None = None,
    states: Sequence[str] | None = None,
    table: Sequence[str | os.PathLike[str] | Mapping[str, Any]] = (),
) -> tuple[OpCase, ...]:
    """Return every operator in every version, with what the table says of it on a device.

    Parameters
    ----------
    device : str
        The device; ``"GPU.0"`` inherits from ``"GPU"``.
    ops : sequence of str, optional
        Only these operators; an unknown one is an error.
    states : sequence of str, optional
        Only cases with one of these states: ``"supported"``, ``"unsupported"``, ``"unknown"``, ``"mixed"``.
    table : sequence of path or mapping
        Overlays, as the option ``table`` takes them.

    Returns
    -------
    tuple of OpCase
        By operator, then version. Give it to ``pytest.mark.parametrize("case", op_cases("GPU"), ids=str)``.

    Raises
    ------
    OptionError
        If an operator or a state is unknown.
    TableError
        If an overlay is not valid.
    """
    from ovpart.capability.spelling import did_you_mean
    from ovpart.errors import OptionError

    loaded = load_table(table)
    known = loaded.operators()
    for op in ops or ():
        if op not in known:
            raise OptionError(f"ops={op!r}: the table has no such operator{did_you_mean(op, known)}")
    for state in states or ():
        if state not in (*(s.value for s in State), MIXED):
            raise OptionError(f"states={state!r}: there are {', '.join(s.value for s in State)} and {MIXED}")
    versions = _versions()
    cases = [
        case for op in known if ops is None or op in ops for case in _cases(loaded, op, device, versions.get(op, _ONCE))
    ]
    return tuple(case for case in cases if states is None or case.state in states)


_ONCE = ((1, 1),)
"""Versions of an operator that onnx does not describe: contrib operators have one."""


def _cases(table: Table, op: str, device: str, versions: Sequence[tuple[int, int]]) -> Iterator[OpCase]:
    entries = [entry for entry in table.entries(op, device) if entry.op == op]
    for since, last in versions:
        holding = [e for e in entries if _overlap(bounds(e.row.get("opset", "..")), (since, last))]
        yield OpCase(op, since, last, device, tuple(holding))


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _versions() -> dict[str, list[tuple[int, int]]]:
    """Return (first, last) version of the domain for each form of each operator that the installed onnx describes.

    A version that only withdraws an operator (``Upsample`` 10) is no form of it: engines run the one before.
    """
    import onnx

    starts: dict[tuple[str, str], set[int]] = {}
    newest: dict[str, int] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        newest[schema.domain] = max(newest.get(schema.domain, 1), schema.since_version)
        if not schema.deprecated:
            starts.setdefault((schema.domain, schema.name), set()).add(schema.since_version)
    newest[""] = onnx.defs.onnx_opset_version()
    found = {}
    for (domain, name), numbers in starts.items():
        firsts = sorted(numbers)
        lasts = [first - 1 for first in firsts[1:]] + [newest[domain]]
        forms = [(a, z) for a, z in zip(firsts, lasts, strict=True) if domain or z >= FIRST_OPSET]
        found[f"{domain}.{name}" if domain else name] = forms
    return found
