"""The shipped table held against the engine that is installed: what was measured then, and what is found now."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovpart.capability.verdict import State
from ovpart.probe.ask import ask
from ovpart.probe.case import DYNAMIC, DYNAMIC_CONST, STATIC, WIDE64, Case, Key, constants_of
from ovpart.probe.cases import cases, numbers
from ovpart.probe.measurement import BAD, GOOD, Measurement, Outcome, Record

if TYPE_CHECKING:
    from ovpart.capability.table import Table
    from ovpart.capability.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Drift:
    """A case that ended otherwise than when the table was measured.

    Attributes
    ----------
    measurement : Measurement
        What was found now.
    before : Outcome or None
        How it ended then, ``None`` where it was not measured.
    verdict : Verdict
        What the table says of it.
    """

    measurement: Measurement
    before: Outcome | None
    verdict: Verdict

    @property
    def is_loss(self) -> bool:
        """Whether the table sends the case to the device, which does not get it right any more."""
        guarded = self.measurement.kind == WIDE64 and self.verdict.guard is not None
        return self.verdict.state is State.SUPPORTED and self.measurement.outcome in BAD and not guarded

    @property
    def is_gain(self) -> bool:
        """Whether the device gets right now what it did not then."""
        return self.before in BAD and self.measurement.outcome in GOOD


def to_check(ops: Collection[str] = (), *, everything: bool = False) -> dict[Key, Case]:
    """Return the cases that are measured again.

    Parameters
    ----------
    ops : collection of str
        Only these operators.
    everything : bool
        All cases. Otherwise, of each operator's newest version and each dtype, the ordinary one in two forms: with
        shapes that are numbers and all at run time, and as models mostly are, with symbols and weights.
    """
    if everything:
        return {case.key: case for case in cases(ops)}
    newest = (case for case in cases(ops, first_only=True) if case.key.version == numbers(case.key.op)[-1])
    return {case.key: case for case in newest if case.key.form == STATIC or _is_usual(case)}


def _is_usual(case: Case) -> bool:
    """Whether a case has symbolic dims, and constants where it can have them."""
    if case.key.form == DYNAMIC:
        return constants_of(case.draft, DYNAMIC_CONST) == constants_of(case.draft, DYNAMIC)
    return case.key.form == DYNAMIC_CONST


def drifted(
    found: Mapping[Key, Measurement], before: Record, mine: Mapping[Key, Case], device: str, table: Table
) -> tuple[Drift, ...]:
    """Return what differs from the time when the table was measured, losses first.

    A case that was not right then either, though the table sends it to the device, is no drift but a fault of the
    table, and is among the losses all the same.
    """
    verdicts = ask(mine.values(), device, table)
    out = []
    for key, measurement in found.items():
        if key not in verdicts:
            continue
        was = before.measurements.get(key)
        drift = Drift(measurement, was.outcome if was is not None else None, verdicts[key])
        if drift.is_loss or drift.is_gain or (was is not None and _side(was.outcome) != _side(measurement.outcome)):
            out.append(drift)
    return tuple(sorted(out, key=lambda drift: (not drift.is_loss, not drift.is_gain, drift.measurement.key)))


def _side(outcome: Outcome) -> str:
    """Return which side an outcome is on: how a wrong case is wrong may change without mattering."""
    return "good" if outcome in GOOD else "bad" if outcome in BAD else "open"
