"""Which backends there are: found by entry points, imported when asked for."""

from __future__ import annotations

import difflib
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from ovpart.backend.base import Backend
from ovpart.errors import OptionError, OvpartError

GROUP = "ovpart.backends"
"""Entry-point group: a third party's distribution names its backend class here."""


def names() -> tuple[str, ...]:
    """Return the names of all backends that are installed, sorted; imports none of them."""
    return tuple(sorted(_found()))


def backends() -> dict[str, Backend]:
    """Return all backends by name; each is made once in a process, and none of them loads its engine until it is used.

    Raises
    ------
    OvpartError
        If one of them cannot be imported; the message says which package is missing.
    """
    return {name: backend(name) for name in names()}


@cache
def backend(name: str) -> Backend:
    """Return a backend by name, always the same one.

    Raises
    ------
    OptionError
        If there is none of that name.
    OvpartError
        If it cannot be imported; the message says which package is missing.
    """
    found = _found()
    if name not in found:
        close = difflib.get_close_matches(name, found, n=1)
        raise OptionError(
            f"there is no backend {name!r}.{f' Did you mean {close[0]!r}?' if close else ''} Installed: "
            f"{', '.join(sorted(found)) or 'none; install ovpart itself, its backends are found by its metadata'}"
        )
    entry = found[name]
    try:
        made: Backend = entry.load()()
    except ModuleNotFoundError as error:
        raise OvpartError(
            f"backend {name!r} ({_origin(entry)}) needs the package {error.name!r}, which is not installed: "
            f"pip install {(error.name or '').partition('.')[0]}"
        ) from error
    except (ImportError, AttributeError) as error:
        raise OvpartError(f"backend {name!r} ({_origin(entry)}) cannot be imported: {error}") from error
    return made


def _found() -> dict[str, EntryPoint]:
    """Return the entry points by name; where two distributions give the same name, ovpart's own counts."""
    found: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (e.value.startswith("ovpart."), e.value)):
        found[entry.name] = entry
    return found


def _origin(entry: EntryPoint) -> str:
    return f"{entry.value} of {entry.dist.name}" if entry.dist is not None else entry.value
