"""``ovpart verify``: its verdict as text, as JSON and as exit code."""

from __future__ import annotations

import json

import numpy as np


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


def test_a_bound_that_nothing_can_meet_ends_with_1(ovpart_cli, split_model):
    done = ovpart_cli(
        "verify", split_model, "--min-gain", "0", "--tolerance", "0", "--repeats", "1", "--shape", "x=64,4"
    )
    assert done.code in (0, 1)  # exact where the engine adds in onnxruntime's order
    assert ("WRONG" in done.out) == (done.code == 1)


def test_a_misspelt_input_is_a_usage_error(ovpart_cli, split_model):
    done = ovpart_cli("verify", split_model, "--shape", "y=2,4")
    assert (done.code, done.out) == (2, "")
    assert "'y' is no input" in done.err
