"""Compiled models go to onnxruntime's OpenVINO provider and come from it, where both have the same openvino.

This is the provider that is built into onnxruntime: onnxruntime-openvino 1.24.1, which brings openvino 2025.4.1; the
other side is ovpart with openvino 2025.4.1. ``test_exchange_plugin.py`` has the provider in its newer form.
"""

from __future__ import annotations

import onnx
import pytest

from ovpart.backend.context import unpack
from tests.compat.peers import OURS, call, close, environment, ovpart_with
from tests.placement.files.test_contexts import partitioned

pytestmark = pytest.mark.long

THEIRS = """
import json, sys
import numpy as np
import onnxruntime as ort
x = np.linspace(-1, 2, 8, dtype=np.float32).reshape(2, 4)
what, source, target, embed = sys.argv[1:]
options = ort.SessionOptions()
if what == "write":
    for name, value in (("enable", "1"), ("embed_mode", embed), ("file_path", target)):
        options.add_session_config_entry("ep.context_" + name, value)
try:
    session = ort.InferenceSession(source, options, providers=["OpenVINOExecutionProvider"])
    print(json.dumps({"y": session.run(["y"], {"x": x})[0].tolist()}))
except Exception as error:
    print(json.dumps({"error": str(error)}))
"""


@pytest.fixture(scope="module")
def theirs():
    return environment("provider-1.24.1", "onnxruntime-openvino==1.24.1", "numpy")


@pytest.fixture(scope="module")
def ours():
    return ovpart_with("2025.4.1")


@pytest.mark.parametrize("embed", ["0", "1"])
def test_a_file_of_the_provider_is_loaded_here_without_a_compile(theirs, ours, tmp_path, embed):
    source, target = str(tmp_path / "model.onnx"), str(tmp_path / "ctx.onnx")
    onnx.save(partitioned(), source)
    expected = call(theirs, THEIRS, "write", source, target, embed)
    found = call(ours, OURS, "read", target, "", "")
    assert close(found["y"], expected["y"])
    assert found["compiles"]["openvino"]["compiled"] == 0
    assert found["compiles"]["openvino"]["loaded"] >= 1


@pytest.mark.parametrize("embed", ["0", "1"])
def test_a_file_of_ours_is_loaded_by_the_provider_as_one_of_its_own(theirs, ours, tmp_path, embed):
    source = str(tmp_path / "model.onnx")
    onnx.save(partitioned(), source)
    expected = call(ours, OURS, "write", source, str(tmp_path / "ours.onnx"), embed)
    assert "error" not in call(theirs, THEIRS, "write", source, str(tmp_path / "theirs.onnx"), embed)
    of_its_own = call(theirs, THEIRS, "read", str(tmp_path / "theirs.onnx"), "", "")
    of_ours = call(theirs, THEIRS, "read", str(tmp_path / "ours.onnx"), "", "")
    if "error" in of_its_own:
        # This wheel has no reader of IR, which blobs of CPUs are: the blob is found and handed to openvino, no further.
        assert of_ours == of_its_own
        assert "Unhandled exception type: 1" in str(of_ours["error"])
    else:
        assert close(of_ours["y"], expected["y"])


def test_the_provider_refuses_a_container_without_the_blob_in_other_words(theirs, ours, tmp_path):
    """So that the test above tells a blob that is found from one that is not."""
    source, target = str(tmp_path / "model.onnx"), str(tmp_path / "ours.onnx")
    onnx.save(partitioned(), source)
    call(ours, OURS, "write", source, target, "1")
    proto = onnx.load(target)
    for attribute in proto.graph.node[0].attribute:
        if attribute.name == "partition_name":
            attribute.s = b"another name"
    onnx.save(proto, target)
    assert "Unhandled exception type: 1" not in str(call(theirs, THEIRS, "read", target, "", "")["error"])


ITS_OPENVINO = """
import ctypes, json, sys
from pathlib import Path
import onnxruntime
folder = Path(onnxruntime.__file__).parent / "capi"
openvino = ctypes.CDLL(str(next(folder.glob("libopenvino_c.so.*"))))
openvino.ov_get_last_err_msg.restype = ctypes.c_char_p
openvino.ov_core_import_model.argtypes = [
    ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p]
core, compiled = ctypes.c_void_p(), ctypes.c_void_p()
openvino.ov_core_create(ctypes.byref(core))
blob = Path(sys.argv[1]).read_bytes()
status = openvino.ov_core_import_model(core, blob, len(blob), b"CPU", ctypes.byref(compiled))
words = (openvino.ov_get_last_err_msg() or b"").decode()
print(json.dumps({"status": status, "words": words, "readers": [p.name for p in folder.glob("*frontend*.so*")]}))
"""


def test_openvino_inside_of_the_provider_reads_no_blob_for_a_cpu_its_own_either(theirs, tmp_path):
    """The provider passes on ``Unhandled exception type: 1``; this is what its openvino says, asked without it."""
    source, target = str(tmp_path / "model.onnx"), tmp_path / "ctx.onnx"
    onnx.save(partitioned(), source)
    call(theirs, THEIRS, "write", source, str(target), "0")
    packed = unpack((tmp_path / "ctx_OpenVINOExecutionProvider.bin").read_bytes())
    assert packed
    (tmp_path / "blob").write_bytes(next(iter(packed.values())))
    told = call(theirs, ITS_OPENVINO, str(tmp_path / "blob"))
    assert told["status"] != 0
    assert "Unable to read the model" in str(told["words"])
    assert all("onnx" in name for name in told["readers"])
