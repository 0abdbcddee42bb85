from __future__ import annotations

import json

import onnx

import ovpart
from ovpart.cli.exits import Exit
from ovpart.cli.main import main
from tests.placement.files.test_contexts import partitioned


def test_compile_writes_a_model_that_loads_without_a_compile(tmp_path, capsys):
    path = tmp_path / "model.onnx"
    onnx.save(partitioned(), path)
    assert main(["compile", str(path), "--min-gain", "0", "--json"]) == Exit.DONE
    told = json.loads(capsys.readouterr().out)
    written = tmp_path / "model_ctx.onnx"
    assert told == {"clusters": 2, "files": {str(written): written.stat().st_size}}
    assert ovpart.Session(written).report.compiles["openvino"]["compiled"] == 0


def test_compile_keeps_blobs_beside_the_model(tmp_path, capsys):
    path = tmp_path / "model.onnx"
    onnx.save(partitioned(), path)
    out = tmp_path / "out.onnx"
    assert main(["compile", str(path), "-o", str(out), "--beside", "--min-gain", "0"]) == Exit.DONE
    text = capsys.readouterr().out
    assert "out_OpenVINOExecutionProvider.bin" in text
    assert "2 compiled clusters" in text
    assert (tmp_path / "out_OpenVINOExecutionProvider.bin").exists()
