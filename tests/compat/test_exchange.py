"""Compiled models go to onnxruntime's OpenVINO provider and come from it, where both have the same openvino.

Two environments are made once, in the folder that OVPART_PEERS names (by default in the user's cache): one with
onnxruntime-openvino 1.24.1, which brings openvino 2025.4.1, one with ovpart and openvino 2025.4.1.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from tests.placement.files.test_contexts import partitioned

ROOT = Path(__file__).resolve().parents[2]
PEERS = Path(os.environ.get("OVPART_PEERS", Path.home() / ".cache" / "ovpart-peers"))

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
OURS = """
import json, sys
import numpy as np
import ovpart
x = np.linspace(-1, 2, 8, dtype=np.float32).reshape(2, 4)
what, source, target, embed = sys.argv[1:]
session = ovpart.Session(source, **({"min_gain": 0} if what == "write" else {}))
if what == "write":
    session.save_context(target, embed=embed == "1")
print(json.dumps({"y": session.run(["y"], {"x": x})[0].tolist(), "compiles": session.report.compiles}))
"""


def environment(name: str, *packages: str) -> Path:
    """Return the python of an environment, made if it is not there yet."""
    python = PEERS / name / "bin" / "python"
    if not (PEERS / name / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", PEERS / name], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        (PEERS / name / "complete").touch()
    return python


@pytest.fixture(scope="module")
def theirs():
    return environment("provider-1.24.1", "onnxruntime-openvino==1.24.1", "numpy")


@pytest.fixture(scope="module")
def ours():
    return environment("ovpart-2025.4.1", "openvino==2025.4.1", str(ROOT))


def call(python: Path, program: str, *arguments: str) -> dict[str, object]:
    # The code under test, not the copy that the environment was made with: that one gives the entry points only.
    done = subprocess.run(
        [python, "-c", program, *arguments],
        capture_output=True, text=True, timeout=300, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def close(one: object, other: object) -> bool:
    import numpy as np

    return bool(np.allclose(one, other, rtol=1e-5))


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
