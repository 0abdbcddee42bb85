"""``ovpart profile``: as text, as JSON, as a page."""

from __future__ import annotations

import json

import html5lib


def test_clusters_and_nodes_are_told(ovpart_cli, split_model):
    done = ovpart_cli("profile", split_model, "--min-gain", "0", "--runs", "2")
    assert done.code == 0, done.err
    assert "profiled over 2 runs" in done.out
    assert "openvino CPU" in done.out
    assert "LabelEncoder" in done.out
    assert "could be mapped to nodes" in " ".join(done.out.split())
    assert "inputs made up: all, seed 0" in done.out


def test_json_stands_alone_and_the_page_has_the_times(ovpart_cli, split_model, tmp_path):
    page = tmp_path / "page.html"
    done = ovpart_cli("profile", split_model, "--min-gain", "0", "--runs", "2", "--json", "--out", page)
    assert done.code == 0, done.err
    data = json.loads(done.out)
    assert data["runs"] == 2
    assert {node["op"] for node in data["nodes"]} >= {"MatMul", "ai.onnx.ml.LabelEncoder"}
    text = page.read_text(encoding="utf-8")
    html5lib.HTMLParser(strict=True).parse(text)
    assert "Where the time goes" in text
    assert "could be mapped to nodes" in text


def test_a_page_must_be_called_one(ovpart_cli, split_model, tmp_path):
    assert ovpart_cli("profile", split_model, "--out", tmp_path / "page.txt").code == 2
