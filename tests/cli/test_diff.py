"""``ovpart diff``: models, devices, plans, reports; 1 where something moved."""

from __future__ import annotations

import json

import pytest


def test_a_model_does_not_differ_from_itself(ovpart_cli, split_model):
    done = ovpart_cli("diff", split_model, split_model, "--min-gain", "0")
    assert (done.code, done.out) == (0, "nothing moved\n"), done.err


def test_another_option_moves_nodes_with_the_reason(ovpart_cli, split_model):
    done = ovpart_cli("diff", split_model, "--other", "exclude=MatMul", "--min-gain", "0")
    assert done.code == 1, done.err
    assert "openvino CPU → onnxruntime CPU: scores (excluded by 'MatMul')" in done.out


def test_another_device_is_told(ovpart_cli, split_model):
    done = ovpart_cli("diff", split_model, "--other", "device=GPU", "--min-gain", "0", "--json")
    data = json.loads(done.out)
    assert (done.code, data["same"]) == (1, False)
    assert data["differences"][0] == "device: CPU → GPU"
    assert any("openvino CPU → openvino GPU" in line for line in data["differences"])


@pytest.fixture
def saved(ovpart_cli, split_model, tmp_path):
    """Return a saved plan and two reports, the second with the product excluded."""
    files = []
    for name, more in (("one", ()), ("two", ("--exclude", "MatMul"))):
        plan = tmp_path / f"{name}.plan.json"
        done = ovpart_cli("plan", split_model, "--min-gain", "0", *more, "--json", "--save", plan)
        report = tmp_path / f"{name}.report.json"
        report.write_text(done.out, encoding="utf-8")
        files.append((plan, report))
    return files


def test_saved_plans_are_compared_with_each_other_and_with_models(ovpart_cli, split_model, saved):
    (one, _), (two, _) = saved
    assert ovpart_cli("diff", one, one).code == 0
    assert ovpart_cli("diff", one, split_model, "--min-gain", "0").code == 0
    done = ovpart_cli("diff", one, two)
    assert (done.code, "excluded by 'MatMul'" in done.out) == (1, True)


def test_reports_are_compared_with_reports(ovpart_cli, saved):
    (plan, one), (_, two) = saved
    assert ovpart_cli("diff", one, one).code == 0
    done = ovpart_cli("diff", one, two)
    assert done.code == 1, done.err
    assert "falls back now (excluded by 'MatMul'): weigh" in done.out
    assert "option exclude: [] → ['MatMul']" in done.out
    assert "coverage of nodes" in done.out
    back = ovpart_cli("diff", two, one)
    assert "falls back no more (excluded by 'MatMul'): weigh" in back.out
    mixed = ovpart_cli("diff", plan, one)
    assert (mixed.code, "compare two of a kind" in mixed.err) == (2, True)


def test_what_has_no_effect_or_is_neither_is_refused(ovpart_cli, split_model, saved, tmp_path):
    (plan, _), _ = saved
    assert ovpart_cli("diff", split_model).code == 2
    assert ovpart_cli("diff", plan, plan, "--min-gain", "0").code == 2
    assert ovpart_cli("diff", split_model, plan, "--other", "device=GPU").code == 2
    strange = tmp_path / "strange.json"
    strange.write_text('{"schema": 1}', encoding="utf-8")
    done = ovpart_cli("diff", strange, plan)
    assert (done.code, "neither a saved plan" in done.err) == (2, True)
    strange.write_text("{", encoding="utf-8")
    assert ovpart_cli("diff", strange, plan).code == 2
