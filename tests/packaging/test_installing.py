"""Installed from a wheel, from an sdist and editable into empty environments: the command runs and finds its table.

Fetches what the package requires from the package index, once for each of the three.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from onnx import TensorProto, helper, save

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 1200
"""What pip may take to fetch and install a few hundred megabytes."""
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "__pycache__", "*.egg-info", ".hypothesis", ".*_cache", "dist")

pytestmark = pytest.mark.long


def run(*command: object, cwd: Path) -> str:
    """Run a command as a user would who knows nothing of this checkout, and return what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
        cwd=cwd,
        env={**environment, "PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def what_to_install(kind: str, folder: Path) -> tuple[str, ...]:
    """Return what pip is told, built from a copy of the sources so that the checkout stays as it is."""
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=LEFT_OUT)
    if kind == "editable":
        return "--editable", str(source)
    program = f"import hatchling.build; print(hatchling.build.build_{kind}({str(folder)!r}))"
    return (str(folder / run(sys.executable, "-c", program, cwd=source).splitlines()[-1]),)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], name="r")], "g", values[:1], values[1:])
    save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)]), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


@pytest.mark.parametrize("kind", ["wheel", "sdist", "editable"])
def test_an_empty_environment_gets_all_it_needs(kind: str, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="hatchling, which builds the package, is not installed")
    venv.create(tmp_path / "env", with_pip=True)
    programs = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    pip = programs / "python", "-m", "pip", "--disable-pip-version-check"
    run(*pip, "install", "--quiet", *what_to_install(kind, tmp_path), cwd=tmp_path)
    where = run(programs / "python", "-c", "import ovpart; print(ovpart.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(tmp_path / ("source" if kind == "editable" else "env"))
    assert "plan" in run(programs / "ovpart", "--help", cwd=tmp_path)
    assert "op_support.yaml" in run(programs / "ovpart", "explain", model, "r", cwd=tmp_path)
    assert "y: float32  [2, 3]" in run(programs / "ovpart", "run", model, "--random", cwd=tmp_path)
    run(*pip, "uninstall", "--quiet", "--yes", "openvino", cwd=tmp_path)
    assert "device NPU" in run(programs / "ovpart", "plan", model, "--device", "NPU", cwd=tmp_path)
