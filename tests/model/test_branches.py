"""Ifs whose branch is known before any run give way to its nodes."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from onnx import numpy_helper

import ovpart
from ovpart.model.read import read_model


def model(text: str, **initializers: np.ndarray) -> onnx.ModelProto:
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]>\n{text}')
    proto.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in initializers.items())
    return proto


def operators(proto: onnx.ModelProto) -> list[str]:
    """Return the operators of the main scope that run."""
    graph = read_model(proto).graph
    return sorted(n.op_type for n in graph.nodes if n.index not in graph.dead | graph.constant)


def agrees(proto: onnx.ModelProto, **feed: np.ndarray) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    theirs = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for way in ({"min_gain": 0}, {"control_flow": "nested"}, {}):
        with ovpart.Session(proto, **way) as session:
            for mine, wanted in zip(session.run(None, feed), theirs.run(None, feed), strict=True):
                np.testing.assert_allclose(mine, wanted, 1e-5, 1e-6)


X = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
CHOICE = """
g (float[N,4] x) => (float[N,4] y) {{
  a = Relu(x)
  {condition}
  y = If (c) <then_branch = t () => (float[N,4] p) {{ k = Sigmoid(a)  p = Mul(k, x) }},
              else_branch = e () => (float[N,4] q) {{ k = Exp(a)  q = Neg(k) }}>
}}"""
TAKEN, OTHER = ["Mul", "Relu", "Sigmoid"], ["Exp", "Neg", "Relu"]


@pytest.mark.parametrize(("value", "expected"), [(True, TAKEN), (False, OTHER)])
def test_a_constant_condition_chooses(value, expected):
    proto = model(CHOICE.format(condition=""), c=np.array(value))
    assert operators(proto) == expected
    assert "same branch" in " ".join(read_model(proto).notes)
    agrees(proto, x=X)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("s = Shape(x)  r = Size(s)  two = Constant <value_int = 2> ()  c = Equal(r, two)", TAKEN),
        (
            "s = Shape(x)  i = Constant <value = int64[1] {1}> ()  d = Gather(s, i)  "
            "f = Constant <value = int64[1] {4}> ()  e = Equal(d, f)  c = Not(e)",
            OTHER,
        ),
        (
            "s = Shape <start = 1> (x)  z = Constant <value = int64[1] {0}> ()  d = Squeeze(s, z)  "
            "c = Cast <to = 9> (d)",
            TAKEN,
        ),
        (
            "s = Shape(x)  one = Constant <value = int64[1] {1}> ()  t = Concat <axis = 0> (one, s)  "
            "i = Constant <value_int = 2> ()  d = Gather(t, i)  f = Constant <value_int = 3> ()  c = Less(f, d)",
            TAKEN,
        ),
    ],
)
def test_ranks_and_fixed_sizes_choose(condition, expected):
    proto = model(CHOICE.format(condition=condition))
    assert [op for op in operators(proto) if op in ("Mul", "Relu", "Sigmoid", "Exp", "Neg", "If")] == expected
    agrees(proto, x=X)


def test_an_open_size_does_not_choose():
    condition = (
        "s = Shape(x)  i = Constant <value_int = 0> ()  d = Gather(s, i)  o = Constant <value_int = 1> ()  "
        "c = Equal(d, o)"
    )
    proto = model(CHOICE.format(condition=condition))
    assert "If" in operators(proto)
    agrees(proto, x=X)
    agrees(proto, x=X[:1])


def test_what_can_be_overridden_does_not_choose():
    proto = model(CHOICE.format(condition=""), c=np.array(True))
    proto.graph.input.append(onnx.helper.make_tensor_value_info("c", onnx.TensorProto.BOOL, []))
    assert "If" in operators(proto)
    with ovpart.Session(proto, min_gain=0) as session:
        (first,) = session.run(None, {"x": X})
        (second,) = session.run(None, {"x": X, "c": np.array(False)})
    a = np.maximum(X, 0)
    np.testing.assert_allclose(first, X / (1 + np.exp(-a)), 1e-5)
    np.testing.assert_allclose(second, -np.exp(a), 1e-5)


def test_a_shape_that_the_file_alone_claims_does_not_choose():
    proto = model(
        """g (float[N,4] x, int64[K] shape) => (float[] y) {
             a = Reshape(x, shape)
             s = Shape(a)  r = Size(s)  three = Constant <value_int = 3> ()  c = Equal(r, three)
             y = If (c) <then_branch = t () => (float[] p) { p = Neg(a) },
                         else_branch = e () => (float[] q) { q = Abs(a) }>
           }"""
    )
    proto.graph.value_info.append(onnx.helper.make_tensor_value_info("a", onnx.TensorProto.FLOAT, [1, 2, 4]))
    assert "If" in operators(proto)
    for way in ({"min_gain": 0}, {"control_flow": "nested"}):  # onnxruntime believes the file, and takes the other one
        with ovpart.Session(proto, **way) as session:
            np.testing.assert_array_equal(session.run(None, {"x": X, "shape": np.array([8])})[0], np.abs(X).reshape(-1))


def test_names_of_a_branch_do_not_meet_others():
    """Both Ifs use k, and so does a branch that stays."""
    branch = "then_branch = t{i} () => (float[N,4] p{i}) {{ k = Exp({x})  p{i} = Neg(k) }}, "
    branch += "else_branch = e{i} () => (float[N,4] q{i}) {{ k = Tanh({x})  q{i} = Abs(k) }}"
    first, second, third = (branch.format(i=i, x=x) for i, x in enumerate(("x", "a", "b")))
    proto = model(
        f"""g (float[N,4] x, bool d) => (float[N,4] y) {{
              a = If (yes) <{first}>
              b = If (no) <{second}>
              y = If (d) <{third}>
            }}""",
        yes=np.array(True),
        no=np.array(False),
    )
    assert operators(proto) == ["Abs", "Exp", "If", "Neg", "Tanh"]
    for d in (True, False):
        agrees(proto, x=X, d=np.array(d))


def test_constants_and_bodies_of_a_branch_come_along():
    proto = model(
        """g (float[N,4] x, bool d) => (float[N,4] y, float[N,4] z) {
             w = Neg(x)
             y, z = If (c) <
               then_branch = t () => (float[N,4] p, float[N,4] q) {
                 w2 = Constant <value = float {2.0}> ()
                 v = Mul(x, w2)
                 p = If (d) <then_branch = tt () => (float[N,4] r) { r = Add(v, w) },
                             else_branch = te () => (float[N,4] s) { s = Sub(v, w) }>
                 q = Identity(w)
               },
               else_branch = e () => (float[N,4] l, float[N,4] m) { l = Abs(w)  m = Identity(x) }>
           }""",
        c=np.array(True),
    )
    assert "If" in operators(proto)
    assert len(read_model(proto).graph.nodes) > 4
    for d in (True, False):
        agrees(proto, x=X, d=np.array(d))


def test_a_choice_within_a_loop_is_made():
    proto = model(
        """g (float[N,4] x, int64 m) => (float[N,4] y) {
             none = Constant <value = bool {1}> ()
             y = Loop (m, none, x) <body = b (int64 i, bool go, float[N,4] v) => (bool again, float[N,4] w) {
               s = Shape(v)  r = Size(s)  two = Constant <value_int = 2> ()  c = Equal(r, two)
               w = If (c) <then_branch = t () => (float[N,4] p) { p = Sin(v) },
                           else_branch = e () => (float[N,4] q) { q = Cos(v) }>
               again = Identity(go)
             }>
           }"""
    )
    (loop,) = [node for node in read_model(proto).graph.nodes if node.op_type == "Loop"]
    assert "Sin" in {node.op_type for node in loop.bodies["body"].nodes}
    assert "If" not in {node.op_type for node in loop.bodies["body"].nodes}
    agrees(proto, x=X, m=np.array(3))


def test_a_choice_that_another_one_shows_is_made():
    """Only with the first branch taken is the rank of what the second one asks for known."""
    proto = model(
        """g (float[N,4] x) => (float[N,4] y) {
             a = If (c) <then_branch = t () => (float[N,4] p) { p = Sin(x) },
                         else_branch = e () => (float[M] q) { f = Constant <value_ints = [-1]> ()  q = Reshape(x, f) }>
             s = Shape(a)  r = Size(s)  two = Constant <value_int = 2> ()  d = Equal(r, two)
             y = If (d) <then_branch = tt () => (float[N,4] u) { u = Cos(a) },
                         else_branch = te () => (float[N,4] v) { v = Neg(x) }>
           }""",
        c=np.array(True),
    )
    assert operators(proto) == ["Cos", "Sin"]
    agrees(proto, x=X)
