"""Types that numpy lacks cross the boundary as ml_dtypes arrays: in, out, bound, as constants and as captures."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import ovpart

PLAIN = [[0, 1, -1, 2], [1, 1, 0, -2]]
UNSIGNED = [[0, 1, 2, 3], [1, 1, 0, 2]]
KINDS = {
    "bfloat16": (TensorProto.BFLOAT16, 21, PLAIN),
    "float8_e4m3fn": (TensorProto.FLOAT8E4M3FN, 21, PLAIN),
    "float8_e4m3fnuz": (TensorProto.FLOAT8E4M3FNUZ, 21, PLAIN),
    "float8_e5m2": (TensorProto.FLOAT8E5M2, 21, PLAIN),
    "float8_e5m2fnuz": (TensorProto.FLOAT8E5M2FNUZ, 21, PLAIN),
    "float8_e8m0fnu": (TensorProto.FLOAT8E8M0, 24, [[1, 2, 4, 0.5], [1, 1, 2, 8]]),
    "float4_e2m1fn": (TensorProto.FLOAT4E2M1, 23, PLAIN),
    "int4": (TensorProto.INT4, 21, PLAIN),
    "uint4": (TensorProto.UINT4, 21, UNSIGNED),
    "int2": (TensorProto.INT2, 25, [[0, 1, -1, -2], [1, 1, 0, -2]]),
    "uint2": (TensorProto.UINT2, 25, UNSIGNED),
}
"""Name of the dtype: its number in ONNX, the first opset that has it, values that it holds exactly."""


def model(name: str) -> onnx.ModelProto:
    """Return a model that hands a value through, reshapes it, computes with it, makes one, and captures it."""
    number, opset, values = KINDS[name]
    constant = np.array(values, np.float32).astype(getattr(ml_dtypes, name))

    def body(kind: str) -> onnx.GraphProto:
        nodes = [helper.make_node("Cast", ["x"], [f"{kind}_f"], to=1), helper.make_node(kind, [f"{kind}_f"], [kind])]
        return helper.make_graph(nodes, kind, [], [helper.make_tensor_value_info(kind, 1, None)])

    nodes = [
        helper.make_node("Identity", ["x"], ["same"]),
        helper.make_node("Reshape", ["x", "tall"], ["high"]),
        helper.make_node("Transpose", ["high"], ["turned"]),
        helper.make_node("Cast", ["x"], ["f"], to=1),
        helper.make_node("Cast", ["k"], ["kf"], to=1),
        helper.make_node("Add", ["f", "kf"], ["sum"]),
        helper.make_node("Mul", ["sum", "half"], ["mean"]),
        helper.make_node("Cast", ["mean"], ["made"], to=number),
        helper.make_node("If", ["c"], ["chosen"], then_branch=body("Abs"), else_branch=body("Neg")),
    ]
    outputs = [("same", number), ("turned", number), ("sum", 1), ("made", number), ("chosen", 1)]
    graph = helper.make_graph(
        nodes,
        name,
        [
            helper.make_tensor_value_info("x", number, ["N", 4]),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info(value, dtype, None) for value, dtype in outputs],
        [
            numpy_helper.from_array(constant, "k"),
            numpy_helper.from_array(np.array([4, -1]), "tall"),
            numpy_helper.from_array(np.float32(0.5), "half"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10 if opset < 23 else 12)


def check(name: str, results: list[np.ndarray], c: bool) -> None:
    values = np.array(KINDS[name][2], np.float32)
    dtype = np.dtype(getattr(ml_dtypes, name))
    wanted = [values, values.reshape(4, 2).T, 2 * values, values, np.abs(values) if c else -values]
    for got, want, short in zip(results, wanted, (True, True, False, True, False), strict=True):
        assert got.dtype == (dtype if short else np.float32)
        assert np.array_equal(got.astype(np.float32), want)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("control_flow", ["auto", "nested"])
def test_a_session_takes_and_gives_ml_dtypes(name, control_flow):
    x = np.array(KINDS[name][2], np.float32).astype(getattr(ml_dtypes, name))
    with ovpart.Session(model(name), min_gain=0, evidence="off", control_flow=control_flow) as session:
        assert session.plan.delegated
        for c in (True, False):
            check(name, session.run(None, {"x": x, "c": np.array(c)}), c)


@pytest.mark.parametrize("name", KINDS)
def test_onnxruntimes_face_runs_and_binds_them(name):
    x = np.array(KINDS[name][2], np.float32).astype(getattr(ml_dtypes, name))
    session = ovpart.InferenceSession(model(name).SerializeToString(), providers=["OpenVINOExecutionProvider"])
    feed = {"x": x, "c": np.array(False)}
    check(name, session.run(None, feed), False)
    binding = session.io_binding()
    for key, value in feed.items():
        binding.bind_cpu_input(key, value)
    for end in session.get_outputs():
        binding.bind_output(end.name)
    session.run_with_iobinding(binding)
    check(name, binding.copy_outputs_to_cpu(), False)


@pytest.mark.parametrize("name", ["bfloat16", "int4"])
def test_arrays_of_another_dtype_are_named(name):
    with (
        ovpart.Session(model(name), evidence="off") as session,
        pytest.raises(ovpart.InputError, match=name.strip("0")),
    ):
        session.run(None, {"x": np.zeros((2, 4), np.int16), "c": np.array(True)})
