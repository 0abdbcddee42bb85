from __future__ import annotations

import math

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx import helper as h
from onnx import numpy_helper as nh

import ovpart
from ovpart.capability.infinities import may_hold
from ovpart.capability.scopes import main_scope
from ovpart.model.read import read_model

INF = math.inf


def scope_of(*steps, opset=21):
    """Return a chain over x and w; each step is (operator, extra inputs, attributes) and makes v1, v2, ..."""
    nodes, last = [], "x"
    for count, (op, extra, attributes) in enumerate(steps, 1):
        inputs = [last if name == "_" else name for name in extra] if extra else [last]
        nodes.append(h.make_node(op, inputs, [f"v{count}"], **attributes))
        last = f"v{count}"
    info = h.make_tensor_value_info
    graph = h.make_graph(
        nodes,
        "g",
        [info("x", TensorProto.FLOAT, ["n", 4]), info("w", TensorProto.FLOAT, [4])],
        [onnx.ValueInfoProto(name=last)],
        [
            nh.from_array(np.float32(-5), "low"),
            nh.from_array(np.float32(-INF), "no_low"),
            nh.from_array(np.array([1, -INF, 2, 3], np.float32), "mask"),
            nh.from_array(np.ones(4, np.float32), "ones"),
        ],
    )
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", opset)], ir_version=10)
    return main_scope(read_model(onnx.shape_inference.infer_shapes(model))), last


@pytest.mark.parametrize(
    ("steps", "below", "above"),
    [
        ([("Identity", [], {})], True, True),
        ([("Relu", [], {})], False, True),
        ([("Sigmoid", [], {}), ("Transpose", [], {"perm": [1, 0]})], False, False),
        ([("Relu", [], {}), ("Neg", [], {})], True, False),
        ([("Clip", ["_", "low"], {})], False, True),
        ([("Clip", ["_", "no_low"], {})], True, True),
        ([("Max", ["_", "low"], {})], False, True),
        ([("Min", ["_", "low"], {})], True, False),
        ([("Max", ["_", "mask"], {})], True, True),
        ([("Softmax", [], {}), ("Add", ["_", "mask"], {})], True, True),
        ([("Sigmoid", [], {}), ("Mul", ["_", "x"], {})], False, True),
        ([("Sigmoid", [], {}), ("Mul", ["_", "w"], {})], True, True),
        ([("Relu", [], {}), ("Cast", [], {"to": TensorProto.FLOAT16})], True, True),
        ([("Cast", [], {"to": TensorProto.INT32}), ("Cast", [], {"to": TensorProto.FLOAT})], False, False),
        ([("Relu", [], {}), ("Concat", ["_", "x"], {"axis": 0})], True, True),
        ([("Sigmoid", [], {}), ("Concat", ["_", "_"], {"axis": 0})], False, False),
    ],
)
def test_an_infinity_is_kept_out_by_what_never_makes_it(steps, below, above):
    scope, last = scope_of(*steps)
    assert may_hold(scope, last, -INF) is below
    assert may_hold(scope, last, INF) is above


def test_constants_are_looked_at():
    scope, _ = scope_of(("Add", ["_", "mask"], {}), ("Add", ["_", "ones"], {}))
    assert may_hold(scope, "mask", -INF)
    assert not may_hold(scope, "mask", INF)
    assert not may_hold(scope, "ones", -INF)


@pytest.mark.parametrize(
    ("op", "inputs", "attributes"),
    [("ReduceMax", ["x"], {}), ("ReduceMin", ["x"], {}), ("Shrink", ["x"], {"lambd": 1.5}),
     ("ThresholdedRelu", ["x"], {}), ("Mod", ["x", "y"], {"fmod": 1}), ("Mod", ["y", "x"], {"fmod": 1})],
)  # fmt: skip
@pytest.mark.parametrize("rows", [2, "n"])
def test_infinities_are_right_under_fast_semantics(op, inputs, attributes, rows):
    import onnxruntime

    info = h.make_tensor_value_info
    graph = h.make_graph(
        [h.make_node(op, inputs, ["z"], **attributes)],
        "g",
        [info(name, TensorProto.FLOAT, [rows, 3]) for name in dict.fromkeys(inputs)],
        [info("z", TensorProto.FLOAT, None)],
    )
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    session = ovpart.Session(model, min_gain=0)
    plain = onnxruntime.InferenceSession(model.SerializeToString())
    for x in ([[INF, 1, -2], [3, -INF, 0.5]], [[INF] * 3] * 2, [[-INF] * 3] * 2):
        feed = {"x": np.array(x, np.float32), "y": np.array([[2, 3, 4], [5, 6, 7]], np.float32)}
        feed = {name: feed[name] for name in dict.fromkeys(inputs)}
        np.testing.assert_array_equal(session.run(None, feed)[0], plain.run(None, feed)[0])


def test_behind_what_keeps_infinities_out_the_operator_is_delegated():
    info = h.make_tensor_value_info
    nodes = [h.make_node("Sigmoid", ["x"], ["r"]), h.make_node("Shrink", ["r"], ["z"])]
    graph = h.make_graph(nodes, "g", [info("x", 1, [2, 3])], [info("z", 1, None)])
    plan = ovpart.plan(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8), min_gain=0)
    assert plan.coverage == 1


def test_a_value_that_many_read_is_asked_for_once():
    """Each link reads the one before it twice: without a memory, 2**60 questions."""
    steps = [("Relu", [], {})] + [("Max", ["_", "_"], {})] * 60
    scope, last = scope_of(*steps)
    assert may_hold(scope, last, -INF) is False
    assert may_hold(scope, last, INF) is True
