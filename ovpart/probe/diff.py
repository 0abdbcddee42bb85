"""Measurements held against the table: what it says and is not so, line by line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovpart.capability.verdict import State
from ovpart.probe.case import WIDE64, Key
from ovpart.probe.measurement import BAD, GOOD, Measurement

if TYPE_CHECKING:
    from ovpart.capability.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table, and the cases that it decides.

    Attributes
    ----------
    rule : str
        ``"op_support.yaml:212"``.
    state : State
        What the line says.
    reason : str
        Its reason.
    good, bad, open : tuple of Measurement
        Cases that the device gets right; that it does not; that nobody could judge, or judges differ on.
    """

    rule: str
    state: State
    reason: str
    good: tuple[Measurement, ...]
    bad: tuple[Measurement, ...]
    open: tuple[Measurement, ...]

    @property
    def is_too_bold(self) -> bool:
        """Whether it sends something to the device that the device does not get right."""
        return self.state is State.SUPPORTED and bool(self.bad)

    @property
    def is_too_shy(self) -> bool:
        """Whether it keeps back what the device gets right in every case measured."""
        return self.state is State.UNSUPPORTED and bool(self.good) and not self.bad and not self.open

    @property
    def is_open(self) -> bool:
        """Whether it says that nobody knows what was measured now."""
        return self.state is State.UNKNOWN and bool(self.good or self.bad)


def held_against(measurements: Mapping[Key, Measurement], verdicts: Mapping[Key, Verdict]) -> tuple[Line, ...]:
    """Return the lines that decided cases, each with those, in the order of the file.

    A case whose integers leave 32 bits counts for good where the verdict has a guard: a run with such values does not
    reach the device.
    """
    # Where no entry fits, the rule is the operator's first line, whatever that says itself.
    decided: dict[tuple[str, State], list[Key]] = defaultdict(list)
    for key in measurements:
        if key in verdicts:
            decided[verdicts[key].rule, verdicts[key].state].append(key)
    return tuple(
        _line(rule, verdicts[keys[0]], [measurements[k] for k in keys], [verdicts[k] for k in keys])
        for (rule, _), keys in sorted(decided.items(), key=lambda item: _place(item[0][0]))
    )


def _line(rule: str, first: Verdict, measured: Sequence[Measurement], verdicts: Sequence[Verdict]) -> Line:
    good, bad, undecided = [], [], []
    for one, verdict in zip(measured, verdicts, strict=True):
        guarded = one.kind == WIDE64 and verdict.guard is not None
        if one.outcome in GOOD:
            good.append(one)
        elif one.outcome in BAD and not guarded:
            bad.append(one)
        else:
            undecided.append(one)
    return Line(rule, first.state, first.reason, tuple(good), tuple(bad), tuple(undecided))


def _place(rule: str) -> tuple[str, int]:
    file, _, line = rule.rpartition(":")
    return (file, int(line)) if line.isdigit() else (rule, 0)
