"""Local functions are taken apart, and mean what their own opset says."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from ovpart.errors import ModelError
from ovpart.model.read import read_model
from tests.model.protos import constant, graph, model, node, relu, value


def function(name, nodes, opset=21, domain="loc", inputs=("a",), outputs=("b",), attributes=(), more=()):
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in more)]
    return helper.make_function(domain, name, inputs, outputs, nodes, imports, attributes)


def ops(read):
    return sorted(n.op_type for n in read.graph.nodes)


def test_calls_are_replaced_by_nodes_and_types_go_through():
    twice = function("Twice", [node("Add", "a a", "b")])
    four = function(
        "Four", [node("Twice", "a", "q", domain="loc"), node("Twice", "q", "b", domain="loc")], more=["loc"]
    )
    read = read_model(model([node("Four", "x", "z", domain="loc"), relu("z", "y")], imports=[("loc", 1)],
                            functions=[twice, four]))  # fmt: skip
    assert ops(read) == ["Add", "Add", "Relu"]
    assert not read.proto.functions
    assert str(read.graph.type_of("y")) == "f32[2,3]"


def test_a_body_of_an_older_opset_keeps_its_meaning():
    """Softmax-11 flattens to two dimensions; under opset 13 it works along one axis."""
    old = function("Old", [node("Softmax", "a", "b", axis=1)], opset=11)
    proto = model([node("Old", "x", "z", domain="loc"), relu("z", "y")], [value("x", (2, 3, 4))],
                  [value("y", (2, 3, 4))], opset=17, imports=[("loc", 1)], functions=[old])  # fmt: skip
    read = read_model(proto)
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    (got,) = ReferenceEvaluator(read.proto).run(None, {"x": x})
    flat = np.exp(x.reshape(2, 12))
    np.testing.assert_allclose(got, (flat / flat.sum(1, keepdims=True)).reshape(2, 3, 4), rtol=1e-5)


def test_a_function_named_like_an_operator_is_the_function():
    relu_like = function("Relu", [node("Neg", "a", "b")], domain="")
    assert ops(read_model(model([relu("x", "y")], functions=[relu_like]))) == ["Neg"]


def test_calls_in_bodies_are_replaced_too():
    twice = function("Twice", [node("Add", "a a", "b")])
    then = graph([node("Twice", "x", "t", domain="loc")], (), ("t",))
    other = graph([relu("x", "e")], (), ("e",))
    proto = model([node("If", "c", "y", then_branch=then, else_branch=other)],
                  ["x", value("c", (), onnx.TensorProto.BOOL)], imports=[("loc", 1)], functions=[twice])  # fmt: skip
    assert [n.op_type for n in read_model(proto).graph.nodes[0].bodies["then_branch"].nodes] == ["Add"]


def test_weights_of_the_graph_and_of_functions_survive(tmp_path):
    big = np.arange(600, dtype=np.float32).reshape(2, 300)
    shifted = function("Shift", [node("Constant", "", "k", value=constant("k", big)), node("Add", "a k", "b")])
    proto = model([node("Shift", "x", "z", domain="loc"), node("Add", "z w", "y")], [value("x", (2, 300))],
                  [value("y", (2, 300))], [constant("w", big)], imports=[("loc", 1)], functions=[shifted])  # fmt: skip
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    read = read_model(path)
    inlined = next(n.key for n in read.graph.nodes if n.op_type == "Constant")
    for name in ("w", inlined):
        np.testing.assert_array_equal(read.weights.array(name), big)
        assert read.weights.is_mapped(name)


def test_attributes_are_handed_to_the_body():
    scaled = function("Turn", [], attributes=["perm"])
    turn = node("Transpose", "a", "b")
    turn.attribute.add(name="perm", ref_attr_name="perm", type=onnx.AttributeProto.INTS)
    scaled.node.append(turn)
    proto = model([node("Turn", "x", "y", domain="loc", perm=[1, 0])], outputs=[onnx.ValueInfoProto(name="y")],
                  imports=[("loc", 1)], functions=[scaled])  # fmt: skip
    assert str(read_model(proto).graph.type_of("y")) == "f32[3,2]"


def test_recursion_through_another_function_is_named():
    ping = function("Ping", [node("Pong", "a", "b", domain="loc")], more=["loc"])
    pong = function("Pong", [node("Ping", "a", "b", domain="loc")], more=["loc"])
    proto = model([node("Ping", "x", "y", domain="loc")], imports=[("loc", 1)], functions=[ping, pong])
    with pytest.raises(ModelError, match="Ping.*Pong.*Ping"):
        read_model(proto)


def test_a_function_defined_twice_is_refused():
    once = function("Twice", [node("Add", "a a", "b")])
    proto = model([node("Twice", "x", "y", domain="loc")], imports=[("loc", 1)], functions=[once, once])
    with pytest.raises(ModelError, match="Twice"):
        read_model(proto)
