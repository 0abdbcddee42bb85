from __future__ import annotations

import warnings

import numpy as np
import pytest
from onnx import TensorProto, helper

from ovpart.capability.check import check, may_delegate
from ovpart.capability.table import load_table
from ovpart.capability.verdict import State
from ovpart.model.graph import Model
from tests.capability.small import ask, build, table, value

YES = {"state": "supported"}


def no(reason: str) -> dict[str, str]:
    return {"state": "unsupported", "reason": reason}


def relu(dtype: str = "f32", shape: object = (2, 3)) -> Model:
    return build([helper.make_node("Relu", ["x"], ["y"])], [value("x", dtype, shape)], [value("y", dtype, shape)])  # type: ignore[arg-type]


def test_the_first_match_wins_from_top_to_bottom() -> None:
    entries = [{**no("first"), "types": {"X": ["f16"]}}, {**no("second"), "hint": "do"}, YES]
    verdict = ask(relu(), {"Relu": entries})["Relu"]
    assert (verdict.state, verdict.reason, verdict.rule, verdict.hint) == (
        State.UNSUPPORTED, "second", "overlay 1:2", "do",
    )  # fmt: skip
    assert ask(relu("f16"), {"Relu": entries})["Relu"].rule == "overlay 1:1"


def test_every_verdict_has_a_reason_and_a_rule() -> None:
    verdict = ask(relu(), {"Relu": [{**YES, "source": "measured, on paper"}]})["Relu"]
    assert verdict.reason
    assert verdict.rule == "overlay 1:1"
    assert verdict.source == "measured, on paper"


def test_star_is_looked_at_before_the_operator() -> None:
    ops = {"*": [{**no("veto"), "touches": ["f64"]}], "Relu": [YES]}
    assert ask(relu("f64"), ops)["Relu"].reason == "veto"
    assert ask(relu(), ops)["Relu"].state is State.SUPPORTED


def test_an_overlay_beats_the_vetoes_below_it() -> None:
    below = {"schema": 1, "ops": {"*": {"CPU": [{**no("veto"), "touches": ["f64"]}]}, "Relu": {"CPU": [YES]}}}
    above = {"schema": 1, "ops": {"Relu": {"CPU": [{**YES, "types": {"X": ["f64"]}}]}}}
    (verdict,) = check(relu("f64"), "CPU", load_table([below, above], shipped=False))
    assert (verdict.state, verdict.rule) == (State.SUPPORTED, "overlay 2:1")


def test_no_entry_fits_or_none_is_there() -> None:
    verdict = ask(relu(), {"Relu": [{**YES, "types": {"X": ["f16"]}}]})["Relu"]
    assert (verdict.state, verdict.reason, verdict.rule) == (
        State.UNKNOWN, "no entry of the table fits", "overlay 1:1",
    )  # fmt: skip
    verdict = ask(relu(), {"Abs": [YES]})["Relu"]
    assert (verdict.state, verdict.reason, verdict.rule) == (
        State.UNKNOWN, "no entry for Relu", "overlay 1: no entry",
    )  # fmt: skip
    verdict = ask(relu(), {"Relu": [{**YES, "opset": "18.."}]})["Relu"]
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, "no entry of the table is for opset 17")


def test_numbered_devices_inherit_and_others_do_not() -> None:
    ops = {"Relu": {"GPU": [YES], "GPU.1": [no("too small")]}}
    assert ask(relu(), ops, "GPU.0")["Relu"].state is State.SUPPORTED
    assert ask(relu(), ops, "GPU.1")["Relu"].reason == "too small"
    assert ask(relu(), ops, "GPU")["Relu"].state is State.SUPPORTED
    assert ask(relu(), ops, "NPU")["Relu"].state is State.UNKNOWN


def test_what_unknown_means() -> None:
    ops = {"Relu": {"CPU": [{"state": "unknown", "reason": "nobody asked"}]}}
    for word, device_says, goes in (
        (None, "fallback", False),
        (None, "delegate", True),
        ("delegate", "fallback", True),
        ("fallback", "delegate", False),
    ):
        known = table(ops, devices={"CPU": {"unknown": device_says}})
        (verdict,) = check(relu(), "CPU", known, unknown=word)
        assert verdict.state is State.UNKNOWN
        assert may_delegate(verdict, "CPU", known, word) is goes
    (verdict,) = check(relu(), "CPU", table({"Relu": [YES]}))
    assert may_delegate(verdict, "CPU", table({}))
    (verdict,) = check(relu(), "CPU", table({"Relu": [no("never")]}))
    assert not may_delegate(verdict, "CPU", table({}), "delegate")


# --- what must wait, what is no tensor, what nobody knows ----------------------------------------------------------


def test_an_unknown_rank_defers_and_names_the_value() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Relu", ["z"], ["w"])]
    model = build(
        nodes, [value("x", shape=None), value("z", shape=None)], [value("y", shape=None), value("w", shape=None)]
    )
    verdicts = check(model, "CPU", table({"Relu": [YES]}))
    assert {v.reason for v in verdicts} == {f"rank of {x!r} is not known before the first run" for x in "xz"}
    assert all(v.deferred and v.rule == "rank-unknown" and v.state is State.UNSUPPORTED for v in verdicts)
    assert not any(may_delegate(v, "CPU", table({}), "delegate") for v in verdicts)


def test_waiting_is_no_use_where_the_answer_is_no_in_any_case() -> None:
    assert not ask(relu(shape=None), {"Relu": [no("never")]})["Relu"].deferred
    assert not ask(relu(shape=None), {"Abs": [YES]})["Relu"].deferred
    assert ask(relu(shape=None), {"Relu": [{**no("f16"), "types": {"X": ["f16"]}}, YES]})["Relu"].deferred
    vetoed = ask(relu("f64", None), {"*": [{**no("veto"), "touches": ["f64"]}], "Relu": [YES]})["Relu"]
    assert (vetoed.deferred, vetoed.reason) == (False, "veto")


def test_an_operator_that_nobody_knows() -> None:
    opaque = helper.make_node("Opaque", ["x"], ["y"], domain="my.own")
    model = build([opaque], [value("x")], [value("y")], my_own=1)
    verdict = ask(model, {"Relu": [YES]})["Opaque"]
    assert (verdict.state, verdict.rule) == (State.UNSUPPORTED, "no engine known")
    assert "my.own.Opaque" in verdict.reason
    assert ask(model, {"my.own.Opaque": [YES]})["Opaque"].state is State.SUPPORTED


def test_a_contrib_operator_without_entry_is_unknown_not_unheard_of() -> None:
    gelu = helper.make_node("QuickGelu", ["x"], ["y"], domain="com.microsoft")
    model = build([gelu], [value("x")], [value("y")], com_microsoft=1)
    verdict = ask(model, {"Relu": [YES]})["QuickGelu"]
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, "no entry for com.microsoft.QuickGelu")


def test_sequences_stay_unless_an_entry_speaks_of_them() -> None:
    nodes = [
        helper.make_node("SequenceConstruct", ["x", "x"], ["s"]),
        helper.make_node("Identity", ["s"], ["t"]),
        helper.make_node("SequenceAt", ["t", "k"], ["y"]),
    ]
    model = build(nodes, [value("x")], [value("y")], {"k": np.array(0)})
    assert ask(model, {"Identity": [YES]})["Identity"].rule == "not-a-tensor"
    spoken = {"Identity": [{**YES, "types": {"input": ["sequence", "f32"]}}]}
    assert ask(model, spoken)["Identity"].state is State.SUPPORTED
    assert ask(model, {"*": [{**no("veto"), "touches": ["sequence"]}], "Identity": [YES]})["Identity"].reason == "veto"
    assert ask(model, {"*": [{**no("veto"), "touches": ["f32"]}], "Identity": [YES]})["Identity"].reason == "veto"
    assert ask(model, {"Identity": [no("not asked")]})["Identity"].reason == "not asked"


# --- bodies --------------------------------------------------------------------------------------------------------


def branching(then_op: str, dtype: str = "f32") -> Model:
    """If over a captured x:  then → then_op(x),  else → Identity(x)."""
    branches = {
        name: helper.make_graph([helper.make_node(op, ["x"], [name])], name, [], [value(name, dtype)])
        for name, op in (("then_branch", then_op), ("else_branch", "Identity"))
    }
    node = helper.make_node("If", ["c"], ["y"], **branches)
    return build([node], [value("c", "bool", ()), value("x", dtype)], [value("y", dtype)])


BODIES = {"If": [{**YES, "bodies": "supported"}], "Identity": [YES], "Relu": [YES], "Abs": [no("not here")]}


def test_an_if_needs_all_nodes_of_its_bodies() -> None:
    assert ask(branching("Relu"), BODIES)["If"].state is State.SUPPORTED
    verdict = ask(branching("Abs"), BODIES)["If"]
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, "its body needs Abs: not here")


def test_an_unknown_node_in_a_body_counts_as_the_user_says() -> None:
    model = branching("Neg")
    assert ask(model, BODIES)["If"].state is State.UNKNOWN
    assert ask(model, BODIES, unknown="delegate")["If"].state is State.SUPPORTED


def test_a_body_may_not_need_a_guard() -> None:
    ops = {**BODIES, "*": [{"touches": ["i64"], "guard": "int32_range"}], "Cast": [YES], "Shape": [YES]}
    verdict = ask(branching("Identity", "i64"), ops)["If"]
    assert (verdict.state, verdict.reason) == (
        State.UNKNOWN, "its body needs Identity: int64 beyond 32 bits would be cut",
    )  # fmt: skip
    shape = helper.make_graph([helper.make_node("Shape", ["x"], ["t"])], "then", [], [value("t", "i64", (2,))])
    keep = helper.make_graph([helper.make_node("Identity", ["k"], ["e"])], "else", [], [value("e", "i64", (2,))])
    node = helper.make_node("If", ["c"], ["y"], then_branch=shape, else_branch=keep)
    inputs = [value("c", "bool", ()), value("x", shape=("a", "b"))]
    model = build([node], inputs, [value("y", "i64", (2,))], {"k": np.array([1, 2])})
    verdict = ask(model, ops)["If"]
    assert (verdict.state, verdict.guard) == (State.SUPPORTED, None)


def test_a_captured_value_of_unknown_rank_defers() -> None:
    body = {
        name: helper.make_graph([helper.make_node("Relu", ["x"], [name])], name, [], [value(name, shape=None)])
        for name in ("then_branch", "else_branch")
    }
    node = helper.make_node("If", ["c"], ["y"], **body)
    model = build([node], [value("c", "bool", ()), value("x", shape=None)], [value("y", shape=None)])
    verdict = ask(model, BODIES)["If"]
    assert verdict.deferred
    assert "'x'" in verdict.reason


def test_a_loop_over_bodies_in_bodies() -> None:
    inner = {
        name: helper.make_graph([helper.make_node(op, ["v"], [name])], name, [], [value(name)])
        for name, op in (("then_branch", "Relu"), ("else_branch", "Abs"))
    }
    body = helper.make_graph(
        [helper.make_node("If", ["go"], ["w"], **inner), helper.make_node("Identity", ["go"], ["more"])],
        "body",
        [value("i", "i64", ()), value("go", "bool", ()), value("v")],
        [value("more", "bool", ()), value("w")],
    )
    node = helper.make_node("Loop", ["n", "first", "x"], ["y"], body=body)
    model = build([node], [value("x"), value("first", "bool", ())], [value("y")], {"n": np.array(3)})
    ops = {**BODIES, "Loop": [{**YES, "bodies": "supported"}]}
    verdict = ask(model, ops)["Loop"]
    assert verdict.reason == "its body needs If: its body needs Abs: not here"
    assert ask(model, {**ops, "Abs": [YES]})["Loop"].state is State.SUPPORTED


# --- pin and exclude beat the table --------------------------------------------------------------------------------


def test_pin_beats_the_table_with_a_warning_and_exclude_beats_all() -> None:
    ops = {"Relu": [no("never")]}
    with pytest.warns(UserWarning, match=r"pin='Relu' sends 'y' \(never; overlay 1:1\) to CPU against the table"):
        verdict = ask(relu(), ops, pin=["Relu"])["Relu"]
    assert (verdict.state, verdict.rule, verdict.source) == (State.SUPPORTED, "pin", "user")
    assert ask(relu(), {"Relu": [YES]}, exclude=["Relu"])["Relu"].rule == "exclude"
    with pytest.warns(UserWarning, match="has no effect"):
        verdict = ask(relu(), {"Relu": [YES]}, exclude=["Relu"], pin=["y"])["Relu"]
    assert (verdict.state, verdict.rule) == (State.UNSUPPORTED, "exclude")


def test_pin_of_what_is_supported_changes_nothing_and_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ask(relu(), {"Relu": [YES]}, pin=["Relu"])["Relu"].rule == "overlay 1:1"


def test_pin_cannot_hurry_a_rank() -> None:
    with pytest.warns(UserWarning, match="must wait for the first run"):
        assert ask(relu(shape=None), {"Relu": [YES]}, pin=["Relu"])["Relu"].deferred


def test_verdicts_do_not_depend_on_what_was_asked_before() -> None:
    cast = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.INT32)
    model = build([cast, helper.make_node("Relu", ["x"], ["z"])], [value("x")], ["y", "z"])
    known = table({"Relu": [YES], "Cast": [{**YES, "types": {"output": ["i32"]}}]})
    assert check(model, "CPU", known) == check(model, "CPU", known)
    assert len(check(model, "CPU", known)) == len(model.graph.nodes)
