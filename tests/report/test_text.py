"""The text of a report: what it says, and that it fits the page."""

from __future__ import annotations

import dataclasses
import json

import pytest

from ovpart.capability.demotion import Demotion
from ovpart.capability.measured import Difference
from ovpart.options import resolve
from ovpart.placement.contest.race import Outcome
from ovpart.report.facts import RunFacts
from ovpart.report.text import WIDTH, line, percent, render
from tests.report.conftest import no


def test_the_whole_report_of_a_split_model(report_of):
    report = report_of(engines={"openvino": "2026.4.1"}, planning_ms=18.2)
    assert render(report).splitlines() == [
        "tiny   7 nodes, opset 17   device CPU, openvino 2026.4.1   planned in 18 ms",
        "  openvino         3 nodes  60.0%  FLOPs  86.0%  weights   100%  3 clusters",
        "  onnxruntime      2 nodes  40.0%  FLOPs  14.0%  weights     0%  2 islands",
        "  5 clusters in all, the least possible",
        "  nodes that no run computes: 1 computed once, 1 that no output needs",
        "why on onnxruntime",
        "     1  Softmax           axis is flattened                  op_support.yaml:640",
        "                          → export with opset 13",
        "     1  Tanh              loses NaN                          op_support.yaml:700",
        "what blocks most",
        "  soft  if supported: clusters 5 → 3, coverage 60.0% → 80.0%",
        "  last  if supported: clusters 5 → 3, coverage 60.0% → 80.0%",
    ]


def test_no_line_is_wider_than_the_page(report_of, guarded):
    wordy = "a reason of many words that goes on and on and would never fit into the column of a report at all"
    report = report_of(
        {"Softmax": no(wordy, "op_support.yaml:640", wordy), "MatMul": guarded},
        engines={"openvino": "2026.4.1-12345-releases/2026/4", "onnxruntime": "1.31.1"},
        demotions=[Demotion("b", "openvino", "compile", wordy * 5)],
        options=resolve({"min_gain": 0, "exclude": ["Softmax", "Tanh"]}),
        runs=RunFacts(
            12,
            1,
            True,
            3,
            Outcome({"plan": 1234567.0, "onnxruntime": 7654321.0, "delegated": 1234568.0}, known_before=True),
        ),
        emulated_on="CPU",
        planning_ms=0.42,
    )
    assert max(map(len, render(report).splitlines())) <= WIDTH


def test_all_delegated_has_nothing_to_explain(report_of):
    text = render(report_of({}))
    assert "why on" not in text
    assert "what blocks" not in text
    assert "1 cluster in all, the least possible" in text


def test_demotions_stand_in_the_words_of_the_engine(report_of):
    text = render(report_of(demotions=[Demotion("b", "openvino", "compile", "Check 'rank.is_static()'\n failed")]))
    assert "demoted" in text
    assert "b (openvino, compile): Check 'rank.is_static()' failed" in text


def test_guard_tells_whether_runs_kept_it(report_of, guarded):
    kept = render(report_of({"MatMul": guarded}))
    broken = render(report_of({"MatMul": guarded}, runs=RunFacts(5, 2, True)))
    assert "x: values within ±2147483647" in kept
    assert "of 5" not in kept
    assert "2 runs of 5 did, the last one too" in broken


def test_of_an_engine_s_description_only_the_version_is_shown(report_of):
    engines = {"openvino": "openvino 2026.4.1-22982-e213 | AMD EPYC | FP32 INT8", "onnxruntime": "1.31.1"}
    first = render(report_of(engines=engines)).splitlines()[0]
    assert first.endswith("device CPU, openvino 2026.4.1, onnxruntime 1.31.1")


def test_emulation_and_given_options_are_said(report_of):
    text = render(report_of(emulated_on="CPU", options=resolve({"min_gain": 0, "device": "GPU"})))
    assert "its clusters run on CPU" in text
    assert "options: min_gain=0.0" in text


def test_more_clusters_than_needed_are_said(report_of):
    report = dataclasses.replace(report_of(), lower_bound=4)
    assert "5 clusters in all, the least possible for these nodes is 4" in render(report)


def test_runs_and_what_they_measured_are_said(report_of):
    assert "runs:" not in render(report_of())
    outcome = Outcome({"plan": 830.0, "onnxruntime": 1200.0})
    kept = render(report_of(runs=RunFacts(10, replans=1, outcome=outcome))).splitlines()
    start = kept.index("runs: 10, planned anew 1 time")
    assert kept[start + 1] == "  first runs: the plan 0.83 ms, onnxruntime alone 1.2 ms: the plan is kept"
    for way, words in (("onnxruntime", "onnxruntime runs it all"), ("delegated", "all is delegated that may be")):
        known = Outcome({"plan": 900.0, way: 800.0}, way, known_before=True)
        told = " ".join(render(report_of(runs=RunFacts(10, outcome=known))).split())
        assert words in told
        assert "measured before: the plan 0.9 ms" in told


def test_line_names_engines_on_a_cpu_and_devices_elsewhere(report_of):
    report = report_of()
    assert line(report) == (
        "3 of 5 nodes on openvino in 3 clusters; 2 on onnxruntime: Softmax (axis is flattened), Tanh (loses NaN)"
    )
    on_gpu = dataclasses.replace(report, device="GPU", emulated_on="CPU")
    assert line(on_gpu).startswith("3 of 5 nodes on GPU in 3 clusters (emulated on CPU); 2 on CPU: ")


def test_line_of_a_model_that_is_delegated_whole(report_of):
    assert line(report_of({})) == "5 of 5 nodes on openvino in 1 cluster"


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "0%"), (0.00001, "0.1%"), (0.5, "50.0%"), (0.99999, "99.9%"), (1.0, "100%"), (None, "-")],
)
def test_percent_calls_only_the_whole_whole_and_only_nothing_nothing(share, words):
    assert percent(share) == words


def test_a_table_measured_elsewhere_is_said(report_of):
    differs = [Difference("openvino", "2026.4.1", "2025.4.1"), Difference("isa", "avx2", "amx")]
    text = str(report_of(table_differs=differs))
    assert "openvino 2025.4.1 (the table was measured with 2026.4.1)" in text
    assert "`ovpart ops check`" in text
    assert "ops check" not in str(report_of())
    data = json.loads(report_of(table_differs=differs).to_json())
    assert data["table_differs"][1] == {"what": "isa", "measured": "avx2", "found": "amx"}
