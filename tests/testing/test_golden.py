from __future__ import annotations

import json

import pytest

from ovpart.errors import PlanError
from ovpart.testing import assert_same_plan


def test_a_golden_plan_is_written_on_demand_and_then_holds(split, tmp_path):
    golden = tmp_path / "plans" / "split.json"
    with pytest.raises(AssertionError, match=r"there is no golden plan .*split.json yet\. pytest --ovpart-update"):
        assert_same_plan(split(), golden)
    assert_same_plan(split(), golden, update=True)
    assert_same_plan(split(), golden)


def test_nodes_that_moved_are_named(split, tmp_path):
    golden = tmp_path / "split.json"
    assert_same_plan(split(), golden, update=True)
    with pytest.raises(AssertionError) as caught:
        assert_same_plan(split(), golden, exclude=["Tanh"])
    told = str(caught.value)
    assert "openvino CPU → onnxruntime CPU: y (excluded by 'Tanh')" in told
    assert "clusters: 3 → 2" in told


def test_new_and_lost_nodes_are_named(split, tmp_path):
    golden = tmp_path / "split.json"
    assert_same_plan(split(), golden, update=True)
    document = json.loads(golden.read_text())
    golden.write_text(json.dumps(document).replace('"c"', '"gone"'))
    with pytest.raises(AssertionError) as caught:
        assert_same_plan(split(), golden)
    assert "no longer in the model: gone" in str(caught.value)
    assert "new, on onnxruntime CPU: c" in str(caught.value)


def test_an_edit_of_the_table_that_moves_no_node_is_no_difference(split, tmp_path):
    golden = tmp_path / "split.json"
    assert_same_plan(split(), golden, update=True)
    document = json.loads(golden.read_text())
    for verdict in document["verdicts"]:
        verdict["rule"] = "op_support.yaml:9999"
    golden.write_text(json.dumps(document))
    assert_same_plan(split(), golden)
    for verdict in document["verdicts"]:
        verdict["reason"] = "because"
    golden.write_text(json.dumps(document))
    with pytest.raises(AssertionError, match="another reason for b, c, d: 'because' → 'f64 is computed"):
        assert_same_plan(split(), golden)


@pytest.mark.parametrize("text", ["{", "[]", '{"ovpart_plan": 1}'])
def test_what_is_no_plan_is_said_to_be_none(split, tmp_path, text):
    (tmp_path / "golden.json").write_text(text)
    with pytest.raises(PlanError, match=r"golden.json .*saved plan"):
        assert_same_plan(split(), tmp_path / "golden.json")
