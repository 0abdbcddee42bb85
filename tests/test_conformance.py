"""The harness that runs onnx's official tests: its forms, its judgement of random draws, its survival of crashes."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx import helper as h

from benchmarks.conformance import chance, forms, page, targets
from benchmarks.conformance.drive import Run, _serve

INFO = h.make_tensor_value_info


def add_model():
    node = h.make_node("Add", ["x", "y"], ["z"])
    inputs = [INFO("x", TensorProto.FLOAT, [2, 3]), INFO("y", TensorProto.FLOAT, [3])]
    graph = h.make_graph([node], "g", inputs, [INFO("z", TensorProto.FLOAT, [2, 3])])
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=3)


def test_the_dynamic_form_keeps_ranks_and_nothing_else():
    changed = forms.dynamic(add_model())
    shapes = [[dim.ListFields() for dim in v.type.tensor_type.shape.dim] for v in changed.graph.input]
    assert shapes == [[[], []], [[]]]


def test_the_constant_form_takes_all_inputs_but_the_first():
    x, y = np.ones((2, 3), np.float32), np.arange(3, dtype=np.float32)
    changed, left = forms.constant(add_model(), [x, y])
    onnx.checker.check_model(changed)
    assert [value.name for value in changed.graph.input] == ["x"]
    assert left == [x] or np.array_equal(left[0], x)
    assert forms.constant(changed, [x]) is None


def draws(share, shape=(50,), seed=0):
    rng = np.random.default_rng(seed)
    return lambda: [(rng.random(shape) < share).astype(np.float32)]


def test_draws_are_judged_by_their_share():
    p = np.full(50, 0.3, np.float32)
    wanted = [np.zeros(50, np.float32)]
    chance.judge("Bernoulli", draws(0.3), [p], wanted, 1)
    with pytest.raises(AssertionError, match="hits where"):
        chance.judge("Bernoulli", draws(0.5), [p], wanted, 1)
    chance.judge("not Bernoulli", draws(0.7), [p], wanted, 1)


def test_a_dropout_scales_what_it_keeps():
    x = np.arange(1, 51, dtype=np.float32)
    kept = draws(0.75)
    run = lambda: [kept()[0] * x / np.float32(0.75)]  # noqa: E731
    inputs = [x, np.float32(0.25), np.bool_(True)]
    chance.judge("Dropout", run, inputs, [x], 1)
    with pytest.raises(AssertionError):
        chance.judge("Dropout", lambda: [x], inputs, [x], 1)


def test_a_worker_that_dies_is_written_down_and_replaced(monkeypatch):
    dead = "import json,os,sys\nprint(json.dumps({'versions': 'v', 'tests': ['a', 'b', 'c']}), flush=True)\n"
    dead += "for line in sys.stdin:\n"
    dead += "    if line.strip() == 'b': os.kill(os.getpid(), 11)\n"
    dead += "    print(json.dumps({'test': line.strip(), 'verdict': 'pass'}), flush=True)\n"
    from benchmarks.conformance import drive

    real = drive.subprocess.Popen

    def popen(command, **more):
        return real([sys.executable, "-c", dead], **more)

    monkeypatch.setattr(drive, "subprocess", SimpleNamespace(PIPE=-1, Popen=popen))
    rows = []
    _serve(Run("r", "none", "given"), ["a", "b", "c"], None, rows.append)
    assert [row["verdict"] for row in rows] == ["pass", "crash", "pass"]
    assert "-11" in rows[1]["words"]


def row(test, verdict, elsewhere=()):
    return {"test": test, "verdict": verdict, "words": "", "random": False, "nodes_elsewhere": list(elsewhere)}


def test_targets_and_page_speak_of_what_was_found():
    ours = [row("node/test_abs", "pass"), row("node/test_add", "wrong"), row("node/test_dft", "close")]
    theirs = [row("node/test_abs", "refused"), row("node/test_add", "pass"), row("node/test_dft", "pass")]
    found = {
        ("ovpart", "given"): {"rows": ours, "versions": "ovpart 1"},
        ("onnxruntime", "given"): {"rows": theirs, "versions": "onnxruntime 1"},
    }
    assert targets.regressions(found, "ovpart", "given") == ["node/test_add"]
    missed = targets.misses(found)
    assert any("1 right" in line for line in missed)
    assert any("node/test_add" in line for line in missed)
    text = page.page(found)
    assert "| ovpart | as given | 1 | 1 | 1 | 1 | 0 | 0 | 0 | 0 |" in text
    assert "| ovpart | as given | 1 | 2 |" in text


def test_what_is_delegable_is_a_list_of_single_operators():
    names = targets.DELEGABLE.read_text(encoding="utf-8").split()
    assert len(names) == len(set(names)) == 1229
    assert all(name.startswith("test_") for name in names)
