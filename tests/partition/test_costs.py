"""Predictions per node, and the kinds of work that engines differ in."""

from __future__ import annotations

import onnx.parser
import pytest

from ovpart.model.read import read_model
from ovpart.partition.build import make_plan
from ovpart.partition.costs import CostTable, EngineCost, node_gains, node_us
from ovpart.partition.flops import work_kind
from tests.partition.drawings import DEVICE, ISLAND, YES, model_of


def parsed(text: str):
    return read_model(onnx.parser.parse_model('<ir_version: 8, opset_import: ["" : 17]>' + text))


def test_gains_are_the_difference_of_engines_and_none_where_an_engine_is_unknown():
    model = read_model(model_of({"a": [], "b": ["a"], "c": ["b"]}))  # each makes 24 bytes
    slow, fast = EngineCost(10.0, {}, 1e6), EngineCost(1.0, {}, 0.0)
    costs = CostTable({"slow": slow, "fast": fast})
    assert node_gains(model.graph, ["fast", "slow", "other"], "slow", costs) == pytest.approx([10.0 + 24 - 1, 0, 0])


def test_a_node_costs_by_its_operations_or_else_by_its_bytes():
    cost = EngineCost(1.0, {"product": 5.0}, 30.0)
    assert node_us(cost, "product", 2e6, 1e6) == pytest.approx(11.0)
    assert node_us(cost, "elementwise", 10.0, 2e6) == pytest.approx(61.0)


def test_movement_is_free_and_a_conditional_gains_what_its_branches_do():
    slow, fast = EngineCost(10.0, {}, 1e6), EngineCost(1.0, {}, 0.0)
    costs = CostTable({"slow": slow, "fast": fast})
    moving = parsed("g (float[2,3] x) => (float[3,2] y) { y = Transpose(x) }").graph
    assert node_gains(moving, ["fast"], "slow", costs) == [9.0]
    choosing = parsed(
        """g (float[2] x, bool c) => (float[2] y) {
          y = If (c) <
            then_branch = t () => (float[2] a) { a = Exp(x) },
            else_branch = e () => (float[2] b) { b = Neg(x) }
          >
        }"""
    ).graph
    assert node_gains(choosing, ["fast"], "slow", costs) == pytest.approx([2 * (10.0 + 8 - 1)])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("g (float[1,8,9,9] x, float[4,8,3,3] w) => (float[1,4,7,7] y) { y = Conv(x, w) }", "convolution"),
        ("g (float[1,8,9,9] x, float[4,8,1,3] w) => (float[1,4,9,7] y) { y = Conv(x, w) }", "convolution_1d"),
        ("g (float[1,8,9] x, float[4,8,3] w) => (float[1,4,7] y) { y = Conv(x, w) }", "convolution_1d"),
        ("g (float[1,8,9,9] x, float[8,1,3,3] w) => (float[1,8,7,7] y) { y = Conv<group = 8>(x, w) }", "depthwise"),
        ("g (float[1,8,9,9] x, float[8,4,3,3] w) => (float[1,4,11,11] y) { y = ConvTranspose(x, w) }", "transposed"),
        ("g (float[2,3] x, float[3,4] w) => (float[2,4] y) { y = MatMul(x, w) }", "product"),
        ("g (uint8[2,3] x, uint8[3,4] w) => (int32[2,4] y) { y = MatMulInteger(x, w) }", "integer"),
        ("g (float[2,3] x) => (float[3,2] y) { y = Transpose(x) }", "movement"),
        ("g (float[2,3] x) => (float[2,3] y) { y = Exp(x) }", "elementwise"),
    ],
)
def test_kinds_of_work(text, kind):
    graph = parsed(text).graph
    assert work_kind(graph, graph.nodes[0]) == kind


def planned(text: str):
    model = parsed(text)
    return make_plan(
        model, [YES] * len(model.graph.nodes), [DEVICE] * len(model.graph.nodes), device="GPU", min_gain=1.0
    )


def test_shipped_figures_keep_tiny_and_recurrent_models_where_they_are_faster():
    assert planned("g (float[3] x) => (float[3] y) { y = Exp(x) }").delegated == ()
    recurrent = """g (float[50,1,256] x, float[1,1024,256] w, float[1,1024,256] r) => (float[50,1,1,256] y)
        { y = LSTM<hidden_size = 256>(x, w, r) }"""
    assert planned(recurrent).clusters[0].label == ISLAND


def test_shipped_figures_delegate_a_large_convolution():
    plan = planned(
        "g (float[1,64,112,112] x, float[64,64,3,3] w) => (float[1,64,110,110] y) { c = Conv(x, w)\n y = Relu(c) }"
    )
    assert plan.coverage == 1.0
