"""Trials in a process of their own, with a backend that takes its process down or hangs, and with openvino."""

from __future__ import annotations

import gc
import os
import signal

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx import helper as h
from onnx import numpy_helper as nh

import ovpart
from ovpart.backend.fake import Failure, FakeBackend
from ovpart.backend.fold import fold_constants
from ovpart.capability.table import load_table
from ovpart.errors import CompileError, RunError
from ovpart.model.read import read_model
from ovpart.options import resolve
from ovpart.placement.engines import Engines
from ovpart.placement.form import Form
from ovpart.placement.trial.trials import TrialDied

X = np.array([[-1.5, 0.25, 2.0]], np.float32)
OPERATORS = ("Relu", "Exp", "Sigmoid", "Tanh")
WANTED = np.tanh(1 / (1 + np.exp(-np.exp(np.maximum(X, 0)))))
UNKNOWN_EXP = {"schema": 1, "ops": {"Exp": {"CPU": [{"state": "unknown", "reason": "nobody knows", "source": "user"}]}}}


def chain(*operators: str) -> onnx.ModelProto:
    """Return a model that applies operators in a row, from x to y."""
    names = ["x", *(f"v{i}" for i in range(1, len(operators))), "y"]
    nodes = [h.make_node(op, [a], [b], name=op) for op, a, b in zip(operators, names[:-1], names[1:], strict=True)]
    x, y = (h.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in "xy")
    return h.make_model(h.make_graph(nodes, "chain", [x], [y]), opset_imports=[h.make_opsetid("", 17)], ir_version=8)


@pytest.fixture
def form_of():
    """Make forms, and end their processes after the test."""
    made = []

    def make(*failures: Failure, proto: onnx.ModelProto | None = None, **options: object) -> Form:
        backends = {"openvino": FakeBackend(failures=failures)}
        engines = Engines(resolve({"min_gain": 0, "trial_timeout": 60, **options}), backends)
        made.append(engines)
        model = fold_constants(read_model(proto or chain(*OPERATORS)))
        return Form(model, engines, load_table(engines.options.table))

    yield make
    for engines in made:
        engines.trials.close()


def on_device(form: Form) -> set[str]:
    return {form.plan.graph.nodes[i].op_type for cluster in form.plan.delegated for i in cluster.nodes}


def held(form: Form, times: int = 3) -> None:
    for _ in range(times):
        np.testing.assert_allclose(form.run({"x": X}, None)[0], WANTED, 1e-6)


def test_a_cluster_that_passes_its_trial_runs_here_from_then_on(form_of):
    form = form_of(isolate=True)
    backend = form._engines.backends["openvino"]
    assert backend.calls["compile"] == 0
    held(form, 1)
    assert backend.calls["compile"] == 1
    assert backend.calls["run"] == 0
    held(form)
    assert backend.calls["run"] == 3
    assert on_device(form) == set(OPERATORS)
    assert form._engines.trials._process is None


def test_a_crash_at_compile_demotes_the_node_that_brings_it(form_of):
    form = form_of(Failure("compile", operator="Exp", crashes=True), isolate=True)
    assert on_device(form) == {"Relu", "Sigmoid", "Tanh"}
    assert [(d.node, d.stage) for d in form.demotions] == [("v2", "compile")]
    assert "the engine's process died (signal 11)" in form.demotions[0].words
    held(form)


def test_a_crash_at_the_first_run_demotes_the_node_that_brings_it(form_of):
    form = form_of(Failure("run", operator="Sigmoid", crashes=True), isolate=True)
    assert on_device(form) == set(OPERATORS)
    held(form)
    assert on_device(form) == {"Relu", "Exp", "Tanh"}
    assert [(d.node, d.stage) for d in form.demotions] == [("v3", "run")]
    assert form.demotions[0].words == "the engine's process died (signal 11)"
    verdict = form.plan.verdicts[2]
    assert verdict.rule == "evidence"
    assert "signal 11" in verdict.reason


def test_without_a_trial_nothing_is_started(form_of):
    form = form_of()
    held(form)
    assert form._engines.trials._numbers == 0


def test_what_is_unknown_is_tried_and_blamed(form_of):
    form = form_of(Failure("run", operator="Exp", crashes=True), unknown="delegate", table=[UNKNOWN_EXP])
    held(form)
    assert on_device(form) == {"Relu", "Sigmoid", "Tanh"}
    assert form.demotions[0].words == "the engine's process died (signal 11)"


def test_what_is_pinned_against_the_table_is_tried(form_of):
    with pytest.warns(ovpart.OvpartWarning, match="against the table"):
        form = form_of(Failure("compile", operator="Exp", crashes=True), pin=["Exp"], table=[UNKNOWN_EXP])
    assert on_device(form) == {"Relu", "Sigmoid", "Tanh"}


@pytest.mark.parametrize("stage", ["compile", "run"])
def test_a_hang_demotes_what_is_unknown_within_the_time_out(form_of, stage):
    hang = Failure(stage, operator="Exp", hangs_s=600)
    form = form_of(hang, unknown="delegate", table=[UNKNOWN_EXP], trial_timeout=10)
    held(form)
    assert on_device(form) == {"Relu", "Sigmoid", "Tanh"}
    assert [(d.node, d.stage, d.words) for d in form.demotions] == [("v2", stage, "no answer within 10 s")]


def test_a_hang_without_a_suspect_demotes_the_cluster(form_of):
    form = form_of(Failure("compile", operator="Exp", hangs_s=600), isolate=True, trial_timeout=10)
    assert on_device(form) == set()
    held(form)


def test_a_refusal_in_the_other_process_is_told_as_one_in_this(form_of):
    form = form_of(Failure("convert", "out of registers", operator="Exp", names_node=True), isolate=True)
    assert [(d.node, d.stage, d.words) for d in form.demotions] == [("v2", "convert", "out of registers")]
    held(form)


def test_a_run_that_fails_in_the_other_process_is_answered(form_of):
    form = form_of(Failure("run", "device lost"), isolate=True)
    held(form)
    assert on_device(form) == set()
    assert {(d.stage, d.words) for d in form.demotions} == {("run", "device lost")}


def test_strict_raises_what_happened(form_of):
    with pytest.raises(CompileError, match="signal 11"):
        form_of(Failure("compile", operator="Exp", crashes=True), isolate=True, strict=True)
    form = form_of(Failure("run", operator="Exp", crashes=True), isolate=True, strict=True)
    with pytest.raises(RunError, match="signal 11"):
        form.run({"x": X}, None)


def test_a_process_lost_between_compile_and_run_is_started_again(form_of):
    form = form_of(isolate=True)
    os.kill(form._engines.trials._process._popen.pid, signal.SIGKILL)
    held(form, 1)
    assert on_device(form) == set(OPERATORS) or form.demotions[0].words.endswith("(signal 9)")
    held(form)


def test_clusters_whose_outputs_nobody_asks_for_wait_for_their_trial(form_of):
    proto = chain(*OPERATORS)
    proto.graph.node.append(h.make_node("Neg", ["x"], ["z"], name="Neg"))
    proto.graph.output.append(h.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 3]))
    form = form_of(proto=proto, isolate=True, join="connected")
    assert len(form.plan.delegated) == 2
    backend = form._engines.backends["openvino"]
    np.testing.assert_array_equal(form.run({"x": X}, ["z"])[0], -X)
    assert backend.calls["compile"] == 1
    form.run({"x": X}, None)
    assert backend.calls["compile"] == 2


def test_settings_that_cannot_be_sent_are_no_trial_and_nothing_is_compiled_here(form_of):
    form = form_of(isolate=True, config={"KEY": lambda: None})
    assert on_device(form) == set()
    assert {d.stage for d in form.demotions} == {"trial"}
    assert "no trial was possible" in form.demotions[0].words
    assert form._engines.backends["openvino"].calls["compile"] == 0
    held(form, 1)


def large_matmul(tmp_path, as_bytes):
    """Return x (n,64) -> MatMul with 64x64 floats -> Relu -> y: weights large enough to stay outside of a cut."""
    weights = np.random.default_rng(3).normal(size=(64, 64)).astype(np.float32)
    nodes = [h.make_node("MatMul", ["x", "w"], ["m"]), h.make_node("Relu", ["m"], ["y"])]
    x, y = (h.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 64]) for name in "xy")
    graph = h.make_graph(nodes, "g", [x], [y], [nh.from_array(weights, "w")])
    proto = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    onnx.save(proto, tmp_path / "large.onnx")
    return (proto.SerializeToString() if as_bytes else tmp_path / "large.onnx"), weights


@pytest.mark.parametrize("as_bytes", [False, True])
def test_weights_reach_the_other_process_from_a_file_and_from_memory(tmp_path, as_bytes):
    model, weights = large_matmul(tmp_path, as_bytes)
    x = np.random.default_rng(4).normal(size=(5, 64)).astype(np.float32)
    with ovpart.Session(model, min_gain=0, isolate=True) as session:
        for _ in range(2):
            np.testing.assert_allclose(session.run(None, {"x": x})[0], np.maximum(x @ weights, 0), 1e-4, 1e-5)
        assert session.report.coverage == 1.0
        assert session.report.demotions == ()


def gather_nd() -> onnx.ModelProto:
    """Return x (a,b), i (k,2) -> Relu -> GatherND -> Neg -> y."""
    nodes = [
        h.make_node("Relu", ["x"], ["r"]),
        h.make_node("GatherND", ["r", "i"], ["g"]),
        h.make_node("Neg", ["g"], ["y"]),
    ]
    inputs = [
        h.make_tensor_value_info("x", TensorProto.FLOAT, ["a", "b"]),
        h.make_tensor_value_info("i", TensorProto.INT64, ["k", 2]),
    ]
    graph = h.make_graph(nodes, "g", inputs, [h.make_tensor_value_info("y", TensorProto.FLOAT, ["k"])])
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)


@pytest.mark.filterwarnings("ignore:pin=")
def test_openvino_taking_its_process_down_is_survived():
    """GatherND reads where its indices point, wherever that is (openvino 2026.4: SIGSEGV)."""
    bad = {"x": np.ones((3, 4), np.float32), "i": np.array([[2**30, 2**30]])}
    good = {"x": np.ones((3, 4), np.float32), "i": np.array([[1, 1]])}
    with ovpart.Session(gather_nd(), min_gain=0, pin=["GatherND"]) as session:
        ((trial,),) = session._form._realised.executables.values()
        with pytest.raises(TrialDied, match="the engine's process died"):
            trial.trials.run(trial, [bad[port.name] for port in trial.inputs])
        with pytest.raises(RunError, match="onnxruntime"):
            session.run(None, bad)
        np.testing.assert_array_equal(session.run(None, good)[0], [-1])
        np.testing.assert_array_equal(session.run(None, good)[0], [-1])
        assert session.report.coverage == 1.0


def test_a_session_that_is_dropped_leaves_no_process_and_no_files():
    session = ovpart.Session(chain(*OPERATORS), min_gain=0, isolate=True)
    trials = session._form._engines.trials
    process, folder = trials._process._popen, trials._folder.path
    assert process.poll() is None
    del session, trials
    gc.collect()
    assert process.wait(timeout=30) != 0
    assert not os.path.exists(folder)
