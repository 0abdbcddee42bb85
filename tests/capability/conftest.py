from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def cache(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Make an empty cache folder; give a function that lists the parsed forms in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("sys.platform", "linux")
    return lambda: sorted(p.name for p in (tmp_path / "cache").rglob("*") if p.is_file())
