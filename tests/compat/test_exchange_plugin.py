"""Compiled models go to onnxruntime's OpenVINO provider in its form as a plugin, and come from it, on a CPU.

onnxruntime-ep-openvino 1.8.1 brings openvino 2026.4.1, with the reader that blobs of CPUs need. It offers itself for
processors of Intel only, though its openvino computes on any: where the processor is another maker's, the programs here
answer its one question for the maker with Intel's number. All else is as it was installed.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.compat.peers import OURS, call, close, environment, ovpart_with
from tests.placement.files.test_contexts import partitioned

pytestmark = pytest.mark.long

THEIRS = """
import ctypes, json, sys
import numpy as np
import onnxruntime as ort, onnxruntime_ep_openvino as plugin

INTEL = 0x8086
HARDWARE_DEVICE_VENDOR_ID = 308  # place of that function in struct OrtApi, in onnxruntime_c_api.h

def offered():
    return [d for d in ort.get_ep_devices() if d.ep_name == "OpenVINOExecutionProvider" and "CPU" in str(d.device.type)]

path = plugin.get_library_path()
ort.register_execution_provider_library("openvino", path)
if not offered():
    library = ctypes.CDLL(path)
    api = ctypes.c_void_p.in_dll(library, "_ZZN3Ort6detail6Global3ApiEPK6OrtApiE3api").value
    slot = api + HARDWARE_DEVICE_VENDOR_ID * ctypes.sizeof(ctypes.c_void_p)
    kind = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)
    before = kind(ctypes.c_void_p.from_address(slot).value)
    makers = {d.device.vendor_id for d in ort.get_ep_devices()}
    @kind
    def maker(device):
        assert before(device) in makers, "another function of onnxruntime stands here"
        return INTEL
    page = ctypes.c_void_p(slot & ~4095)
    assert ctypes.CDLL(None).mprotect(page, 4096, 3) == 0
    ctypes.c_void_p.from_address(slot).value = ctypes.cast(maker, ctypes.c_void_p).value
    ort.unregister_execution_provider_library("openvino")
    ort.register_execution_provider_library("openvino", path)

x = np.linspace(-1, 2, 8, dtype=np.float32).reshape(2, 4)
what, source, target, embed = sys.argv[1:]
options = ort.SessionOptions()
options.log_severity_level = 3
options.add_provider_for_devices(offered(), {})
if what == "write":
    for name, value in (("enable", "1"), ("embed_mode", embed), ("file_path", target)):
        options.add_session_config_entry("ep.context_" + name, value)
try:
    session = ort.InferenceSession(source, options)
    print(json.dumps({"y": session.run(["y"], {"x": x})[0].tolist(), "providers": session.get_providers()}))
except Exception as error:
    print(json.dumps({"error": str(error)}))
"""


@pytest.fixture(scope="module")
def theirs():
    return environment("plugin-1.8.1", "onnxruntime==1.31.1", "onnxruntime-ep-openvino==1.8.1", "numpy")


@pytest.fixture(scope="module")
def ours():
    return ovpart_with("2026.4.1")


@pytest.mark.parametrize("embed", ["0", "1"])
def test_a_file_of_the_plugin_is_loaded_here_without_a_compile(theirs, ours, tmp_path, embed):
    source, target = str(tmp_path / "model.onnx"), str(tmp_path / "ctx.onnx")
    onnx.save(partitioned(), source)
    expected = call(theirs, THEIRS, "write", source, target, embed)
    assert "OpenVINOExecutionProvider" in str(expected["providers"])
    found = call(ours, OURS, "read", target, "", "")
    assert close(found["y"], expected["y"])
    assert found["compiles"]["openvino"]["compiled"] == 0
    assert found["compiles"]["openvino"]["loaded"] >= 1


@pytest.mark.parametrize("embed", ["0", "1"])
def test_a_file_of_ours_is_loaded_and_run_by_the_plugin(theirs, ours, tmp_path, embed):
    source, target = str(tmp_path / "model.onnx"), str(tmp_path / "ours.onnx")
    onnx.save(partitioned(), source)
    expected = call(ours, OURS, "write", source, target, embed)
    found = call(theirs, THEIRS, "read", target, "", "")
    assert close(found["y"], expected["y"])


TOGETHER = """
import json, sys
import numpy as np
import ovpart
x = np.linspace(-1, 2, 8, dtype=np.float32).reshape(2, 4)
found = []
for source, target in zip(sys.argv[1::2], sys.argv[2::2]):
    found.append(ovpart.Session(source, min_gain=0, share_ep_contexts=True))
    found[-1].save_context(target, embed=False)
print(json.dumps({"y": [session.run(["y"], {"x": x})[0].tolist() for session in found]}))
"""


def test_models_of_sessions_that_share_one_file_of_blobs_run_in_the_plugin(theirs, ours, tmp_path):
    paths = []
    for number in (1, 2):
        proto = partitioned()
        for tensor in proto.graph.initializer:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(number), tensor.name))
        onnx.save(proto, tmp_path / f"model{number}.onnx")
        paths += [str(tmp_path / f"model{number}.onnx"), str(tmp_path / f"ctx{number}.onnx")]
    expected = call(ours, TOGETHER, *paths)
    assert [path.name for path in tmp_path.glob("*.bin")] == ["ctx1_OpenVINOExecutionProvider.bin"]
    for path, wanted in zip(paths[1::2], expected["y"], strict=True):
        assert close(call(theirs, THEIRS, "read", path, "", "")["y"], wanted)


def test_the_plugin_runs_the_blob_and_nothing_in_its_place(theirs, ours, tmp_path):
    """So that the test above cannot pass by another way: a blob that is cut off is an error there."""
    source, target = str(tmp_path / "model.onnx"), tmp_path / "ours.onnx"
    onnx.save(partitioned(), source)
    call(ours, OURS, "write", source, str(target), "0")
    container = tmp_path / "ours_OpenVINOExecutionProvider.bin"
    data = bytearray(container.read_bytes())
    data[64 * 1024 : 64 * 1024 + 4096] = bytes(4096)
    container.write_bytes(data)
    assert "error" in call(theirs, THEIRS, "read", str(target), "", "")
