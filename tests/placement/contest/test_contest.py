"""Sessions that measure their plan beside other ways of running the model."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx import helper as h
from onnx import numpy_helper as nh

import ovpart
from ovpart.backend.fake import FakeBackend
from ovpart.backend.fold import fold_constants
from ovpart.backend.onnxruntime import OnnxRuntimeBackend
from ovpart.capability.evidence import Choice, Evidence, read_evidence
from ovpart.capability.table import load_table
from ovpart.model.read import read_model
from ovpart.options import resolve
from ovpart.partition.plan import Label
from ovpart.placement.contest.contest import FIRST_CALLS
from ovpart.placement.engines import Engines
from ovpart.placement.form import Form
from ovpart.planning import plan_digest

MOST_CALLS = 12


def model_of(convolutions: int, size: int) -> onnx.ModelProto:
    """Return convolutions of 64 channels in a row."""
    rng = np.random.default_rng(0)
    weights = [
        nh.from_array(rng.normal(0, 0.05, (64, 64, 3, 3)).astype(np.float32), f"w{i}") for i in range(convolutions)
    ]
    nodes = []
    for i in range(convolutions):
        nodes.append(h.make_node("Conv", [f"v{i}", f"w{i}"], [f"c{i}"], pads=[1, 1, 1, 1]))
        nodes.append(h.make_node("HardSwish", [f"c{i}"], [f"v{i + 1}"]))
    x, y = (h.make_tensor_value_info(f"v{i}", TensorProto.FLOAT, [1, 64, size, size]) for i in (0, convolutions))
    return h.make_model(
        h.make_graph(nodes, "heavy", [x], [y], weights), opset_imports=[h.make_opsetid("", 17)], ir_version=8
    )


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Take every machine for one that does nothing else."""
    monkeypatch.setattr("ovpart.placement.contest.race.STEADY", float("inf"))


@pytest.fixture(scope="module")
def heavy():
    """Give a model that the cost table delegates, and an input."""
    return model_of(10, 56), {"v0": np.random.default_rng(1).normal(size=(1, 64, 56, 56)).astype(np.float32)}


@pytest.fixture(scope="module")
def light():
    """Give a model that the cost table leaves to onnxruntime, and an input."""
    return model_of(1, 12), {"v0": np.random.default_rng(1).normal(size=(1, 64, 12, 12)).astype(np.float32)}


def run_out(session, feed):
    """Run until it is known what is the fastest; return the answers."""
    answers = [session.run(None, feed)[0] for _ in range(FIRST_CALLS)]
    assert session.settle(60)
    return answers + [session.run(None, feed)[0] for _ in range(MOST_CALLS)]


def test_a_plan_that_rests_on_predictions_is_measured_and_right_all_along(heavy):
    proto, feed = heavy
    session = ovpart.Session(proto)
    assert session.plan.delegated
    want = ovpart.Session(proto, exclude=["Conv", "HardSwish"]).run(None, feed)[0]
    for answer in run_out(session, feed):
        np.testing.assert_allclose(answer, want, rtol=1e-3, atol=1e-4)
    outcome = session.report.runs.outcome
    assert set(outcome.us) == {"plan", "onnxruntime"}
    assert outcome.keeps_plan == bool(session.plan.delegated)
    assert session.plan.delegated or {why.source for why in session.plan.overruled.values()} == {"measured"}


def test_what_is_predicted_to_lose_is_tried_too(light, monkeypatch):
    monkeypatch.setattr("ovpart.placement.contest.rivals.LEAST_US", 0.0)
    monkeypatch.setattr("ovpart.placement.contest.rivals.is_promising", lambda *_: True)
    proto, feed = light
    session = ovpart.Session(proto)
    assert not session.plan.delegated
    want = session.run(None, feed)[0]
    for answer in run_out(session, feed):
        np.testing.assert_allclose(answer, want, rtol=1e-3, atol=1e-4)
    outcome = session.report.runs.outcome
    assert set(outcome.us) == {"plan", "delegated"}
    assert bool(session.plan.delegated) == (outcome.kept == "delegated")


def test_short_runs_are_not_worth_a_compile():
    x, y = (h.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy")
    proto = h.make_model(h.make_graph([h.make_node("Sigmoid", ["x"], ["y"])], "g", [x], [y]), ir_version=8)
    session = ovpart.Session(proto)
    run_out(session, {"x": np.zeros(4, np.float32)})
    assert session.report.runs.outcome is None
    assert session.report.compiles.keys() == {"onnxruntime"}


def test_a_session_that_runs_once_compiles_nothing_beside_its_plan(heavy):
    proto, feed = heavy
    session = ovpart.Session(proto)
    session.run(None, feed)
    assert session.settle(60)
    assert session.report.compiles.keys() == {"openvino"}


def test_a_user_who_says_what_to_do_is_obeyed(heavy):
    proto, feed = heavy
    session = ovpart.Session(proto, min_gain=50)
    run_out(session, feed)
    assert session.plan.delegated
    assert session.report.runs.outcome is None


@pytest.mark.parametrize("limit", [0, None], ids=["over the limit", "within it"])
def test_weights_are_held_twice_only_where_they_are_small(heavy, limit, monkeypatch):
    if limit is not None:
        monkeypatch.setattr("ovpart.placement.contest.rivals.MAX_WEIGHT_BYTES", limit)
    plain = FakeBackend()
    engines = Engines(resolve({}), {"openvino": FakeBackend(), "onnxruntime": plain})
    form = Form(fold_constants(read_model(heavy[0])), engines, load_table(), measured=True)
    assert form.plan.delegated
    for _ in range(FIRST_CALLS):
        form.run(heavy[1], None)
    form.settle(60)
    assert len(plain.cuts) + plain.calls["compile_whole"] == (0 if limit == 0 else 1)


def quantised(proto):
    """Return the model with its input rounded to 8 bits."""
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    made.opset_import[0].version = 19  # the first in which onnx.reference, behind the fake, knows both
    scale = nh.from_array(np.float32(0.05), "scale")
    zero = nh.from_array(np.int8(0), "zero")
    made.graph.initializer.extend([scale, zero])
    made.graph.node[0].input[0] = "rounded"
    for node in (
        h.make_node("DequantizeLinear", ["whole", "scale", "zero"], ["rounded"]),
        h.make_node("QuantizeLinear", ["v0", "scale", "zero"], ["whole"]),
    ):
        made.graph.node.insert(0, node)
    return made


@pytest.mark.parametrize("change", [lambda proto: proto, quantised], ids=["float", "quantised"])
def test_what_onnxruntime_makes_of_a_quantised_model_is_right_however_else_the_plan_rounds(change):
    """The device answers otherwise, and far more slowly."""
    engines = Engines(
        resolve({}), {"openvino": FakeBackend(wrong={"HardSwish": 0.1}), "onnxruntime": OnnxRuntimeBackend()}
    )
    form = Form(fold_constants(read_model(change(model_of(2, 40)))), engines, load_table(), measured=True)
    feed = {"v0": np.random.default_rng(1).normal(size=(1, 64, 40, 40)).astype(np.float32)}
    assert form.plan.delegated
    for _ in range(FIRST_CALLS):
        form.run(feed, None)
    assert form.settle(60)
    for _ in range(MOST_CALLS):
        form.run(feed, None)
    assert bool(form.plan.delegated) == (change is not quantised)


def test_a_session_may_be_closed_while_rivals_are_compiled(heavy):
    proto, feed = heavy
    session = ovpart.Session(proto)
    for _ in range(FIRST_CALLS):
        session.run(None, feed)
    session.close()
    with pytest.raises(ovpart.RunError):
        session.run(None, feed)


def told(proto, kept):
    """Return evidence that one way was the fastest."""
    plan = ovpart.plan(proto)
    figures = {"plan": 2000.0, kept: 1000.0}
    threads = 2
    return plan, Evidence(plan.fingerprint, "CPU", choice=Choice(plan_digest(plan), threads, kept, figures))


@pytest.mark.parametrize(("which", "kept"), [("heavy", "onnxruntime"), ("light", "delegated")])
def test_the_next_session_starts_with_what_was_the_fastest(which, kept, request):
    proto, feed = request.getfixturevalue(which)
    plan, evidence = told(proto, kept)
    session = ovpart.Session(proto, evidence=evidence, num_threads=2)
    assert bool(session.plan.delegated) != bool(plan.delegated)
    run_out(session, feed)
    outcome = session.report.runs.outcome
    assert outcome.known_before
    assert outcome.kept == kept
    assert len(session.report.compiles) == 1, "nothing is measured again"
    assert bool(ovpart.plan(proto, evidence=evidence).delegated) == bool(session.plan.delegated)


def test_a_choice_says_nothing_of_another_plan_nor_of_other_threads(heavy):
    proto, _ = heavy
    plan, evidence = told(proto, "onnxruntime")
    assert ovpart.Session(proto, evidence=evidence, num_threads=1).plan.delegated
    other = Choice("0" * 16, 2, "onnxruntime", {"plan": 2.0, "onnxruntime": 1.0})
    known = Evidence(plan.fingerprint, "CPU", choice=other)
    assert ovpart.plan(proto, evidence=known).delegated
    assert ovpart.plan(proto, evidence=evidence, min_gain=1).delegated


def test_what_was_measured_is_kept_with_its_figures(heavy, tmp_path):
    proto, feed = heavy
    path = tmp_path / "evidence.json"
    session = ovpart.Session(proto, evidence=path, num_threads=2)
    run_out(session, feed)
    kept = read_evidence(path).choice
    assert kept.us == pytest.approx(session.report.runs.outcome.us, abs=0.1)
    assert kept.kept == session.report.runs.outcome.kept
    assert kept.threads == 2


def test_without_evidence_nothing_is_kept(heavy, evidence_folder):
    proto, feed = heavy
    run_out(ovpart.Session(proto, evidence="off"), feed)
    assert not evidence_folder.exists()


def test_labels_are_part_of_what_a_choice_is_about(heavy):
    plan = ovpart.plan(heavy[0])
    moved = ovpart.plan(heavy[0], device="GPU")
    assert {c.label for c in plan.clusters} == {Label("openvino", "CPU")}
    assert plan_digest(plan) != plan_digest(moved)


def test_ids_beyond_the_guard_of_a_way_that_has_won_are_right(monkeypatch):
    monkeypatch.setattr("ovpart.placement.contest.rivals.LEAST_US", 0.0)
    monkeypatch.setattr("ovpart.placement.contest.rivals.is_promising", lambda *_: True)
    monkeypatch.setattr("ovpart.placement.contest.race.GAIN", float("inf"))
    monkeypatch.setattr("ovpart.placement.contest.race.HOPELESS", float("inf"))
    x, y = (h.make_tensor_value_info(name, TensorProto.INT64, [None]) for name in "xy")
    node = h.make_node("Add", ["x", "x"], ["y"])
    proto = h.make_model(h.make_graph([node], "g", [x], [y]), opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    session = ovpart.Session(proto)
    run_out(session, {"x": np.arange(5)})
    assert session.report.runs.outcome.kept == "delegated"
    large = np.array([2**40, 7])
    assert session.run(None, {"x": large})[0].tolist() == [2**41, 14]
    assert session.run(None, {"x": np.arange(3)})[0].tolist() == [0, 2, 4]
