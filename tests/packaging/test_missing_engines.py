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


WITHOUT_OPENVINO = """
import warnings
import numpy as np
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    session = ovpart.Session(model, min_gain=0, config={"NUM_STREAMS": 2})
print([w.category.__name__ for w in told], told[0].message)
print(session.run(None, {"x": np.array([[-1, 0, 1], [2, -2, 3]], np.float32)})[0].tolist())
(why,) = session.report.fallbacks
print(why.reason, why.rule, why.hint, why.nodes, session.report.coverage)
print(ovpart.Session(model, min_gain=0).plan.places == session.plan.places)
"""


def test_without_openvino_onnxruntime_runs_the_model_and_says_so(model: Path) -> None:
    warned, answer, why, same = without(("openvino",), WITHOUT_OPENVINO, model).splitlines()
    assert warned.startswith("['OvpartWarning'] openvino is not installed")
    assert warned.endswith("config has no effect.")
    assert answer == "[[0.0, 0.0, 1.0], [2.0, 0.0, 3.0]]"
    assert why == "openvino is not installed engine pip install openvino ('r',) 0"
    assert same == "True"


@pytest.mark.parametrize("asked", ["device='GPU'", "device='AUTO:CPU'", "strict=True", "device='GPU', emulate=True"])
def test_who_asks_for_openvino_alone_is_told_to_install_it(asked: str, model: Path) -> None:
    program = f"try: ovpart.Session(model, {asked})\nexcept ovpart.OvpartError as error: print(error)\n"
    assert "pip install openvino" in without(("openvino",), program, model)


@pytest.mark.parametrize("hidden", [("onnxruntime",), ENGINES])
def test_without_onnxruntime_a_session_says_to_install_it(hidden: tuple[str, ...], model: Path) -> None:
    program = "try: ovpart.Session(model)\nexcept ovpart.OvpartError as error: print(error)\n"
    assert "pip install onnxruntime" in without(hidden, program, model)
