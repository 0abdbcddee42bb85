"""Types and shapes of values: inferred, declared, learnt."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from ovpart.model import infer
from ovpart.model.read import read_model
from ovpart.model.types import ValueType
from ovpart.model.variants import with_types
from tests.model.protos import constant, graph, model, node, relu, value


def untyped(name="y"):
    return onnx.ValueInfoProto(name=name)


def types(read, *names):
    return [str(read.graph.type_of(n)) for n in names]


def test_symbols_are_carried_and_made_up_ones_are_not():
    nodes = [
        node("Concat", "x x", "a", axis=0),
        node("Transpose", "x", "b"),
        node("NonZero", "x", "z"),
        node("MatMul", "x b", "y"),
    ]
    read = read_model(model(nodes, [value("x", ("n", 3))], [untyped(), untyped("a"), untyped("z")]))
    assert types(read, "a", "b", "y", "z") == ["f32[?,3]", "f32[3,n]", "f32[n,n]", "i64[2,?]"]


def test_selected_boxes_are_rows_of_three_in_the_first_version_too():
    """Version 10 of the operator has no inference in onnx."""
    proto = model([node("NonMaxSuppression", "b s", "y")], [value("b", (1, 9, 4)), value("s", (1, 2, 9))], [untyped()])
    proto.opset_import[0].version = 10
    assert types(read_model(proto), "y") == ["i64[?,3]"]


def test_shapes_are_propagated_through_values():
    """Reshape to (dim 0 of x, 6), computed at run time."""
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n"),
        node("Unsqueeze", "n first", "n1"),
        node("Concat", "n1 six", "shape", axis=0),
        node("Reshape", "x shape", "y"),
    ]
    given = [
        constant("zero", np.array(0)),
        constant("first", np.array([0])),
        constant("six", np.array([6])),
    ]
    read = read_model(model(nodes, [value("x", ("n", 2, 3))], [untyped()], given))
    assert types(read, "y") == ["f32[n,6]"]


@pytest.mark.parametrize(
    ("op_type", "shape", "second", "attributes", "expected"),
    [
        ("Reshape", (2, 3), (3,), {}, "f32[?,?,?]"),
        ("Expand", (2, 3), (4,), {}, "f32[?,?,2,3]"),
        ("Tile", (2, 3), (2,), {}, "f32[?,?]"),
        ("Unsqueeze", (2, 3), (2,), {}, "f32[?,?,?,?]"),
        ("Squeeze", (2, 1, 1), (2,), {}, "f32[?]"),
        ("ReduceSum", (2, 3), (1,), {"keepdims": 0}, "f32[?]"),
        ("ReduceMax", (2, 3), (1,), {"keepdims": 1}, "f32[?,?]"),
        ("CenterCropPad", (2, 3), (2,), {}, "f32[?,?]"),
        ("Pad", (2, 3), (4,), {}, "f32[?,?]"),
        ("TopK", (2, 3), (1,), {}, "f32[?,?]"),
    ],
)
def test_the_length_of_a_shape_that_only_the_run_knows_tells_the_rank(op_type, shape, second, attributes, expected):
    outputs = "y i" if op_type == "TopK" else "y"
    nodes = [node(op_type, "x s", outputs, **attributes)]
    read = read_model(model(nodes, [value("x", shape), value("s", second, TensorProto.INT64)], [untyped()]))
    assert types(read, "y") == [expected]


def test_a_rank_that_nothing_tells_stays_unknown():
    nodes = [node("Reshape", "x s", "a"), relu("a", "y")]
    read = read_model(model(nodes, ["x", value("s", ("k",), TensorProto.INT64)], [untyped()]))
    assert types(read, "a", "y") == ["f32[?]", "f32[?]"]
    assert read.graph.type_of("a").rank is None


class TestFirstOpset:
    """Operators of opset 1, to most of which onnx has no rule."""

    def test_elementwise_chains_keep_their_type(self):
        nodes = [
            node("Relu", "x", "a", consumed_inputs=[0]),
            node("Add", "a b", "c", broadcast=1, axis=1),
            node("BatchNormalization", "c s s s s", "d", consumed_inputs=[0] * 5, is_test=1),
            node("Dropout", "d", "y m", is_test=1),
        ]
        given = [constant("b", np.zeros(3, np.float32)), constant("s", np.zeros(3, np.float32))]
        read = read_model(model(nodes, [value("x", (2, 3, 4, 4))], [untyped()], given, opset=1, ir=3))
        assert types(read, "a", "c", "d", "y") == ["f32[2,3,4,4]"] * 4

    @pytest.mark.parametrize(
        ("op_type", "made", "attributes", "expected"),
        [
            ("Reshape", "y", {"shape": [0, -1]}, ["f32[2,?]"]),
            ("Cast", "y", {"to": "INT64"}, ["i64[2,3,4,4]"]),
            ("Concat", "y", {}, ["f32[2,6,4,4]"]),
            ("Split", "y z", {"axis": 1, "split": [1, 2]}, ["f32[2,1,4,4]", "f32[2,2,4,4]"]),
            ("Pad", "y", {"paddings": [0, 0, 1, 1, 0, 0, 1, 1]}, ["f32[2,3,6,6]"]),
            ("Upsample", "y", {"height_scale": 2.0, "width_scale": 3.0}, ["f32[2,3,8,12]"]),
            ("GlobalLpPool", "y", {}, ["f32[2,3,1,1]"]),
        ],
    )
    def test_rules_of_our_own(self, op_type, made, attributes, expected):
        inputs = "x x" if op_type == "Concat" else "x"
        proto = model(
            [node(op_type, inputs, made, **attributes)],
            [value("x", (2, 3, 4, 4))],
            [untyped(n) for n in made.split()],
            opset=1,
            ir=3,
        )
        assert types(read_model(proto), *made.split()) == expected


def branch(name, *nodes):
    return graph(nodes, (), [untyped(name)])


def choice(then, other):
    return model(
        [node("If", "c", "y", then_branch=then, else_branch=other)],
        [value("x", (2, "n")), value("c", (), TensorProto.BOOL)],
        [untyped()],
        [constant("axis", np.array([0]))],
    )


def test_branches_of_one_rank_agree_on_the_dims_that_they_share():
    then = branch("t", node("Concat", "x x", "t", axis=1))
    other = branch("e", node("Concat", "x x", "e", axis=0))
    assert types(read_model(choice(then, other)), "y") == ["f32[?,?]"]
    assert types(read_model(choice(branch("t", relu("x", "t")), branch("e", node("Neg", "x", "e")))), "y") == [
        "f32[2,n]"
    ]


def test_branches_of_different_ranks_leave_the_rank_open():
    then = branch("t", node("Unsqueeze", "x axis", "t"))
    other = branch("e", relu("x", "e"))
    read = read_model(choice(then, other))
    assert types(read, "y") == ["f32[?]"]
    assert str(read.graph.nodes[0].bodies["then_branch"].type_of("t")) == "f32[1,2,n]"


class TestDeclared:
    """What the file says of types."""

    def odd(self, said, behind=None):
        """X → Odd (of a domain that nobody knows) → a → Relu → y."""
        nodes = [node("Odd", "x", "a", domain="far"), relu("a", "y")]
        infos = [v for v in (said, behind) if v is not None]
        return model(nodes, [value("x", ("n", 3))], [untyped()], imports=[("far", 1)], value_info=infos)

    def test_is_believed_where_nobody_has_a_rule(self):
        read = read_model(self.odd(value("a", (4, "m"))))
        assert types(read, "a", "y") == ["f32[4,m]", "f32[4,m]"]
        assert not read.notes

    def test_does_not_stand_against_inference(self):
        read = read_model(self.odd(value("a", (4, 5)), value("y", (7, 5))))
        assert types(read, "y") == ["f32[4,5]"]
        assert "'y'" in read.notes[0]
        assert "f32[7,5]" in read.notes[0]

    def test_that_is_wrong_poisons_nothing_behind_it(self):
        nodes = [relu("x", "a"), node("MatMul", "a w", "b"), node("Reshape", "b s", "y")]
        given = [constant("w", np.zeros((3, 4), np.float32)), constant("s", np.array([0, 2, 2]))]
        wrong = [value("a", (9, 9, 9)), value("b", (5,))]
        read = read_model(model(nodes, [value("x", ("n", 3))], [value("y", (8,))], given, value_info=wrong))
        assert types(read, "a", "b", "y") == ["f32[n,3]", "f32[n,4]", "f32[n,2,2]"]
        assert len(read.notes) == 3

    def test_of_another_element_type_is_noted(self):
        read = read_model(model([relu()], value_info=[], outputs=[value("y", (2, 3), TensorProto.INT64)]))
        assert types(read, "y") == ["f32[2,3]"]
        assert "i64" in read.notes[0]

    @pytest.mark.parametrize(("dim", "expected"), [(2, "f32[2,7]"), ("n", "f32[?,?]")])
    def test_gives_the_rank_where_a_rule_could_not_and_sizes_if_inputs_are_static(self, dim, expected):
        """Whoever made the batch of a finished model dynamic has left the old sizes standing."""
        inputs = [value("x", (dim, 7)), value("s", (2,) if dim == 2 else ("k",), TensorProto.INT64)]
        nodes = [node("Reshape", "x s", "a"), node("Squeeze", "a", "b"), relu("b", "y")]
        read = read_model(model(nodes, inputs, [untyped()], value_info=[value("b", (2, 7))]))
        assert types(read, "b", "y") == [expected, expected]

    def test_in_a_body_is_believed_too(self):
        then = graph([node("Odd", "x", "t", domain="far")], (), [value("t", (2, "n"))])
        proto = choice(then, branch("e", relu("x", "e")))
        proto.opset_import.add(domain="far", version=1)
        assert types(read_model(proto), "y") == ["f32[2,n]"]


def test_types_learnt_at_run_time_go_on_behind_them():
    nodes = [node("Reshape", "x s", "a"), node("Transpose", "a", "b"), node("Reshape", "b s", "c"), relu("c", "y")]
    inputs = ["x", value("s", ("k",), TensorProto.INT64)]
    read = read_model(model(nodes, inputs, [untyped()]))
    once = with_types(read, {"a": ValueType("tensor", "f32", (3, None))})
    assert types(once, "a", "b", "c", "y") == ["f32[3,?]", "f32[?,3]", "f32[?]", "f32[?]"]
    twice = with_types(once, {"c": ValueType("tensor", "f32", (None,) * 3)})
    assert types(twice, "a", "b", "c", "y") == ["f32[3,?]", "f32[?,3]", "f32[?,?,?]", "f32[?,?,?]"]
    assert types(read, "a") == ["f32[?]"]  # as it was


def test_both_ways_of_inference_agree(monkeypatch):
    """Node by node, and the whole graph at once."""
    nodes = [
        node("Gelu", "x", "a", domain="com.microsoft"),
        node("Conv", "a w", "b", pads=[1, 1, 1, 1]),
        node("Odd", "b", "c", domain="far"),
        node("Add", "b c", "d"),
        node("MaxPool", "d", "e i", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", "e", "f"),
        node("Softmax", "f", "y"),
    ]
    proto = model(
        nodes,
        [value("x", ("n", 3, 8, 8))],
        [untyped()],
        [constant("w", np.zeros((4, 3, 3, 3), np.float32))],
        opset=17,
        imports=[("far", 1), ("com.microsoft", 1)],
        value_info=[value("c", ("n", 4, 8, 8))],
    )
    quick = read_model(proto).graph.types
    monkeypatch.setattr(infer, "quick_types", lambda *_: None)
    assert read_model(proto).graph.types == quick
    assert str(quick["y"]) == "f32[n,64]"


def test_sequences_and_optionals_carry_what_a_cut_needs():
    nodes = [
        node("SequenceConstruct", "x x", "s"),
        node("SequenceAt", "s zero", "y"),
        node("Optional", "x", "o"),
    ]
    proto = model(nodes, ["x"], [untyped(), untyped("o")], [constant("zero", np.array(0))])
    read = read_model(proto)
    assert types(read, "s", "o") == ["sequence(f32)", "optional(f32)"]
    assert onnx.TypeProto.FromString(read.graph.type_of("s").encoded).HasField("sequence_type")
    assert types(read, "y") == ["f32[2,3]"]
