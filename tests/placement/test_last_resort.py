from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto
from onnx import helper as h

import ovpart
from ovpart.errors import RunError


def session(nodes, inputs, opset=21, **options):
    info = h.make_tensor_value_info
    graph = h.make_graph(nodes, "g", [info(*one) for one in inputs], [info("y", 0, None)])
    graph.output[0].ClearField("type")
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", opset)], ir_version=10)
    import onnx

    return ovpart.Session(onnx.shape_inference.infer_shapes(model), **options)


def engines(made):
    return [cluster.label.engine for cluster in made.plan.clusters]


NAMES = np.array([["a", "b"], ["c", "d"], ["e", "f"]], object)
TEXTS = [("x", TensorProto.STRING, ["n", 2]), ("i", TensorProto.INT64, ["k"])]


@pytest.mark.parametrize(("axis", "engine"), [(0, "reference"), (-2, "reference"), (1, "onnxruntime")])
def test_rows_of_strings_are_gathered_whole(axis, engine):
    made = session([h.make_node("Gather", ["x", "i"], ["y"], axis=axis)], TEXTS)
    picked = np.array([1, 0])
    (y,) = made.run(None, {"x": NAMES, "i": picked})
    np.testing.assert_array_equal(y, np.take(NAMES, picked, axis))
    assert engines(made) == [engine]


def test_an_option_keeps_the_reference_out():
    made = session([h.make_node("Gather", ["x", "i"], ["y"])], TEXTS, fallback="onnxruntime")
    assert engines(made) == ["onnxruntime"]


PER_CHANNEL = [
    ("x", TensorProto.UINT8, [1, 1, 3, 3]), ("w", TensorProto.UINT8, [2, 1, 2, 2]),
    ("xz", TensorProto.UINT8, []), ("wz", TensorProto.UINT8, [2]),
]  # fmt: skip
FEED = {
    "x": np.arange(9, dtype=np.uint8).reshape(1, 1, 3, 3), "w": np.ones((2, 1, 2, 2), np.uint8),
    "xz": np.array(1, np.uint8), "wz": np.array([0, 1], np.uint8),
}  # fmt: skip


def test_what_a_kernel_says_it_lacks_is_computed_behind_it_from_then_on():
    node = h.make_node("ConvInteger", ["x", "w", "xz", "wz"], ["y"], name="conv")
    made = session([node], PER_CHANNEL)
    for _ in range(2):
        (y,) = made.run(None, FEED)
        assert y[0, 0].tolist() == [[4, 8], [16, 20]]
        assert not y[0, 1].any()
    assert engines(made) == ["reference"]
    assert "not supported" in made.report.demotions[0].words


def test_without_an_engine_behind_it_the_words_are_raised():
    node = h.make_node("ConvInteger", ["x", "w", "xz", "wz"], ["y"])
    with pytest.raises(RunError, match="not supported"):
        session([node], PER_CHANNEL, fallback="onnxruntime").run(None, FEED)


def test_an_input_that_is_at_fault_stays_at_fault():
    made = session([h.make_node("Gather", ["x", "i"], ["y"], axis=1)], TEXTS)
    with pytest.raises(RunError):
        made.run(None, {"x": NAMES, "i": np.array([7])})
    assert engines(made) == ["onnxruntime"]
