"""Progress on standard error: nothing while compiling is quick, a line for each cluster once it is not."""

from __future__ import annotations

import pytest

from ovpart.cli import progress
from ovpart.partition.plan import Cluster, Label

CLUSTER = Cluster("ab12", Label("openvino", "GPU"), (0, 1, 2), ("x",), ("y",))


def told(capsys: pytest.CaptureFixture[str], patience_s: float, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(progress, "_PATIENCE_S", patience_s)
    with progress.compile_progress() as tell:
        for done in range(2):
            tell(done, 2, CLUSTER)
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_quick_compiles_are_silent(capsys, monkeypatch):
    assert told(capsys, 3600, monkeypatch) == ""


def test_long_compiles_tell_which_cluster_comes(capsys, monkeypatch):
    assert "compiling cluster 2 of 2: 3 nodes for openvino GPU …" in told(capsys, -1, monkeypatch)
