"""The wheel holds the package and its data, and runs from where it lies; the sdist gives the same wheel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from onnx import TensorProto, helper, save

from ovpart.capability.table import PARSED, SHIPPED

ROOT = Path(__file__).resolve().parents[2]


def built(source: Path, target: str, folder: Path) -> Path:
    """Build a wheel or an sdist as ``python -m build`` would, without a network and without a trace in the source."""
    pytest.importorskip("hatchling", reason="hatchling, which builds the package, is not installed")
    folder.mkdir(exist_ok=True)
    program = f"import hatchling.build; print(hatchling.build.build_{target}({str(folder)!r}))"
    name = python("-c", program, cwd=source).splitlines()[-1]
    return folder / name


def python(*arguments: str, cwd: Path, **variables: str) -> str:
    """Run Python without bytecode beside the sources, and return what it prints."""
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"} | variables
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=cwd,
        env=environment,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, "sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Path:
    """Give a folder with what an installer would put into ``site-packages``."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    return tmp_path / "site"


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def package_files() -> set[str]:
    files = (path for path in (ROOT / "ovpart").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(ROOT).as_posix() for path in files}


def test_the_wheel_holds_the_package_its_data_and_nothing_else(wheel: Path) -> None:
    held = {name for name in contents(wheel) if ".dist-info/" not in name}
    assert held == package_files() | {f"ovpart/capability/{SHIPPED}", f"ovpart/capability/{PARSED}"}
    assert "ovpart/py.typed" in held
    assert held >= {
        "ovpart/capability/schema.json",
        "ovpart/partition/plan.schema.json",
        "ovpart/report/report.schema.json",
    }


def test_the_wheel_carries_the_table_and_its_parsed_form(wheel: Path) -> None:
    held = contents(wheel)
    assert held[f"ovpart/capability/{SHIPPED}"] == (ROOT / SHIPPED).read_bytes()
    assert set(json.loads(held[f"ovpart/capability/{PARSED}"])["ops"]) >= {"Conv", "com.microsoft.Gelu"}


def test_the_wheel_carries_licence_command_and_backends(wheel: Path) -> None:
    about = {name.partition(".dist-info/")[2]: data for name, data in contents(wheel).items() if ".dist-info/" in name}
    assert about["licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    entry_points = about["entry_points.txt"].decode()
    for line in ("ovpart = ovpart.cli.main:main", "[ovpart.backends]", "openvino = ", "onnxruntime = ", "reference = "):
        assert line in entry_points


def test_an_installed_wheel_plans_without_yaml_and_without_engines(installed: Path, tmp_path: Path) -> None:
    """Neither engine can be imported, no cache can be used, and the table is not parsed anew."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], name="r")], "g", values[:1], values[1:])
    save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)]), tmp_path / "m.onnx")
    program = (
        "import sys\n"
        "sys.modules |= dict.fromkeys(['openvino', 'onnxruntime', 'yaml', 'jsonschema'])\n"
        "import ovpart\n"
        "from importlib.metadata import distribution, entry_points\n"
        "from ovpart.capability.table import shipped_path\n"
        "plan = ovpart.plan('m.onnx', device='NPU', min_gain=0)\n"
        "print(ovpart.__file__, shipped_path(), distribution('ovpart').locate_file(''), plan.coverage,\n"
        "      *sorted(entry_points(group='ovpart.backends').names), sep='\\n')\n"
        "from ovpart.cli.main import main\n"
        "main(['plan', 'm.onnx', '--device', 'NPU'])\n"
    )
    caches = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "LOCALAPPDATA": str(tmp_path / "cache")}
    printed = python("-c", program, cwd=tmp_path, PYTHONPATH=str(installed), PYTHONIOENCODING="utf-8", **caches)
    face, table, site, coverage, *rest = printed.splitlines()
    assert Path(face) == installed / "ovpart" / "__init__.py"
    assert Path(table) == installed / "ovpart" / "capability" / SHIPPED
    assert Path(site) == installed
    assert float(coverage) == 1.0
    assert rest[:4] == ["fake", "onnxruntime", "openvino", "reference"]
    assert "device NPU" in "".join(rest[4:])
    assert not (tmp_path / "cache").exists()


@pytest.mark.long
def test_the_sdist_gives_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert contents(built(source, "wheel", tmp_path / "wheel")) == contents(wheel)
    for name in ("CONTRIBUTING.md", "SECURITY.md", "Makefile", ".ci/run", "docs/support.md", "tests/test_repo.py"):
        assert (source / name).is_file(), f"the sdist lacks {name}, which its documents or tests speak of"
