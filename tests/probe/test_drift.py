"""What drifted since the table was measured: losses before gains, and nothing where nothing changed."""

from __future__ import annotations

import pytest

from ovpart.capability.table import load_table
from ovpart.probe.drift import drifted, to_check
from ovpart.probe.measurement import Measurement, Outcome, Record

YES = {"state": "supported"}
NO = {"state": "unsupported", "reason": "it is said not to be right"}


def found(row, before, now):
    cases = to_check(["Not"])
    key = next(iter(cases))
    table = load_table([{"schema": 1, "ops": {"Not": {"CPU": [row]}}}], shipped=False)
    then = Record({}, {} if before is None else {key: Measurement(key, before)})
    return drifted({key: Measurement(key, now)}, then, {key: cases[key]}, "CPU", table)


@pytest.mark.parametrize(
    ("row", "before", "now", "loss", "gain"),
    [
        (YES, Outcome.RIGHT, Outcome.WRONG, True, False),
        (YES, None, Outcome.REFUSED, True, False),
        (YES, Outcome.WRONG, Outcome.WRONG, True, False),
        (NO, Outcome.WRONG, Outcome.RIGHT, False, True),
        (NO, Outcome.RIGHT, Outcome.REFUSED, False, False),
    ],
)
def test_what_changed_is_told(row, before, now, loss, gain):
    (drift,) = found(row, before, now)
    assert (drift.is_loss, drift.is_gain) == (loss, gain)


@pytest.mark.parametrize(
    ("row", "before", "now"),
    [
        (YES, Outcome.RIGHT, Outcome.RIGHT),
        (NO, Outcome.WRONG, Outcome.REFUSED),
        (NO, None, Outcome.WRONG),
        (YES, None, Outcome.RIGHT),
    ],
)
def test_what_did_not_is_not(row, before, now):
    assert found(row, before, now) == ()


def test_the_ordinary_cases_are_few_and_of_the_newest_versions():
    few, every = to_check(["Softmax"]), to_check(["Softmax"], everything=True)
    assert {key.version for key in few} == {13}
    assert {key.tag for key in few} == {"plain"}
    assert set(few) < set(every)
