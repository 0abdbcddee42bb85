"""The page of traps and the tests of this folder name each other."""

from __future__ import annotations

import re
from pathlib import Path

from tests.traps.trial import ROOT


def test_every_trap_of_the_page_has_its_test_and_the_reverse():
    page = (ROOT / "docs" / "traps.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| .+ \| `(test_trap_(\d\d)_\w+)` \|$", page, flags=re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, len(rows) + 1))
    assert all(int(number) == int(in_name) for number, _, in_name in rows)
    texts = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("test_*.py"))]
    tests = {name for text in texts for name in re.findall(r"^def (test_trap_\w+)", text, flags=re.MULTILINE)}
    assert {name for _, name, _ in rows} <= tests
    assert {int(name.split("_")[2]) for name in tests} == set(range(1, len(rows) + 1))
