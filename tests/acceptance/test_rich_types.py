"""Sequences, optionals, maps, strings and sparse constants between nodes that are delegated."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

import ovpart
from tests.acceptance.test_random_models import reference

X = np.array([[1.0, -2.0, 3.0, -4.0], [0.5, 0.25, -1.0, 2.0]], np.float32)


def floats(name, shape=None):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def tensor_type(dtype=TensorProto.FLOAT, shape=None):
    return helper.make_tensor_type_proto(dtype, shape)


def model(nodes, inputs, outputs, *, ml=False, sparse=(), opset=18):
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid("ai.onnx.ml", 3)] if ml else [])
    graph = helper.make_graph(nodes, "g", inputs, outputs, sparse_initializer=sparse)
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def same(got, want) -> bool:
    if isinstance(want, list):
        return isinstance(got, list) and len(got) == len(want) and all(map(same, got, want))
    if isinstance(want, dict):
        return got.keys() == want.keys() and all(abs(got[key] - want[key]) < 1e-5 for key in want)
    if want is None:
        return got is None
    want = np.asarray(want)
    if want.dtype.kind in "OU":
        return np.asarray(got).astype(str).tolist() == want.astype(str).tolist()
    return np.asarray(got).dtype == want.dtype and np.allclose(got, want, rtol=1e-4, atol=1e-5)


def check(proto, feed, **options):
    (wanted,) = reference(proto, [feed])
    with ovpart.Session(proto, min_gain=0, evidence="off", **options) as session:
        assert session.plan.delegated
        assert session.plan.islands
        got = session.run(None, feed)
        assert all(map(same, got, wanted)), (got, wanted)
    face = ovpart.InferenceSession(proto.SerializeToString(), providers=["OpenVINOExecutionProvider"])
    assert all(map(same, face.run(None, feed), wanted))


def test_a_sequence_between_delegated_nodes_and_as_an_output():
    proto = model(
        [
            helper.make_node("Exp", ["x"], ["e"]),
            helper.make_node("SplitToSequence", ["e"], ["parts"], axis=1),
            helper.make_node("Constant", [], ["at"], value_int=2),
            helper.make_node("SequenceAt", ["parts", "at"], ["third"]),
            helper.make_node("Abs", ["third"], ["a"]),
            helper.make_node("Sqrt", ["a"], ["y"]),
        ],
        [floats("x", ["N", 4])],
        [
            floats("y"),
            helper.make_value_info("parts", helper.make_sequence_type_proto(tensor_type())),
        ],
    )
    check(proto, {"x": X})


@pytest.mark.parametrize("given", [True, False])
def test_an_optional_input_that_is_there_or_not(given):
    def branch(name, nodes):
        return helper.make_graph(nodes, name, [], [floats(name)])

    there = branch("got", [helper.make_node("OptionalGetElement", ["o"], ["got"])])
    missing = branch("else", [helper.make_node("Neg", ["e"], ["else"])])
    proto = model(
        [
            helper.make_node("Exp", ["x"], ["e"]),
            helper.make_node("OptionalHasElement", ["o"], ["has"]),
            helper.make_node("If", ["has"], ["chosen"], then_branch=there, else_branch=missing),
            helper.make_node("Abs", ["chosen"], ["a"]),
            helper.make_node("Sqrt", ["a"], ["y"]),
        ],
        [
            floats("x", ["N", 4]),
            helper.make_value_info("o", helper.make_optional_type_proto(tensor_type(shape=["N", 4]))),
        ],
        [floats("y"), helper.make_tensor_value_info("has", TensorProto.BOOL, [])],
    )
    check(proto, {"x": X, "o": 2 * X if given else None})


def test_maps_beside_the_scores_that_they_are_made_of():
    proto = model(
        [
            helper.make_node("Exp", ["x"], ["e"]),
            helper.make_node(
                "LinearClassifier", ["e"], ["label", "scores"], domain="ai.onnx.ml", classlabels_strings=["a", "b"],
                coefficients=[0.1, 0.2, 0.3, 0.4, 0.4, 0.3, 0.2, 0.1], intercepts=[0.0, 0.5], multi_class=1,
            ),
            helper.make_node("ZipMap", ["scores"], ["map"], domain="ai.onnx.ml", classlabels_strings=["a", "b"]),
            helper.make_node("Sqrt", ["scores"], ["y"]),
        ],
        [floats("x", ["N", 4])],
        [
            helper.make_tensor_value_info("label", TensorProto.STRING, None),
            helper.make_value_info(
                "map",
                helper.make_sequence_type_proto(helper.make_map_type_proto(TensorProto.STRING, tensor_type(shape=[]))),
            ),
            floats("y"),
        ],
        ml=True,
    )  # fmt: skip
    check(proto, {"x": X})


def test_strings_in_strings_out_and_numbers_made_of_them():
    proto = model(
        [
            helper.make_node(
                "LabelEncoder", ["words"], ["number"], domain="ai.onnx.ml", keys_strings=["one", "two"],
                values_floats=[1.0, 2.0], default_float=9.0,
            ),
            helper.make_node("Exp", ["x"], ["e"]),
            helper.make_node("Mul", ["e", "number"], ["y"]),
            helper.make_node("Identity", ["words"], ["again"]),
        ],
        [helper.make_tensor_value_info("words", TensorProto.STRING, [4]), floats("x", ["N", 4])],
        [floats("y"), helper.make_tensor_value_info("again", TensorProto.STRING, None)],
        ml=True,
    )  # fmt: skip
    check(proto, {"words": np.array(["one", "two", "ünï", ""], object), "x": X})


@pytest.mark.parametrize("control_flow", ["auto", "nested"])
def test_sparse_constants_in_the_model_and_in_a_body(control_flow):
    def sparse(name):
        values = helper.make_tensor(name, TensorProto.FLOAT, [2], [3.0, -1.0])
        return helper.make_sparse_tensor(values, helper.make_tensor(f"{name}_at", TensorProto.INT64, [2], [1, 3]), [4])

    def branch(name, op):
        nodes = [helper.make_node("Constant", [], [f"{name}_c"], sparse_value=sparse(f"{name}_v")),
                 helper.make_node(op, ["e", f"{name}_c"], [name])]  # fmt: skip
        return helper.make_graph(nodes, name, [], [floats(name)])

    proto = model(
        [
            helper.make_node("Exp", ["x"], ["e"]),
            helper.make_node("Add", ["e", "s"], ["with"]),
            helper.make_node("If", ["c"], ["chosen"], then_branch=branch("t", "Add"), else_branch=branch("f", "Mul")),
            helper.make_node("Add", ["with", "chosen"], ["y"]),
        ],
        [floats("x", ["N", 4]), helper.make_tensor_value_info("c", TensorProto.BOOL, [])],
        [floats("y")],
        sparse=[sparse("s")],
    )
    dense = np.array([0, 3, 0, -1], np.float32)
    with ovpart.Session(proto, min_gain=0, evidence="off", control_flow=control_flow) as session:
        for c in (True, False):
            (y,) = session.run(None, {"x": X, "c": np.array(c)})
            e = np.exp(X)
            assert np.allclose(y, e + dense + (e + dense if c else e * dense), rtol=1e-4, atol=1e-5)
