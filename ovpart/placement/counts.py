"""How often engines compiled, and how often they did not because it had been done before."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ovpart.backend.base import Executable


class Counts:
    """Counters of a session, by engine; safe to add to from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_engine: dict[str, dict[str, int]] = {}

    def add(self, engine: str, made: Executable, *, loaded: bool = False, shared: bool = False) -> None:
        """Count an executable.

        Parameters
        ----------
        engine : str
            Name of the backend.
        made : Executable
            What it gave. One that came out of the engine's own cache says so by ``from_cache``.
        loaded : bool
            Whether it came from a blob that was handed to the engine.
        shared : bool
            Whether it is another session's: nothing was made.
        """
        made_here = "loaded" if loaded else "cached" if getattr(made, "from_cache", False) else "compiled"
        how = "shared" if shared else made_here
        with self._lock:
            mine = self._by_engine.setdefault(engine, dict.fromkeys(("compiled", "cached", "loaded"), 0))
            mine[how] = mine.get(how, 0) + 1

    def as_data(self) -> dict[str, dict[str, int]]:
        """Return engine → ``compiled``, ``cached`` (taken from the engine's cache), ``loaded`` (from a blob).

        ``shared`` (taken from another session) is among them where that has happened.
        """
        with self._lock:
            return {engine: dict(counts) for engine, counts in self._by_engine.items()}
