"""The shipped table against the measurements that come with it: each yes has a case that passes, no yes is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pytest

from ovpart.capability.table import Entry, load_table
from ovpart.capability.verdict import State, Verdict
from ovpart.probe.ask import ask, ask_models
from ovpart.probe.case import WIDE64, Key
from ovpart.probe.cases import cases, numbers
from ovpart.probe.coverage import COMPUTED_ONCE
from ovpart.probe.measurement import GOOD, Outcome, Record, recorded
from ovpart.probe.node_tests import node_tests

PASSES = GOOD | {Outcome.DISPUTED}
"""Disputed is right by one of onnxruntime and onnx.reference."""

_CONSTANT_INFINITY = "infinities among constants of bf16 are taken for the largest number"
_NEVER_STACKED = "no iteration: onnxruntime drops the shape of what would be stacked"
_LATE_EMPTY = "a set whose emptiness only a run shows"
_HALF_SUMS = "onnx.reference rounds each term of a sum in bf16"
WRONG_AND_KNOWN = {
    **{(op, "bf16"): _CONSTANT_INFINITY for op in (
        "Add", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mul", "PRelu",
        "Sub", "Sum", "Where",
    )},
    **{(op, dtype): _LATE_EMPTY for op in ("ReduceMax", "ReduceMin") for dtype in ("f32", "f16", "bf16", "i32", "i64")},
    **{(op, "bf16"): _HALF_SUMS for op in ("GridSample", "LpNormalization")},
    **{("Loop", dtype): _NEVER_STACKED for dtype in ("f32", "bool")},
    ("Compress", "f32"): "a condition longer than the axis, of which ONNX says nothing",
    ("GlobalMaxPool", "bf16"): "onnx.reference gives other shapes than the operator's definition",
    ("MaxPool", "bf16"): "onnx.reference gives other shapes than the operator's definition",
    ("MaxPool", "f32"): "a window of nothing but -inf",
}  # fmt: skip
"""Operator and dtype of cases that are wrong where the table says yes, and why it may."""


def test_measurements_come_with_what_they_were_made_with():
    table = load_table()
    cpu, gpu = recorded("CPU"), recorded("GPU.0")
    assert cpu.about["openvino"] == table.measured_with["openvino"]
    assert cpu.about["isa"] in str(table.measured_with["isa"])
    assert len(cpu.measurements) > 20_000
    assert {one.outcome for one in gpu.measurements.values()} == {Outcome.ACCEPTED, Outcome.REFUSED, Outcome.CRASHED}
    assert recorded("TPU") == Record()


def test_no_ordinary_case_that_the_table_delegates_was_measured_wrong():
    mine = [case for case in cases(first_only=True) if case.key.version == numbers(case.key.op)[-1]]
    verdicts = ask(mine, "CPU", load_table())
    assert len(verdicts) > 3_000
    assert _wrong(recorded("CPU"), verdicts) == {}


@cache
def _verdicts(device: str, semantics: str | None) -> Mapping[Key, Verdict]:
    """Ask the shipped table about every case that was measured."""
    known = recorded(device).measurements
    table = load_table()
    mine = [case for case in cases() if case.key in known]
    found = ask(mine, device, table, semantics)
    found |= ask_models({test.key: test.proto for test in node_tests() if test.key in known}, device, table)
    return found


def _wrong(record: Record, verdicts: Mapping[Key, Verdict]) -> dict[Key, str]:
    return {
        key: record.measurements[key].words
        for key, verdict in verdicts.items()
        if verdict.state is State.SUPPORTED
        and key in record.measurements
        and record.measurements[key].outcome in (Outcome.WRONG, Outcome.CRASHED)
        and not (record.measurements[key].kind == WIDE64 and verdict.guard is not None)
        and (key.op, key.dtype) not in WRONG_AND_KNOWN
    }


def _supported(device: str) -> list[Entry]:
    """Return the entries that say yes and that one node in a model of opset 7 or later can reach."""
    table = load_table()
    found = []
    for op in table.operators():
        held = False
        for entry in table.entries(op, device):
            held |= "may_hold" in entry.row
            reached = str(entry.row.get("opset", "..")) not in ("..6", "..5") and op not in COMPUTED_ONCE
            reached &= not (device == "GPU" and _of_refused_types(entry))
            # What comes out of other nodes only can be known to hold no infinity: no single node reaches such a line.
            if entry.op == op and entry.state is State.SUPPORTED and reached and not held:
                found.append(entry)
    return found


def _of_refused_types(entry: Entry) -> bool:
    """Whether an entry speaks of types only that the device refuses at a model's edge, where a single node's lie."""
    return any(set(dtypes) <= {"bf16", "i16"} for dtypes in entry.row.get("types", {}).values())


@pytest.mark.long
@pytest.mark.parametrize("device", ["CPU", "GPU"])
def test_each_yes_has_a_measurement_that_passes(device: str):
    measured = recorded(device).measurements
    passing = {
        verdict.rule
        for semantics in ("fast", "ieee")
        for key, verdict in _verdicts(device, semantics).items()
        if measured[key].outcome in PASSES and verdict.state is State.SUPPORTED
    }
    without = [f"{entry.rule} {entry.op}" for entry in _supported(device) if entry.rule not in passing]
    assert without == []


@pytest.mark.long
def test_no_case_that_the_table_delegates_was_measured_wrong():
    assert _wrong(recorded("CPU"), _verdicts("CPU", None)) == {}


@pytest.mark.long
@pytest.mark.parametrize("device", ["CPU", "GPU"])
def test_each_no_has_a_measurement_that_fails_or_a_reason(device: str):
    measured = recorded(device).measurements
    failing = {verdict.rule for key, verdict in _verdicts(device, None).items() if measured[key].outcome not in PASSES}
    table = load_table()
    noes = [e for op in table.operators() for e in table.entries(op, device) if e.state is State.UNSUPPORTED]
    assert [e.rule for e in noes if e.rule not in failing and not e.row.get("reason")] == []
    print(f"{device}: {len({e.rule for e in noes} & failing)} of {len({e.rule for e in noes})} refusals were measured")
