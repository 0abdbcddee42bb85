"""A device that fails at any of the calls made to it, once or from then on for ever: answers stay right."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx import helper as h

from ovpart.backend.fake import Failure, FakeBackend
from ovpart.backend.fold import fold_constants
from ovpart.capability.table import load_table
from ovpart.errors import OvpartError
from ovpart.model.read import read_model
from ovpart.options import resolve
from ovpart.placement.engines import Engines
from ovpart.placement.form import Form

X = np.array([[-1.5, 0.25, 2.0]], np.float32)
WANTED = np.tanh(1 / (1 + np.exp(-np.exp(np.maximum(X, 0)))))
STAGES = ("read", "convert", "compile", "bind", "run")


def chain() -> onnx.ModelProto:
    """Return x -> Relu -> Exp -> Sigmoid -> Tanh -> y."""
    names = ["x", "a", "b", "c", "y"]
    operators = ("Relu", "Exp", "Sigmoid", "Tanh")
    nodes = [h.make_node(op, [a], [b]) for op, a, b in zip(operators, names[:-1], names[1:], strict=True)]
    x, y = (h.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in "xy")
    return h.make_model(h.make_graph(nodes, "g", [x], [y]), opset_imports=[h.make_opsetid("", 17)], ir_version=8)


MODEL = fold_constants(read_model(chain()))
TABLE = load_table()


def form_on(backends: dict[str, FakeBackend]) -> Form:
    """Return a form in which Exp stands on onnxruntime: two clusters and an island."""
    return Form(MODEL, Engines(resolve({"min_gain": 0, "exclude": ["Exp"]}), backends), TABLE)


def held(form: Form) -> None:
    np.testing.assert_allclose(form.run({"x": X}, None)[0], WANTED, 1e-6)


def reached(stage: str) -> int:
    fake = FakeBackend()
    form = form_on({"openvino": fake})
    for _ in range(3):
        held(form)
    return fake.calls[stage]


@pytest.mark.parametrize("times", [1, 2, 0], ids=["once", "twice", "for ever"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_device_that_fails_costs_no_answer(stage, times):
    calls = reached(stage)
    assert calls >= 2
    for number in range(1, calls + 1):
        form = form_on({"openvino": FakeBackend(failures=[Failure(stage, at=number, times=times)])})
        for _ in range(3):
            held(form)
        assert form.demotions


@pytest.mark.parametrize("stage", STAGES)
def test_a_device_that_fails_always_leaves_everything_to_onnxruntime(stage):
    form = form_on({"openvino": FakeBackend(failures=[Failure(stage)])})
    for _ in range(3):
        held(form)
    assert not form.plan.delegated


@pytest.mark.parametrize("stage", STAGES)
def test_a_fallback_that_fails_once_raises_our_error_at_most_and_is_right_the_next_time(stage):
    for number in range(1, 6):
        fallback = FakeBackend(failures=[Failure(stage, at=number, times=1)])
        try:
            form = form_on({"openvino": FakeBackend(), "onnxruntime": fallback})
        except OvpartError:
            continue
        raised = 0
        for _ in range(4):
            try:
                held(form)
            except OvpartError:
                raised += 1
        assert raised <= 1
        held(form)


@pytest.mark.parametrize("stage", STAGES)
def test_strict_raises_our_error_each_time_and_stays_whole(stage):
    engines = Engines(
        resolve({"min_gain": 0, "strict": True}), {"openvino": FakeBackend(failures=[Failure(stage, times=1)])}
    )
    with pytest.raises(OvpartError, match="told to fail"):
        Form(MODEL, engines, TABLE).run({"x": X}, None)
    held(Form(MODEL, engines, TABLE))
