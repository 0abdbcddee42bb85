"""Real models with control flow give what onnxruntime gives, with plans of their own for all bodies too."""

from __future__ import annotations

import onnx
import pytest

import ovpart
from benchmarks.compare import largest_error
from benchmarks.fetch_models import load_manifest, model_path
from benchmarks.model_inputs import inputs
from ovpart.partition.nested import scopes
from tests.acceptance.test_models import DEFAULT_BOUND, reference

MODELS = {model["id"]: model for model in load_manifest()}
WITH_BODIES = ("silero_v6", "silero_v4", "oww_hey_jarvis", "nakdimon")
LEAST_EXECUTED = 0.8
"""Share of the operations of all runs that the device has with ``min_gain=0``."""

pytestmark = pytest.mark.models


@pytest.fixture(params=WITH_BODIES)
def model(request: pytest.FixtureRequest):
    if not model_path(request.param).is_file():
        pytest.skip(f"{request.param} is not fetched: make models")
    return MODELS[request.param]


def test_the_models_with_control_flow_are_these():
    present = [id_ for id_ in MODELS if model_path(id_).is_file()]
    if len(present) < len(MODELS):
        pytest.skip("some models are not fetched: make models")
    found = set()
    for id_ in present:
        graph = onnx.load(model_path(id_), load_external_data=False).graph
        if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
            found.add(id_)
    assert found == set(WITH_BODIES)


@pytest.mark.parametrize("lazy", [True, False], ids=["compiled when first run", "compiled with the session"])
@pytest.mark.parametrize("min_gain", [None, 0], ids=["where it pays", "all that may be"])
def test_forced_through_plans_of_bodies_it_is_right(model, min_gain, lazy):
    feeds = [inputs(model, "a"), inputs(model, "b")]
    wanted = reference(model_path(model["id"]), feeds)
    with ovpart.Session(model_path(model["id"]), control_flow="nested", min_gain=min_gain, lazy=lazy) as session:
        assert len(list(scopes(session.plan))) > 1
        results = [session.run(None, feeds[index]) for index in (0, 1, 0, 1)]
    bound = model.get("rtol_range", DEFAULT_BOUND)
    for turn, got in enumerate(results):
        assert largest_error(got, wanted[turn % 2]) <= bound


def test_most_of_what_runs_is_delegated_inside_bodies(model):
    with ovpart.Session(model_path(model["id"]), min_gain=0) as session:
        for turn in range(6):
            session.run(None, inputs(model, "ab"[turn % 2]))
        report = session.report
    assert report.scopes
    assert report.executed_flops is not None
    assert report.executed_flops >= LEAST_EXECUTED
