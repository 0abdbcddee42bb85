"""The JSON of a report fits its published schema and holds what the text shortens."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from ovpart.capability.demotion import Demotion
from ovpart.options import resolve
from ovpart.placement.contest.race import Outcome
from ovpart.report.facts import RunFacts
from ovpart.report.json import schema
from tests.report.conftest import REFUSED


@pytest.fixture
def full(report_of, guarded):
    return report_of(
        {**REFUSED, "MatMul": guarded},
        engines={"openvino": "2026.4.1"},
        demotions=[Demotion("b", "openvino", "run", "words", "CPU")],
        options=resolve({"table": [Path("own.yaml")], "config": {"NUM_STREAMS": 2}, "pin": ["Softmax"]}),
        planning_ms=3.5,
        emulated_on="CPU",
        runs=RunFacts(2, 1, True, 3, Outcome({"plan": 20.0, "onnxruntime": 15.0}, "onnxruntime")),
    )


def test_schema_is_a_valid_schema():
    jsonschema.Draft202012Validator.check_schema(schema())


def test_full_and_bare_reports_fit_the_schema(full, report_of):
    for report in (full, report_of({})):
        data = json.loads(report.to_json())
        jsonschema.validate(data, schema())
        assert data["coverage"]["nodes"] == report.coverage


def test_schema_refuses_what_the_report_never_says(full):
    data = json.loads(full.to_json())
    data["shares"][0]["nodes"] = -1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, schema())


def test_json_holds_what_the_text_shortens(full):
    data = json.loads(full.to_json())
    assert {f["rule"]: f["nodes"] for f in data["fallbacks"]} == {
        "op_support.yaml:640": ["soft"],
        "op_support.yaml:700": ["last"],
    }
    assert data["clusters"] == {"all": 5, "delegated": 3, "islands": 2, "lower_bound": 5}
    told = {"node": "b", "engine": "openvino", "stage": "run", "words": "words", "device": "CPU", "scope": []}
    assert data["demotions"] == [told]
    assert data["runs"]["replans"] == 3
    assert data["runs"]["measured"] == {
        "plan_us": 20.0,
        "onnxruntime_us": 15.0,
        "delegated_us": None,
        "kept": "onnxruntime",
        "plan_kept": False,
        "known_before": False,
    }


def test_option_values_without_a_json_form_are_written_as_text(full):
    values = {o["name"]: o["value"] for o in json.loads(full.to_json())["options"]}
    assert values["table"] == ["own.yaml"]
    assert values["config"] == {"NUM_STREAMS": 2}


def test_same_report_same_text(report_of):
    assert report_of().to_json() == report_of().to_json()
