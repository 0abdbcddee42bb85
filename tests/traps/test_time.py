"""Traps 21 to 25: what makes runs slow. Nothing is timed here; the means against it are there. See docs/traps.md."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.helper
import pytest

import ovpart
from ovpart.backend.cut import make_cut
from ovpart.backend.onnxruntime import OnnxRuntimeBackend
from ovpart.backend.onnxruntime_request import OnnxRuntimeRequest
from ovpart.backend.openvino import OpenVINOBackend, import_openvino
from ovpart.backend.openvino_request import OpenVINORequest
from ovpart.model.read import read_model
from ovpart.partition.parts import PART_LIMIT
from ovpart.testing.cuts import compute, cut_of, f32, relu
from tests.traps.trial import alike, engine_of, hold, model, reference, with_constants, wrong

SPINNING = "session.intra_op.allow_spinning"


# -- 21: threads ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whole", [False, True])
def test_trap_21_threads_of_islands_do_not_spin(whole):
    """Threads that wait by turning burn the processor that the other engine computes on: 22 ms for 9."""
    read = read_model(model("g (float[n] x) => (float[n] y) { y = Exp(x) }"))
    backend = OnnxRuntimeBackend()
    executable = (
        backend.compile_whole(read, "CPU", {})
        if whole
        else backend.compile(make_cut(read, [0], ["x"], ["y"]), "CPU", {})
    )
    options = executable.session.get_session_options()
    assert options.get_session_config_entry(SPINNING) == "0"


def test_trap_21_who_wants_spinning_can_have_it():
    options = OnnxRuntimeBackend().compile(relu(), "CPU", {"spinning": True}).session.get_session_options()
    with pytest.raises(Exception, match=SPINNING):
        options.get_session_config_entry(SPINNING)


def test_trap_21_one_thread_is_one_thread_on_both_engines(monkeypatch):
    made = []

    def kept(kind):
        original = kind.compile

        def compile_and_keep(self, *arguments):
            made.append(original(self, *arguments))
            return made[-1]

        monkeypatch.setattr(kind, "compile", compile_and_keep)

    kept(OpenVINOBackend)
    kept(OnnxRuntimeBackend)
    proto = model("g (float[n,4] x) => (float[n,4] y) { a = Exp(x)  b = Neg(a)  y = Tanh(b) }")
    assert wrong(proto, {"x": np.ones((3, 4), np.float32)}, exclude=["Neg"], num_threads=1) == []
    assert len(made) == 3
    for executable in made:
        if hasattr(executable, "compiled"):  # no stream: the run computes in the thread that asks for it
            assert executable.compiled.get_property("NUM_STREAMS") == 0
        else:
            assert executable.session.get_session_options().intra_op_num_threads == 1


# -- 22: compile times that grow worse than the model --------------------------------------------------------------


def test_trap_22_long_elementwise_chains_are_compiled_in_parts():
    """Fused in one piece, 1,000 operators compile in 3 s and 3,000 in 46."""
    count = 1000
    names = ["x", *(f"v{i}" for i in range(count - 1)), "y"]
    ops = ("Tanh", "Neg", "Sigmoid")
    nodes = [onnx.helper.make_node(ops[i % 3], [names[i]], [names[i + 1]]) for i in range(count)]
    proto = model("g (float[n,4] x) => (float[n,4] y) { y = Exp(x) }")
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    session = hold(proto, {"x": np.random.default_rng(1).random((3, 4)).astype(np.float32)})
    (cluster,) = session.plan.clusters
    assert cluster.label.engine == "openvino"
    assert session.plan.lower_bound == 1, "parts are no clusters"
    assert len(cluster.parts) == -(-count // PART_LIMIT)
    assert all(len(part) <= PART_LIMIT for part in cluster.parts)
    assert sorted(index for part in cluster.parts for index in part) == list(cluster.nodes)


def test_trap_22_wide_elementwise_graphs_are_compiled_in_parts():
    """Two chains that meet at every step."""
    nodes, left, right = [], "x", "z"
    for step in range(500):
        nodes.append(onnx.helper.make_node("Add", [left, right], [f"l{step}"]))
        nodes.append(onnx.helper.make_node("Mul", [left, right], [f"r{step}"]))
        left, right = f"l{step}", f"r{step}"
    proto = model("g (float[n] x, float[n] z) => (float[n] y) { y = Sub(x, z) }")
    proto.graph.node[0].input[:] = [left, right]
    proto.graph.node.extend(nodes)
    (cluster,) = ovpart.plan(proto, min_gain=0).clusters
    assert len(cluster.parts) >= 3
    assert max(map(len, cluster.parts)) <= PART_LIMIT + 1


def choices(depth):
    """Return conditions inside each other, Tanh in the innermost branch, Neg in all others; Exp after them."""
    body = "v = Tanh(x)"
    for level in range(depth):
        then = body.replace("v = ", f"v{level} = ", 1)
        body = (
            f"v = If (c) <then_branch = t{level} () => (float[2] v{level}) {{ {then} }}, "
            f"else_branch = e{level} () => (float[2] w{level}) {{ w{level} = Neg(x) }}>"
        )
    return model(f"g (float[2] x, bool c) => (float[2] y) {{ {body}  y = Exp(v) }}")


@pytest.mark.parametrize(("depth", "engine"), [(3, "openvino"), (30, "runtime")])
def test_trap_22_deep_branches_are_not_compiled_whole(depth, engine):
    """Compile time doubles with every level: thirty take minutes. The outer ones are run by the runtime instead."""
    proto = choices(depth)
    plan = ovpart.plan(proto, min_gain=0)
    assert (engine_of(plan, "v"), engine_of(plan, "y")) == (engine, "openvino")
    x = np.array([0.5, 2], np.float32)
    expected = [[np.exp(np.tanh(x))], [np.exp(-x)]]
    assert wrong(proto, *({"x": x, "c": np.array(c)} for c in (True, False)), expected=expected) == []


# -- 23: the price of a boundary -----------------------------------------------------------------------------------


def test_trap_23_values_between_static_steps_are_bound_once(monkeypatch):
    """In the second run nothing crosses but the graph's own input and output: the rest lies where it is planned."""
    calls = []
    for kind in (OpenVINORequest, OnnxRuntimeRequest):
        for name in ("set_input", "take_output"):
            original = getattr(kind, name)

            def counted(self, *arguments, original=original, name=f"{kind.__name__}.{name}"):
                calls.append(name)
                return original(self, *arguments)

            monkeypatch.setattr(kind, name, counted)
    proto = model("g (float[3,4] x) => (float[3,4] y) { a = Exp(x)  b = Neg(a)  c = Tanh(b)  d = Abs(c)  y = Sqrt(d) }")
    session = ovpart.Session(proto, min_gain=0, exclude=["Neg", "Abs"])
    assert len(session.plan.clusters) == 5
    x = np.ones((3, 4), np.float32)
    right = reference(proto, {"x": x})
    assert alike(session.run(None, {"x": x})[0], right[0])
    calls.clear()
    assert alike(session.run(None, {"x": x})[0], right[0])
    assert calls.count("OpenVINORequest.set_input") <= 3
    assert calls.count("OpenVINORequest.take_output") == 1
    assert calls.count("OnnxRuntimeRequest.set_input") == 0


def test_trap_23_runs_go_past_the_slow_calls(monkeypatch):
    """Python's infer makes a dict of all outputs, run_with_ort_values an object for each."""
    import onnxruntime

    def slow(*_arguments, **_options):
        raise AssertionError("a slow way to run")

    openvino = import_openvino()
    for owner, name in (
        (openvino.InferRequest, "infer"),
        (openvino.CompiledModel, "__call__"),
        (openvino.CompiledModel, "infer_new_request"),
        (onnxruntime.InferenceSession, "run"),
        (onnxruntime.InferenceSession, "run_with_ort_values"),
        (onnxruntime.InferenceSession, "run_with_iobinding"),
    ):
        monkeypatch.setattr(owner, name, slow)
    outputs = [f"y{i}" for i in range(24)]
    proto = model("g (float[n,4] x) => (float[n,4] b) { a = Exp(x)  b = Neg(a) }")
    proto.graph.node.extend(onnx.helper.make_node("Tanh", ["b"], [name]) for name in outputs)
    proto.graph.output.extend(onnx.helper.make_tensor_value_info(name, 1, ["n", 4]) for name in outputs)
    x = np.ones((3, 4), np.float32)
    for options in ({}, {"min_gain": 0}, {"min_gain": 0, "exclude": ["Neg"]}):
        found = ovpart.Session(proto, **options).run(None, {"x": x})
        assert len(found) == 25
        assert all(alike(value, np.tanh(-np.exp(x))) for value in found[1:])


def test_trap_23_many_outputs_are_taken_one_by_one():
    """Above ten outputs a request is started and waited for; the answers are the same."""
    names = [f"y{i}" for i in range(64)]
    nodes = [onnx.helper.make_node("Add", ["x", "x"], [name]) for name in names]
    cut = cut_of(nodes, {"x": ("f32", ("N",))}, dict.fromkeys(names, ("f32", ("N",))))
    found = compute(OpenVINOBackend().compile(cut, "CPU", {}).bind(), f32([1, 2]), outputs=64)
    assert all(value.tolist() == [2, 4] for value in found)


# -- 24: supported is not worth ------------------------------------------------------------------------------------


def tiny():
    return model("g (float[1,4] x) => (float[1,4] y) { a = Exp(x)  b = Neg(a)  y = Tanh(b) }")


def test_trap_24_what_does_not_pay_stays_on_onnxruntime():
    plan = ovpart.plan(tiny())
    assert {cluster.label.engine for cluster in plan.clusters} == {"onnxruntime"}
    assert all(verdict.state is ovpart.State.SUPPORTED for verdict in plan.verdicts)
    assert set(plan.overruled) == {0, 1, 2}
    assert all("worth" in str(why) for why in plan.overruled.values())
    session = hold(tiny(), {"x": np.ones((1, 4), np.float32)}, min_gain=None)
    assert session.report.coverage == 0


def test_trap_24_min_gain_0_delegates_all_that_may_be():
    plan = ovpart.plan(tiny(), min_gain=0)
    assert plan.coverage == 1
    assert not plan.overruled


def test_trap_24_what_pays_is_delegated():
    """A depthwise convolution of a large image, which openvino computes in a third of the time."""
    proto = model(
        "g (float[1,64,256,256] x) => (float[1,64,256,256] y) { y = Conv <group = 64, pads = [1,1,1,1]> (x, w) }"
    )
    with_constants(proto, w=np.ones((64, 1, 3, 3), np.float32))
    assert ovpart.plan(proto).coverage == 1


# -- 25: shapes that change ----------------------------------------------------------------------------------------


def test_trap_25_changing_shapes_get_the_answers_of_the_general_form():
    """A form compiled for one shape is faster and was wrong once: none answers that is not held to the general one."""
    proto = model(
        """g (float[n,3,h,w] x) => (float[n,k] y, float[n,3,a,b] z) {
            c = Conv <pads = [1,1,1,1]> (x, weight)
            r = Relu(c)
            z = Resize <mode = "nearest"> (r, , scales)
            m = ReduceMean <axes = [2, 3], keepdims = 0> (r)
            s = Softmax <axis = -1> (m)
            y = Mul(s, m)
        }"""
    )
    rng = np.random.default_rng(9)
    with_constants(
        proto,
        weight=rng.standard_normal((3, 3, 3, 3), np.float32),
        scales=np.array([1, 1, 2, 2], np.float32),
    )
    shapes = [(1, 8, 8), (1, 8, 8), (2, 5, 9), (1, 8, 8), (3, 1, 1), (2, 5, 9), (1, 16, 4)]
    feeds = [{"x": rng.standard_normal((n, 3, h, w), np.float32)} for n, h, w in shapes]
    session = hold(proto, *feeds)
    assert session.report.coverage == 1
    by_itself = [hold(proto, feed).run(None, feed) for feed in feeds[2:4]]
    for feed, answers in zip(feeds[2:4], by_itself, strict=True):
        assert all(alike(*pair) for pair in zip(session.run(None, feed), answers, strict=True))
