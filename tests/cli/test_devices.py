"""``ovpart devices`` lists what the engine offers, and nothing else."""

from __future__ import annotations

import json

import pytest


def test_devices_are_those_of_openvino(ovpart_cli):
    openvino = pytest.importorskip("openvino", reason="the package openvino is not installed")
    there = openvino.Core().available_devices
    done = ovpart_cli("devices")
    assert done.code == 0
    assert [row.split()[0] for row in done.out.splitlines()] == there


def test_json_has_names_and_descriptions(ovpart_cli):
    pytest.importorskip("openvino", reason="the package openvino is not installed")
    rows = json.loads(ovpart_cli("devices", "--json").out)
    assert "CPU" in [row["name"] for row in rows]
    assert all(row["description"] for row in rows)
