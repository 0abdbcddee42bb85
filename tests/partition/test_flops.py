"""Operations and bytes of nodes whose work is known by hand."""

from __future__ import annotations

import onnx.parser
import pytest

from ovpart.model.read import read_model
from ovpart.model.types import ValueType
from ovpart.partition.flops import UNKNOWN_DIM, elements, node_flops, value_bytes, weight_bytes


def only(text: str, opset: int = 17):
    graph = read_model(onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]>' + text)).graph
    (node,) = [node for node in graph.nodes if node.index not in graph.constant]
    return graph, node


@pytest.mark.parametrize(
    ("text", "flops"),
    [
        ("g (float[2,3,4] a, float[4,5] b) => (float[2,3,5] y) { y = MatMul(a, b) }", 2 * 2 * 3 * 5 * 4),
        ("g (float[4,3] a, float[4,5] b) => (float[3,5] y) { y = Gemm<transA = 1>(a, b) }", 2 * 3 * 5 * 4),
        (
            "g (float[1,8,10,10] x, float[16,4,3,3] w) => (float[1,16,8,8] y) { y = Conv<group = 2>(x, w) }",
            2 * 16 * 8 * 8 * 4 * 9,
        ),
        (
            "g (float[1,8,5,5] x, float[8,6,2,2] w) => (float[1,6,6,6] y) { y = ConvTranspose(x, w) }",
            2 * 8 * 5 * 5 * 6 * 4,
        ),
        (
            "g (float[7,2,3] x, float[1,16,3] w, float[1,16,4] r) => (float[7,1,2,4] y)"
            " { y = LSTM<hidden_size = 4>(x, w, r) }",
            2 * 7 * 2 * (16 * 3 + 16 * 4),
        ),
        ("g (float[1,2,4,4] x) => (float[1,2,2,2] y) { y = MaxPool<kernel_shape = [3, 3]>(x) }", 8 * 9),
        ("g (float[6] x) => (float[6] y) { y = Exp(x) }", 6),
        ("g (float[6,4] x) => (float[6,1] y) { y = ReduceMax<axes = [1]>(x) }", 24),
        ("g (float[6,4] x) => (float[4,6] y) { y = Transpose(x) }", 0),
        ("g (float[N,M] x) => (float[N,M] y) { y = Exp(x) }", UNKNOWN_DIM),
    ],
)
def test_operations_of_one_node(text, flops):
    assert node_flops(*only(text)) == flops


def test_conditional_counts_its_dearer_branch():
    graph, node = only(
        """g (float[5] x, bool c) => (float[5] y) {
          y = If (c) <
            then_branch = t () => (float[5] a) { a = Exp(x) },
            else_branch = e () => (float[5] b) { h = Exp(x)
              b = Exp(h) }
          >
        }"""
    )
    assert node_flops(graph, node) == 10


def test_bytes_of_values_and_weights():
    assert elements(ValueType("tensor", "f32", ("N", 3, None))) == 3 * UNKNOWN_DIM
    assert elements(ValueType("tensor", "f32", ("N", 3, None)), 2) == 6
    assert value_bytes(ValueType("tensor", "f16", (2, 3))) == 12
    assert value_bytes(ValueType("tensor", "u4", (3,))) == 2
    assert value_bytes(ValueType("tensor", "f32", ())) == 4
    graph, node = only(
        "g (float[1,2] x) => (float[1,3] y) <float[2,3] w = {1,2,3,4,5,6}> { v = Neg(w)\n y = MatMul(x, v) }"
    )
    assert weight_bytes(graph, node) == 24
