from __future__ import annotations

import onnx.parser
import pytest
from onnx import helper

from ovpart.backend.openvino_chains import LONG, largest_group, quick_options


def graph(*nodes: onnx.NodeProto) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), "g", [], [])


def row(count: int, first: str = "x", stem: str = "v") -> list[onnx.NodeProto]:
    names = [first, *(f"{stem}{i}" for i in range(count))]
    return [helper.make_node("Relu", [names[i]], [names[i + 1]]) for i in range(count)]


def test_connected_elementwise_nodes_are_counted_together():
    # x -> 60 Relu -> MatMul -> 70 Relu; two rows of 40 that meet in an Add
    product = helper.make_node("MatMul", ["v59", "w"], ["p"])
    apart = [*row(60), product, *row(70, "p", "u")]
    assert largest_group(graph(*apart)) == 70
    meeting = [*row(60, "x", "a"), *row(60, "x", "b"), helper.make_node("Add", ["a59", "b59"], ["c"])]
    assert largest_group(graph(*meeting)) == 121
    assert largest_group(graph(*row(3))) <= LONG


@pytest.mark.parametrize("count", [LONG, LONG + 1])
def test_snippets_are_off_for_long_chains_alone(count):
    options = quick_options(graph(*row(count)), "CPU", {"A": 1})
    assert options == ({"A": 1} if count == LONG else {"A": 1, "SNIPPETS_MODE": "DISABLE"})


def test_other_devices_and_what_is_set_already_stay():
    long = graph(*row(2 * LONG))
    assert quick_options(long, "GPU", {}) == {}
    assert quick_options(long, "CPU", {"SNIPPETS_MODE": "ENABLE"}) == {"SNIPPETS_MODE": "ENABLE"}
