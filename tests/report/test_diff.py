from __future__ import annotations

import copy
import json

import onnx
from onnx import TensorProto
from onnx import helper as h

import ovpart
from ovpart.report.diff import plan_differences
from tests.placement.control_flow_models import BRANCHES
from tests.placement.control_flow_models import model as control_flow_model


def saved(**options):
    """Plan x -> Relu -> Exp -> Tanh -> y."""
    nodes = [h.make_node(op, [a], [b]) for op, a, b in (("Relu", "x", "a"), ("Exp", "a", "b"), ("Tanh", "b", "y"))]
    x, y = (h.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in "xy")
    model = h.make_model(h.make_graph(nodes, "g", [x], [y]), opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return json.loads(ovpart.plan(model, **{"min_gain": 0, **options}).to_json())


def test_a_plan_does_not_differ_from_itself():
    assert plan_differences(saved(), saved()) == ()


def test_moved_nodes_stand_together_with_the_reason_of_their_new_place():
    assert plan_differences(saved(), saved(exclude=["Exp"])) == (
        "openvino CPU → onnxruntime CPU: b (excluded by 'Exp')",
        "clusters: 1 → 3 (the least possible: 3)",
    )


def test_device_and_options_are_told():
    told = plan_differences(saved(), saved(device="GPU", min_gain=1e9))
    assert told[:2] == ("device: CPU → GPU", "option min_gain: 0.0 → 1000000000.0")


def test_nodes_put_together_otherwise_are_told():
    before = saved(exclude=["Exp"])
    after = copy.deepcopy(before)
    first, _, last = after["clusters"]
    first["nodes"], last["nodes"] = [*first["nodes"], *last["nodes"]], []
    assert plan_differences(before, after) == (
        "the same number of clusters (3), but nodes are put together differently",
    )


def test_what_moved_in_a_body_is_told_with_it():
    before = json.loads(ovpart.plan(control_flow_model(BRANCHES), min_gain=0).to_json())
    after = json.loads(ovpart.plan(control_flow_model(BRANCHES), min_gain=0, exclude=["Sigmoid"]).to_json())
    assert before["bodies"]
    assert plan_differences(before, before) == ()
    told = plan_differences(before, after)
    assert any(line.startswith("then_branch of y: openvino CPU → onnxruntime CPU: k (excluded") for line in told)
