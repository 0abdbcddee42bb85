"""The shipped table as a whole: it loads, names every operator, and says why and from where."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import onnx
import pytest

from ovpart.capability.source import read_yaml
from ovpart.capability.table import Entry, Table, load_table, shipped_path
from ovpart.capability.validate import validate
from ovpart.capability.verdict import State

DEVICES = ("CPU", "GPU", "NPU")

DOCUMENTED_WITHOUT_SCHEMA = ("ImageScaler", "SinFloat")
"""Names of the provider's operator tables for which ONNX has no schema (any more)."""

COMMON_CONTRIB = (
    "Attention", "BiasGelu", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "EmbedLayerNormalization", "FastGelu",
    "FusedConv", "FusedGemm", "FusedMatMul", "Gelu", "GroupQueryAttention", "MatMulNBits", "MultiHeadAttention", "Pad",
    "QLinearAdd", "QLinearConcat", "QuickGelu", "Range", "RotaryEmbedding", "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization",
)  # fmt: skip


@cache
def shipped() -> Table:
    return load_table()


def own(op: str, device: str) -> list[Entry]:
    return [entry for entry in shipped().entries(op, device) if entry.op != "*"]


def operators() -> list[str]:
    """Every operator that the installed onnx describes, deprecated ones included."""
    schemas = onnx.defs.get_all_schemas_with_history()
    return sorted({f"{s.domain}.{s.name}" if s.domain else s.name for s in schemas})


def everything() -> list[Entry]:
    named = {*operators(), *DOCUMENTED_WITHOUT_SCHEMA, *(f"com.microsoft.{name}" for name in COMMON_CONTRIB), "Relu"}
    found = [entry for op in named for device in DEVICES for entry in own(op, device)]
    return found + [entry for device in DEVICES for entry in shipped().entries("Relu", device) if entry.op == "*"]


def needs_the_measured_onnx() -> None:
    """Skip a test that asks onnx for all that the table names."""
    measured = str(shipped().measured_with["onnx"])
    if [int(n) for n in onnx.__version__.split(".")[:2]] < [int(n) for n in measured.split(".")[:2]]:
        pytest.skip(f"needs onnx {measured}, with which the table was measured: {onnx.__version__} knows less")


def test_its_words_are_onnxs() -> None:
    needs_the_measured_onnx()
    data, lines = read_yaml(shipped_path().read_text("utf-8"), shipped_path().name)
    validate(data, lines, shipped_path().name)


def test_it_loads_beside_an_onnx_that_lacks_its_operators(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['onnx'] = None\n"
        "from ovpart.capability.table import load_table\n"
        "print(load_table().line_of('Attention', 'CPU'))"
    )
    caches = {"XDG_CACHE_HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=os.environ | caches
    )
    assert done.stdout.startswith("op_support.yaml:"), done.stderr


@pytest.mark.parametrize("device", DEVICES)
def test_every_operator_of_onnx_has_an_entry(device: str) -> None:
    missing = [op for op in operators() if not own(op, device)]
    assert not missing, f"no entry for {missing} on {device}"


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("op", [*DOCUMENTED_WITHOUT_SCHEMA, "Scatter", "Upsample"])
def test_documented_names_that_onnx_no_longer_has_are_there(op: str, device: str) -> None:
    assert own(op, device)


@pytest.mark.parametrize("device", DEVICES)
def test_contrib_operators_in_common_use_are_there(device: str) -> None:
    assert not [op for op in COMMON_CONTRIB if not own(f"com.microsoft.{op}", device)]


def test_every_entry_names_its_source_and_a_no_its_reason() -> None:
    for entry in everything():
        where = f"{entry.op} on {entry.device}, line {entry.line}"
        assert entry.row.get("source"), f"{where} has no source"
        if entry.row.get("state") in ("unsupported", "unknown"):
            reason = entry.row.get("reason", "")
            assert reason, f"{where} has no reason"
            assert len(reason) <= 100, f"{where}: the reason does not fit a report's column"


def test_evidence_names_backend_tests_and_stands_on_the_cpu_only() -> None:
    # Nothing ran on a GPU or an NPU: no test of theirs failed.
    for entry in everything():
        names = entry.row.get("evidence", ())
        assert all(name.startswith("test_") for name in names)
        assert not names or entry.device == "CPU", f"{entry.op} on {entry.device}, line {entry.line}"


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_evidence_exists() -> None:
    needs_the_measured_onnx()
    from onnx.backend.test.case.node import collect_testcases

    known = {case.name for case in collect_testcases(None)}
    cited = {name for entry in everything() for name in entry.row.get("evidence", ())}
    # Tests converted from PyTorch lie as files in onnx; their names begin with a capital letter or "operator".
    generated = {name for name in cited if not name[5].isupper() and not name.startswith("test_operator")}
    assert generated
    assert not generated - known


def test_what_is_measured_is_measured_on_the_cpu() -> None:
    for entry in everything():
        source = str(entry.row.get("source"))
        if entry.device != "CPU":
            assert not source.startswith("measured"), f"{entry.op} on {entry.device}, line {entry.line}"


def test_no_entry_stands_where_it_can_never_match() -> None:
    """An entry without a condition decides everything that comes to it: what stands below it is dead."""
    results = {"state", "reason", "hint", "source", "evidence", "since", "guard"}
    for op in operators():
        for device in DEVICES:
            rows = own(op, device)
            for row in rows[:-1]:
                assert set(row.row) - results, f"line {row.line} of {op} on {device} hides what stands below"


def test_the_table_is_no_blanket_refusal_and_no_blanket_yes() -> None:
    states = Counter(entry.row["state"] for op in operators() for entry in own(op, "CPU"))
    assert states[State.SUPPORTED] > 200
    assert states[State.UNSUPPORTED] > 200
