"""The names of the face of onnxruntime, and the face in onnxruntime's place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

import ovpart
import ovpart.compat.onnxruntime as ort

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = {
    "IOBinding", "InferenceSession", "LoraAdapter", "ModelMetadata", "NodeArg", "RunOptions", "SessionOptions",
    "get_available_openvino_device_ids", "get_available_providers", "get_device", "get_openvino_device",
    "set_openvino_device",
}  # fmt: skip


def test_names_of_ours_are_pinned():
    assert set(ort.__all__) == OURS
    assert all(getattr(ort, name).__module__.startswith("ovpart.") for name in OURS)


def test_every_other_public_name_is_onnxruntimes():
    names = [name for name in dir(onnxruntime) if not name.startswith("_")]
    assert set(names) <= set(dir(ort))
    for name in set(names) - OURS:
        assert getattr(ort, name) is getattr(onnxruntime, name), name
    assert ort.__version__ == onnxruntime.__version__


def test_a_name_that_neither_has_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'onnxruntime' has no attribute 'InferenceSesion'"):
        _ = ort.InferenceSesion


def test_the_class_is_the_one_of_the_package():
    assert ort.InferenceSession is ovpart.InferenceSession
    session = onnxruntime.InferenceSession
    missing = [name for name in dir(session) if not name.startswith("_") and not hasattr(ort.InferenceSession, name)]
    assert missing == []


def test_device_names_of_the_openvino_provider_are_there():
    assert "CPU" in ort.get_available_openvino_device_ids()
    with pytest.warns(ovpart.OvpartWarning, match="set_openvino_device"):
        ort.set_openvino_device("CPU")
    try:
        assert ort.get_openvino_device() == "CPU"
    finally:
        with pytest.warns(ovpart.OvpartWarning):
            ort.set_openvino_device("")


def test_in_the_place_of_onnxruntime_both_are_found_where_they_are_meant():
    program = """
import sys
import ovpart.compat.onnxruntime as ours
sys.modules["onnxruntime"] = ours
import onnxruntime
import onnxruntime.capi.onnxruntime_pybind11_state as binding
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument
from onnxruntime.quantization import QuantType
from onnxruntime import InferenceSession, SessionOptions
from tests.compat.small_models import X, mul
from ovpart.backend.onnxruntime import import_onnxruntime
assert onnxruntime is ours and InferenceSession is ours.InferenceSession
assert import_onnxruntime().InferenceSession is not ours.InferenceSession
for providers in (None, ["CPUExecutionProvider"]):
    session = InferenceSession(mul().SerializeToString(), SessionOptions(), providers=providers)
    print(session.run(None, {"X": X})[0].sum())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["91.0", "91.0"]
