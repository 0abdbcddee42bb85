"""Did you mean: the known word that is closest to a wrong one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'Resize'?"`` with the closest known word, or ``""`` where none is close.

    Examples
    --------
    >>> did_you_mean("Resise", ["Relu", "Resize"])
    "; did you mean 'Resize'?"
    >>> did_you_mean("Frobnicate", ["Relu", "Resize"])
    ''
    """
    words = {w.lower(): w for w in reversed(list(known))}
    close = difflib.get_close_matches(word.lower(), words, n=1, cutoff=0.6)
    return f"; did you mean {words[close[0]]!r}?" if close else ""
