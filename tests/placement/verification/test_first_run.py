"""verify="first-run": garbage from an engine is caught before a run is answered."""

from __future__ import annotations

import numpy as np
import pytest

from ovpart.backend.fake import FakeBackend
from ovpart.errors import VerificationError
from tests.placement.test_form import X, chain, places
from tests.placement.verification.test_verify import form_of

WANT = 1 / (1 + np.exp(-np.tanh(np.exp(np.maximum(X, 0)))))


def run(form):
    return form.run({"x": X}, None)[0]


def test_without_it_garbage_comes_through():
    form = form_of(chain("Relu", "Exp", "Tanh", "Sigmoid"), FakeBackend(wrong={"Tanh": 7.0}))
    assert np.abs(run(form) - WANT).max() > 0.1


def test_the_wrong_node_is_demoted_and_the_run_is_right():
    device = FakeBackend(wrong={"Tanh": 7.0})
    form = form_of(chain("Relu", "Exp", "Tanh", "Sigmoid"), device, verify="first-run")
    np.testing.assert_allclose(run(form), WANT, 1e-5)
    assert places(form) == {"Relu": "openvino", "Exp": "openvino", "Tanh": "onnxruntime", "Sigmoid": "openvino"}
    (demotion,) = form.demotions
    assert demotion.stage == "verify"
    assert demotion.words.startswith("wrong here: max error 7")
    verdict = next(v for n, v in zip(form.plan.graph.nodes, form.plan.verdicts, strict=True) if n.op_type == "Tanh")
    assert verdict.reason.startswith("wrong here: max error 7")


def test_several_wrong_nodes_are_found_one_after_the_other():
    device = FakeBackend(wrong={"Exp": 1.0, "Tanh": 7.0, "Sigmoid": -3.0})
    form = form_of(chain("Relu", "Exp", "Tanh", "Sigmoid"), device, verify="first-run")
    np.testing.assert_allclose(run(form), WANT, 1e-5)
    assert places(form) == {"Relu": "openvino", "Exp": "onnxruntime", "Tanh": "onnxruntime", "Sigmoid": "onnxruntime"}


def test_a_broken_fusion_is_cut_apart():
    device = FakeBackend(wrong={"Exp+Tanh": 7.0})
    form = form_of(chain("Relu", "Exp", "Tanh", "Sigmoid"), device, verify="first-run")
    np.testing.assert_allclose(run(form), WANT, 1e-5)
    assert places(form)["Tanh"] == "onnxruntime"
    assert places(form)["Exp"] == "openvino"
    assert "with 1 nodes before it" in form.demotions[0].words


def test_only_the_first_run_of_a_plan_is_checked():
    device = FakeBackend()
    form = form_of(chain("Relu", "Exp"), device, verify="first-run")
    run(form)
    compiled, ran = device.calls["compile"], device.calls["run"]
    run(form)
    assert (device.calls["compile"], device.calls["run"]) == (compiled, ran + 1)


def test_strict_raises_and_answers_no_run():
    device = FakeBackend(wrong={"Tanh": 7.0})
    form = form_of(chain("Relu", "Tanh"), device, verify="first-run", strict=True)
    for _ in range(2):
        with pytest.raises(VerificationError, match="wrong here"):
            run(form)


def test_garbage_of_any_kind_is_caught():
    for garbage in (np.nan, np.inf, -1e30):
        form = form_of(chain("Relu", "Exp"), FakeBackend(wrong={"Exp": float(garbage)}), verify="first-run")
        np.testing.assert_allclose(run(form), np.exp(np.maximum(X, 0)), 1e-5)
