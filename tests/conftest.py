"""What all tests share: a cache folder of their own, so that none reads or writes what the user's sessions keep."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Point the cache folder to an empty one; processes that tests start inherit it."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
            patch.setenv(name, str(folder))
        yield folder


_numbers = itertools.count()


@pytest.fixture(autouse=True)
def evidence_folder(cache_of_the_tests: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test evidence of its own: what one teaches must not change what another sees."""
    folder = cache_of_the_tests / "evidence" / str(next(_numbers))
    monkeypatch.setattr("ovpart.placement.evidence.folder", lambda: folder)
    return folder
