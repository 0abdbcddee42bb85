"""``ovpart verify``: its verdict as text, as JSON and as exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper


def test_a_right_model_ends_with_0_and_says_that_inputs_were_made_up(ovpart_cli, split_model):
    done = ovpart_cli("verify", split_model, "--min-gain", "0")
    assert done.code == 0, done.err
    assert "made up: all, seed 0" in done.out
    assert "openvino" in done.out


def test_given_inputs_are_said_to_be_given(ovpart_cli, split_model, tmp_path):
    np.save(tmp_path / "x.npy", np.eye(4, dtype=np.float32))
    done = ovpart_cli("verify", split_model, "--min-gain", "0", "--input", f"x={tmp_path / 'x.npy'}", "--json")
    assert done.code == 0, done.err
    data = json.loads(done.out)
    assert data["right"]
    assert data["inputs"] == {"origin": "given", "feeds": 1, "repeats": 2}
    assert {value["name"] for value in data["outputs"]} == {"scores", "label"}


@pytest.fixture
def wrapping_model(tmp_path: Path) -> Path:
    """Return a model whose u8 Add wraps around in ONNX, and saturates on openvino; the table keeps it away from there.

    x (N,) u8 -> Add(255) -> s -> Identity -> y
    """
    constant = numpy_helper.from_array(np.uint8([255]), "c")
    ends = [helper.make_tensor_value_info(name, TensorProto.UINT8, ["N"]) for name in "xy"]
    nodes = [
        helper.make_node("Add", ["x", "c"], ["s"], name="wraps"),
        helper.make_node("Identity", ["s"], ["y"], name="hands on"),
    ]
    graph = helper.make_graph(nodes, "wrapping", ends[:1], ends[1:], [constant])
    path = tmp_path / "wrapping.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def test_a_wrong_answer_of_the_real_engine_ends_with_1(ovpart_cli, wrapping_model):
    assert ovpart_cli("verify", wrapping_model, "--min-gain", "0", "--shape", "x=32").code == 0
    done = ovpart_cli("verify", wrapping_model, "--min-gain", "0", "--shape", "x=32", "--pin", "Add")
    assert done.code == 1, done.err
    assert "WRONG" in done.out


@pytest.fixture
def lying_table(tmp_path: Path) -> Path:
    """Return an overlay that says of u8 Add what is not so."""
    path = tmp_path / "lies.yaml"
    rows = "    - {types: {all: [u8]}, state: supported, source: user}\n"
    path.write_text(f"schema: 1\nops:\n  Add:\n    CPU:\n{rows}", encoding="utf-8")
    return path


def test_a_quarantined_node_makes_the_next_session_right(ovpart_cli, wrapping_model, lying_table, tmp_path):
    rules = tmp_path / "rules" / "mine.yaml"
    asked = [
        "verify",
        wrapping_model,
        "--min-gain",
        "0",
        "--shape",
        "x=32",
        "--evidence",
        "off",
        "--table",
        lying_table,
    ]
    done = ovpart_cli(*asked, "--quarantine", "--quarantine-file", rules)
    assert done.code == 1, done.err
    assert "Add 'wraps'" in done.out
    assert "quarantined: Add" in done.err
    assert f"right with --table {rules}" in done.err
    again = ovpart_cli(*asked, "--table", rules)
    assert again.code == 0, again.out
    plan = ovpart_cli("plan", wrapping_model, "--min-gain", "0", "--table", lying_table, "--table", rules)
    assert "wrong here: max error 255 steps" in " ".join(plan.out.split())
    assert f"{rules}:" in plan.out


def test_bisect_writes_a_model_that_shows_what_is_wrong(ovpart_cli, wrapping_model, lying_table, tmp_path):
    asked = [wrapping_model, "--min-gain", "0", "--shape", "x=32", "--evidence", "off", "--table", lying_table]
    out = tmp_path / "repro.onnx"
    done = ovpart_cli("bisect", *asked, "--out", out)
    assert done.code == 1, done.err
    assert done.out.startswith("Add 'wraps'")
    assert [node.op_type for node in onnx.load(out).graph.node] == ["Add"]
    data = np.load(tmp_path / "repro.npz")
    assert sorted(data.files) == ["expected_0", "got_0", "input_0"]
    assert np.array_equal(data["expected_0"], data["input_0"] + np.uint8(255))
    assert not np.array_equal(data["expected_0"], data["got_0"])
    ran = subprocess.run(
        [sys.executable, tmp_path / "repro.py"], capture_output=True, text=True, check=True, timeout=120
    )
    assert "max error 255.0" in ran.stdout
    as_json = json.loads(ovpart_cli("bisect", *asked, "--json").out)
    assert (as_json["right"], as_json["culprits"][0]["op"]) == (False, "Add")


def test_bisect_of_a_right_model_says_so(ovpart_cli, wrapping_model):
    done = ovpart_cli("bisect", wrapping_model, "--min-gain", "0")
    assert (done.code, done.out) == (0, "every cluster is right\n")


def test_a_misspelt_input_is_a_usage_error(ovpart_cli, split_model):
    done = ovpart_cli("verify", split_model, "--shape", "y=2,4")
    assert (done.code, done.out) == (2, "")
    assert "'y' is no input" in done.err
