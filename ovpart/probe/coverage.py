"""How much of what operators, versions and dtypes there are the table knows on a device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovpart.capability.verdict import State
from ovpart.probe.ask import ask
from ovpart.probe.case import STATIC, Case
from ovpart.probe.cases import cases, dtypes, numbers, recipes
from ovpart.probe.schemas import allowed, first_type, operators

if TYPE_CHECKING:
    from ovpart.capability.table import Table

COMPUTED_ONCE = frozenset({"Constant"})
"""Operators that are constants wherever they stand: no device is asked about them."""

_RESULTS = frozenset({"state", "reason", "hint", "source", "evidence", "since", "opset"})


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a table says of each operator × version × dtype.

    Attributes
    ----------
    device : str
        The device.
    states : mapping of (op, version, dtype) to State
        What the table says of an ordinary node: no special attributes or values, shapes that are numbers.
    """

    device: str
    states: Mapping[tuple[str, int, str], State]

    @property
    def known(self) -> float:
        """Share, 0 to 1, that is not unknown."""
        unknown = sum(state is State.UNKNOWN for state in self.states.values())
        return 1 - unknown / len(self.states) if self.states else 0.0

    def counts(self) -> Counter[State]:
        """Return how often each answer stands."""
        return Counter(self.states.values())

    def unknown(self) -> tuple[tuple[str, int, str], ...]:
        """Return what is unknown, sorted."""
        return tuple(sorted(key for key, state in self.states.items() if state is State.UNKNOWN))


def coverage(device: str, table: Table) -> Coverage:
    """Ask a table about every operator of onnx since opset 7, and those that onnxruntime writes into models.

    Parameters
    ----------
    device : str
        The device.
    table : Table
        The table.
    """
    firsts = {(case.key.op, case.key.version, case.key.dtype): case for case in reversed(list(_ordinary()))}
    verdicts = ask(firsts.values(), device, table, "fast")
    states = {
        name: verdicts[case.key].state if case.key in verdicts else State.UNKNOWN for name, case in firsts.items()
    }
    for op in sorted({*operators(), *recipes()} - COMPUTED_ONCE):
        for version in numbers(op):
            for dtype in _types(op, version):
                if (op, version, dtype) not in states:
                    states[op, version, dtype] = _said_of_all(op, device, table)
    return Coverage(device, states)


def _ordinary() -> Iterator[Case]:
    return (case for case in cases(first_only=True) if case.key.form == STATIC)


def _types(op: str, version: int) -> tuple[str, ...]:
    """Return dtypes; ``any`` for operators that take no tensor first and have no probe."""
    if op in recipes():
        return dtypes(op, version)
    return (allowed(op, version, first_type(op, version)) if first_type(op, version) else ()) or ("any",)


def _said_of_all(op: str, device: str, table: Table) -> State:
    """Return what the table says of an operator whatever the node: what an entry without conditions says."""
    own = [entry for entry in table.entries(op, device) if entry.op == op]
    return next((e.state for e in own if e.state is not None and set(e.row) <= _RESULTS), State.UNKNOWN)
