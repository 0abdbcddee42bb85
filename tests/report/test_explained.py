"""A node's explanation in words."""

from __future__ import annotations

from ovpart.report.explained import explained
from tests.report.conftest import REFUSED, no, plan_of


def test_a_refused_node_has_place_reason_rule_and_hint(model):
    text = explained(plan_of(model, REFUSED).explain("soft"))
    assert "Softmax soft" in text
    assert "onnxruntime CPU" in text
    assert "unsupported: axis is flattened" in text
    assert "rule: op_support.yaml:640 (measured)" in text
    assert "hint: export with opset 13" in text


def test_a_delegated_node_names_the_path_that_keeps_clusters_apart(model):
    text = explained(plan_of(model, REFUSED).explain("first"))
    assert "this path would leave it and come back: first → soft → second" in " ".join(text.split())


def test_constant_and_dead_nodes_say_that_no_run_computes_them(model):
    plan = plan_of(model, {})
    assert "computed once" in explained(plan.explain("scaling"))
    assert "never computed" in explained(plan.explain("idle"))


def test_left_behind_and_deferred_are_said(model, guarded):
    assert "left behind: not worth" in explained(plan_of(model, {}, min_gain=1e9).explain("first"))
    later = {"Softmax": no("the rank is not known yet", "deferred", deferred=True)}
    assert "first run" in explained(plan_of(model, later).explain("soft"))
    assert "guard: holds while x stay within" in explained(plan_of(model, {"MatMul": guarded}).explain("first"))
