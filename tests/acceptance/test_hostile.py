"""Broken, hostile and odd models: a clear refusal or the right answer, and never a crash, a hang or a foreign error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import pytest

from tests.acceptance import broken_models, hostile_files, odd_models
from tests.acceptance.cases import Case, outcome, outcome_alone
from tests.traps.trial import alike

SHORTEST = 15
"""Letters of a message below which it cannot say what happened, where, and what to do."""


def tried(case: Case, module: str, name: str, folder: Path, **options: object):
    return outcome_alone(module, name, folder) if case.alone else outcome(case, folder, **options)


@pytest.mark.parametrize("name", broken_models.CASES)
def test_a_broken_model_is_refused_by_name(name, tmp_path):
    case = broken_models.CASES[name]
    kind, told = tried(case, "tests.acceptance.broken_models", name, tmp_path)
    assert kind == "refused"
    assert case.says in told
    assert len(told) >= SHORTEST


@pytest.mark.parametrize("name", hostile_files.REFUSED)
def test_weights_are_read_in_the_folder_of_the_model_alone(name, tmp_path):
    case = hostile_files.REFUSED[name]
    kind, told = tried(case, "tests.acceptance.hostile_files", name, tmp_path)
    assert kind == "refused"
    assert case.says in told


def reference(path: Path, feed):
    import onnxruntime
    import onnxruntime.capi.onnxruntime_pybind11_state as state

    try:
        proto = onnx.load(path)
        for each in proto.graph.node:  # which onnxruntime wants to be unique, and ONNX does not
            each.ClearField("name")
        proto.ir_version = min(proto.ir_version, 10)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        return onnxruntime.InferenceSession(proto.SerializeToString(), options).run(None, feed)
    except (state.Fail, state.NotImplemented):
        return onnx.reference.ReferenceEvaluator(str(path)).run(None, feed)


@pytest.mark.parametrize("min_gain", [0, None], ids=["delegated", "as planned"])
@pytest.mark.parametrize("name", hostile_files.ALLOWED)
def test_weights_may_lie_anywhere_in_the_folder(name, min_gain, tmp_path):
    kind, told = outcome(hostile_files.ALLOWED[name], tmp_path, min_gain=min_gain)
    assert kind == "ran", told
    (y,) = told
    np.testing.assert_array_equal(y, hostile_files.wanted(name))


def wrong(name: str, folder: Path, **options: object) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return what a session gives and what is right, where the two differ."""
    case = odd_models.CASES[name]
    kind, told = tried(case, "tests.acceptance.odd_models", name, folder, **options)
    assert kind == "ran", told
    expected = reference(folder / "model.onnx", case.feed)
    return [(got, right) for got, right in zip(told, expected, strict=True) if not alike(got, right)]


@pytest.mark.parametrize("min_gain", [0, None], ids=["delegated", "as planned"])
@pytest.mark.parametrize("name", [name for name, case in odd_models.CASES.items() if not case.alone])
def test_an_odd_model_runs(name, min_gain, tmp_path):
    assert wrong(name, tmp_path, min_gain=min_gain) == []


@pytest.mark.parametrize("name", [name for name, case in odd_models.CASES.items() if case.alone])
def test_an_odd_model_runs_in_a_process_of_its_own(name, tmp_path):
    assert wrong(name, tmp_path) == []
