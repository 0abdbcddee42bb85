"""Without an engine everything that needs none works; what needs one says which package to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from onnx import TensorProto, helper, save

ENGINES = ("openvino", "onnxruntime")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], name="r")], "g", values[:1], values[1:])
    path = tmp_path / "m.onnx"
    save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)]), path)
    return path


def without(engines: tuple[str, ...], program: str, model: Path) -> str:
    """Run a program in a process in which some engines cannot be imported, and return what it prints."""
    hidden = f"import sys; sys.modules |= dict.fromkeys({engines!r})\nimport ovpart\nmodel = {str(model)!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", hidden + program], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_plans_need_no_engine(model: Path) -> None:
    program = "for device in ('CPU', 'GPU', 'NPU'): print(ovpart.plan(model, device=device, min_gain=0).coverage)"
    assert without(ENGINES, program, model).split() == ["1.0"] * 3


@pytest.mark.parametrize(
    ("hidden", "wanted"), [(("openvino",), "openvino"), (("onnxruntime",), "onnxruntime"), (ENGINES, "openvino")]
)
def test_a_session_says_which_package_to_install(hidden: tuple[str, ...], wanted: str, model: Path) -> None:
    program = "try: ovpart.Session(model)\nexcept ovpart.OvpartError as error: print(error)\n"
    assert f"pip install {wanted}" in without(hidden, program, model)
