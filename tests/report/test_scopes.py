"""Bodies with plans of their own in report, graph and explanation."""

from __future__ import annotations

import json

import jsonschema
import numpy as np
import pytest

import ovpart
from ovpart.report.explained import explained
from ovpart.report.json import as_data, schema
from ovpart.report.text import WIDTH
from tests.placement.control_flow_models import BRANCHES, LOOP, LOOP_IN_BRANCH, model, x


@pytest.fixture
def report():
    with ovpart.Session(model(LOOP_IN_BRANCH), min_gain=0) as session:
        for c in (True, True, False):
            session.run(None, {"x": x(2, 4), "m": np.array(4), "c": np.array(c)})
        yield session.report


def test_scopes_are_a_tree_with_what_ran_in_each(report):
    other, taken = report.scopes
    assert [(s.op_type, s.key, s.name, s.runs) for s in (other, taken)] == [
        ("If", "y", "else_branch", 1),
        ("If", "y", "then_branch", 2),
    ]
    (body,) = taken.scopes
    assert (body.op_type, body.name, body.runs) == ("Loop", "body", 8)
    assert sum(inner.runs for inner in body.scopes) == 8
    assert report.executed_flops is not None
    assert 0.5 < report.executed_flops <= 1


def test_text_shows_the_tree(report):
    text = str(report)
    assert max(map(len, text.splitlines())) <= WIDTH
    rows = [row.strip().split("  ")[0] for row in text.splitlines()]
    assert rows.index("If y") < rows.index("then_branch") < rows.index("Loop p") < rows.index("body")
    assert "8 runs" in text
    assert "with plans for its bodies" in report.line()


def test_json_fits_its_schema(report):
    data = json.loads(report.to_json())
    jsonschema.validate(data, schema())
    assert data["scopes"][1]["scopes"][0]["runs"] == 8
    assert data["scopes"][1]["why"]


def test_demotions_in_a_body_are_told_with_it():
    proto = model(BRANCHES.replace("h = Exp(a)", "h = Cast <to = 8> (a)").replace("Neg(h)", "Cast <to = 1> (h)"))
    with ovpart.Session(proto, control_flow="nested", pin="Cast", lazy=False) as session:
        data = as_data(session.report)
    (branch,) = [scope for scope in data["scopes"] if scope["body"] == "else_branch"]
    assert {demotion["engine"] for demotion in branch["demotions"]} == {"openvino"}


def test_without_plans_for_bodies_nothing_is_said_of_them():
    with ovpart.Session(model(BRANCHES), control_flow="whole") as session:
        session.run(None, {"x": x(3, 4), "c": np.array(True)})
        assert session.report.scopes == ()
        assert session.report.executed_flops is None
        assert "bodies" not in str(session.report)


def test_operations_of_the_dearer_branch_count_for_the_main_scope():
    plan = ovpart.plan(model(BRANCHES), min_gain=0)
    assert plan.coverage_flops == 1
    assert ovpart.plan(model(BRANCHES), min_gain=0, control_flow="whole").coverage_flops < 1
    half = ovpart.plan(model(BRANCHES), min_gain=0, exclude=("Mul", "Exp"))
    assert 0 < half.coverage_flops < 1


def test_graph_has_the_graphs_of_bodies():
    graph = ovpart.plan(model(LOOP), min_gain=0).to_networkx()
    (body,) = [data["bodies"]["body"] for _, data in graph.nodes(data=True) if "bodies" in data]
    assert body.nodes["w"]["op_type"] == "Add"
    assert body.has_edge("w", "t")


def test_a_node_of_a_body_is_explained_with_its_place():
    explanation = ovpart.plan(model(LOOP_IN_BRANCH), min_gain=0).explain("total")
    assert explanation.path == ("y", "then_branch", "p", "body")
    assert "in: then_branch of y, body of p" in explained(explanation)
