"""Plain where nobody looks, coloured on a terminal, the same words in both."""

from __future__ import annotations

import io
import re

import pytest

from ovpart.report.show import show


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_where_nobody_looks(report_of):
    stream = io.StringIO()
    show(report_of(), stream)
    assert stream.getvalue() == str(report_of()) + "\n"


def test_coloured_on_a_terminal_with_the_same_words(report_of, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("rich", reason="the package rich is not installed")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    show(report_of(), stream)
    assert "\x1b[" in stream.getvalue()
    assert re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()) == str(report_of()) + "\n"
