"""The repository holds what it promises: names, floors, quick imports, links that lead somewhere, examples that run."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import ovpart

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "ovpart"

PUBLIC = {
    "Cluster", "CompileError", "DeviceNotFound", "InferenceSession", "InputError", "ModelError", "OptionError",
    "OvpartError", "OvpartWarning", "Plan", "PlanError", "Pool", "RemoteTensor", "Report", "RunError", "Session",
    "State", "TableError",
    "Verdict", "VerificationError", "__version__", "devices",
    "get_available_openvino_device_ids", "plan",
}  # fmt: skip

# The house, ground floor first: a room imports from lower floors, and from nothing else but itself.
FLOORS = (
    {"errors"},
    {"conversions"},
    {"options"},
    {"model"},
    {"capability"},
    {"partition"},
    {"planning"},
    {"backend"},
    {"runtime"},
    {"placement"},
    {"probe", "report"},
    {"session"},
    {"compat", "testing", "onnx_backend", "pool", "torch"},
    {"cli", "__main__"},
)
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}

HEAVY = ("numpy", "onnx", "networkx", "openvino", "onnxruntime")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and full name of everything that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import hides on which floor it lands"
            yield node.lineno, node.module or ""
            if node.module == "ovpart":
                yield from ((node.lineno, f"ovpart.{alias.name}") for alias in node.names)


def room_of(name: str) -> str | None:
    """Return the room of ``ovpart.ROOM...``, ``None`` for what is not in a room."""
    parts = name.split(".")
    return parts[1] if parts[0] == "ovpart" and len(parts) > 1 and parts[1] in FLOOR else None


def test_public_names_are_pinned():
    assert set(ovpart.__all__) == PUBLIC
    assert all(getattr(ovpart, name) is not None for name in PUBLIC)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Sesion'"):
        _ = ovpart.Sesion


def in_a_process_of_its_own(program: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False, cwd=cwd
    )


def test_importing_ovpart_imports_nothing_heavy():
    done = in_a_process_of_its_own(
        f"import sys, ovpart\nfound = sorted(set({HEAVY!r}) & set(sys.modules))\nsys.exit(str(found) if found else 0)"
    )
    assert done.returncode == 0, done.stderr


def test_planning_rooms_import_without_an_engine():
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in modules()
        if FLOOR.get(path.relative_to(PACKAGE).with_suffix("").parts[0], 99) <= FLOOR["planning"]
    ]
    done = in_a_process_of_its_own(
        "import importlib, sys\n"
        "sys.modules['openvino'] = sys.modules['onnxruntime'] = None\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
    )
    assert done.returncode == 0, done.stderr


def test_every_room_has_a_floor():
    rooms = {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in modules()}
    assert rooms - set(FLOOR) == {"__init__"}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_the_floors(path):
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    if room == "__init__":
        return  # the package's face gives names of every room
    climbs = [
        f"line {line}: {name}"
        for line, name in imported(ast.parse(path.read_text(encoding="utf-8")))
        if (target := room_of(name)) is not None and target != room and FLOOR[target] >= FLOOR[room]
    ]
    assert climbs == []


@pytest.mark.parametrize(
    ("engine", "allowed"),
    [("openvino", ("backend/openvino",)), ("onnxruntime", ("backend/onnxruntime", "compat/"))],
)
def test_only_its_backend_imports_an_engine(engine, allowed):
    elsewhere = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in modules()
        for line, name in imported(ast.parse(path.read_text(encoding="utf-8")))
        if name.split(".")[0] == engine and not path.relative_to(PACKAGE).as_posix().startswith(allowed)
    ]
    assert elsewhere == []


def anchors(document: Path) -> set[str]:
    """Return the anchors that headings make, spelt as GitHub spells them."""
    headings = re.findall(r"^#+ +(.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_documents_lead_somewhere(document):
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        place = (document.parent / file).resolve() if file else document
        assert place.exists(), f"{target}: no such file"
        assert not anchor or anchor in anchors(place), f"{target}: no such heading"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_documents_name_are_there(document):
    text = document.read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:ovpart|tests|docs|examples|benchmarks)/[\w./-]+\w)`", text))
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def readme_example() -> str:
    match = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert match is not None
    return match[1]


def test_the_example_of_the_readme_runs(tmp_path):
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 224, 224])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3, 1, 1])
    graph = helper.make_graph(
        [helper.make_node("Relu", ["image"], ["r"]), helper.make_node("GlobalAveragePool", ["r"], ["scores"])],
        "example",
        [image],
        [scores],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "model.onnx")
    done = in_a_process_of_its_own(readme_example(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "model.onnx   2 nodes, opset 17" in done.stdout
    assert np.isfinite(float(re.findall(r"-?\d+\.\d+", done.stdout)[-1]))


def test_ci_runs_what_a_developer_runs():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    commands = [line for line in script.splitlines() if line and not line.startswith(("#", "set ", "cd "))]
    assert commands == ["make test"]
