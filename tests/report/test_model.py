"""The facts of a report, on a split known by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ovpart.capability.demotion import Demotion
from ovpart.options import resolve
from ovpart.partition.overruling import NOT_WORTH
from ovpart.report.facts import RunFacts
from tests.report.conftest import REFUSED, no, plan_of


def test_counts_of_a_split_model(report_of):
    report = report_of()
    assert (report.nodes, report.constant, report.dead) == (7, 1, 1)
    assert (report.cluster_count, report.delegated_count, report.island_count) == (5, 3, 2)
    assert report.lower_bound == 5
    assert report.coverage == pytest.approx(3 / 5)


def test_shares_add_up_to_the_whole(report_of):
    shares = report_of().shares
    assert [share.label.engine for share in shares] == ["openvino", "onnxruntime"]
    assert [share.is_island for share in shares] == [False, True]
    for total in (sum(s.of_nodes for s in shares), sum(s.of_flops for s in shares), sum(s.of_weights for s in shares)):
        assert total == pytest.approx(1.0)


@pytest.mark.parametrize(
    "verdicts", [REFUSED, {}, dict.fromkeys(("MatMul", "Softmax", "Tanh", "Mul"), REFUSED["Tanh"])]
)
def test_coverage_is_that_of_the_plan(report_of, model, verdicts):
    report, plan = report_of(verdicts), plan_of(model, verdicts)
    assert (report.coverage, report.coverage_flops, report.coverage_weights) == pytest.approx(
        (plan.coverage, plan.coverage_flops, plan.coverage_weights)
    )


def test_fallbacks_name_reason_rule_hint_and_nodes(report_of):
    first, second = sorted(report_of().fallbacks, key=lambda f: f.ops)
    assert (first.ops, first.reason, first.rule, first.hint) == (
        ("Softmax",),
        "axis is flattened",
        "op_support.yaml:640",
        "export with opset 13",
    )
    assert (first.count, first.nodes) == (1, ("soft",))
    assert second.nodes == ("last",)


def test_operators_with_one_reason_are_one_fallback(report_of):
    same = no("strings abort the engine", "op_support.yaml:5")
    (only,) = report_of({"Softmax": same, "Tanh": same}).fallbacks
    assert only.count == 2
    assert set(only.ops) == {"Softmax", "Tanh"}


def test_nodes_that_do_not_pay_say_so_and_how_to_delegate_them(report_of):
    report = report_of({}, min_gain=1e9)
    (only,) = report.fallbacks
    assert only.rule == NOT_WORTH
    assert "min_gain=0" in only.hint
    assert only.count == 5
    assert report.coverage == 0.0
    assert report.blockers == ()


def test_blockers_say_what_would_change(report_of):
    blockers = {b.fallback.ops: b for b in report_of().blockers}
    soft = blockers[("Softmax",)]
    assert (soft.clusters, soft.clusters_if) == (5, 3)
    assert (soft.coverage, soft.coverage_if) == pytest.approx((0.6, 0.8))


def test_blockers_stand_by_effect_and_are_computed_once(report_of, model):
    calls = []
    report = report_of(
        {**{op: no("r1", "t:1") for op in ("Softmax",)}, "Mul": no("r2", "t:2")},
        what_if=lambda nodes: calls.append(nodes) or plan_without(model, nodes),
    )
    assert calls == []
    assert [b.fallback.ops for b in report.blockers] == [("Softmax",), ("Mul",)]
    assert report.blockers is report.blockers
    assert len(calls) == 2


def plan_without(model, nodes):
    kept = {"Softmax", "Mul"} - {model.graph.nodes[index].op_type for index in nodes}
    return plan_of(model, {op: no("r", "t:1") for op in kept})


def test_deferred_nodes_are_listed_and_block_nothing(report_of):
    waits = {op: no(f"rank of {op!r} is not known", "rank-unknown", deferred=True) for op in ("Softmax", "Tanh")}
    report = report_of(waits)
    assert report.deferred == ("soft", "last")
    assert len(report.fallbacks) == 1
    assert report.blockers == ()


def test_guards_are_merged_and_their_nodes_counted(report_of, guarded):
    report = report_of({"MatMul": guarded})
    assert [(guard.kind, guard.inputs) for guard in report.guards] == [("int32_range", ("x",))]
    assert report.guarded_nodes == 2


def test_engines_stand_in_the_order_of_the_shares(report_of):
    engines = {"reference": "1", "onnxruntime": "2", "openvino": "3"}
    assert list(report_of(engines=engines).engines) == ["openvino", "onnxruntime", "reference"]


def test_options_carry_value_and_origin(report_of):
    options = resolve({"min_gain": 0})
    facts = {option.name: option for option in report_of(options=options).options}
    assert (facts["min_gain"].value, facts["min_gain"].origin) == (0.0, "given")
    assert facts["device"].origin == "default"


def test_saved_by_suffix_as_json_or_text(report_of, tmp_path: Path):
    report = report_of(demotions=[Demotion("b", "openvino", "compile", "no such kernel")], runs=RunFacts(3, 1))
    report.save(tmp_path / "report.json")
    report.save(tmp_path / "report.txt")
    assert json.loads((tmp_path / "report.json").read_text())["runs"]["count"] == 3
    assert (tmp_path / "report.txt").read_text() == str(report) + "\n"


def test_reports_of_the_same_plan_are_equal(report_of):
    assert report_of() == report_of()
    assert report_of() != report_of({})


def test_hints_that_name_each_culprit_do_not_split_a_reason(report_of):
    verdicts = {op: no("may leave 32 bits", "op_support.yaml:20", f"clip {op}") for op in ("Softmax", "Tanh")}
    (only,) = report_of(verdicts).fallbacks
    assert only.hints == ("clip Softmax", "clip Tanh")
    assert "clip Softmax (and 1 more of that kind)" in str(report_of(verdicts))
