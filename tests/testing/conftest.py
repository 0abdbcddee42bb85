"""A model that a device takes in part, and pytest with the plugin in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto
from onnx import helper as h


@pytest.fixture
def split(tmp_path: Path) -> Callable[..., Path]:
    """Write x -> Exp -> Cast(f64) -> Sqrt -> Cast(f32) -> Tanh -> y: what touches f64 stays behind."""

    def write(name: str = "split.onnx", last: str = "Tanh") -> Path:
        nodes = [
            h.make_node("Exp", ["x"], ["a"], name="exp"),
            h.make_node("Cast", ["a"], ["b"], name="up", to=TensorProto.DOUBLE),
            h.make_node("Sqrt", ["b"], ["c"], name="root"),
            h.make_node("Cast", ["c"], ["d"], name="down", to=TensorProto.FLOAT),
            h.make_node(last, ["d"], ["y"], name="last"),
        ]
        x, y = (h.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 4]) for n in "xy")
        model = h.make_model(h.make_graph(nodes, "g", [x], [y]), opset_imports=[h.make_opsetid("", 17)], ir_version=8)
        path = tmp_path / name
        onnx.save(model, path)
        return path

    return write


@pytest.fixture
def run_pytest(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Run pytest in a process of its own on one test file, with the plugin whether it is installed or not."""
    known = any(entry.name == "ovpart" for entry in entry_points(group="pytest11"))
    plugin = () if known else ("-p", "ovpart.testing.plugin")

    def run(tests: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(tests)
        return pytester.runpytest_subprocess(*plugin, "-p", "no:cacheprovider", *arguments)

    return run
