"""What the package requires: no import without a requirement, and the document of tested versions says the same."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
NOT_OF_THE_PACKAGE = {"dev", "programs"}
"""Extras for who works on the package."""
EXTRAS = {name: listed for name, listed in PROJECT["optional-dependencies"].items() if name not in NOT_OF_THE_PACKAGE}
REQUIREMENTS = sorted({*PROJECT["dependencies"], *(each for listed in EXTRAS.values() for each in listed)})
"""All that somebody needs who uses the package, its extras included."""
SUPPORT = (ROOT / "docs" / "support.md").read_text("utf-8")

DISTRIBUTION = {"yaml": "PyYAML", "google": "protobuf"}
"""Where a distribution has another name than what is imported from it."""

BROUGHT_BY_THE_CALLER = {"ovpart/testing": {"pytest"}}
"""A folder → what those have who import it: ``ovpart.testing`` is for tests."""


def bounds(requirements: list[str]) -> dict[str, str]:
    """Return requirement → its lower bound."""
    found = {}
    for requirement in requirements:
        match = re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement)
        assert match, f"{requirement}: a requirement has a lower bound, which was tried, and no other"
        found[match[1]] = match[2]
    return found


def imported(path: Path) -> set[str]:
    """Top-level names that a module imports, wherever in it, of other distributions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names - {"ovpart"} - set(sys.stdlib_module_names)


def test_every_import_is_required() -> None:
    required = set(bounds(REQUIREMENTS))
    for path in (ROOT / "ovpart").rglob("*.py"):
        place = path.relative_to(ROOT).as_posix()
        brought = set().union(*(names for folder, names in BROUGHT_BY_THE_CALLER.items() if place.startswith(folder)))
        missing = {DISTRIBUTION.get(name, name) for name in imported(path)} - required - brought
        assert not missing, f"{place} imports {missing}, which pyproject.toml does not require"


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_the_document_states_each_lower_bound(requirement: str) -> None:
    ((name, bound),) = bounds([requirement]).items()
    row = re.search(rf"^\| {re.escape(name)} \| ([\d.]+) \|", SUPPORT, re.MULTILINE)
    assert row, f"docs/support.md has no row for {name}"
    assert row[1] == bound


def test_every_python_that_is_claimed_is_in_the_document() -> None:
    for classifier in PROJECT["classifiers"]:
        if classifier.startswith("Programming Language :: Python :: 3."):
            assert re.search(rf"^\| {re.escape(classifier.rpartition(' ')[2])}\b", SUPPORT, re.MULTILINE), classifier
