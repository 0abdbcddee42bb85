"""Warnings that point at the line of the user's program, however deep inside of ovpart they arise."""

from __future__ import annotations

import sys
import warnings

from ovpart.errors import OvpartWarning


def warn(message: str) -> None:
    """Warn, with the category :class:`ovpart.OvpartWarning`, at the nearest caller outside of the package."""
    level = 2  # the caller of this function
    frame = sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith("ovpart."):
        frame = frame.f_back
        level += 1
    warnings.warn(message, OvpartWarning, stacklevel=level)
