"""The page: well-formed, complete, self-contained, and safe whatever a model calls its nodes."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from pathlib import Path

import html5lib
import pytest
from onnx import TensorProto, helper

import ovpart
from ovpart.capability.demotion import Demotion
from ovpart.errors import OptionError
from ovpart.model.read import read_model
from ovpart.options import resolve
from ovpart.placement.contest.race import Outcome
from ovpart.placement.profiling.facts import ClusterFact, NodeFact, Profiled
from ovpart.report.facts import RunFacts
from ovpart.report.html import page as page_module
from ovpart.report.html import rows as rows_module
from ovpart.report.model import make_report
from tests.placement.control_flow_models import LOOP_IN_BRANCH
from tests.placement.control_flow_models import model as control_flow_model
from tests.report.conftest import REFUSED, no, plan_of

NASTY = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "<!-- &amp; --> \"'>",
    "{{ 7*7 }}{% raw %}",
    "a\x00b\u202ec\x1b[31m",
    "]]></style>",
)


def parsed(page: str):
    """Parse a page as browsers do; raises at the first thing that is not well-formed."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)


def data_of(page: str) -> dict:
    (block,) = [e for e in parsed(page).iter("script") if e.get("type") == "application/json"]
    return json.loads(block.text)


def text_of(element) -> str:
    return " ".join("".join(element.itertext()).split())


@pytest.fixture
def full(report_of, guarded):
    return report_of(
        {**REFUSED, "MatMul": guarded},
        engines={"openvino": "2026.4.1"},
        demotions=[Demotion("b", "openvino", "run", "words of the engine", "CPU")],
        options=resolve({"min_gain": 0, "pin": ["Softmax"]}),
        planning_ms=3.5,
        emulated_on="CPU",
        runs=RunFacts(2, 1, True, 3, Outcome({"plan": 830.0, "onnxruntime": 1200.0})),
    )


def test_the_page_has_every_part(full):
    page = full.to_html()
    tree = parsed(page)
    text = text_of(tree)
    assert "model.onnx" in text or full.model in text
    for fallback in full.fallbacks:
        assert fallback.reason in text
        assert fallback.rule in text
        assert fallback.hint in text
    for share in full.shares:
        assert f"{share.label.engine} {share.label.device}" in text
    assert "words of the engine" in text
    assert "onnxruntime alone 1.2 ms: the plan is kept" in text
    blocks = text_of(next(e for e in tree.iter("section") if e.get("id") == "blocks"))
    for blocker in full.blockers:
        assert f"{blocker.clusters} → {blocker.clusters_if}" in blocks
    options = next(e for e in tree.iter("section") if e.get("id") == "options")
    told = [[text_of(cell) for cell in row] for row in options.iter("tr")][1:]
    assert [row[0] for row in told] == [option.name for option in full.options]
    assert ["min_gain", "0.0", "given"] in told
    assert any(row[2] == "default" for row in told)


def test_bare_reports_are_pages_too(report_of):
    page = report_of({}).to_html()
    assert "All of them are." in text_of(parsed(page))


def test_each_box_leads_to_its_cluster_and_each_cluster_lists_its_nodes(full):
    tree = parsed(full.to_html())
    lists = {e.get("id"): text_of(e) for e in tree.iter("details")}
    aims = [a.get("href") for svg in tree.iter() if str(svg.tag).endswith("svg") for a in svg.iter() if a.get("href")]
    assert [f"#{name}" for name in lists] == aims == [f"#cluster-{n}" for n in range(1, 6)]
    for number, cluster in enumerate(full.plan.clusters, 1):
        for index in cluster.nodes:
            assert full.plan.graph.nodes[index].label in lists[f"cluster-{number}"]
            assert full.plan.verdicts[index].rule in lists[f"cluster-{number}"]


def test_rows_tell_every_node_with_its_place_and_verdict(full):
    data = data_of(full.to_html())
    plan = full.plan
    assert [row[1] for row in data["rows"]] == [node.label for node in plan.graph.nodes]
    for row, verdict, place in zip(data["rows"], plan.verdicts, plan.places, strict=True):
        state, reason, rule, hint, _ = data["verdicts"][row[8]]
        assert (state, reason, rule, hint) == (verdict.state.value, verdict.reason, verdict.rule, verdict.hint)
        where = data["places"][row[6]]
        assert where == (place if place in ("constant", "dead") else where)
        assert row[7] == next((n for n, c in enumerate(plan.clusters, 1) if c.id == place), 0)
    soft = data["rows"][[row[1] for row in data["rows"]].index("soft")]
    assert data["ops"][soft[3]] == "Softmax"
    assert data["types"][soft[5]] == "f32[4,32]"
    assert soft[2] == "b"


def nasty_model(names=NASTY):
    nodes = [
        helper.make_node("Relu", [f"v{i}{n}" if i else "x"], [f"v{i + 1}{names[i + 1]}" if i + 1 < len(names) else "y"],
                         name=n)
        for i, n in enumerate(names)
    ]  # fmt: skip
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["<b>N</b>"]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "<script>alert(2)</script>", ends[:1], ends[1:])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return made.SerializeToString()


def test_text_of_a_model_is_never_markup():
    model = read_model(nasty_model())
    refused = no("<script>alert(3)</script>", "<b>rule</b>", "<i>hint</i>")
    plan = plan_of(model, {"Relu": refused})
    report = make_report(plan, model, demotions=[Demotion(NASTY[0], NASTY[1], "run", NASTY[2], "CPU")])
    page = report.to_html()
    tree = parsed(page)
    scripts = list(tree.iter("script"))
    assert [script.get("type") for script in scripts] == ["application/json", None]
    assert "alert" not in scripts[1].text
    assert not list(tree.iter("img"))
    assert not list(tree.iter("b"))
    assert not list(tree.iter("i"))
    shown = text_of(tree)
    assert "{{ 7*7 }}" in shown
    assert "49" not in shown.split()
    assert r"a\x00b\u202ec\x1b[31m" in shown
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\u202e]", page)
    assert [row[1] for row in data_of(page)["rows"]][:2] == list(NASTY[:2])


def test_the_page_asks_for_nothing_from_elsewhere_and_runs_its_own_script_alone(full):
    page = full.to_html()
    tree = parsed(page)
    for element in tree.iter():
        for attribute in ("src", "href", "action", "data", "srcset", "poster"):
            assert (element.get(attribute) or "#").startswith("#")
        assert not any(name.startswith("on") for name in element.attrib)
    assert "url(" not in page
    assert "@import" not in page
    (policy,) = [e.get("content") for e in tree.iter("meta") if e.get("http-equiv") == "Content-Security-Policy"]
    script = list(tree.iter("script"))[1].text
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_the_page_of_ten_thousand_nodes_is_small():
    names = tuple(f"model/encoder/layer_{i // 20}/attention/self/query/node_{i}" for i in range(10_000))
    model = read_model(nasty_model(names))
    verdicts = {"Relu": no("not measured", "op_support.yaml:1")}
    report = make_report(plan_of(model, verdicts), model)
    page = report.to_html()
    assert len(page.encode()) < 3_000_000
    assert len(data_of(page)["rows"]) == 10_000
    assert f"{10_000 - page_module.MOST_LISTED} more nodes." in page


def test_rows_beyond_the_limit_are_left_out_delegated_ones_first_and_it_is_said(report_of, monkeypatch):
    monkeypatch.setattr(rows_module, "MOST_ROWS", 5)
    page = report_of().to_html()
    data = data_of(page)
    assert data["left_out"] == 2
    assert {"soft", "last"} <= {row[1] for row in data["rows"]}
    assert [row[0] for row in data["rows"]] == sorted(row[0] for row in data["rows"])
    assert "2 delegated nodes have no row" in text_of(parsed(page))


def test_nodes_of_bodies_with_plans_of_their_own_have_rows():
    model = read_model(control_flow_model(LOOP_IN_BRANCH).SerializeToString())
    plan = ovpart.plan(model, min_gain=0)
    page = make_report(plan, model).to_html()
    data = data_of(page)
    assert "body of p in then_branch of y" in data["scopes"]
    inner = next(row for row in data["rows"] if row[1] == "total")
    assert data["scopes"][inner[9]] == "body of p in then_branch of y"
    assert "Bodies of control flow with plans of their own" in text_of(parsed(page))


def test_a_profile_puts_times_at_clusters_and_nodes(report_of):
    bare = report_of()
    device, island = (bare.plan.clusters[n] for n in (0, 1))
    profile = Profiled(
        "tiny.onnx",
        "CPU",
        5,
        200.0,
        250.0,
        (
            ClusterFact((), device.id, 1, device.label, 1, 1.0, 120.0, 110.0, 100.0),
            ClusterFact((), island.id, 2, island.label, 1, 1.0, 80.0, None, 0.0),
        ),
        (),
        (NodeFact((), "a", "first", "MatMul", device.id, "openvino", "CPU", 100.0),
         NodeFact((), "b", "soft", "Softmax", island.id, "onnxruntime", "CPU", None, "a")),
    )  # fmt: skip
    page = report_of(profile=profile).to_html()
    tree = parsed(page)
    times = text_of(next(e for e in tree.iter("section") if e.get("id") == "times"))
    assert "engines told 55.0% layer by layer, and 50.0% could be mapped to nodes" in times
    assert "120 µs" in times
    assert "not told" in times
    rows = {row[1]: row[10:] for row in data_of(page)["rows"]}
    assert rows["first"] == [100.0, ""]
    assert rows["soft"] == [None, "a"]
    assert rows["second"] == [None, ""]
    assert len(data_of(bare.to_html())["rows"][0]) == 10


def test_save_writes_what_the_name_says(full, tmp_path):
    full.save(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == full.to_html() + "\n"
    full.save(tmp_path / "report.HTM")
    assert (tmp_path / "report.HTM").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_without_jinja2_it_is_said_what_to_install(full, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(OptionError, match=re.escape("pip install 'ovpart[html]'")):
        full.to_html()


def test_script_and_template_hold_no_text_that_would_end_them():
    folder = Path(page_module.__file__).parent
    assert "</" not in (folder / "page.js").read_text(encoding="utf-8")
    assert "</" not in (folder / "page.css").read_text(encoding="utf-8")
    assert "innerHTML" not in (folder / "page.js").read_text(encoding="utf-8")
