"""Rounding that a dynamic quantisation amplifies stays on onnxruntime."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto
from onnx import helper as h

import ovpart
from ovpart.capability.verdict import State
from ovpart.errors import OvpartWarning


def model() -> onnx.ModelProto:
    """Return x -> Exp -> Reshape -> DynamicQuantizeLinear -> DequantizeLinear -> Sigmoid -> y; x -> Tanh -> z."""
    nodes = [
        h.make_node("Exp", ["x"], ["e"]),
        h.make_node("Reshape", ["e", "shape"], ["r"]),
        h.make_node("DynamicQuantizeLinear", ["r"], ["q", "scale", "zero"]),
        h.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        h.make_node("Sigmoid", ["d"], ["y"]),
        h.make_node("Tanh", ["x"], ["z"]),
    ]
    graph = h.make_graph(
        nodes,
        "dynamic",
        [h.make_tensor_value_info("x", TensorProto.FLOAT, [2, 6])],
        [
            h.make_tensor_value_info("y", TensorProto.FLOAT, [12]),
            h.make_tensor_value_info("z", TensorProto.FLOAT, [2, 6]),
        ],
        [h.make_tensor("shape", TensorProto.INT64, [1], [12])],
    )
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)


def verdicts(**options: object) -> dict[str, tuple[State, str]]:
    plan = ovpart.plan(model(), min_gain=0, **options)
    return {n.op_type: (v.state, v.rule) for n, v in zip(plan.graph.nodes, plan.verdicts, strict=True)}


def test_only_what_rounds_before_the_quantisation_is_held():
    found = verdicts()
    assert found["Exp"] == (State.UNSUPPORTED, "dynamic-quantisation")
    assert {op: found[op][0] for op in ("Reshape", "Sigmoid", "Tanh")} == dict.fromkeys(
        ("Reshape", "Sigmoid", "Tanh"), State.SUPPORTED
    )


def test_a_pin_beats_the_rule():
    with pytest.warns(OvpartWarning, match="against the table"):
        assert verdicts(pin="Exp")["Exp"] == (State.SUPPORTED, "pin")
