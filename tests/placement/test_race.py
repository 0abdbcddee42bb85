from __future__ import annotations

import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx import helper as h
from onnx import numpy_helper as nh

import ovpart
from ovpart.backend.base import Port
from ovpart.backend.fake import FakeBackend
from ovpart.backend.fold import fold_constants
from ovpart.capability.table import load_table
from ovpart.model.read import read_model
from ovpart.options import resolve
from ovpart.placement.engines import Engines
from ovpart.placement.form import Form
from ovpart.placement.race import Race
from ovpart.runtime.schedule import bind_schedule


class Slow:
    """Stands for an executable: waits, then gives a number that tells who computed."""

    def __init__(self, seconds, number):
        self.seconds, self.number = seconds, np.float32(number)
        self.inputs = (Port("x", "f32", (1,)),)
        self.outputs = (Port("y", "f32", (1,)),)

    def bind(self):
        return self

    def set_input(self, index, array):
        self.given = array

    def run(self):
        time.sleep(self.seconds)

    def take_output(self, index):
        return np.array([self.number])


def schedule(seconds, number):
    slow = Slow(seconds, number)
    return bind_schedule(inputs=slow.inputs, outputs=["y"], steps=[("only", slow)])


@pytest.mark.parametrize(("planned", "plain"), [(0.0, 0.02), (0.02, 0.0)])
def test_the_faster_one_is_told_and_the_plan_answers_meanwhile(planned, plain):
    race = Race(schedule(planned, 1), schedule(plain, 2))
    calls = 0
    while not race.is_over:
        assert race.run({"x": np.zeros(1, np.float32)}, None)[0] == 1
        calls += 1
    assert race.outcome().keeps_plan == (planned < plain)
    assert calls <= 5


def heavy_model() -> onnx.ModelProto:
    """Return a model that the cost table delegates: ten convolutions of 64 channels."""
    rng = np.random.default_rng(0)
    weights = [nh.from_array(rng.normal(0, 0.05, (64, 64, 3, 3)).astype(np.float32), f"w{i}") for i in range(10)]
    nodes = []
    for i in range(10):
        nodes.append(h.make_node("Conv", [f"v{i}", f"w{i}"], [f"c{i}"], pads=[1, 1, 1, 1]))
        nodes.append(h.make_node("HardSwish", [f"c{i}"], [f"v{i + 1}"]))
    x, y = (h.make_tensor_value_info(name, TensorProto.FLOAT, [1, 64, 56, 56]) for name in ("v0", "v10"))
    return h.make_model(
        h.make_graph(nodes, "heavy", [x], [y], weights), opset_imports=[h.make_opsetid("", 17)], ir_version=8
    )


def test_a_plan_that_rests_on_predictions_is_measured_and_right_all_along():
    proto = heavy_model()
    session = ovpart.Session(proto)
    assert session.plan.delegated
    x = np.random.default_rng(1).normal(size=(1, 64, 56, 56)).astype(np.float32)
    want = ovpart.Session(proto, exclude=["Conv", "HardSwish"]).run(None, {"v0": x})[0]
    for _ in range(7):
        np.testing.assert_allclose(session.run(None, {"v0": x})[0], want, rtol=1e-3, atol=1e-4)
    held = session.plan.overruled.values()
    outcome = session.report.runs.outcome
    assert outcome.keeps_plan == bool(session.plan.delegated)
    assert session.plan.delegated or {why.source for why in held} == {"measured"}


def test_a_user_who_says_what_to_do_is_obeyed():
    session = ovpart.Session(heavy_model(), min_gain=50)
    x = np.zeros((1, 64, 56, 56), np.float32)
    for _ in range(7):
        session.run(None, {"v0": x})
    assert session.plan.delegated


@pytest.mark.parametrize("limit", [0, None], ids=["over the limit", "within it"])
def test_weights_are_held_twice_only_where_they_are_small(limit, monkeypatch):
    if limit is not None:
        monkeypatch.setattr("ovpart.placement.rival.MAX_WEIGHT_BYTES", limit)
    plain = FakeBackend()
    engines = Engines(resolve({}), {"openvino": FakeBackend(), "onnxruntime": plain})
    form = Form(fold_constants(read_model(heavy_model())), engines, load_table(), measured=True)
    assert form.plan.delegated
    assert len(plain.cuts) + plain.calls["compile_whole"] == (0 if limit == 0 else 1)
