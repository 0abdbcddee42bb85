"""Models that are valid, however odd: they are read, and everything in them has its place."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from ovpart.model.read import read_model, unknown_operators
from tests.model.protos import constant, external, graph, model, node, relu, saved, value


def nested_ifs(depth):
    body = graph([relu("x", "z0")], (), ("z0",))
    for i in range(1, depth):
        other = graph([relu("x", f"e{i}")], (), (f"e{i}",))
        body = graph([node("If", "c", f"z{i}", then_branch=body, else_branch=other)], (), (f"z{i}",))
    last = graph([relu("x", "e")], (), ("e",))
    inputs = ("x", value("c", (), TensorProto.BOOL))
    return model([node("If", "c", "y", then_branch=body, else_branch=last)], inputs)


ODD = {
    "input is output": lambda: model([relu()], outputs=("x", "y")),
    "initializer is output": lambda: model([relu()], outputs=("y", "w"), initializers=[constant("w", [4.0, 5.0])]),
    "no node names": lambda: model([relu("x", "a", ""), relu("a", "y", "")]),
    "same node names": lambda: model([relu("x", "a"), relu("a", "y")]),
    "odd letters": lambda: model(
        [
            onnx.helper.make_node("Relu", ["x"], ["a/b:0;\n é ☃"]),
            onnx.helper.make_node("Neg", ["a/b:0;\n é ☃"], ["y"]),
        ]
    ),
    "no inputs": lambda: model([node("Neg", "w", "y")], (), initializers=[constant("w", np.zeros((2, 3), np.float32))]),
    "no nodes": lambda: model([], outputs=("x",)),
    "unused input": lambda: model([relu()], ("x", "unused")),
    "scalar": lambda: model([relu()], [value("x", ())], [value("y", ())]),
    "zero elements": lambda: model([relu()], [value("x", (0, 3))], [value("y", (0, 3))]),
    "new IR version": lambda: model([relu()], ir=14),
    "newest opset": lambda: model([relu()], opset=onnx.defs.onnx_opset_version()),
    "contrib domain not imported": lambda: model([node("Gelu", "x", "y", domain="com.microsoft")]),
    "domain written out": lambda: model([node("Relu", "x", "y", domain="ai.onnx")]),
    "twelve nested bodies": lambda: nested_ifs(12),
    "one value as several outputs": lambda: model([relu("x", "a"), relu("a", "y")], outputs=("a", "y", "a")),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_model_is_read_and_typed(name):
    read = read_model(ODD[name]())
    for scope in (read.graph,):
        for made in scope.producer:
            assert scope.type_of(made).shape is not None
        assert [n.index for n in scope.nodes] == list(range(len(scope.nodes)))
    assert not unknown_operators(read)


def test_values_have_producers_consumers_and_places():
    """X → a → b → y; k → c (constant) → b; a → d (dead)."""
    proto = model(
        [
            node("Neg", "k", "c"),
            relu("x", "a"),
            node("Add", "a c", "b"),
            node("Exp", "a", "d"),
            relu("b", "y"),
        ],
        initializers=[constant("k", np.zeros(3, np.float32))],
    )
    scope = read_model(proto).graph
    index = {n.key: n.index for n in scope.nodes}
    assert scope.consumers["a"] == tuple(sorted((index["b"], index["d"])))
    assert scope.constant == {index["c"]}
    assert scope.dead == {index["d"]}
    assert scope.is_constant("k")
    assert scope.is_constant("c")
    assert not scope.is_constant("a")
    assert scope.producer["b"] == index["b"]


def test_random_numbers_are_no_constants():
    proto = model(
        [
            node("RandomNormal", "", "r", shape=[2, 3]),
            node("Add", "x r", "a"),
            node("Dropout", "w ratio train", "m"),
            node("Add", "a m", "y"),
        ],
        initializers=[
            constant("w", np.zeros((2, 3), np.float32)),
            constant("ratio", np.float32(0.5)),
            constant("train", np.array(True)),
        ],
    )
    assert read_model(proto).graph.constant == frozenset()


def test_operators_that_nobody_describes_are_listed_with_those_of_bodies():
    then = graph([node("Odd", "x", "t", domain="far")], (), ("t",))
    other = graph([relu("x", "e")], (), ("e",))
    proto = model(
        [node("If", "c", "a", then_branch=then, else_branch=other), node("NoSuchOperator", "a", "y")],
        ("x", value("c", (), TensorProto.BOOL)),
        imports=[("far", 1)],
    )
    assert [n.op_id for n in unknown_operators(read_model(proto))] == ["far.Odd", "NoSuchOperator"]


def test_bodies_capture_outer_values_and_carry_types():
    then = graph([node("Add", "a w", "t")], (), [onnx.ValueInfoProto(name="t")])
    other = graph([node("Neg", "a", "e")], (), [onnx.ValueInfoProto(name="e")])
    proto = model(
        [relu("x", "a"), node("If", "c", "y", then_branch=then, else_branch=other)],
        ("x", value("c", (), TensorProto.BOOL)),
        initializers=[constant("w", np.ones((2, 3), np.float32))],
    )
    scope = read_model(proto).graph
    choice = scope.nodes[1]
    assert choice.captures == ("a", "w")
    assert choice.reads == ("c", "a", "w")
    assert scope.consumers["w"] == (1,)
    assert str(choice.bodies["then_branch"].type_of("t")) == "f32[2,3]"
    assert choice.bodies["then_branch"].nodes[0].inputs == ("a", "w")


def test_nodes_out_of_order_are_sorted_in_bodies_too():
    then = graph([relu("q", "t"), node("Neg", "x", "q")], (), ("t",))
    other = graph([relu("x", "e")], (), ("e",))
    proto = model(
        [node("Neg", "a", "y"), node("If", "c", "a", then_branch=then, else_branch=other)],
        ("x", value("c", (), TensorProto.BOOL)),
    )
    scope = read_model(proto).graph
    assert [n.op_type for n in scope.nodes] == ["If", "Neg"]
    assert [n.op_type for n in scope.nodes[0].bodies["then_branch"].nodes] == ["Neg", "Relu"]
    assert str(scope.type_of("y")) == "f32[2,3]"


def test_external_data_in_a_subfolder_is_found(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "w.bin").write_bytes(np.arange(8, dtype=np.float32).tobytes())
    proto = model([node("Add", "x w", "y")], initializers=[external("w", [2, 3], "data/w.bin", 8, 24)])
    read = read_model(saved(tmp_path, proto))
    np.testing.assert_array_equal(read.weights.array("w"), np.arange(2, 8, dtype=np.float32).reshape(2, 3))


def test_external_data_of_a_body_is_loaded_in(tmp_path):
    (tmp_path / "w.bin").write_bytes(np.arange(6, dtype=np.float32).tobytes())
    then = graph([node("Add", "x w", "t")], (), ("t",), [external("w", [2, 3], "w.bin")])
    other = graph([relu("x", "e")], (), ("e",))
    proto = model([node("If", "c", "y", then_branch=then, else_branch=other)], ("x", value("c", (), TensorProto.BOOL)))
    body = read_model(saved(tmp_path, proto)).graph.nodes[0].bodies["then_branch"]
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(body.initializers["w"]).reshape(-1), np.arange(6))


def test_a_model_of_the_first_ir_version_has_opset_1():
    proto = model([node("Relu", "x", "y")], ir=1)
    del proto.opset_import[:]
    read = read_model(proto)
    assert read.opsets == {"": 1}
    assert str(read.graph.type_of("y")) == "f32[2,3]"
