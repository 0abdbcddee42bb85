"""Real models as one cut, and untouched, on both engines: equal to plain onnxruntime without optimisations."""

from __future__ import annotations

import importlib.util
import os
import tomllib
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from ovpart.backend.cut import make_cut
from ovpart.backend.fold import fold_constants
from ovpart.backend.onnxruntime import OnnxRuntimeBackend
from ovpart.backend.openvino import OpenVINOBackend
from ovpart.model.read import read_model

pytestmark = pytest.mark.models

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("OVPART_MODELS") or Path.home() / ".cache" / "ovpart-models")
MODELS = tomllib.loads((ROOT / "tests" / "models_manifest.toml").read_text(encoding="utf-8"))["model"]
SMALL = 16  # outputs of fewer elements are judged by their largest magnitude instead of their range


def path_of(entry):
    path = FOLDER / entry["id"] / "model.onnx"
    if not path.is_file():
        pytest.skip(f"{path} is not there: make models fetches it")
    return path


def inputs_of(entry, which):
    spec = importlib.util.spec_from_file_location("model_inputs", ROOT / "benchmarks" / "model_inputs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.inputs(entry, which)


def reference(path, feed):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, feed)


def assert_close(got, expected, tolerance):
    if isinstance(expected, list):
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            assert_close(one, other, tolerance)
    elif isinstance(expected, dict):
        assert got.keys() == expected.keys()
        assert_close(np.array(list(got.values())), np.array(list(expected.values())), tolerance)
    else:
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
        if expected.dtype.kind != "f" or not expected.size:
            assert np.mean(got != expected) <= (tolerance if expected.dtype.kind in "iu" else 0)
            return
        values = expected.astype(np.float64)
        scale = np.nanmax(values) - np.nanmin(values) if expected.size >= SMALL else np.nanmax(np.abs(values))
        assert np.array_equal(np.isnan(got), np.isnan(expected))
        assert np.nanmax(np.abs(got.astype(np.float64) - values)) <= tolerance * (scale or 1)


def check(entry, backend):
    path = path_of(entry)
    model = fold_constants(read_model(path))
    graph = model.graph
    nodes = [node.index for node in graph.nodes if node.index not in graph.constant and node.index not in graph.dead]
    cut = make_cut(model, nodes, graph.inputs, graph.outputs)
    requests = [backend.compile(cut, "CPU", {}).bind(), backend.compile_whole(model, "CPU", {}).bind()]
    for which in "ab":  # other shapes where the model allows it
        feed = inputs_of(entry, which)
        expected = reference(path, feed)
        for request in requests:
            for index, name in enumerate(graph.inputs):
                request.set_input(index, feed[name])
            request.run()
            for index, array in enumerate(expected):
                assert_close(request.take_output(index), array, entry["rtol_range"])


@pytest.mark.parametrize("entry", MODELS, ids=[entry["id"] for entry in MODELS])
def test_on_onnxruntime(entry):
    check(entry, OnnxRuntimeBackend())


@pytest.mark.parametrize(
    "entry", [e for e in MODELS if e.get("delegable")], ids=[e["id"] for e in MODELS if e.get("delegable")]
)
def test_on_openvino(entry):
    check(entry, OpenVINOBackend())
