"""Print a report: coloured where rich is installed and the stream is a terminal, plain otherwise."""

from __future__ import annotations

import importlib.util
import re
import sys
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from ovpart.report.model import Report

_STYLES = (
    (re.compile(r"^\S.*$", re.MULTILINE), "bold"),
    (re.compile(r"\b\d[\d.]*%"), "cyan"),
    (re.compile(r"\S+\.ya?ml:\d+"), "dim"),
    (re.compile(r"→ .*$", re.MULTILINE), "green"),
)
"""What stands out in the plain text, and how. The layout is the same in both dresses."""


def show(report: Report, stream: IO[str] | None = None) -> None:
    """Print a report.

    Parameters
    ----------
    report : Report
        What to print.
    stream : text file, optional
        Where to; standard output by default.
    """
    target = sys.stdout if stream is None else stream
    plain = str(report)
    if not target.isatty() or importlib.util.find_spec("rich") is None:
        print(plain, file=target)
        return
    from rich.console import Console
    from rich.text import Text

    text = Text(plain)
    for pattern, style in _STYLES:
        for match in pattern.finditer(plain):
            text.stylize(style, *match.span())
    Console(file=target, highlight=False, soft_wrap=True).print(text)
