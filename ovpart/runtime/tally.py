"""How many runs a session has finished, and how many of them took the plan without guarded nodes."""

from __future__ import annotations

from threading import Lock


class Tally:
    """Counts finished runs; any number of threads may add to it.

    Attributes
    ----------
    count : int
        Finished runs.
    outside_guard : int
        Those with values outside a guard.
    last_outside_guard : bool
        Whether the last one was one of those.
    """

    __slots__ = ("_lock", "count", "last_outside_guard", "outside_guard")

    def __init__(self) -> None:
        self._lock = Lock()
        self.count = 0
        self.outside_guard = 0
        self.last_outside_guard = False

    def add(self, outside_guard: bool) -> None:
        """Count a run that is finished."""
        with self._lock:
            self.count += 1
            self.outside_guard += outside_guard
            self.last_outside_guard = outside_guard

    def counts(self) -> tuple[int, int, bool]:
        """Return `count`, `outside_guard` and `last_outside_guard`, of one moment."""
        with self._lock:
            return self.count, self.outside_guard, self.last_outside_guard
