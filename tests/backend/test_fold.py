"""Constants that are computed once."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest

from ovpart.backend.cut import make_cut
from ovpart.backend.fold import by_engines, fold_constants, folded_values
from ovpart.backend.onnxruntime import OnnxRuntimeBackend
from ovpart.errors import RunError
from ovpart.model.read import read_model


def model_of(text, opset=17):
    return read_model(onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]>\n{text}'))


CHAIN = """g (float[4] x) => (float[4] y) {
    a = Constant <value_floats = [1.0, 2.0, 3.0, 4.0]> ()  b = Neg(a)  c = Add(b, b)  y = Mul(x, c) }"""


def test_only_what_other_nodes_read_gets_a_value():
    model = model_of(CHAIN)
    assert folded_values(model) == ("c",)
    folded = fold_constants(model)
    assert folded.weights.array("c").tolist() == [-2, -4, -6, -8]
    assert "b" not in folded.weights
    assert "c" not in model.weights
    assert folded.graph is model.graph


def test_nothing_to_fold_gives_the_same_model():
    model = model_of("g (float[4] x) => (float[4] y) { y = Neg(x) }")
    assert fold_constants(model) is model


def test_the_evaluator_is_asked_once():
    calls = []

    def evaluate(cut):
        calls.append(cut)
        return [np.zeros(4, np.float32)]

    assert fold_constants(model_of(CHAIN), evaluate).weights.array("c").tolist() == [0] * 4
    assert [call.node_names for call in calls] == [("b", "c")]
    assert not calls[0].inputs


def test_trap_6_integer_division_is_folded_as_onnx_has_it():
    # openvino folds -7 / 2 to -4.
    text = """g (int64[1] x) => (int64[1] y) {
        a = Constant <value_ints = [-7]> ()  b = Constant <value_ints = [2]> ()  q = Div(a, b)  y = Add(x, q) }"""
    assert fold_constants(model_of(text)).weights.array("q").tolist() == [-3]


def test_integers_have_the_usual_dtype():
    text = """g (int64[N] x) => (int64[N] y) {
        a = Constant <value_ints = [2, 3]> ()  r = ReduceProd <keepdims = 0> (a)  y = Mul(x, r) }"""
    array = fold_constants(model_of(text)).weights.array("r")
    assert array.dtype.char == np.dtype(np.int64).char
    assert array.flags.writeable
    assert array.shape == ()


def test_large_result():
    text = """g (float[1, 1024] x) => (float[1024, 1024] y) {
        s = Constant <value_ints = [1024, 1024]> ()
        z = ConstantOfShape <value = float[1] v {2}> (s)  y = Mul(x, z) }"""
    folded = fold_constants(model_of(text))
    assert folded.weights.nbytes("z") == 4 << 20
    cut = make_cut(folded, [len(folded.graph.nodes) - 1], ["x"], ["y"])
    assert cut.weights["z"] is folded.weights.array("z")


def test_sequences_are_computed_by_the_clusters_that_read_them():
    text = """g (int64 i) => (float[2] y) {
        a = Constant <value_floats = [1.0, 2.0]> ()  b = Neg(a)  s = SequenceConstruct(a, b)  y = SequenceAt(s, i) }"""
    folded = fold_constants(model_of(text))
    assert "s" not in folded.weights
    assert folded.weights.array("b").tolist() == [-1, -2]
    cut = make_cut(folded, [n.index for n in folded.graph.nodes if n.key in "sy"], ["i"], ["y"])
    assert cut.node_names == ("s", "y")
    request = OnnxRuntimeBackend().compile(cut, "CPU", {}).bind()
    request.set_input(0, np.array(1))
    request.run()
    assert request.take_output(0).tolist() == [-1, -2]


def test_strings_are_folded():
    text = """g (int64[N] i) => (string[N] y) {
        a = Constant <value_strings = ["b", "a"]> ()  k = Constant <value_ints = [1, 0]> ()
        g = Gather(a, k)  y = Gather(g, i) }"""
    folded = fold_constants(model_of(text))
    assert folded.weights.array("g").tolist() == ["a", "b"]


def test_what_one_engine_refuses_the_next_computes():
    def refuse(cut):
        raise RunError("no")

    folded = fold_constants(model_of(CHAIN), refuse)
    assert "c" not in folded.weights
    assert folded.notes == ("constant 'c' could not be computed once: no",)
    assert fold_constants(model_of(CHAIN), by_engines("reference")).weights.array("c").tolist() == [-2, -4, -6, -8]


def test_one_constant_that_fails_leaves_the_others():
    """Reshape of four elements to three fails; Neg beside it does not."""
    text = """g (float[4] x) => (float[4] y, float[3] z) {
        a = Constant <value_floats = [1.0, 2.0, 3.0, 4.0]> ()  s = Constant <value_ints = [3]> ()
        bad = Reshape(a, s)  good = Neg(a)  y = Mul(x, good)  t = ReduceSum <keepdims = 0> (x)  z = Mul(bad, t) }"""
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]>\n{text}')
    try:
        model = read_model(proto)
    except Exception as error:
        pytest.skip(f"the reader refuses the model: {error}")
    folded = fold_constants(model)
    assert folded.weights.array("good").tolist() == [-1, -2, -3, -4]
    assert "bad" not in folded.weights
    assert "'bad'" in folded.notes[-1]


def test_dead_constants_are_not_computed():
    text = """g (float[4] x) => (float[4] y) {
        a = Constant <value_floats = [1.0, 2.0, 3.0, 4.0]> ()  b = Neg(a)  dead = Mul(x, b)  y = Neg(x) }"""
    assert folded_values(model_of(text)) == ()
