from __future__ import annotations

import logging
import threading

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto
from onnx import helper as h
from onnx import numpy_helper as nh

import ovpart
from ovpart.errors import DeviceNotFound, InputError, ModelError, OptionError, OvpartWarning, PlanError

X = np.arange(12, dtype=np.float32).reshape(3, 4) / 7 - 0.5


def value(name, shape, dtype=TensorProto.FLOAT):
    return h.make_tensor_value_info(name, dtype, shape)


def model(nodes, inputs, outputs, initializers=(), opset=17, **more):
    graph = h.make_graph(list(nodes), "g", list(inputs), list(outputs), list(initializers))
    opsets = [h.make_opsetid("", opset), *more.pop("domains", [])]
    return h.make_model(graph, opset_imports=opsets, ir_version=8, **more)


def split_model():
    """X -> Exp -> CumSum64 (f64: stays behind) -> Tanh -> y."""
    nodes = [
        h.make_node("Exp", ["x"], ["a"], name="exp"),
        h.make_node("Cast", ["a"], ["b"], name="up", to=TensorProto.DOUBLE),
        h.make_node("Sqrt", ["b"], ["c"], name="root"),
        h.make_node("Cast", ["c"], ["d"], name="down", to=TensorProto.FLOAT),
        h.make_node("Tanh", ["d"], ["y"], name="tanh"),
    ]
    return model(nodes, [value("x", ["n", 4])], [value("y", ["n", 4])])


def reference(proto, feed):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(proto.SerializeToString(), options).run(None, feed)


@pytest.mark.parametrize("source", ["path", "bytes", "proto"])
def test_a_model_is_split_and_stitched_from_every_kind_of_source(source, tmp_path):
    proto = split_model()
    path = tmp_path / "split.onnx"
    onnx.save(proto, path)
    given = {"path": path, "bytes": proto.SerializeToString(), "proto": proto}[source]
    session = ovpart.Session(given, min_gain=0)
    np.testing.assert_allclose(session.run(None, {"x": X})[0], reference(proto, {"x": X})[0], 1e-6)
    engines = [cluster.label.engine for cluster in session.plan.clusters]
    assert engines == ["openvino", "onnxruntime", "openvino"]
    assert session.report.cluster_count == session.report.lower_bound == 3


def test_outputs_by_name_and_by_call():
    session = ovpart.Session(split_model(), min_gain=0)
    assert list(session({"x": X})) == ["y"]
    assert session.run(["y"], {"x": X})[0].shape == X.shape
    with pytest.raises(InputError, match="z"):
        session.run(["z"], {"x": X})


def test_inputs_and_outputs_are_described_as_onnxruntime_does():
    proto = split_model()
    theirs = onnxruntime.InferenceSession(proto.SerializeToString())
    session = ovpart.Session(proto)
    for ours, given in zip(session.get_inputs(), theirs.get_inputs(), strict=True):
        assert (ours.name, ours.type, list(ours.shape)) == (given.name, given.type, list(given.shape))
    for ours, given in zip(session.get_outputs(), theirs.get_outputs(), strict=True):
        assert (ours.name, ours.type, list(ours.shape)) == (given.name, given.type, list(given.shape))


def test_large_integers_take_the_plan_without_guarded_nodes():
    proto = model(
        [h.make_node("Add", ["i", "i"], ["a"]), h.make_node("Cast", ["a"], ["y"], to=TensorProto.FLOAT)],
        [value("i", ["n"], TensorProto.INT64)],
        [value("y", ["n"])],
    )
    session = ovpart.Session(proto, min_gain=0)
    assert session.report.coverage == 1.0
    counted = []
    for feed in ({"i": np.array([3, -4])}, {"i": np.array([2**40, -(2**35)])}, {"i": np.array([5])}):
        np.testing.assert_array_equal(session.run(None, feed)[0], reference(proto, feed)[0])
        counted.append((session.report.runs.outside_guard, session.report.runs.last_outside_guard))
    assert session.report.coverage == 1.0
    assert session.report.runs.count == 3
    assert counted == [(0, False), (1, True), (1, False)]


@pytest.mark.parametrize("min_gain", [0, None], ids=["delegated", "as planned"])
def test_overridden_initializer_holds_for_its_call_only(min_gain):
    proto = model(
        [h.make_node("Mul", ["x", "w"], ["y"])],
        [value("x", ["n", 4]), value("w", [4])],
        [value("y", ["n", 4])],
        [nh.from_array(np.full(4, 2, np.float32), "w")],
    )
    session = ovpart.Session(proto, min_gain=min_gain)
    np.testing.assert_allclose(session.run(None, {"x": X})[0], 2 * X)
    np.testing.assert_allclose(session.run(None, {"x": X, "w": np.full(4, 5, np.float32)})[0], 5 * X)
    np.testing.assert_allclose(session.run(None, {"x": X})[0], 2 * X)


@pytest.mark.parametrize("min_gain", [0, None], ids=["delegated", "as planned"])
def test_one_of_several_initializers_is_overridden(min_gain):
    proto = model(
        [h.make_node("Mul", ["x", "w"], ["t"]), h.make_node("Add", ["t", "b"], ["y"])],
        [value("x", ["n", 4]), value("w", [4]), value("b", [4])],
        [value("y", ["n", 4])],
        [nh.from_array(np.full(4, 2, np.float32), "w"), nh.from_array(np.full(4, 1, np.float32), "b")],
    )
    session = ovpart.Session(proto, min_gain=min_gain)
    five = np.full(4, 5, np.float32)
    np.testing.assert_allclose(session.run(None, {"x": X, "b": five})[0], 2 * X + 5)
    np.testing.assert_allclose(session.run(None, {"x": X, "w": five})[0], 5 * X + 1)
    np.testing.assert_allclose(session.run(None, {"x": X, "w": five, "b": five})[0], 5 * X + 5)
    np.testing.assert_allclose(session.run(None, {"x": X})[0], 2 * X + 1)


def test_unknown_rank_is_learnt_from_the_first_run():
    """The branches of the If give ranks 1 and 2, so that nothing is known of what follows it."""
    flat = h.make_graph([h.make_node("Reshape", ["x", "minus"], ["t"])], "flat", [], [value("t", None)])
    same = h.make_graph([h.make_node("Neg", ["x"], ["e"])], "same", [], [value("e", None)])
    proto = model(
        [
            h.make_node("If", ["c"], ["r"], then_branch=flat, else_branch=same),
            h.make_node("Exp", ["r"], ["s"], name="exp"),
            h.make_node("Tanh", ["s"], ["y"], name="tanh"),
        ],
        [value("x", ["n", 4]), value("c", [], TensorProto.BOOL)],
        [value("y", None)],
        [nh.from_array(np.array([-1]), "minus")],
    )
    session = ovpart.Session(proto, min_gain=0)
    assert session.report.coverage == 0
    for which in (False, False, True, False):
        feed = {"x": X, "c": np.array(which)}
        np.testing.assert_allclose(session.run(None, feed)[0], reference(proto, feed)[0], 1e-6)


def test_an_operator_that_no_engine_knows_is_named():
    proto = model(
        [h.make_node("Frobnicate", ["x"], ["y"], name="odd", domain="nowhere.test")],
        [value("x", [2])],
        [value("y", [2])],
        domains=[h.make_opsetid("nowhere.test", 1)],
    )
    with pytest.raises(ModelError, match=r"Frobnicate.*nowhere\.test.*odd"):
        ovpart.Session(proto)
    assert "no engine known" in ovpart.plan(proto).verdicts[0].reason


def test_absent_device_and_its_emulation():
    with pytest.raises(DeviceNotFound, match="CPU"):
        ovpart.Session(split_model(), device="GPU.3")
    session = ovpart.Session(split_model(), device="GPU", emulate=True, min_gain=0)
    assert session.report.emulated_on == "CPU"
    assert {c.label.device for c in session.plan.delegated} == {"GPU"}
    np.testing.assert_allclose(session.run(None, {"x": X})[0], reference(split_model(), {"x": X})[0], 1e-6)


def test_a_saved_plan_runs_exactly_and_only_for_its_model(tmp_path):
    proto = split_model()
    plan = ovpart.plan(proto, min_gain=0, exclude=["Tanh"])
    plan.save(tmp_path / "plan.json")
    session = ovpart.Session(proto, plan=tmp_path / "plan.json")
    assert session.plan.places == plan.places
    np.testing.assert_allclose(session.run(None, {"x": X})[0], reference(proto, {"x": X})[0], 1e-6)
    other = model([h.make_node("Exp", ["x"], ["y"])], [value("x", [2])], [value("y", [2])])
    with pytest.raises(PlanError, match="another model"):
        ovpart.Session(other, plan=plan)


def test_options_are_checked():
    with pytest.raises(OptionError, match="min_gain"):
        ovpart.Session(split_model(), mingain=3)
    with pytest.raises(OptionError, match="run_options"):
        ovpart.Session(split_model()).run(None, {"x": X}, object())


def test_one_line_is_logged_on_creation(caplog):
    with caplog.at_level(logging.INFO, logger="ovpart"):
        ovpart.Session(split_model(), min_gain=0)
    assert "5 nodes" in caplog.text


def test_results_are_the_callers_alone():
    session = ovpart.Session(split_model(), min_gain=0)
    first = session.run(None, {"x": X})[0]
    kept = first.copy()
    session.run(None, {"x": X + 1})
    np.testing.assert_array_equal(first, kept)


def test_one_session_from_many_threads():
    session = ovpart.Session(split_model(), min_gain=0)
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(40):
            x = rng.normal(size=(int(rng.integers(1, 50)), 4)).astype(np.float32)
            got = session.run(None, {"x": x})[0]
            if not np.allclose(got, np.tanh(np.sqrt(np.exp(x))), rtol=1e-5):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_closed_session_says_so():
    with ovpart.Session(split_model()) as session:
        session.run(None, {"x": X})
    with pytest.raises(ovpart.RunError, match="closed"):
        session.run(None, {"x": X})


def test_a_dimension_that_the_model_fixes_is_declared_as_in_the_file_and_checked():
    """The initial state of the GRU has a batch of one, so that no other batch can be run."""
    weights = {"w": (1, 9, 2), "r": (1, 9, 3), "h": (1, 1, 3)}
    proto = model(
        [h.make_node("GRU", ["x", "w", "r", "", "", "h"], ["y", ""], hidden_size=3)],
        [value("x", [4, "batch", 2])],
        [value("y", None)],
        [nh.from_array(np.full(shape, 0.5, np.float32), name) for name, shape in weights.items()],
    )
    session = ovpart.Session(proto, min_gain=0)
    assert session.get_inputs()[0].shape == [4, "batch", 2]
    feed = {"x": np.ones((4, 1, 2), np.float32)}
    np.testing.assert_allclose(session.run(None, feed)[0], reference(proto, feed)[0], 1e-5)
    with pytest.raises(InputError, match="Expected: 1"):
        session.run(None, {"x": np.ones((4, 3, 2), np.float32)})


def test_a_wrong_answer_of_the_real_engine_is_caught_on_the_first_run():
    # u8 Add wraps around in ONNX and saturates on openvino; a pin sends it there all the same.
    nodes = [
        h.make_node("Add", ["x", "c"], ["s"], name="wraps"),
        h.make_node("Identity", ["s"], ["y"], name="hands on"),
    ]
    ends = [value(name, ["n"], TensorProto.UINT8) for name in "xy"]
    proto = model(nodes, ends[:1], ends[1:], [nh.from_array(np.uint8([255]), "c")])
    x = np.arange(20, dtype=np.uint8)
    with pytest.warns(OvpartWarning, match="against the table"):
        session = ovpart.Session(proto, min_gain=0, pin="Add", verify="first-run", evidence="off")
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], x + np.uint8(255))
    assert [(d.node, d.stage) for d in session.report.demotions] == [("s", "verify")]
    assert "wrong here: max error" in str(session.report)
    assert session.verify({"x": x}).is_right
