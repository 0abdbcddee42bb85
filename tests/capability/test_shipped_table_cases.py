"""What the shipped table says of single nodes: each trap that was measured is refused, the ordinary forms are taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from ovpart.capability.check import check
from ovpart.capability.table import Table, load_table
from ovpart.capability.verdict import State, Verdict
from ovpart.model.read import read_model
from ovpart.model.types import dtype_number, numpy_dtype

Tensor = tuple[str, Sequence[int | str]] | np.ndarray | None
"""An input: dtype and shape of a graph input, an array for a constant, ``None`` for one that is left out."""


@cache
def shipped() -> Table:
    return load_table()


def verdict(
    op: str,
    inputs: Sequence[Tensor],
    attributes: Mapping[str, Any] | None = None,
    *,
    opset: int = 21,
    outputs: int = 1,
    out: str | None = None,
    out_shape: Sequence[int | str] | None = None,
    device: str = "CPU",
    semantics: str = "fast",
) -> Verdict:
    """Ask the shipped table about one node.

    ``op`` may carry a domain. ``out`` is the dtype of the outputs, where inference does not tell it.
    """
    domain, _, kind = op.rpartition(".")
    names = ["" if tensor is None else f"x{i}" for i, tensor in enumerate(inputs)]
    results = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(kind, names, results, domain=domain, **(attributes or {}))
    graph_inputs, constants = [], []
    for name, tensor in zip(names, inputs, strict=True):
        if isinstance(tensor, np.ndarray):
            constants.append(numpy_helper.from_array(tensor, name))
        elif tensor is not None:
            dtype, shape = tensor
            graph_inputs.append(helper.make_tensor_value_info(name, dtype_number(dtype), shape))
    made = [
        helper.make_tensor_value_info(name, dtype_number(out), out_shape) if out else onnx.ValueInfoProto(name=name)
        for name in results
    ]
    imports = [helper.make_opsetid("", opset)]
    if domain:
        imports.append(helper.make_opsetid(domain, 1))
    proto = helper.make_model(
        helper.make_graph([node], "one", graph_inputs, made, constants), ir_version=10, opset_imports=imports
    )
    model = read_model(proto)
    (answer,) = check(model, device, shipped(), semantics=semantics)
    return answer


def array(values: Any, dtype: str = "i64") -> np.ndarray:
    return np.array(values, dtype=numpy_dtype(dtype))


F32 = ("f32", (2, 3))
IMAGE = ("f32", (1, 3, 8, 8))
ANY_IMAGE = ("f32", ("n", 3, "h", "w"))
ANY = ("f32", ("n", "m"))
WEIGHTS = np.zeros((4, 3, 3, 3), np.float32)
SCALES = array([1, 1, 2, 2], "f32")

REFUSED: dict[str, tuple[Any, ...]] = {
    # element types
    "f64 is computed as f32": ("Relu", [("f64", (2,))]),
    "strings abort": ("Identity", [("string", (2,))]),
    "u8 saturates": ("Add", [("u8", (2,)), ("u8", (2,))]),
    "i8 saturates": ("Mul", [("i8", (2,)), ("i8", (2,))]),
    "u8 division rounds": ("Div", [("u8", (2,)), ("u8", (2,))]),
    "f8 fnuz": ("Cast", [("f8e4m3fnuz", (2,))], {"to": 1}),
    # what the front end ignores
    "antialias": ("Resize", [IMAGE, None, SCALES], {"mode": "linear", "antialias": 1}),
    "aspect ratio": (
        "Resize",
        [IMAGE, None, None, array([8, 4])],
        {"mode": "linear", "axes": [2, 3], "keep_aspect_ratio_policy": "not_larger"},
    ),
    "exclude outside": ("Resize", [IMAGE, None, SCALES], {"mode": "cubic", "exclude_outside": 1}),
    "resize crop": (
        "Resize",
        [IMAGE, array([0] * 8, "f32"), SCALES],
        {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize"},
    ),
    "layout of a GRU": (
        "GRU",
        [("f32", (2, 5, 4)), np.zeros((1, 9, 4), np.float32), np.zeros((1, 9, 3), np.float32)],
        {"hidden_size": 3, "layout": 1},
    ),
    "softmax of opset 11": ("Softmax", [("f32", (2, 3, 4))], {"axis": 1}, {"opset": 11}),
    "dft": ("DFT", [("f32", (1, 8, 4, 1)), None, array(2)], {}, {"opset": 20}),
    "storage order": (
        "MaxPool",
        [IMAGE],
        {"kernel_shape": [2, 2], "storage_order": 1},
        {"outputs": 2},
    ),
    "roi max": (
        "RoiAlign",
        [IMAGE, ("f32", (1, 4)), ("i64", (1,))],
        {"mode": "max", "output_height": 2, "output_width": 2},
    ),
    # operands that must be constants
    "tile at run time": ("Tile", [("f32", (1, 2, 3, 4)), ("i64", (4,))]),
    "range of floats at run time": ("Range", [("f32", ()), ("f32", ()), ("f32", ())]),
    "unsqueeze at run time": ("Unsqueeze", [F32, ("i64", (1,))], {}, {"out": "f32", "out_shape": (1, 2, 3)}),
    "reduction at run time": (
        "ReduceSum",
        [F32, ("i64", (1,))],
        {"keepdims": 1},
        {"out": "f32", "out_shape": ("a", "b")},
    ),
    "weights at run time": ("Conv", [ANY_IMAGE, ("f32", ("o", 3, 3, 3))], {"kernel_shape": [3, 3]}),
    "4-bit weights at run time": (
        "com.microsoft.MatMulNBits",
        [("f32", (2, 32)), ("u8", (8, 1, 16)), ("f32", (8,))],
        {"K": 32, "N": 8, "bits": 4, "block_size": 32},
        {"out": "f32", "out_shape": (2, 8)},
    ),
    # crashes
    "empty indices": ("Gather", [F32, ("i64", (0,))]),
    "index out of range": ("GatherND", [F32, ("i64", (1, 2))]),
    # wrong values
    "ties": ("TopK", [F32, array([2])], {}, {"outputs": 2}),
    "box at the threshold": (
        "NonMaxSuppression",
        [("f32", (1, 6, 4)), ("f32", (1, 1, 6)), array(3), array(0.5, "f32"), array(0.0, "f32")],
    ),
    "f16 and back": ("Cast", [F32], {"to": 10}),
    "maximum of nothing": ("ReduceMax", [("f32", (2, 0)), array([1])], {"keepdims": 1}),
    "dynamic int8": ("MatMulInteger", [("u8", (2, 3)), array(np.zeros((3, 2)), "i8")]),
    "halves": ("DynamicQuantizeLinear", [F32], {}, {"outputs": 3}),
    "dynamic int8 LSTM": (
        "com.microsoft.DynamicQuantizeLSTM",
        [("f32", (5, 2, 4)), array(np.zeros((1, 4, 24)), "i8"), array(np.zeros((1, 6, 24)), "i8"), None, None, None,
         None, None, array([0.1], "f32"), array([0], "i8"), array([0.1], "f32"), array([0], "i8")],
        {"hidden_size": 6},
        {"outputs": 3, "out": "f32"},
    ),
    "batch normalisation in f16": (
        "BatchNormalization",
        [("f16", (1, 3, 4)), *[array([1, 1, 1], "f16")] * 4],
    ),
    "no negative log of ints": ("ReduceLogSum", [("i32", (2, 3)), array([1])]),
    "constant sequence lengths": (
        "RNN",
        [("f32", (5, 2, 4)), np.zeros((1, 3, 4), np.float32), np.zeros((1, 3, 3), np.float32), None,
         array([5, 2], "i32")],
        {"hidden_size": 3},
        {"outputs": 2},
    ),
    "peepholes": (
        "LSTM",
        [("f32", (5, 2, 4)), np.zeros((1, 12, 4), np.float32), np.zeros((1, 12, 3), np.float32), None, None, None, None,
         np.zeros((1, 9), np.float32)],
        {"hidden_size": 3},
        {"outputs": 3},
    ),
    # no such operator
    "sequences": ("SequenceConstruct", [F32]),
    "tree ensembles": ("ai.onnx.ml.Scaler", [F32], {"offset": [0.0], "scale": [1.0]}, {"out": "f32"}),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("device", ["CPU", "GPU", "NPU"])
def test_what_was_measured_wrong_is_refused(case: str, device: str) -> None:
    op, inputs, *rest = REFUSED[case]
    attributes, options = (*rest, {}, {})[:2]
    found = verdict(op, inputs, attributes, device=device, **options)
    if device == "CPU":
        assert found.state is State.UNSUPPORTED
    assert found.state is not State.SUPPORTED
    assert found.reason
    assert found.rule.startswith("op_support.yaml:")


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("Attention", {"left_window_size": 2}),
        ("SpaceToDepth", {"blocksize": 2, "mode": "CRD"}),
        ("BitShift", {"direction": "RIGHT"}),
    ],
)
def test_attributes_of_the_newest_versions_are_refused(op: str, attributes: dict[str, Any]) -> None:
    inputs: dict[str, list[Tensor]] = {
        "Attention": [("f32", (1, 2, 4, 8))] * 3,
        "SpaceToDepth": [("f32", (1, 2, 4, 4))],
        "BitShift": [("i32", (3,)), ("i32", (3,))],
    }
    opset = {"Attention": 25, "SpaceToDepth": 28, "BitShift": 28}[op]
    if onnx.defs.onnx_opset_version() < opset:
        pytest.skip(f"the installed onnx knows no opset {opset}")
    found = verdict(op, inputs[op], attributes, opset=opset)
    assert found.state is State.UNSUPPORTED


TAKEN: dict[str, tuple[Any, ...]] = {
    "convolution": ("Conv", [ANY_IMAGE, WEIGHTS], {"kernel_shape": [3, 3]}),
    "matrix product": ("MatMul", [("f32", ("n", 4)), np.zeros((4, 2), np.float32)]),
    "softmax": ("Softmax", [ANY], {"axis": -1}),
    "old softmax, last axis": ("Softmax", [("f32", (2, 3, 4))], {"axis": 2}, {"opset": 11}),
    "softmax before opset 11": ("Softmax", [("f32", (2, 3, 4))], {"axis": 1}, {"opset": 9}),
    "upsampling": ("Resize", [ANY_IMAGE, None, SCALES], {"mode": "linear"}),
    "sizes at run time": ("Resize", [ANY_IMAGE, None, None, ("i64", (4,))], {"mode": "nearest"}),
    "layer normalisation": ("LayerNormalization", [ANY, np.ones(4, np.float32)], {}),
    "slice to the end": ("Slice", [ANY, array([1]), array([2**63 - 1]), array([0])]),
    "reshape": ("Reshape", [ANY, array([0, -1, 2])]),
    "reshape at run time": ("Reshape", [ANY, ("i64", (3,))]),
    "reduction": ("ReduceMean", [ANY, array([1])]),
    "lstm": (
        "LSTM",
        [("f32", ("t", 2, 4)), np.zeros((1, 12, 4), np.float32), np.zeros((1, 12, 3), np.float32)],
        {"hidden_size": 3},
        {"outputs": 3},
    ),
    "gelu of onnxruntime": ("com.microsoft.Gelu", [ANY], {}, {"out": "f32"}),
    "ids": ("Gather", [np.zeros((9, 4), np.float32), ("i64", ("n",))]),
    "mask": ("Cast", [("bool", ("n",))], {"to": 1}),
}


@pytest.mark.parametrize("case", TAKEN)
def test_ordinary_forms_are_taken_on_the_cpu(case: str) -> None:
    op, inputs, *rest = TAKEN[case]
    attributes, options = (*rest, {}, {})[:2]
    found = verdict(op, inputs, attributes, **options)
    assert found.state is State.SUPPORTED, found


def test_ids_go_under_a_guard() -> None:
    found = verdict("Gather", [np.zeros((9, 4), np.float32), ("i64", ("n",))])
    assert found.guard is not None
    assert found.guard.inputs == ("x1",)


def test_a_constant_end_beyond_32_bits_needs_no_guard() -> None:
    assert verdict("Slice", [ANY, array([1]), array([2**63 - 1]), array([0])]).guard is None


@pytest.mark.parametrize(
    ("op", "inputs", "attributes"),
    [
        ("Relu", [F32], {}),
        ("Exp", [F32], {}),
        ("Max", [F32, F32], {}),
        ("Min", [F32, F32], {}),
        ("Clip", [F32, array(0.0, "f32")], {}),
        ("Greater", [F32, F32], {}),
        ("MaxPool", [IMAGE], {"kernel_shape": [2, 2]}),
        ("ReduceMax", [F32, array([1])], {}),
        ("Softmax", [F32], {}),
        ("Div", [("i32", (2,)), ("i32", (2,))], {}),
        ("Equal", [("i32", (2,)), ("i32", (2,))], {}),
        ("ReduceSum", [("i32", (2, 3)), array([1])], {}),
    ],
)
def test_exact_semantics_refuse_what_loses_nan_or_wide_integers(
    op: str, inputs: list[Tensor], attributes: dict[str, Any]
) -> None:
    assert verdict(op, inputs, attributes).state is State.SUPPORTED
    exact = verdict(op, inputs, attributes, semantics="ieee")
    assert exact.state is State.UNSUPPORTED


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "options"),
    [
        ("BitwiseNot", [("i32", (2,))], {}, {}),
        ("ScatterND", [F32, array([[0]]), ("f32", (1, 3))], {"reduction": "add"}, {}),
        ("CumSum", [F32, ("i32", ())], {}, {}),
        ("Add", [("bf16", (2,)), ("bf16", (2,))], {}, {}),
        ("Add", [("i16", (2,)), ("i16", (2,))], {}, {}),
        (
            "GRU",
            [("f32", ("t", 2, 4)), np.zeros((1, 9, 4), np.float32), np.zeros((1, 9, 3), np.float32)],
            {"hidden_size": 3},
            {"outputs": 2},
        ),
        ("EyeLike", [ANY], {}, {}),
    ],
)
def test_what_the_gpu_plugin_refuses_goes_to_the_cpu_only(
    op: str, inputs: list[Tensor], attributes: dict[str, Any], options: dict[str, Any]
) -> None:
    assert verdict(op, inputs, attributes, **options).state is State.SUPPORTED
    found = verdict(op, inputs, attributes, device="GPU.0", **options)
    assert found.state is State.UNSUPPORTED
    assert found.source.startswith("plugin answer")


def test_the_npu_takes_documented_operators_of_fixed_shape_only() -> None:
    assert verdict("Conv", [IMAGE, WEIGHTS], {"kernel_shape": [3, 3]}, device="NPU").state is State.SUPPORTED
    assert verdict("Conv", [ANY_IMAGE, WEIGHTS], {"kernel_shape": [3, 3]}, device="NPU").state is State.UNSUPPORTED
    assert verdict("Einsum", [F32, F32], {"equation": "ij,ij->i"}, device="NPU").state is State.UNKNOWN


def branches(condition: Sequence[int], then_rank: int) -> onnx.ModelProto:
    """If with two branches; `then_rank` tells whether both give the same rank."""

    def body(name: str, rank: int) -> onnx.GraphProto:
        made = helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.zeros([2] * rank, np.float32)))
        return helper.make_graph([made], name, [], [helper.make_tensor_value_info(name, 1, [2] * rank)])

    node = helper.make_node("If", ["c"], ["y"], then_branch=body("a", then_rank), else_branch=body("b", 2))
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("c", 9, condition)], [onnx.ValueInfoProto(name="y")]
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


@pytest.mark.parametrize(
    ("condition", "then_rank", "device", "state"),
    [
        ((), 2, "CPU", State.SUPPORTED),
        ((1,), 2, "CPU", State.SUPPORTED),
        ((1, 1), 2, "CPU", State.UNSUPPORTED),
        ((), 1, "CPU", State.UNSUPPORTED),
        ((), 2, "GPU", State.UNSUPPORTED),
    ],
)
def test_if_needs_a_flat_condition_and_one_rank(
    condition: tuple[int, ...], then_rank: int, device: str, state: State
) -> None:
    (found,) = check(read_model(branches(condition, then_rank)), device, shipped())
    assert found.state is state, found


@pytest.mark.parametrize(("size", "state"), [(3, State.SUPPORTED), ("n", State.UNSUPPORTED)])
def test_if_needs_results_of_fixed_shape(size: int | str, state: State) -> None:
    """Beside two MatMuls of the same open size, what follows the If reads memory that the MatMuls have taken."""

    def body(op: str) -> onnx.GraphProto:
        made = helper.make_tensor_value_info(op, 1, None)
        return helper.make_graph([helper.make_node(op, ["x"], [op])], op, [], [made])

    node = helper.make_node("If", ["c"], ["y"], then_branch=body("Neg"), else_branch=body("Abs"))
    inputs = [helper.make_tensor_value_info("x", 1, [size]), helper.make_tensor_value_info("c", 9, [])]
    graph = helper.make_graph([node], "g", inputs, [onnx.ValueInfoProto(name="y")])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    (found,) = check(read_model(model), "CPU", shipped())
    assert found.state is state, found
