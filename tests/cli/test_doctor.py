"""``ovpart doctor``: findings, and its exit code where something is wrong."""

from __future__ import annotations

import json
from importlib import metadata

from ovpart.cli import doctor


def test_versions_devices_and_table_are_there(ovpart_cli):
    done = ovpart_cli("doctor")
    assert done.code == 0
    for name in ("numpy", "onnx", "onnxruntime", "networkx"):
        assert f"{name} " in done.out
        assert metadata.version(name) in done.out
    assert "op_support.yaml" in done.out
    assert "device CPU" in done.out


def test_json_is_a_list_of_findings(ovpart_cli):
    findings = json.loads(ovpart_cli("doctor", "--json").out)
    assert {finding["state"] for finding in findings} <= {"ok", "note", "wrong"}
    assert {"python", "ovpart", "table"} <= {finding["what"] for finding in findings}


def test_a_missing_package_is_wrong_and_ends_with_one(ovpart_cli, monkeypatch):
    monkeypatch.setattr(doctor, "NEEDED", (*doctor.NEEDED, "no-such-distribution"))
    done = ovpart_cli("doctor")
    assert done.code == 1
    assert "pip install no-such-distribution" in done.out


def test_another_release_than_the_measured_one_is_noted(ovpart_cli, monkeypatch):
    plain = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "2031.7.0" if name == "openvino" else plain(name))
    (finding,) = [f for f in json.loads(ovpart_cli("doctor", "--json").out) if f["what"] == "table, openvino"]
    assert finding["state"] == "note"
    assert "2031.7.0" in finding["found"]


def test_a_cache_folder_that_cannot_be_written_is_noted(ovpart_cli, monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    (finding,) = [f for f in json.loads(ovpart_cli("doctor", "--json").out) if f["what"] == "cache folder"]
    assert finding["state"] == "note"
