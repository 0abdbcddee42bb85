"""Control flow whose bodies have plans of their own gives what onnxruntime gives."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import ovpart
from ovpart.backend.fake import Failure, FakeBackend
from ovpart.backend.fold import fold_constants
from ovpart.capability.table import load_table
from ovpart.errors import InputError, RunError
from ovpart.model.read import read_model
from ovpart.options import resolve
from ovpart.partition.nested import scopes
from ovpart.partition.plan import RUNTIME
from ovpart.placement.engines import Engines
from ovpart.placement.form import Form
from tests.placement.control_flow_models import (
    BRANCHES,
    CASES,
    COUNTED_LOOP,
    LOOP,
    LOOP_IN_BRANCH,
    NESTED_BRANCHES,
    model,
    x,
)

RTOL = 1e-5
WAYS: Sequence[Mapping[str, object]] = (
    {},
    {"min_gain": 0},
    {"control_flow": "nested"},
    {"control_flow": "nested", "min_gain": 0, "lazy": True},
    {"control_flow": "nested", "min_gain": 0, "lazy": False},
    {"control_flow": "whole", "min_gain": 0},
)


def by_onnxruntime(proto: onnx.ModelProto, feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    outputs: list[np.ndarray] = session.run(None, feed)
    return outputs


def same(got: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> None:
    assert len(got) == len(wanted)
    for mine, theirs in zip(got, wanted, strict=True):
        assert mine.dtype == theirs.dtype
        if mine.dtype == object:
            assert mine.tolist() == theirs.tolist()
            continue
        np.testing.assert_allclose(mine, theirs, RTOL, RTOL)
        assert mine.shape == theirs.shape


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("case", CASES)
def test_every_way_through_gives_what_onnxruntime_gives(case, way):
    text, feeds = CASES[case]
    proto = model(text)
    wanted = [by_onnxruntime(proto, feed) for feed in feeds]
    with ovpart.Session(proto, **way) as session:
        kept = []
        for _turn in range(2):  # in the second turn all is compiled, ranks are known
            for feed, want in zip(feeds, wanted, strict=True):
                got = session.run(None, feed)
                same(got, want)
                kept.append((got, want))
        for got, want in kept:  # no later run writes into what an earlier one gave
            same(got, want)
        if way.get("control_flow") == "nested":
            assert any(cluster.label == RUNTIME for cluster in session.plan.clusters)


def test_bodies_are_delegated_where_the_device_does_not_take_the_node_whole():
    plan = ovpart.plan(model(NESTED_BRANCHES), min_gain=0)
    found = {scope.path: [cluster.label.engine for cluster in scope.plan.clusters] for scope in scopes(plan)}
    assert found[()] == ["openvino", "runtime"]
    assert found["y", "then_branch"] == ["openvino", "runtime", "openvino"]
    assert found["y", "then_branch", "p", "then_branch"] == ["openvino"]


def test_whole_leaves_all_control_flow_on_one_engine():
    plan = ovpart.plan(model(LOOP_IN_BRANCH), min_gain=0, control_flow="whole")
    assert not plan.bodies
    assert all(cluster.label != RUNTIME for cluster in plan.clusters)


def test_small_bodies_stay_whole_where_a_saving_is_asked_for():
    assert not ovpart.plan(model(BRANCHES)).bodies


def test_what_is_excluded_in_a_body_is_not_delegated_with_it():
    proto = model(BRANCHES.replace("[N,4]", "[3,4]"))
    whole = ovpart.plan(proto, min_gain=0)
    assert [cluster.label.engine for cluster in whole.clusters] == ["openvino"]
    plan = ovpart.plan(proto, min_gain=0, exclude="Exp")
    branches = plan.bodies["y"]
    assert [cluster.label.engine for cluster in branches["else_branch"].clusters] == ["onnxruntime", "openvino"]
    assert [cluster.label.engine for cluster in branches["then_branch"].clusters] == ["openvino"]


def test_a_pin_in_a_body_gives_it_a_plan_though_it_does_not_pay():
    plan = ovpart.plan(model(BRANCHES), pin="Sigmoid")
    branches = plan.bodies["y"]
    assert "openvino" in [cluster.label.engine for cluster in branches["then_branch"].clusters]
    assert [cluster.label.engine for cluster in branches["else_branch"].clusters] == ["onnxruntime"]


def test_a_selector_that_means_nothing_in_any_scope_is_refused():
    with pytest.raises(ovpart.OptionError, match="Conv"):
        ovpart.plan(model(BRANCHES), exclude="Conv")


def test_an_excluded_if_stays_whole():
    plan = ovpart.plan(model(BRANCHES), exclude="If", control_flow="nested")
    assert not plan.bodies


def test_saved_plans_bring_back_the_plans_of_bodies(tmp_path):
    proto = model(LOOP_IN_BRANCH)
    plan = ovpart.plan(proto, min_gain=0, control_flow="nested")
    plan.save(tmp_path / "plan.json")
    read = read_model(proto)
    again = ovpart.Plan.load(tmp_path / "plan.json", read)
    assert again.to_json() == plan.to_json()
    assert [scope.path for scope in scopes(again)] == [scope.path for scope in scopes(plan)]
    with pytest.raises(ovpart.PlanError, match="model, not a graph"):
        ovpart.Plan.from_json(plan.to_json(), read.graph)
    feed = {"x": x(2, 4), "m": np.array(3), "c": np.array(True)}
    with ovpart.Session(proto, plan=tmp_path / "plan.json") as session:
        same(session.run(None, feed), by_onnxruntime(proto, feed))
        assert session.plan.bodies.keys() == plan.bodies.keys()


def test_runs_from_many_threads_do_not_meet():
    proto = model(LOOP)
    feeds = [{"x": x(2, 4, seed=i), "m": np.array(3 + i % 4), "c": np.array(True)} for i in range(8)]
    wanted = [by_onnxruntime(proto, feed) for feed in feeds]
    wrong: list[BaseException] = []
    with ovpart.Session(proto, min_gain=0, control_flow="nested") as session:

        def work(index: int) -> None:
            try:
                for _ in range(20):
                    same(session.run(None, feeds[index]), wanted[index])
            except BaseException as error:
                wrong.append(error)

        threads = [threading.Thread(target=work, args=(index,)) for index in range(len(feeds))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def form_of(proto: onnx.ModelProto, device: FakeBackend, **options: object) -> Form:
    engines = Engines(resolve({"min_gain": 0, "control_flow": "nested", **options}), {"openvino": device})
    return Form(fold_constants(read_model(proto)), engines, load_table())


def test_a_node_of_a_body_that_the_device_refuses_is_demoted_in_that_body_alone():
    form = form_of(model(BRANCHES), FakeBackend(failures=[Failure("compile", "no room", operator="Exp")]))
    feed = {"x": x(3, 4), "c": np.array(False)}
    same(form.run(feed, None), by_onnxruntime(model(BRANCHES), feed))
    branches = form.plan.bodies["y"]
    assert [cluster.label.engine for cluster in branches["else_branch"].clusters] == ["onnxruntime", "openvino"]
    assert [cluster.label.engine for cluster in branches["then_branch"].clusters] == ["openvino"]


def test_a_body_that_fails_while_it_runs_is_answered_by_onnxruntime_and_mended():
    form = form_of(model(LOOP), FakeBackend(failures=[Failure("run", "lost", operator="Mul", at=2)]))
    feed = {"x": x(2, 4), "m": np.array(4), "c": np.array(True)}
    for _ in range(2):
        same(form.run(feed, None), by_onnxruntime(model(LOOP), feed))


def test_an_error_of_the_model_itself_is_raised():
    text = LOOP.replace("w = Add(v, n)", "e = Concat <axis = 0> (v, v)  w = Add(e, n)")
    feed = {"x": x(2, 4), "m": np.array(4), "c": np.array(True)}
    with ovpart.Session(model(text), min_gain=0, control_flow="nested") as session, pytest.raises(RunError):
        session.run(None, feed)


def test_a_branch_that_hands_an_outer_value_through_runs_though_onnxruntime_refuses_the_node():
    proto = model(
        """g (float[N,4] x, bool c) => (float[N,4] y) {
             a = Sin(x)
             y = If (c) <then_branch = t () => (float[N,4] a) { }, else_branch = e () => (float[N,4] q) { q = Neg(a) }>
           }"""
    )
    with ovpart.Session(proto) as session:
        for c in (True, False):
            (got,) = session.run(None, {"x": x(2, 4), "c": np.array(c)})
            np.testing.assert_allclose(got, np.sin(x(2, 4)) * (1 if c else -1), RTOL)
        assert session.plan.bodies


def test_initializers_that_bodies_capture_can_be_overridden():
    proto = model(
        """g (float[N,4] x, bool c, float[4] w) => (float[N,4] y) {
             y = If (c) <then_branch = t () => (float[N,4] p) { a = Mul(x, w)  p = Sin(a) },
                         else_branch = e () => (float[N,4] q) { k = Add(w, w)  q = Add(x, k) }>
           }"""
    )
    proto.graph.initializer.append(numpy_helper.from_array(np.array([1, 2, 3, 4], np.float32), "w"))
    feeds = [{"x": x(2, 4), "c": np.array(c)} for c in (True, False)]
    feeds += [{**feed, "w": np.array([9, 8, 7, 6], np.float32)} for feed in feeds]
    with ovpart.Session(proto, control_flow="nested", min_gain=0) as session:
        for feed in (*feeds, *feeds):
            same(session.run(None, feed), by_onnxruntime(proto, feed))


def test_sparse_and_large_constants_of_bodies_are_theirs():
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("sp", TensorProto.FLOAT, [2], [3.0, -1.0]),
        helper.make_tensor("sp_i", TensorProto.INT64, [2], [1, 3]),
        [4],
    )
    proto = model(BRANCHES.replace("Mul(k, x)", "Mul(k, sp)").replace("Exp(a)", "MatMul(a, large)"))
    node = proto.graph.node[1]
    branches = {attribute.name: attribute.g for attribute in node.attribute}
    branches["then_branch"].sparse_initializer.append(sparse)
    large = np.random.default_rng(0).standard_normal((4, 4096)).astype(np.float32)
    branches["else_branch"].initializer.append(numpy_helper.from_array(large, "large"))
    for graph in (proto.graph, *branches.values()):
        graph.output[0].type.tensor_type.shape.dim[1].dim_param = "K"
    feeds = [{"x": x(3, 4), "c": np.array(c)} for c in (True, False)]
    with ovpart.Session(proto, control_flow="nested", min_gain=0) as session:
        for feed in (*feeds, *feeds):
            same(session.run(None, feed), by_onnxruntime(proto, feed))


def test_a_run_is_ended_between_iterations():
    options = onnxruntime.RunOptions()
    with ovpart.Session(model(COUNTED_LOOP), control_flow="nested", min_gain=0) as session:
        feed = {"x": x(2, 4), "m": np.array(10**9)}
        session.run(None, {**feed, "m": np.array(2)})
        timer = threading.Timer(0.3, setattr, (options, "terminate", True))
        timer.start()
        with pytest.raises(RunError, match="terminate"):
            session.run(None, feed, options)
        timer.join()


def test_a_missing_input_is_still_told_as_such():
    with ovpart.Session(model(BRANCHES), control_flow="nested") as session, pytest.raises(InputError, match="'c'"):
        session.run(None, {"x": x(2, 4)})


@pytest.mark.parametrize("c", [True, False])
def test_a_branch_that_gives_one_value_twice_gives_it_twice_though_onnxruntime_alone_does_not(c):
    proto = model(
        """g (float[N,4] x, bool c) => (float[N,4] y, float[N,4] z) {
             a = Sin(x)
             y, z = If (c) <then_branch = t () => (float[N,4] p, float[N,4] p) { p = Exp(a) },
                            else_branch = e () => (float[N,4] q, float[N,4] q) { q = Neg(a) }>
           }"""
    )
    with ovpart.Session(proto, exclude="If", pin="Sin") as session:
        got = session.run(None, {"x": x(2, 4), "c": np.array(c)})
    for one in got:
        np.testing.assert_allclose(one, np.exp(np.sin(x(2, 4))) if c else -np.sin(x(2, 4)), RTOL)
