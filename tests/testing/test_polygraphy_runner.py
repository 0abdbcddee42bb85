"""Polygraphy's own comparator and command line on ovpart; skipped where Polygraphy is not installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx import helper as h
from onnx import numpy_helper as nh

pytest.importorskip("polygraphy", reason="Polygraphy is not installed (pip install polygraphy)")

ROOT = Path(__file__).resolve().parents[2]
BELIEVES_ANTIALIAS = """
schema: 1
ops:
  Resize:
    CPU:
    - {state: supported, source: user}
"""


@pytest.fixture
def polygraphy(tmp_path):
    """Call Polygraphy's command line, with the entry point of this tree whether ovpart is installed from it or not."""
    group = "polygraphy.run.plugins"
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][group]
    about = tmp_path / "path" / "ovpart_plugins-0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: ovpart-plugins\nVersion: 0\n")
    rows = [f"{name} = {where}" for name, where in points.items()]
    (about / "entry_points.txt").write_text("\n".join([f"[{group}]", *rows, ""]))
    code = "import sys; from polygraphy.tools import main; sys.exit(main())"
    path = os.pathsep.join([str(ROOT), str(about.parent)])
    command = tmp_path / "polygraphy-of-this-tree"
    command.write_text(f"#!/bin/sh\nexec env PYTHONPATH='{path}' '{sys.executable}' -c '{code}' \"$@\"\n")
    command.chmod(0o755)

    def call(*arguments):
        done = subprocess.run(
            [command, *map(str, arguments)], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )
        return done.returncode, done.stdout + done.stderr

    call.command = command
    return call


@pytest.fixture
def resized(tmp_path):
    """Write x -> Relu -> Resize(antialias) -> Tanh -> y; openvino ignores antialias."""
    nodes = [
        h.make_node("Relu", ["x"], ["a"], name="first"),
        h.make_node("Resize", ["a", "roi", "scales"], ["b"], name="shrink", mode="linear", antialias=1),
        h.make_node("Tanh", ["b"], ["y"], name="last"),
    ]
    x = h.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 8, 8])
    y = h.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 3, 3])
    scales = nh.from_array(np.array([1, 1, 0.4, 0.4], np.float32), "scales")
    roi = nh.from_array(np.zeros(0, np.float32), "roi")  # Polygraphy's reducer takes no input that is left out
    graph = h.make_graph(nodes, "g", [x], [y], [scales, roi])
    path = tmp_path / "resized.onnx"
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 18)], ir_version=8), path)
    return path


def test_the_comparator_runs_ovpart_beside_others(resized):
    from polygraphy.backend.onnxrt import OnnxrtRunner, SessionFromOnnx
    from polygraphy.comparator import Comparator, SimpleCompareFunc

    from ovpart.testing import OvpartRunner

    ours = OvpartRunner(str(resized), name="ovpart")
    results = Comparator.run([ours, OnnxrtRunner(SessionFromOnnx(str(resized)), name="onnxrt")])
    assert bool(Comparator.compare_accuracy(results, compare_func=SimpleCompareFunc(atol=1e-5)))
    assert results["ovpart"][0].runtime > 0


def test_the_runner_says_what_it_takes_and_closes_its_session(resized):
    from ovpart.testing import OvpartRunner

    runner = OvpartRunner(lambda: onnx.load(resized), exclude=["Tanh"])
    with runner:
        described = runner.get_input_metadata(use_numpy_dtypes=False)
        assert list(described) == ["x"]
        assert list(described["x"].shape) == [1, 1, 8, 8]
        assert {c.label.engine for c in runner.session.plan.clusters} == {"openvino", "onnxruntime"}
        session = runner.session
    with pytest.raises(Exception, match="closed"):
        session.run(None, {"x": np.zeros((1, 1, 8, 8), np.float32)})


def test_polygraphy_run_has_the_runner(polygraphy, resized):
    code, told = polygraphy("run", resized, "--ovpart", "--onnxrt", "--atol", "1e-4")
    assert code == 0, told
    assert "PASSED" in told


def test_options_reach_the_session(polygraphy, resized):
    code, told = polygraphy("run", resized, "--ovpart", "--ovpart-options", "semantics:wild")
    assert code != 0
    assert "semantics" in told


@pytest.mark.long
def test_debug_reduce_finds_the_node_that_a_wrong_table_lets_through(polygraphy, resized, tmp_path):
    pytest.importorskip("onnx_graphsurgeon", reason="onnx-graphsurgeon is not installed")
    (tmp_path / "wrong.yaml").write_text(BELIEVES_ANTIALIAS)
    check = [polygraphy.command, "run", "polygraphy_debug.onnx", "--ovpart", "--onnxrt", "--atol", "1e-4"]
    check += ["--ovpart-options", f"table:{tmp_path / 'wrong.yaml'}"]
    code, told = polygraphy("debug", "reduce", resized, "-o", "least.onnx", "--mode=linear", "--check", *check)
    assert code == 0, told
    assert [node.op_type for node in onnx.load(tmp_path / "least.onnx").graph.node] == ["Resize"]
