"""Real models give what onnxruntime without graph optimisations gives, as planned and delegated as far as may be.

They are fetched by ``make models`` and run by ``make models-test``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pytest

import ovpart
from benchmarks.compare import largest_error
from benchmarks.fetch_models import load_manifest, model_path
from benchmarks.model_inputs import inputs

MODELS = {model["id"]: model for model in load_manifest()}
DEFAULT_BOUND = 1e-3
"""Largest error over the range of the reference, where the manifest says nothing: rounding of f32 in another order."""
LEAST_COVERAGE = 0.9
"""Share of nodes that must be delegated with ``min_gain=0`` of a model that openvino alone gets right."""

pytestmark = pytest.mark.models


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> Mapping[str, Any]:
    if not model_path(request.param).is_file():
        pytest.skip(f"{request.param} is not fetched: make models")
    return MODELS[request.param]


def reference(path: os.PathLike[str], feeds: list[dict[str, Any]]) -> list[list[Any]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return [session.run(None, feed) for feed in feeds]


@pytest.mark.parametrize("min_gain", [None, 0], ids=["as planned", "all that may be"])
def test_answers_are_right_whatever_ran_before(model, min_gain):
    path = model_path(model["id"])
    feeds = [inputs(model, "a"), inputs(model, "b")]
    wanted = reference(path, feeds)
    with ovpart.Session(path, min_gain=min_gain) as session:
        first = session.run(None, feeds[0])
        kept = [array.copy() if hasattr(array, "copy") else array for array in first]
        other = session.run(None, feeds[1])
        again = session.run(None, feeds[0])
        report = session.report
    bound = model.get("rtol_range", DEFAULT_BOUND)
    assert (
        max(largest_error(got, want) for got, want in zip((first, other, again), (*wanted, wanted[0]), strict=True))
        <= bound
    )
    assert largest_error(first, kept) == 0.0, "a later run changed what an earlier one had returned"
    if min_gain == 0 and model.get("delegable", False):
        assert report.coverage >= LEAST_COVERAGE


@pytest.mark.parametrize("device", ["CPU", "GPU", "NPU"])
def test_every_node_has_place_reason_and_rule_on_every_device(model, device):
    graph = ovpart.plan(model_path(model["id"]), device=device, min_gain=0).to_networkx()
    bare = [
        node
        for node, data in graph.nodes(data=True)
        if data["cluster"] not in ("constant", "dead") and not (data["verdict"].reason and data["verdict"].rule)
    ]
    assert bare == []
