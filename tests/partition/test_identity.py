"""Ids follow what a cluster computes, and nothing else."""

from __future__ import annotations

import onnx
import onnx.helper as oh
import onnx.parser
import pytest

from ovpart.model.read import read_model
from ovpart.partition.identity import ID_DIGITS, cluster_id


def conditional() -> onnx.ModelProto:
    return onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[5] x, bool c) => (float[5] y)
        <float[5] w = {1, 2, 3, 4, 5}> {
          s = Elu<alpha = 0.5>(x)
          i = If (c) <
            then_branch = t () => (float[5] a) { a = Exp(s) },
            else_branch = e () => (float[5] b) { b = Add(s, w) }
          >
          y = Sum(i, w)
        }"""
    )


def id_of(proto: onnx.ModelProto) -> str:
    graph = read_model(proto).graph
    return cluster_id(graph, [node.index for node in graph.nodes])


def branch(proto: onnx.ModelProto, name: str) -> onnx.GraphProto:
    (node,) = [node for node in proto.graph.node if node.op_type == "If"]
    return next(a.g for a in node.attribute if a.name == name)


def renamed(proto):
    for i, node in enumerate(proto.graph.node):
        node.name = f"called {i}"


def described(proto):
    for node in proto.graph.node:
        node.doc_string = "text"
        for attribute in node.attribute:
            attribute.doc_string = "text"


def renamed_inside(proto):
    branch(proto, "then_branch").node[0].name = "inner"
    branch(proto, "then_branch").name = "another"


def other_weights(proto):
    proto.graph.initializer[0].CopyFrom(oh.make_tensor("w", onnx.TensorProto.FLOAT, [5], [9.0] * 5))


def reordered(proto):
    nodes = list(proto.graph.node)[::-1]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)


def other_attribute(proto):
    proto.graph.node[0].attribute[0].f = 0.25


def other_operator(proto):
    proto.graph.node[0].op_type = "LeakyRelu"


def other_operator_inside(proto):
    branch(proto, "then_branch").node[0].op_type = "Neg"


def other_order_of_inputs(proto):
    proto.graph.node[2].input[:] = ["w", "i"]


@pytest.mark.parametrize("change", [renamed, described, renamed_inside, other_weights, reordered])
def test_id_stays(change):
    proto = conditional()
    before = id_of(proto)
    change(proto)
    assert id_of(proto) == before
    assert len(before) == ID_DIGITS


@pytest.mark.parametrize("change", [other_attribute, other_operator, other_operator_inside, other_order_of_inputs])
def test_id_changes(change):
    proto = conditional()
    before = id_of(proto)
    change(proto)
    assert id_of(proto) != before
