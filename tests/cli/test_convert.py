from __future__ import annotations

import json

import onnx
import pytest

from ovpart.cli.exits import Exit
from ovpart.cli.main import main
from tests.placement.files.test_contexts import partitioned
from tests.placement.test_static_forms import dynamic_model


def test_convert_writes_ir(tmp_path, capsys):
    onnx.save(dynamic_model(), tmp_path / "model.onnx")
    assert main(["convert", str(tmp_path / "model.onnx"), "--fp16"]) == Exit.DONE
    assert "model.xml" in capsys.readouterr().out
    assert (tmp_path / "model.bin").exists()


@pytest.mark.parametrize(("flag", "made"), [("--clusters", 4), ("--annotated", 1)])
def test_convert_writes_clusters_or_an_annotated_model(tmp_path, capsys, flag, made):
    onnx.save(partitioned(), tmp_path / "model.onnx")
    target = str(tmp_path / "out")
    assert main(["convert", str(tmp_path / "model.onnx"), flag, "-o", target, "--min-gain", "0", "--json"]) == Exit.DONE
    assert len(json.loads(capsys.readouterr().out)["files"]) == made


def test_flags_that_exclude_each_other_are_refused(tmp_path, capsys):
    onnx.save(dynamic_model(), tmp_path / "model.onnx")
    assert main(["convert", str(tmp_path / "model.onnx"), "--clusters", "--annotated"]) == Exit.USAGE
    assert main(["convert", str(tmp_path / "model.onnx"), "--fp16", "--annotated"]) == Exit.USAGE
    assert "--annotated" in capsys.readouterr().err
