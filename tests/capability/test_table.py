from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ovpart.capability.table import PARSED, load_table, write_parsed
from ovpart.capability.validate import schema
from ovpart.errors import TableError
from ovpart.model.types import DTYPES
from tests.capability.small import table

GOOD = """\
schema: 1
devices:
  CPU: {unknown: delegate}
ops:
  Relu:
    CPU:
    - {opset: 14.., state: supported, source: measured}
    - {state: unsupported, reason: old}
    GPU:
    - {state: unknown, reason: not asked}
    GPU.1:
    - {state: supported}
"""


def write(folder: Path, text: str, name: str = "mine.yaml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_entries_keep_order_and_line(tmp_path: Path, cache: Callable[[], list[str]]) -> None:
    path = write(tmp_path, GOOD)
    found = load_table([path], shipped=False)
    assert [e.rule for e in found.entries("Relu", "CPU")] == [f"{path}:7", f"{path}:8"]
    assert found.unknown("CPU") == "delegate"
    assert found.unknown("NPU") == "fallback"
    assert found.operators() == ("Relu",)
    assert found.line_of("Relu", "GPU") == f"{path}:10"


def test_a_numbered_device_inherits_and_adds(tmp_path: Path, cache: Callable[[], list[str]]) -> None:
    found = load_table([write(tmp_path, GOOD)], shipped=False)
    assert [e.line for e in found.entries("Relu", "GPU.1")] == [12, 10]
    assert [e.line for e in found.entries("Relu", "GPU.0")] == [10]
    assert [e.line for e in found.entries("Relu", "GPU")] == [10]


def test_a_later_overlay_stands_above_an_earlier_one() -> None:
    rows = [{"state": "supported", "hint": word} for word in ("first", "second")]
    tables = [{"schema": 1, "ops": {"Relu": {"CPU": [row]}}} for row in rows]
    found = load_table(tables)
    assert [(e.file, e.line) for e in found.entries("Relu", "CPU")][:2] == [("overlay 2", 1), ("overlay 1", 1)]
    shipped = [e for e in found.entries("Relu", "CPU") if e.file == "op_support.yaml"]
    assert any(e.op == "*" for e in shipped)
    assert any(e.op == "Relu" for e in shipped)
    assert found.digest != load_table(tables[::-1]).digest


def test_a_mapping_counts_its_entries_as_lines() -> None:
    found = table({"Relu": [{"state": "supported"}, {"state": "supported"}], "Abs": [{"state": "supported"}]})
    assert [e.rule for e in found.entries("Abs", "CPU")] == ["overlay 1:3"]


# --- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{state: supported, tipes: {X: [f32]}}", "unknown key 'tipes'; did you mean 'types'?"),
        ("{state: suported}", "'suported' is not known; did you mean 'supported'?"),
        ("{state: supported, types: {X: [f23]}}", "'f23' is not known; did you mean 'f32'?"),
        ("{state: supported, touches: [int32]}", "did you mean 'i32'?"),
        ("{state: supported, types: {Z: [f32]}}", "Relu has no input or output 'Z'; it may be one of X, Y"),
        ("{state: supported, const: [Y]}", "Relu has no input 'Y'"),
        ("{state: supported, when: {alpha: 1}}", "Relu has no attribute 'alpha'"),
        ("{state: supported, opset: 14-16}", "'14-16' does not fit"),
        ("{state: supported, opset: 9..7}", "holds no number"),
        ("{state: unsupported}", "needs a reason"),
        ("{reason: x}", "an entry needs a state"),
        ("{guard: int32_range}", 'stands under "*" only'),
        ("{state: unknown, reason: x, guard: int32_range}", "a guard has no meaning"),
        ("{state: supported, inputs: -1}", "does not fit"),
        ("{state: supported, dynamic: 3}", "does not fit"),
        ("{state: supported, types: []}", "must be a mapping, not []"),
        ("{state: supported, source: gossip}", "'gossip' does not fit"),
        ("{state: supported, touches: []}", "is empty"),
        ("{state: supported, bodies: maybe}", "must be 'supported', not 'maybe'"),
        ("supported", "must be a mapping, not 'supported'"),
    ],
)
def test_every_error_has_file_line_and_a_way_out(
    tmp_path: Path, cache: Callable[[], list[str]], entry: str, words: str
) -> None:
    path = write(tmp_path, f"schema: 1\nops:\n  Relu:\n    CPU:\n    - {entry}\n")
    with pytest.raises(TableError) as caught:
        load_table([path], shipped=False)
    assert str(caught.value).startswith(f"{path}:5: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("schema: 2\nops: {}", 1, "schema must be 1, not 2"),
        ("ops: {}", 1, "lacks 'schema'"),
        ("schema: 1\nops:\n  Resise:\n    CPU:\n    - {state: supported}", 3, "did you mean 'Resize'?"),
        ("schema: 1\nops:\n  ai.onnx.Relu:\n    CPU:\n    - {state: supported}", 3, "written without it: 'Relu'"),
        ("schema: 1\nops:\n  ai.onnx.ml.Scaller: {}\n", 3, "did you mean 'ai.onnx.ml.Scaler'?"),
        ("schema: 1\nops:\n  Relu:\n    CPUU:\n    - {state: supported}", 4, "did you mean 'CPU'?"),
        ("schema: 1\nops:\n  Relu:\n    gpu:\n    - {state: supported}", 4, "no device name"),
        ("schema: 1\nops:\n  Relu:\n    CPU: []", 4, "is empty"),
        ("schema: 1\ndevices:\n  CPU: {unknown: delgate}\nops: {}", 3, "did you mean 'delegate'?"),
        ("schema: 1\nopps: {}\nops: {}", 2, "did you mean 'ops'?"),
        ("", 1, "must be a mapping"),
        ('schema: 1\nops:\n  "*":\n    CPU:\n    - {state: supported}', 5, "vetoes"),
        ('schema: 1\nops:\n  "*":\n    CPU:\n    - {rank: {X: 1}, state: unsupported, reason: x}', 5, "use in0"),
        ("schema: 1\nops:\n  my.Op:\n    CPU:\n    - {const: [w], state: supported}", 5, "use in0"),
        ("schema: 1\nops:\n  Relu:\n    CPU:\n    - {state: supported, opset: 0}", 5, "no version of Relu"),
    ],
)
def test_errors_outside_of_entries(
    tmp_path: Path, cache: Callable[[], list[str]], text: str, line: int, words: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(TableError) as caught:
        load_table([path], shipped=False)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert words in str(caught.value)


def test_all_errors_are_told_at_once_in_the_order_of_the_lines(tmp_path: Path, cache: Callable[[], list[str]]) -> None:
    rows = "".join(f"    - {{stat: {i}}}\n" for i in range(30))
    path = write(tmp_path, f"schema: 1\nops:\n  Relu:\n    CPU:\n{rows}")
    with pytest.raises(TableError) as caught:
        load_table([path], shipped=False)
    told = str(caught.value).splitlines()
    assert told[0].startswith(f"{path}:5: ")
    assert told[-1].endswith("more")
    assert len(told) == 21


def test_names_of_other_versions_of_an_operator_are_errors(tmp_path: Path, cache: Callable[[], list[str]]) -> None:
    text = "schema: 1\nops:\n  Squeeze:\n    CPU:\n    - {{opset: {}, state: supported, const: [axes]}}\n"
    load_table([write(tmp_path, text.format("13.."))], shipped=False)
    load_table([write(tmp_path, text.format("11.."))], shipped=False)  # 13 is in it
    with pytest.raises(TableError, match="Squeeze has no input 'axes'"):
        load_table([write(tmp_path, text.format("..12"))], shipped=False)


def test_contrib_operators_are_checked_too(tmp_path: Path, cache: Callable[[], list[str]]) -> None:
    text = "schema: 1\nops:\n  com.microsoft.FusedMatMul:\n    CPU:\n    - {{types: {{{}: [f32]}}, state: supported}}\n"
    load_table([write(tmp_path, text.format("A"))], shipped=False)
    with pytest.raises(TableError, match="has no input or output 'AA'; did you mean 'A'"):
        load_table([write(tmp_path, text.format("AA"))], shipped=False)


def test_files_that_are_no_files(tmp_path: Path, cache: Callable[[], list[str]]) -> None:
    with pytest.raises(TableError, match="nothing.yaml:1: cannot be read: No such file"):
        load_table([tmp_path / "nothing.yaml"], shipped=False)
    with pytest.raises(TableError, match=":1: not a regular file"):
        load_table([tmp_path], shipped=False)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TableError, match=":1: not a regular file"):
        load_table([tmp_path / "pipe"], shipped=False)
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(TableError, match="larger than 16 MB"):
        load_table([tmp_path / "huge"], shipped=False)
    (tmp_path / "latin").write_bytes(b"schema: 1\n# caf\xe9\n")
    with pytest.raises(TableError, match=":2: not UTF-8"):
        load_table([tmp_path / "latin"], shipped=False)


def test_a_mapping_that_no_file_could_hold() -> None:
    with pytest.raises(TableError, match=r"^overlay 1:1: "):
        load_table([{"schema": 1, "ops": {"Relu": {"CPU": [{"state": object()}]}}}])


def test_the_published_schema_lists_the_dtypes_that_models_have() -> None:
    listed = schema()["$defs"]["dtype"]["enum"]
    assert set(DTYPES) - {"undefined"} == set(listed) - {"sequence", "optional", "map", "sparse_tensor"}


# --- the parsed form -----------------------------------------------------------------------------------------------


def test_a_table_is_parsed_once(tmp_path: Path, cache: Callable[[], list[str]], monkeypatch: Any) -> None:
    path = write(tmp_path, GOOD)
    first = load_table([path], shipped=False)
    assert len(cache()) == 1
    monkeypatch.setattr("ovpart.capability.table.read_yaml", None)  # would fail if it were called
    assert load_table([path], shipped=False) == first
    monkeypatch.undo()
    write(tmp_path, GOOD.replace("old", "older"))
    assert load_table([path], shipped=False).entries("Relu", "CPU")[1].row["reason"] == "older"


def test_a_broken_cache_is_made_anew(tmp_path: Path, cache: Callable[[], list[str]]) -> None:
    path = write(tmp_path, GOOD)
    first = load_table([path], shipped=False)
    kept = next((tmp_path / "cache").rglob("*.json"))
    for broken in (b"", b"{", b"[]", b'{"form": 1, "digest": "other"}', b"\xff"):
        kept.write_bytes(broken)
        assert load_table([path], shipped=False) == first
    assert json.loads(kept.read_text())["digest"] == first.layers[0].digest


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load_table([write(tmp_path, GOOD)], shipped=False).knows("Relu")


def test_the_packaged_form_is_used_only_for_its_own_table(tmp_path: Path, cache: Callable[[], list[str]]) -> None:
    package = tmp_path / "package"
    package.mkdir()
    source = Path(write(package, GOOD, "op_support.yaml"))
    write_parsed(source, package / PARSED)
    from ovpart.capability.table import _file_layer

    assert _file_layer(source, "op_support.yaml", packaged=package / PARSED).rows["Relu"]["CPU"][0][0] == 7
    assert cache() == []
    source.write_text("\n" + GOOD)  # edited in place: the packaged form is of other content
    assert _file_layer(source, "op_support.yaml", packaged=package / PARSED).rows["Relu"]["CPU"][0][0] == 8
    assert len(cache()) == 1


def test_a_kept_table_needs_no_parser(cache: Callable[[], list[str]]) -> None:
    load_table()
    code = (
        "import sys; from ovpart.capability.table import load_table; load_table();"
        "print([m for m in ('yaml', 'jsonschema', 'onnx', 'numpy', 'openvino', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
