"""The entries ep.context_* of a session's configuration."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import ovpart
from ovpart.compat import onnxruntime as ort
from tests.placement.files.test_contexts import X, partitioned

PROVIDERS = [("OpenVINOExecutionProvider", {"device_type": "CPU", "min_gain": "0"})]


def options(**entries):
    made = ort.SessionOptions()
    for name, value in entries.items():
        made.add_session_config_entry(f"ep.context_{name}", value)
    return made


@pytest.mark.parametrize("embed", ["0", "1"])
def test_a_session_writes_what_its_entries_ask_for(tmp_path, embed):
    onnx.save(partitioned(), tmp_path / "model.onnx")
    asked = options(enable="1", embed_mode=embed, file_path=str(tmp_path / "out.onnx"))
    session = ort.InferenceSession(str(tmp_path / "model.onnx"), asked, providers=PROVIDERS)
    expected = session.run(None, {"x": X})
    assert (tmp_path / "out_OpenVINOExecutionProvider.bin").exists() is (embed == "0")
    again = ort.InferenceSession(str(tmp_path / "out.onnx"))
    np.testing.assert_array_equal(again.run(None, {"x": X})[0], expected[0])
    assert again.report.compiles["openvino"] == {"compiled": 0, "cached": 0, "loaded": 2}


def test_without_a_name_the_file_is_called_after_the_model(tmp_path):
    onnx.save(partitioned(), tmp_path / "model.onnx")
    ort.InferenceSession(str(tmp_path / "model.onnx"), options(enable="1", embed_mode="1"), providers=PROVIDERS)
    assert (tmp_path / "model_ctx.onnx").exists()


def test_nothing_is_written_where_nothing_is_asked_for(tmp_path):
    onnx.save(partitioned(), tmp_path / "model.onnx")
    ort.InferenceSession(str(tmp_path / "model.onnx"), options(file_path=str(tmp_path / "out.onnx")))
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_entries_are_checked(tmp_path):
    with pytest.raises(ovpart.OptionError, match=r"ep\.context_enable' cannot be 'yes'"):
        ort.InferenceSession(partitioned().SerializeToString(), options(enable="yes"), enable_fallback=0)
    with pytest.raises(ovpart.OptionError, match="needs ep.context_file_path"):
        ort.InferenceSession(partitioned().SerializeToString(), options(enable="1"), enable_fallback=0)


def test_the_cpu_fallback_can_be_disabled_as_in_onnxruntime():
    made = ort.SessionOptions()
    made.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    with pytest.raises(ovpart.CompileError, match="root"):
        ort.InferenceSession(partitioned().SerializeToString(), made, enable_fallback=0)
