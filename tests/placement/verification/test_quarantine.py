"""Rules written by a quarantine are valid, hold for what was seen, and stand above what was there."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from onnx import helper as h

import ovpart
from ovpart.capability.table import load_table
from ovpart.errors import TableError
from ovpart.model.read import read_model
from ovpart.partition.plan import Label
from ovpart.placement.verification.findings import Culprit
from ovpart.placement.verification.quarantine import default_path, quarantine, rule_of


def convolution(dilation: int = 1, rank: int = 4) -> onnx.ModelProto:
    """X -> Conv(3x3) -> y."""
    spatial = rank - 2
    weights = numpy_helper.from_array(np.ones((2, 3, *[3] * spatial), np.float32), "w")
    sizes = {"dilations": [dilation] * spatial, "pads": [1] * 2 * spatial}
    node = h.make_node("Conv", ["x", "w"], ["y"], name="conv", auto_pad="NOTSET", **sizes)
    ends = [h.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, *["s"] * spatial])]
    made = [h.make_tensor_value_info("y", TensorProto.FLOAT, [None] * rank)]
    graph = h.make_graph([node], "g", ends, made, [weights])
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)


def culprit(model) -> Culprit:
    node = model.graph.nodes[0]
    return Culprit("c", node.label, node.key, node.op_id, (0,), None, "max error 3", None, Label("openvino", "CPU"))


def test_a_rule_holds_for_nodes_like_the_one_seen_and_no_others(tmp_path):
    model = read_model(convolution(dilation=2))
    path = tmp_path / "rules.yaml"
    added = quarantine(model, [(culprit(model), "CPU")], {"openvino": "openvino 1"}, path)
    assert [(operator, device) for operator, device, _ in added] == [("Conv", "CPU")]

    def state(proto):
        plan = ovpart.plan(proto, min_gain=0, table=path)
        return plan.verdicts[0].state, plan.verdicts[0].rule

    assert state(convolution(dilation=2)) == ("unsupported", f"{path}:6")
    assert state(convolution(dilation=1))[0] == "supported"
    assert state(convolution(dilation=2, rank=3))[0] == "supported"


def test_a_second_rule_stands_beside_the_first_and_none_stands_twice(tmp_path):
    path = tmp_path / "rules.yaml"
    first, second = read_model(convolution(dilation=2)), read_model(convolution(dilation=1))
    for model in (first, second, first):
        quarantine(model, [(culprit(model), "CPU")], {}, path)
    entries = [entry for entry in load_table([path]).entries("Conv", "CPU") if entry.file == str(path)]
    assert [entry.row["when"]["dilations"] for entry in entries] == [[[1, 1]], [[2, 2]]]


def test_a_users_own_entries_and_words_are_kept(tmp_path):
    path = tmp_path / "mine.yaml"
    own = "schema: 1\n# mine\nops:\n  Relu:\n    CPU:\n    - {state: unsupported, reason: because}\n"
    path.write_text(own, encoding="utf-8")
    model = read_model(convolution())
    quarantine(model, [(culprit(model), "CPU")], {}, path)
    assert {e.op for op in ("Relu", "Conv") for e in load_table([path]).entries(op, "CPU") if e.file == str(path)} == {
        "Relu",
        "Conv",
    }
    assert path.with_suffix(".yaml.bak").read_text(encoding="utf-8") == own


def test_each_device_of_several_gets_its_rule(tmp_path):
    model = read_model(convolution())
    added = quarantine(model, [(culprit(model), "AUTO:GPU.0,CPU")], {}, tmp_path / "rules.yaml")
    assert [device for _, device, _ in added] == ["GPU.0", "CPU"]


def test_a_file_that_is_no_table_is_left_alone(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("schema: 1\nops: {Conv: {CPU: [{state: sometimes}]}}\n", encoding="utf-8")
    before = path.read_text(encoding="utf-8")
    model = read_model(convolution())
    with pytest.raises(TableError):
        quarantine(model, [(culprit(model), "CPU")], {}, path)
    assert path.read_text(encoding="utf-8") == before
    assert [p.name for p in tmp_path.iterdir()] == ["rules.yaml"]


def test_the_default_file_lies_in_the_users_folder_for_settings(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert default_path() == tmp_path / "ovpart" / "quarantine.yaml"


def test_attributes_become_conditions_as_they_stand():
    model = read_model(convolution(dilation=2))
    rule = rule_of(model, model.graph.nodes[0], "max error 3", "openvino 1")
    assert rule["when"] == {"dilations": [[2, 2]], "pads": [[1, 1, 1, 1]], "auto_pad": "NOTSET"}
    assert (rule["opset"], rule["rank"], rule["const"]) == (17, {"in0": 4, "in1": 4}, ["in1"])
