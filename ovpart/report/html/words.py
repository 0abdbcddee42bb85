"""Words of a model, made fit to be shown: no control characters, no tricks with the direction of writing, no end."""

from __future__ import annotations

import unicodedata

LONGEST = 240
"""Characters of one text; the middle of a longer one is left out."""
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def visible(text: str) -> str:
    r"""Return a text in which every character shows, shortened in its middle where it is very long.

    Markup is not escaped here: the template does that.

    Examples
    --------
    >>> visible("conv\x00\u202e1")
    'conv\\x00\\u202e1'
    """
    if len(text) > LONGEST:
        half = LONGEST // 2
        text = f"{text[:half]}…{text[-half:]}"
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode("ascii") if unicodedata.category(char) in _HIDDEN else char
        for char in text
    )
