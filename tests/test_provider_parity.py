"""The page on parity: every row has a test that exists, or says in words why it has none; no option is left out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from ovpart.compat.provider import CURRENT, LEGACY

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "provider-parity.md"
TESTED = {"here", "edge"}
IN_WORDS = {"Python only", "not yet"}


def rows() -> list[tuple[str, str, str, str]]:
    """Return the rows of all tables: feature, state, what is here, test."""
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("|") or line.startswith("|---"):
            continue
        cells = [cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")]
        if len(cells) == 2 or cells[1] == "state":
            continue  # the legend, and heads of tables
        assert len(cells) == 4, line
        found.append((cells[0], cells[1], cells[2], cells[3]))
    return found


def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_a_row_names_a_test_that_exists_or_says_why_it_has_none(row):
    feature, state, here, test = row
    assert state in TESTED | IN_WORDS, f"{feature}: {state!r} is no state"
    if state in IN_WORDS:
        assert len(here.split()) >= 5, f"{feature}: says too little of what to do instead"
        assert not test, f"{feature}: a test of what is {state}?"
        return
    file, _, name = test.partition("::")
    assert (ROOT / file).is_file(), f"{feature}: no file {file!r}"
    assert name in functions_of(ROOT / file), f"{feature}: {file} has no test {name!r}"


def test_every_option_of_the_provider_has_a_row():
    named = {name for feature, *_ in rows() for name in re.findall(r"`([a-z_]+)`", feature)}
    assert set(CURRENT) | set(LEGACY) <= named


def test_no_test_of_a_row_is_skipped_or_expected_to_fail():
    for feature, state, _, test in rows():
        if state not in TESTED:
            continue
        file, _, name = test.partition("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
        marks = " ".join(ast.unparse(mark) for mark in function.decorator_list)
        assert "xfail" not in marks, feature
        assert "mark.skip(" not in marks, feature


def test_the_page_has_rows_of_every_part_of_the_documents():
    assert len(rows()) >= 75
    text = PAGE.read_text(encoding="utf-8")
    for part in ("Setting up", "Execution providers", "Features", "Options of 1.21", "Options of 1.13",
                 "Support coverage", "What OpenVINO is known for"):  # fmt: skip
        assert f"## {part}\n" in text
