from __future__ import annotations

import onnx
import pytest

from ovpart.capability.table import load_table
from ovpart.errors import OptionError
from ovpart.testing import op_cases


def test_every_operator_of_the_table_has_a_case_for_each_version():
    cases = op_cases("CPU")
    assert {case.op for case in cases} == set(load_table().operators())
    assert len({case.id for case in cases}) == len(cases)
    clip = [(case.since, case.last) for case in cases if case.op == "Clip"]
    assert clip == [(6, 10), (11, 11), (12, 12), (13, onnx.defs.onnx_opset_version())]


def test_a_case_has_the_entries_that_hold_for_its_version():
    overlay = {
        "schema": 1,
        "ops": {
            "Resize": {
                "NPU": [
                    {"opset": "18..", "state": "unsupported", "reason": "too new", "source": "inferred"},
                    {"state": "supported", "source": "inferred"},
                ]
            }
        },
    }
    told = {case.since: case for case in op_cases("NPU", ops=["Resize"], table=[overlay])}
    assert [e.state for e in told[13].entries if e.file == "overlay 1"] == ["supported"]
    assert [e.state for e in told[18].entries if e.file == "overlay 1"] == ["unsupported", "supported"]
    assert told[18].state == "mixed"
    assert "overlay 1:1  unsupported: too new" in told[18].describe()


def test_cases_can_be_chosen_by_state():
    assert all(case.state == "unknown" for case in op_cases("NPU", states=["unknown"]))
    assert op_cases("CPU", ops=["Relu"], states=["unknown"]) == ()


@pytest.mark.parametrize("wrong", [{"ops": ["Rezise"]}, {"states": ["perhaps"]}])
def test_what_does_not_exist_is_named(wrong):
    with pytest.raises(OptionError, match="Rezise|perhaps"):
        op_cases("CPU", **wrong)
