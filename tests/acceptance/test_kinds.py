"""Kinds of models that real ones lack: quantised in each way, Scan, optionals, functions, caches; small, and right."""

from __future__ import annotations

import numpy as np
import pytest

import ovpart
from benchmarks.topologies.kinds import TOPOLOGIES

TOLERANCE = 1e-5
"""Of the largest value of an output; f32 on both engines."""
OPTIONS = {"as planned": {}, "delegated": {"min_gain": 0}, "nested": {"min_gain": 0, "control_flow": "nested"}}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return a function that gives the path of a kind's model, built once."""
    folder, paths = tmp_path_factory.mktemp("kinds"), {}

    def build(topology):
        if topology.name not in paths:
            path = folder / f"{len(paths)}.onnx"
            topology.build(path)
            paths[topology.name] = path
        return paths[topology.name]

    return build


def unoptimised(path, feed):
    """Return what onnxruntime answers without its optimiser."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, feed)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("topology", TOPOLOGIES, ids=lambda topology: topology.name)
def test_a_generated_kind_is_right(topology, options, built):
    path = built(topology)
    with ovpart.Session(path, num_threads=1, evidence="off", **options) as session:
        for seed in range(3):
            feed = topology.inputs(seed)
            for theirs, ours in zip(unoptimised(path, feed), session.run(None, feed), strict=True):
                assert theirs.shape == ours.shape
                assert theirs.dtype == ours.dtype
                np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE * np.abs(theirs).max(initial=0))


@pytest.mark.parametrize("topology", TOPOLOGIES, ids=lambda topology: topology.name)
def test_a_generated_kind_verifies(topology, built):
    """Also where onnxruntime fails at one of the levels that it is asked for: its 8-bit weights made precise."""
    with ovpart.Session(built(topology), num_threads=1, evidence="off", min_gain=0) as session:
        found = session.verify(topology.inputs(0))
    assert found.is_right, str(found)
