"""``ovpart run``: inputs from files and at random, outputs into files, text and JSON."""

from __future__ import annotations

import json

import jsonschema
import numpy as np

from ovpart.report.json import schema


def test_a_run_with_an_array_shows_report_and_outputs(ovpart_cli, split_model, tmp_path):
    np.save(tmp_path / "x.npy", np.eye(4, dtype=np.float32))
    done = ovpart_cli("run", split_model, "--min-gain", "0", "--input", f"x={tmp_path / 'x.npy'}")
    assert done.code == 0, done.err
    assert done.out.startswith("animals.onnx   3 nodes")
    assert "scores: float32  [4, 3]" in done.out
    assert "min 0" in done.out
    assert "max 11" in done.out


def test_json_stands_alone_with_the_report_in_it(ovpart_cli, split_model):
    done = ovpart_cli("run", split_model, "--random", "--shape", "x=2,4", "--json")
    data = json.loads(done.out)
    jsonschema.validate(data["report"], schema())
    assert {o["name"]: o["shape"] for o in data["outputs"]} == {"scores": [2, 3], "label": [2]}


def test_outputs_are_written_and_read_back(ovpart_cli, split_model, tmp_path):
    np.save(tmp_path / "x.npy", np.eye(4, dtype=np.float32))
    folder = tmp_path / "out"
    done = ovpart_cli("run", split_model, "--input", f"x={tmp_path / 'x.npy'}", "--output", folder)
    assert done.code == 0, done.err
    assert np.array_equal(np.load(folder / "scores.npy"), np.arange(12, dtype=np.float32).reshape(4, 3))
    assert np.load(folder / "label.npy").tolist() == ["owl"] * 4


def test_random_inputs_are_the_same_each_time(ovpart_cli, split_model, tmp_path):
    for name in ("one", "two"):
        assert ovpart_cli("run", split_model, "--random", "--output", tmp_path / name).code == 0
    assert np.array_equal(np.load(tmp_path / "one" / "scores.npy"), np.load(tmp_path / "two" / "scores.npy"))


def test_what_has_no_effect_or_is_missing_is_a_usage_error(ovpart_cli, split_model, tmp_path):
    (tmp_path / "no.npy").write_text("no array")
    cases = {
        ("--shape", "x=2,4"): "--shape has no effect without --random",
        ("--random", "--shape", "y=2,4"): "'y' is no input",
        ("--random", "--shape", "x=two"): "is no shape",
        ("--input", f"x={tmp_path / 'none.npy'}"): "none.npy",
        ("--input", f"x={tmp_path / 'no.npy'}"): "no.npy",
        ("--input", "x"): "NAME=VALUE",
        (): "x",
    }
    for arguments, words in cases.items():
        done = ovpart_cli("run", split_model, *arguments)
        assert (done.code, done.out) == (2, ""), (arguments, done)
        assert words in done.err


def test_an_absent_device_ends_with_four_and_says_what_is_there(ovpart_cli, split_model):
    done = ovpart_cli("run", split_model, "--random", "--device", "NPU.7")
    assert (done.code, done.out) == (4, "")
    assert "CPU" in done.err


def test_an_absent_device_can_be_emulated(ovpart_cli, split_model):
    done = ovpart_cli("run", split_model, "--random", "--device", "GPU", "--emulate", "--min-gain", "0")
    assert done.code == 0, done.err
    assert "emulated: planned for GPU, its clusters run on CPU" in done.out
