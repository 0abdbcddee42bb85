"""Operators of a library of somebody else's (onnxruntime-extensions), whole and in a model that is split."""

from __future__ import annotations

import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import ovpart
import ovpart.compat.onnxruntime as ort
from tests.compat.small_models import model, tensor

extensions = pytest.importorskip("onnxruntime_extensions", reason="the package onnxruntime-extensions is not installed")
# Importing it sets this for all processes that tests start, in which protobuf would then recurse in Python.
os.environ.pop("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", None)
DOMAIN = "ai.onnx.contrib"


def custom(*args) -> bytes:
    made: onnx.ModelProto = model(*args)
    made.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return made.SerializeToString()


def upper() -> bytes:
    node = helper.make_node("StringUpper", ["s"], ["u"], domain=DOMAIN)
    return custom([node], [tensor("s", TensorProto.STRING, ["n"])], [tensor("u", TensorProto.STRING, ["n"])])


def split() -> bytes:
    """X -> Exp -> NegPos (custom) -> its positive part -> Exp -> y."""
    nodes = [
        helper.make_node("Exp", ["x"], ["a"]),
        helper.make_node("NegPos", ["a"], ["n", "p"], domain=DOMAIN),
        helper.make_node("Exp", ["p"], ["y"]),
    ]
    return custom(nodes, [tensor("x", shape=["n"])], [tensor("y", shape=["n"])])


def options() -> ort.SessionOptions:
    made = ort.SessionOptions()
    made.register_custom_ops_library(extensions.get_library_path())
    return made


@pytest.mark.parametrize("providers", [None, ["CPUExecutionProvider"]])
def test_a_custom_operator_runs(providers):
    session = ort.InferenceSession(upper(), options(), providers=providers)
    assert session.run(None, {"s": np.array(["abc", "Ünd"], object)})[0].tolist() == ["ABC", "ÜND"]


def test_the_same_options_serve_several_sessions():
    shared = options()
    for _ in range(3):
        session = ort.InferenceSession(upper(), shared)
        assert session.run(None, {"s": np.array(["abc"], object)})[0].tolist() == ["ABC"]


def test_a_model_is_split_around_a_custom_operator():
    session = ovpart.Session(split(), min_gain=0, custom_op_libraries=extensions.get_library_path())
    (y,) = session.run(None, {"x": np.array([0.0, -1.0], np.float32)})
    np.testing.assert_allclose(y, np.exp(np.exp([0.0, -1.0])), rtol=1e-6)
    assert len(session.plan.delegated) == 2
    assert len(session.plan.islands) == 1


def test_without_its_library_the_operator_is_refused_by_name():
    with pytest.raises(ovpart.ModelError, match="StringUpper"):
        ort.InferenceSession(upper())
