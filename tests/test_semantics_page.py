from __future__ import annotations

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def test_the_page_on_semantics_is_what_the_table_says():
    spec = importlib.util.spec_from_file_location("generate_semantics", DOCS / "generate_semantics.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (DOCS / "semantics.md").read_text(encoding="utf-8") == module.page()
