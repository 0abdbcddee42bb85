"""Models of very many nodes are planned, compiled and run, and right."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import ovpart
from benchmarks.executed import BOUND, given, reference
from benchmarks.large_graphs import MODELS
from ovpart.partition.parts import ISLAND_LIMIT, ISLAND_SLICE


def holds(kind: str, nodes: int, folder, **options) -> ovpart.Plan:
    path = str(folder / "model.onnx")
    onnx.save(MODELS[kind](nodes), path)
    wanted = reference(path)
    with ovpart.Session(path, **options) as session:
        for _ in range(2):
            (got,) = session.run(None, {"x": given()})
            assert np.abs(got - wanted).max() <= BOUND * np.abs(wanted).max()
        return session.plan


@pytest.mark.parametrize("kind", MODELS)
def test_models_of_some_hundred_nodes_run_in_parts(kind, tmp_path):
    plan = holds(kind, 600, tmp_path, min_gain=0)
    assert plan.delegates
    assert max(len(cluster.parts) for cluster in plan.clusters) >= (0 if kind == "mixed" else 3)


@pytest.mark.long
@pytest.mark.parametrize("options", [{}, {"min_gain": 0}], ids=["as it comes", "all delegated"])
@pytest.mark.parametrize("kind", MODELS)
def test_models_of_a_hundred_thousand_nodes_run(kind, options, tmp_path):
    holds(kind, 100_000, tmp_path, **options)


@pytest.mark.long
def test_a_large_model_whose_ranks_a_run_shows_runs_in_slices(tmp_path):
    # x, shape -> Reshape -> chain: the rank is known once the shape is
    proto = MODELS["chain"](ISLAND_LIMIT + ISLAND_SLICE)
    first = proto.graph.node[0]
    shape = helper.make_tensor_value_info("shape", TensorProto.INT64, ["R"])
    proto.graph.input.append(shape)
    first.input[0] = "reshaped"
    proto.graph.node.insert(0, helper.make_node("Reshape", ["x", "shape"], ["reshaped"], name="reshape"))
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    path = str(tmp_path / "model.onnx")
    onnx.save(proto, path)
    feed = {"x": given(), "shape": np.array([2, 64], np.int64)}
    with ovpart.Session(path) as session:
        outputs = [session.run(None, feed)[0] for _ in range(2)]
    plain = MODELS["chain"](ISLAND_LIMIT + ISLAND_SLICE)
    onnx.save(plain, path)
    wanted = reference(path).reshape(2, 64)
    for got in outputs:
        assert np.abs(got - wanted).max() <= BOUND * np.abs(wanted).max()
