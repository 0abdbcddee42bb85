"""A small model whose split is known by hand, and the report of it.

x -> MatMul(+) -> Softmax(-) -> MatMul(+) -> Tanh(-) -> y        + supported, - not
     shape(constant)                  Neg(dead)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ovpart.capability.verdict import Guard, State, Verdict
from ovpart.model.graph import Model
from ovpart.model.read import read_model
from ovpart.partition.build import make_plan
from ovpart.partition.plan import Label, Plan
from ovpart.report.model import Report, make_report

YES = Verdict(State.SUPPORTED, "measured", "op_support.yaml:10", source="measured")
DEVICE = Label("openvino", "CPU")
ISLAND = Label("onnxruntime", "CPU")


def no(reason: str, rule: str, hint: str = "", *, deferred: bool = False) -> Verdict:
    return Verdict(State.UNSUPPORTED, reason, rule, hint, "measured", deferred=deferred)


REFUSED = {
    "Softmax": no("axis is flattened", "op_support.yaml:640", "export with opset 13"),
    "Tanh": no("loses NaN", "op_support.yaml:700"),
}


@pytest.fixture
def model() -> Model:
    wide = numpy_helper.from_array(np.ones((8, 32), np.float32), "wide")
    narrow = numpy_helper.from_array(np.ones((32, 8), np.float32), "narrow")
    seven = numpy_helper.from_array(np.ones((1,), np.float32), "seven")
    graph = helper.make_graph(
        [
            helper.make_node("Exp", ["seven"], ["scale"], name="scaling"),
            helper.make_node("MatMul", ["x", "wide"], ["a"], name="first"),
            helper.make_node("Softmax", ["a"], ["b"], name="soft"),
            helper.make_node("MatMul", ["b", "narrow"], ["c"], name="second"),
            helper.make_node("Neg", ["c"], ["unused"], name="idle"),
            helper.make_node("Tanh", ["c"], ["d"], name="last"),
            helper.make_node("Mul", ["d", "scale"], ["y"], name="scaled"),
        ],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 8])],
        [wide, narrow, seven],
    )
    return read_model(helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9))


def plan_of(model: Model, verdicts: Mapping[str, Verdict], *, min_gain: float = 0.0) -> Plan:
    """Plan with the verdicts of some operators; all others are supported."""
    said = [verdicts.get(node.op_type, YES) for node in model.graph.nodes]
    labels = [DEVICE if verdict.state is State.SUPPORTED else ISLAND for verdict in said]
    return make_plan(model, said, labels, device="CPU", min_gain=min_gain)


@pytest.fixture
def report_of(model: Model) -> Callable[..., Report]:
    """Make the report of the model under verdicts by operator (default: Softmax and Tanh are refused)."""

    def make(verdicts: Mapping[str, Verdict] = REFUSED, *, min_gain: float = 0.0, **facts: Any) -> Report:
        return make_report(plan_of(model, verdicts, min_gain=min_gain), model, **facts)

    return make


@pytest.fixture
def guarded() -> Verdict:
    return Verdict(State.SUPPORTED, "within 32 bits", "op_support.yaml:3", guard=Guard("int32_range", ("x",)))
