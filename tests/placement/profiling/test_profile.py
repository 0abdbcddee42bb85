"""Where the time of a run goes: what is told adds up, names the nodes, and ordinary runs know nothing of it."""

from __future__ import annotations

import json

import jsonschema
import numpy as np
import onnx.parser
import pytest

import ovpart
from ovpart.backend.base import TellsLayers
from ovpart.errors import InputError, OptionError
from ovpart.partition.plan import Label
from ovpart.placement.profiling.facts import ClusterFact, LayerFact, NodeFact, Profiled
from ovpart.placement.profiling.text import WIDTH, as_data, duration
from ovpart.report.json import schema
from tests.placement.control_flow_models import LOOP, LOOP_IN_BRANCH, model, x

SPLIT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N,64] x) => (float[N,64] y)
<float[64,64] w>
{
  a = MatMul(x, w)
  b = Tanh(a)
  c = MatMul(b, w)
  y = Relu(c)
}"""


@pytest.fixture
def split():
    proto = onnx.parser.parse_model(SPLIT.replace("<float[64,64] w>", ""))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.eye(64, dtype=np.float32), "w"))
    with ovpart.Session(proto, min_gain=0, exclude=["Tanh"], evidence="off") as session:
        yield session


def feed(rows: int = 3):
    return {"x": np.ones((rows, 64), np.float32)}


def test_clusters_layers_and_nodes_are_those_of_the_plan_and_add_up(split):
    found = split.profile(feed(), runs=20)
    plan = split.plan
    assert [(c.id, c.number, c.label, c.nodes, c.calls) for c in found.clusters] == [
        (c.id, n, c.label, len(c.nodes), 1) for n, c in enumerate(plan.clusters, 1)
    ]
    assert [node.key for node in found.nodes] == ["a", "b", "c", "y"]
    assert [(node.engine, node.device) for node in found.nodes][:2] == [("openvino", "CPU"), ("onnxruntime", "CPU")]
    assert 0 <= found.mapped <= found.told <= 1
    assert 0 < found.computing_us <= found.profiled_us
    assert sum(c.mapped_us for c in found.clusters) == pytest.approx(
        sum(layer.us for layer in found.layers if layer.nodes)
    )
    assert sum(n.us or 0 for n in found.nodes) == pytest.approx(sum(c.mapped_us for c in found.clusters))
    assert sum(us for _, us in found.by_operator().values()) == pytest.approx(sum(n.us or 0 for n in found.nodes))
    assert (found.runs, found.device) == (20, "CPU")


def test_ordinary_runs_keep_no_time(split):
    before = split.run(None, feed())[0]
    split.profile(feed(), runs=1)
    realised = split._form.realised
    assert not any(isinstance(part, TellsLayers) for parts in realised.executables.values() for part in parts)
    assert split._form.steady.times() == {}
    assert split.report.compiles["openvino"]["compiled"] == 2
    np.testing.assert_array_equal(split.run(None, feed())[0], before)


def test_the_report_has_the_times_once_they_are_measured(split):
    assert split.report.profile is None
    assert json.loads(split.report.to_json())["profile"] is None
    found = split.profile(feed(), runs=2)
    assert split.report.profile is found
    data = json.loads(split.report.to_json())
    jsonschema.validate(data, schema())
    assert data["profile"] == json.loads(found.to_json())


def test_bodies_with_plans_of_their_own_are_profiled_too():
    with ovpart.Session(model(LOOP_IN_BRANCH), min_gain=0, evidence="off") as session:
        found = session.profile({"x": x(2, 4), "m": np.array(4), "c": np.array(True)}, runs=2)
    paths = {cluster.path for cluster in found.clusters}
    assert ("y", "then_branch", "p", "body") in paths
    assert ("y", "else_branch") not in paths
    (inner, *_) = [c for c in found.clusters if c.path == ("y", "then_branch", "p", "body")]
    assert inner.calls == 4
    assert not all(cluster.computes for cluster in found.clusters)
    assert found.computing_us <= found.profiled_us
    assert "4 calls in body of p" in str(found)


def test_a_loop_that_onnxruntime_runs_is_one_node():
    with ovpart.Session(model(LOOP), control_flow="whole", exclude=["Loop"], evidence="off") as session:
        found = session.profile({"x": x(2, 4), "m": np.array(9), "c": np.array(True)}, runs=2)
    assert [node.key for node in found.nodes if node.us is not None] == ["y"]


def test_what_cannot_be_profiled_is_refused(split):
    with pytest.raises(OptionError, match="runs=0"):
        split.profile(feed(), runs=0)
    with pytest.raises(InputError, match="x"):
        split.profile({})


def test_the_cache_is_left_alone(tmp_path):
    proto = onnx.parser.parse_model(SPLIT.replace("<float[64,64] w>", ""))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.eye(64, dtype=np.float32), "w"))
    with ovpart.Session(proto, min_gain=0, cache_dir=tmp_path, evidence="off") as session:
        session.run(None, feed())
        before = sorted(path.name for path in tmp_path.rglob("*"))
        session.profile(feed(), runs=1)
        assert sorted(path.name for path in tmp_path.rglob("*")) == before != []


@pytest.fixture
def known():
    """Return a profile whose figures are known by hand: 100 us a run, two clusters."""
    device, island = Label("openvino", "CPU"), Label("onnxruntime", "CPU")
    return Profiled(
        model="tiny.onnx",
        device="CPU",
        runs=10,
        run_us=90.0,
        profiled_us=100.0,
        clusters=(
            ClusterFact((), "one", 1, device, 3, 1.0, 60.0, 50.0, 45.0),
            ClusterFact((), "two", 2, island, 1, 1.0, 20.0, None, 0.0),
        ),
        layers=(
            LayerFact((), "one", "n0n", "Convolution jit", 45.0, ("c", "r")),
            LayerFact((), "one", "Reorder_3", "Reorder", 5.0, ()),
        ),
        nodes=(
            NodeFact((), "c", "conv", "Conv", "one", "openvino", "CPU", 45.0),
            NodeFact((), "r", "relu", "Relu", "one", "openvino", "CPU", None, "c"),
            NodeFact((), "k", "a name much longer than what a line of the table has room for at all", "Kind", "one",
                     "openvino", "CPU", 0.0),
            NodeFact((), "t", "t", "Tanh", "two", "onnxruntime", "CPU", None),
        ),
    )  # fmt: skip


def test_shares_are_honest(known):
    assert known.computing_us == 80
    assert known.told == pytest.approx(50 / 80)
    assert known.mapped == pytest.approx(45 / 80)
    assert known.by_operator() == {"Conv": (1, 45.0), "Kind": (1, 0.0)}


def test_text_says_what_is_known_and_what_is_not(known):
    text = str(known)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "a run takes 90 µs, 100 µs while it is profiled" in text
    assert "engines told 62.5% layer by layer, and 56.2%" in text
    rows = [" ".join(row.split()) for row in text.splitlines()]
    assert "1 openvino CPU 3 nodes 60 µs 60.0%" in rows
    assert "between them 20 µs 20.0%" in rows
    assert "45 µs 45.0% openvino Conv conv (+1 fused)" in rows
    assert "5.0 µs 5.0% Reorder Reorder_3" in rows


def test_json_has_it_all(known):
    data = as_data(known)
    assert data["mapped_to_nodes"] == pytest.approx(45 / 80)
    assert data["clusters"][1]["layers_us"] is None
    assert data["nodes"][1]["leader"] == "c"
    assert data["layers"][0]["nodes"] == ("c", "r")
    assert json.loads(known.to_json())["clusters"][0]["engine"] == "openvino"


def test_times_have_three_digits():
    assert [duration(us) for us in (1234567.0, 12345.6, 71.2, 3.21)] == ["1235 ms", "12.3 ms", "71 µs", "3.2 µs"]
