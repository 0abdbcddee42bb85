"""Coverage counts every operator, version and dtype once."""

from __future__ import annotations

from ovpart.capability.table import load_table
from ovpart.capability.verdict import State
from ovpart.probe.coverage import COMPUTED_ONCE, coverage
from ovpart.probe.schemas import operators, versions


def test_every_operator_and_version_of_onnx_is_counted():
    table = load_table([{"schema": 1, "ops": {"Relu": {"CPU": [{"state": "supported"}]}}}], shipped=False)
    found = coverage("CPU", table)
    counted = {(op, version) for op, version, _ in found.states}
    assert {(op, version) for op in operators() for version in versions(op)} - counted == {
        (op, version) for op in COMPUTED_ONCE for version in versions(op)
    }
    assert {op for (op, _, _), state in found.states.items() if state is State.SUPPORTED} == {"Relu"}
    assert 0 < found.known < 0.05
    assert found.counts()[State.UNKNOWN] == len(found.unknown())


def test_the_shipped_table_knows_nearly_all_of_the_cpu():
    found = coverage("CPU", load_table())
    assert found.known > 0.93, found.unknown()
