"""Symbols across cuts, variants of fixed shapes in the report, initializers that are overridden."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnx.parser

import ovpart
from ovpart.backend.cut import make_cut
from ovpart.model.read import read_model

CUT = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[batch,time,4] x) => (float[batch,time,4] y) {
  a = Exp(x)
  n = Neg(a)
  t = Transpose<perm = [1, 0, 2]>(n)
  b = Abs(t)
  y = Transpose<perm = [1, 0, 2]>(b)
}"""
WEIGHTED = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N,4] x, float[4,4] w) => (float[N,4] y)
<float[4,4] w = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}> {
  v = Exp(w)
  m = MatMul(x, v)
  y = Relu(m)
}"""


def test_symbols_are_carried_across_cuts():
    proto = onnx.parser.parse_model(CUT)
    with ovpart.Session(proto, min_gain=0, evidence="off", exclude=["Neg"]) as session:
        graph = session.plan.graph
        assert len(session.plan.clusters) == 3
        last = session.plan.clusters[-1]
        assert [graph.type_of(name).shape for name in last.inputs] == [("batch", "time", 4)]
        for batch, time in ((2, 3), (5, 1), (2, 3)):
            x = np.random.default_rng(1).normal(size=(batch, time, 4)).astype(np.float32)
            assert np.allclose(session.run(None, {"x": x})[0], np.exp(x), rtol=1e-4)


def test_symbols_stand_in_the_cut_that_an_engine_is_given():
    model = read_model(onnx.parser.parse_model(CUT))
    cut = make_cut(model, [3, 4], ["t"], ["y"])
    dims = [d.dim_param or d.dim_value for d in cut.proto.graph.input[0].type.tensor_type.shape.dim]
    assert dims == ["time", "batch", 4]


def test_variants_of_fixed_shapes_are_bounded_and_counted_in_the_report():
    proto = onnx.parser.parse_model(WEIGHTED)
    with ovpart.Session(proto, min_gain=0, evidence="off", disable_dynamic_shapes=True) as session:
        for rows in (*range(1, 11), 10, 10):
            x = np.ones((rows, 4), np.float32)
            assert session.run(None, {"x": x})[0].shape == (rows, 4)
        report = session.report
        assert report.variants == {"made": 10, "used": 2, "dropped": 2, "given_up": 0}
        assert json.loads(report.to_json())["variants"] == report.variants
        assert "10 made" in str(report)


def test_an_initializer_that_may_be_overridden_is_folded_until_it_is():
    proto = onnx.parser.parse_model(WEIGHTED)
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    with ovpart.Session(proto, min_gain=0, evidence="off") as session:
        assert session.plan.explain("v").place == "constant"
        before = session.report.compiles
        plain = session.run(None, {"x": x})[0]
        assert np.allclose(plain, x @ np.exp(np.eye(4)), rtol=1e-4)
        assert session.report.compiles == before  # nothing general is compiled before somebody overrides
        w = np.full((4, 4), 0.5, np.float32)
        assert np.allclose(session.run(None, {"x": x, "w": w})[0], x @ np.exp(w), rtol=1e-4)
        general = session.report.compiles
        assert general != before
        assert np.allclose(session.run(None, {"x": x, "w": 2 * w})[0], x @ np.exp(2 * w), rtol=1e-4)
        assert session.report.compiles == general  # one general form serves all that override the same
        assert np.array_equal(session.run(None, {"x": x})[0], plain)
