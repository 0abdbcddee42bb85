"""The table is held against measurements: too bold, too shy, and unknown though measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ovpart.capability.table import load_table
from ovpart.probe.ask import ask
from ovpart.probe.case import WIDE64, Case
from ovpart.probe.cases import cases
from ovpart.probe.diff import held_against
from ovpart.probe.measurement import Measurement, Outcome
from ovpart.probe.propose import proposals


def table(*rows):
    return load_table([{"schema": 1, "ops": {"Relu": {"CPU": list(rows)}}}], shipped=False)


def relu(dtype="f32", tag="plain") -> list[Case]:
    return [c for c in cases(["Relu"], tags=[tag]) if c.key.dtype == dtype and c.key.version == 14]


def lines(rows, outcomes, some=None):
    some = some or relu()
    measured = {c.key: Measurement(c.key, o, c.kind) for c, o in zip(some, outcomes, strict=True)}
    return held_against(measured, ask(some, "CPU", table(*rows)))


YES = {"state": "supported"}
NO = {"state": "unsupported", "reason": "it is said not to be right"}
MAYBE = {"state": "unknown", "reason": "nobody measured it"}


@pytest.mark.parametrize(
    ("row", "outcomes", "bold", "shy", "is_open"),
    [
        (YES, [Outcome.RIGHT, Outcome.RIGHT], False, False, False),
        (YES, [Outcome.RIGHT, Outcome.WRONG], True, False, False),
        (YES, [Outcome.RIGHT, Outcome.CRASHED], True, False, False),
        (YES, [Outcome.RIGHT, Outcome.UNJUDGED], False, False, False),
        (NO, [Outcome.RIGHT, Outcome.WRONG], False, False, False),
        (NO, [Outcome.RIGHT, Outcome.RIGHT], False, True, False),
        (MAYBE, [Outcome.RIGHT, Outcome.REFUSED], False, False, True),
    ],
)
def test_what_a_line_says_is_held_against_its_cases(row, outcomes, bold, shy, is_open):
    (line,) = lines([row], outcomes)
    assert (line.is_too_bold, line.is_too_shy, line.is_open) == (bold, shy, is_open)


def test_each_case_counts_for_the_line_that_decides_it():
    found = lines([{"dynamic": True, **NO}, YES], [Outcome.RIGHT, Outcome.WRONG])
    assert [(line.state, len(line.good), len(line.bad)) for line in found] == [
        ("unsupported", 0, 1),
        ("supported", 1, 0),
    ]


def test_wide_integers_under_a_guard_never_reach_the_device():
    some = [c for c in relu("i64", "large") if c.kind == WIDE64]
    guarded = load_table([{"schema": 1, "ops": {"Relu": {"CPU": [{**YES, "guard": "int32_range"}]}}}], shipped=False)
    measured = {c.key: Measurement(c.key, Outcome.WRONG, c.kind) for c in some}
    assert not [line for line in held_against(measured, ask(some, "CPU", guarded)) if line.is_too_bold]
    assert [line for line in held_against(measured, ask(some, "CPU", table(YES))) if line.is_too_bold]


def test_nan_counts_against_entries_for_exact_semantics_only():
    some = relu(tag="nan")
    lenient, exact = ask(some, "CPU", table({**NO, "semantics": "ieee"}, YES), "fast"), None
    exact = ask(some, "CPU", table({**NO, "semantics": "ieee"}, YES))
    assert {v.state for v in lenient.values()} == {"supported"}
    assert {v.state for v in exact.values()} == {"unsupported"}


def test_a_proposal_names_dtype_and_form():
    static, dynamic = relu()
    measured = [
        Measurement(static.key, Outcome.RIGHT),
        Measurement(dynamic.key, Outcome.REFUSED, words="no dynamic shapes here"),
        Measurement(replace(static, key=static.key._replace(dtype="i32")).key, Outcome.WRONG, words="off by one"),
    ]
    told = list(proposals(measured, {c.key: c for c in (static, dynamic)}))
    assert told[0] == "  Relu:"
    assert "touches: [f32], dynamic: true, state: unsupported" in told[1]
    assert "touches: [i32], state: unsupported" in told[2]
    assert told[-1] == "    - {opset: 14.., types: {in0: [f32]}, state: supported, source: measured}"
