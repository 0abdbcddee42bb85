"""Models older than opset 7: right on onnxruntime, which has no kernels for them."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.helper
import pytest

from ovpart.backend.legacy import modernised
from ovpart.backend.onnxruntime import OnnxRuntimeBackend
from ovpart.backend.openvino import OpenVINOBackend
from ovpart.errors import CompileError
from ovpart.testing.cuts import compute, cut_of, f32, relu

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4) - 12
S = f32([1, 10, 100])
node = onnx.helper.make_node


def single(op, x=X, constants=None, opset=6, shape=None, dtype="f32", **attributes):
    each = node(op, ["x", *(constants or {})], ["y"], **attributes)
    ends = {"x": ("f32", x.shape if shape is None else shape)}
    return cut_of([each], ends, {"y": (dtype, None)}, constants=constants, opset=opset)


def on_onnxruntime(cut, *arrays):
    return compute(OnnxRuntimeBackend().compile(cut, "CPU", {"num_threads": 1}).bind(), *arrays)[0]


BROADCAST = {
    "axis 1 of 3": ({"s": S}, {"broadcast": 1, "axis": 1}, S[None, :, None]),
    "axis 0 of 3": ({"s": f32([1, 10])}, {"broadcast": 1, "axis": 0}, f32([1, 10])[:, None, None]),
    "two in the middle": ({"s": f32(np.ones((2, 3)))}, {"broadcast": 1, "axis": 0}, np.ones((2, 3, 1), np.float32)),
    "at the end": ({"s": f32([1, 2, 3, 4])}, {"broadcast": 1}, f32([1, 2, 3, 4])),
    "axis at the end": ({"s": f32([1, 2, 3, 4])}, {"broadcast": 1, "axis": 2}, f32([1, 2, 3, 4])),
    "one element": ({"s": f32([5])}, {"broadcast": 1}, f32([5])),
    "the same shape": ({"s": X}, {}, X),
}


@pytest.mark.parametrize("case", sorted(BROADCAST))
@pytest.mark.parametrize("opset", [1, 6])
def test_second_operand_is_aligned_at_the_axis(case, opset):
    constants, attributes, aligned = BROADCAST[case]
    cut = single("Add", constants=constants, opset=opset, **attributes)
    np.testing.assert_array_equal(on_onnxruntime(cut, X), X + aligned)
    np.testing.assert_array_equal(compute(OpenVINOBackend().compile(cut, "CPU", {}).bind(), X)[0], X + aligned)


@pytest.mark.parametrize(("op", "function"), [("Sub", np.subtract), ("Mul", np.multiply), ("Div", np.divide)])
def test_other_operators_of_that_kind(op, function):
    cut = single(op, np.abs(X), constants={"s": S}, broadcast=1, axis=1)
    np.testing.assert_allclose(on_onnxruntime(cut, np.abs(X)), function(np.abs(X), S[None, :, None]), rtol=1e-5)


def test_comparison():
    cut = single("Greater", constants={"s": S}, dtype="bool", broadcast=1, axis=1)
    np.testing.assert_array_equal(on_onnxruntime(cut, X), S[None, :, None] < X)


def test_symbolic_dimensions():
    cut = single("Add", constants={"s": S}, shape=("N", 3, "W"), broadcast=1, axis=1)
    np.testing.assert_array_equal(on_onnxruntime(cut, X), X + S[None, :, None])


def test_operand_of_a_rank_that_is_inferred_on_the_way():
    """The rank of `h` comes from nodes that had no inference in their old form."""
    nodes = [
        node("Add", ["x", "x"], ["a"]),
        node("Dropout", ["a"], ["b"], is_test=1),
        node("BatchNormalization", ["b", "o", "z", "z", "o"], ["h"], is_test=1, epsilon=0.0),
        node("Add", ["h", "s"], ["y"], broadcast=1, axis=1),
    ]
    constants = {"s": S, "o": np.ones(3, np.float32), "z": np.zeros(3, np.float32)}
    cut = cut_of(nodes, {"x": ("f32", ("N", 3, "W"))}, {"y": ("f32", None)}, constants=constants, opset=6)
    np.testing.assert_allclose(on_onnxruntime(cut, X), X * 2 + S[None, :, None], rtol=1e-5)


@pytest.mark.parametrize("slope", [S, f32([2])])
def test_slope_of_prelu_is_per_channel(slope):
    cut = single("PRelu", constants={"s": slope})
    expected = np.where(X < 0, X * slope[None, :, None], X)
    np.testing.assert_allclose(on_onnxruntime(cut, X), expected, rtol=1e-6)


def test_square_input_of_prelu_is_not_aligned_at_the_end():
    """Where the last dimension is as long as the channels, a slope at the end would silently be wrong."""
    x = np.full((1, 3, 3), -1, np.float32)
    assert on_onnxruntime(single("PRelu", x, constants={"s": S}), x)[0].tolist() == [[-s] * 3 for s in S.tolist()]


def test_batch_normalization_for_inference():
    constants = {"a": S, "b": S, "c": S, "d": S}
    cut = single("BatchNormalization", constants=constants, is_test=1)
    s = S[None, :, None]
    np.testing.assert_allclose(on_onnxruntime(cut, X), (X - s) / np.sqrt(s + 1e-5) * s + s, rtol=1e-4)


def test_batch_normalization_in_training_is_refused():
    with pytest.raises(CompileError, match="BatchNormalization"):
        on_onnxruntime(single("BatchNormalization", constants={"a": S, "b": S, "c": S, "d": S}), X)


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        (single("Cast", opset=1, dtype="i32", to="INT32"), X.astype(np.int32)),
        (single("Relu", opset=1, consumed_inputs=[0]), np.maximum(X, 0)),
        (single("Reshape", opset=1, shape=None, consumed_inputs=[0]), None),
        (single("Pad", opset=1, paddings=[0, 0, 1, 0, 0, 1], mode="constant", value=0.0),
         np.pad(X, ((0, 0), (0, 0), (1, 1)))),
        (single("Selu", opset=1), np.where(X > 0, X * 1.0507, 1.0507 * 1.6732 * (np.exp(X) - 1))),
        (single("Dropout", opset=6, is_test=1), X),
        (single("Clip", opset=1, min=-1.0, max=1.0, consumed_inputs=[0]), np.clip(X, -1, 1)),
        (single("Sum", opset=1, constants={"s": X}), X + X),
    ],
    ids=["Cast", "Relu", "Reshape", "Pad", "Selu", "Dropout", "Clip", "Sum"],
)  # fmt: skip
def test_other_old_forms(cut, expected):
    if expected is None:  # the shape as an attribute
        cut.proto.graph.node[0].attribute.append(onnx.helper.make_attribute("shape", [4, 6]))
        expected = X.reshape(4, 6)
    np.testing.assert_allclose(on_onnxruntime(cut, X), expected, rtol=1e-5)


def test_concat_has_another_default_axis():
    cut = cut_of([node("Concat", ["x", "x"], ["y"])], {"x": ("f32", X.shape)}, {"y": ("f32", None)}, opset=1)
    assert on_onnxruntime(cut, X).shape == (2, 6, 4)


def test_upsample_with_two_scales():
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    cut = single("Upsample", x, opset=1, height_scale=2.0, width_scale=3.0, mode="nearest")
    np.testing.assert_array_equal(on_onnxruntime(cut, x), x.repeat(2, axis=2).repeat(3, axis=3))


def test_split_with_lengths_as_an_input():
    nodes = [node("Split", ["x", "n"], ["a", "b"], axis=1)]
    cut = cut_of(nodes, {"x": ("f32", X.shape)}, {"a": ("f32", None), "b": ("f32", None)}, opset=1,
                 constants={"n": f32([1, 2])})  # fmt: skip
    got = compute(OnnxRuntimeBackend().compile(cut, "CPU", {}).bind(), X, outputs=2)
    assert [array.shape for array in got] == [(2, 1, 4), (2, 2, 4)]


def test_bodies_are_brought_up_too():
    def branch(name, op):
        out = onnx.helper.make_tensor_value_info(name, 1, None)
        return onnx.helper.make_graph([node(op, ["x", "s"], [name], broadcast=1, axis=1)], name, [], [out])

    each = node("If", ["c"], ["y"], then_branch=branch("t", "Add"), else_branch=branch("e", "Mul"))
    ends = {"c": ("bool", (1,)), "x": ("f32", X.shape)}
    cut = cut_of([each], ends, {"y": ("f32", None)}, constants={"s": S}, opset=6)
    np.testing.assert_array_equal(on_onnxruntime(cut, np.array([True]), X), X + S[None, :, None])
    np.testing.assert_array_equal(on_onnxruntime(cut, np.array([False]), X), X * S[None, :, None])


def test_what_is_not_old_has_no_other_form():
    assert modernised(relu().proto) is None


@pytest.mark.parametrize("op", ["Affine", "NobodyKnowsThis"])
def test_what_has_no_rule_is_refused(op):
    assert modernised(single(op, opset=6).proto) is None


def test_unknown_rank_is_refused():
    cut = cut_of([node("Add", ["x", "s"], ["y"], broadcast=1, axis=1)], {"x": ("f32", None)}, {"y": ("f32", None)},
                 constants={"s": S}, opset=6)  # fmt: skip
    assert modernised(cut.proto) is None
