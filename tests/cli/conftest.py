"""Small models on disk, and the command line called in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ovpart.cli.main import main


@dataclass(frozen=True, slots=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def ovpart_cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Call the command line with arguments; returns exit code, standard output and standard error."""

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(int(code), captured.out, captured.err)

    return call


@pytest.fixture
def split_model(tmp_path: Path) -> Path:
    """Return a model that runs on two engines: labels are strings, which openvino does not take.

    x (N,4) -> MatMul -> ArgMax -> LabelEncoder(int64 to string) -> label          scores = MatMul's output
    """
    weights = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(4, 3), "w")
    names = {"keys_int64s": [0, 1, 2], "values_strings": ["cat", "dog", "owl"]}
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["scores"], name="weigh"),
            helper.make_node("ArgMax", ["scores"], ["best"], name="choose", axis=1, keepdims=0),
            helper.make_node("LabelEncoder", ["best"], ["label"], name="call", domain="ai.onnx.ml", **names),
        ],
        "animals",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 3]),
            helper.make_tensor_value_info("label", TensorProto.STRING, ["N"]),
        ],
        [weights],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)]
    path = tmp_path / "animals.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


@pytest.fixture
def broken_model(tmp_path: Path) -> Path:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"this is no model")
    return path
