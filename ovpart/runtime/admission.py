"""Who may compute now: runs of several sessions share a number of threads, in an order that priorities bend.

A run takes as many threads as it computes with, for as long as it computes, and waits where there are too few. Those
that wait stand in a line: by arrival, with what has a lower priority put further back, by a number of places that never
grows. So whatever waits is overtaken by a known number of runs at most, and nothing waits for ever.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ovpart.errors import OptionError, RunError

if TYPE_CHECKING:
    from ovpart.model.graph import Model
    from ovpart.runtime.control import RunControl

PATIENCE = {"HIGH": 0, "MEDIUM": 8, "DEFAULT": 8, "LOW": 64}
"""By how many runs that came later, and of a higher priority, a waiting run may be overtaken."""
CLOSED = "The pool is closed: open its sessions again, in another pool or in none."
_POLL_S = 0.005  # how soon a run that waits sees that it is to end


@dataclass(frozen=True, slots=True)
class PoolFact:
    """What a session has of a pool, and what became of its runs so far.

    Attributes
    ----------
    threads : int
        Threads of the pool.
    threads_a_run : int
        Threads that a run of this session takes.
    priority : str
        ``"HIGH"``, ``"MEDIUM"`` or ``"LOW"``.
    runs, waited : int
        Runs that were let in; those of them that had to wait.
    waited_ms, longest_ms : float
        For how long, in all, and the longest of them.
    """

    threads: int
    threads_a_run: int
    priority: str
    runs: int = 0
    waited: int = 0
    waited_ms: float = 0.0
    longest_ms: float = 0.0

    def __str__(self) -> str:
        share = f"{self.threads_a_run} of {self.threads} threads a run, priority {self.priority}"
        if not self.waited:
            return f"{share}; {self.runs} runs, none waited"
        mean = self.waited_ms / self.waited
        waits = f"{self.waited} waited, {mean:.1f} ms in the mean, {self.longest_ms:.1f} ms at most"
        return f"{share}; {self.runs} runs, {waits}"


class InPool(Protocol):
    """A session, as a pool sees it."""

    @property
    def model(self) -> Model:
        """Its model."""

    @property
    def share(self) -> PoolFact | None:
        """What it has of the pool."""

    def close(self) -> None:
        """Let go of what it holds."""


class Sharing(Protocol):
    """A pool, as sessions see it: :class:`ovpart.Pool`."""

    def share(self, options: Mapping[str, Any]) -> tuple[Share, dict[str, Any]]:
        """Return the share of a session with these options, and the options that keep its engines to it."""

    def add(self, session: InPool) -> None:
        """Have a session closed with the pool."""


class Share:
    """A session's place in an admission; made by :meth:`Admission.share`."""

    __slots__ = ("_admission", "_longest_s", "_runs", "_waited", "_waited_s", "patience", "priority", "threads")

    def __init__(self, admission: Admission, threads: int, priority: str) -> None:
        self._admission = admission
        self.threads = threads
        self.priority = "MEDIUM" if priority == "DEFAULT" else priority
        self.patience = PATIENCE[priority]
        self._runs = 0
        self._waited = 0
        self._waited_s = 0.0
        self._longest_s = 0.0

    def enter(self, control: RunControl | None = None) -> None:
        """Wait until a run may compute; :meth:`leave` must follow.

        Raises
        ------
        RunError
            If the pool is closed, or `control` ends the run while it waits.
        """
        self._admission.enter(self, control)

    def leave(self) -> None:
        """Say that a run is over."""
        self._admission.leave(self)

    def count(self, waited_s: float | None) -> None:
        """Count a run that was let in, after so many seconds of waiting; the admission's lock is held."""
        self._runs += 1
        if waited_s is not None:
            self._waited += 1
            self._waited_s += waited_s
            self._longest_s = max(self._longest_s, waited_s)

    def fact(self) -> PoolFact:
        """Return what became of it so far."""
        counted = (self._runs, self._waited, 1e3 * self._waited_s, 1e3 * self._longest_s)
        return PoolFact(self._admission.threads, self.threads, self.priority, *counted)


class _Waiting:
    """A run that waits. Ordered by the place that it has at the latest, and by arrival."""

    __slots__ = ("admitted", "arrival", "called", "kept", "place", "share")

    def __init__(self, share: Share, arrival: int) -> None:
        self.share = share
        self.arrival = arrival
        self.place = arrival + share.patience
        self.admitted = False
        self.kept = False
        self.called = threading.Event()

    def admit(self, *, kept: bool) -> None:
        """Let it in."""
        self.admitted, self.kept = True, kept
        self.called.set()

    def __lt__(self, other: _Waiting) -> bool:
        return (self.place, self.arrival) < (other.place, other.arrival)


class Admission:
    """Lets runs compute while there are threads for them.

    Parameters
    ----------
    threads : int
        How many threads may compute at a time.
    reserve : int
        How many of them are kept for runs of priority HIGH.
    """

    def __init__(self, threads: int, reserve: int = 0) -> None:
        self.threads = threads
        self.reserve = reserve
        self._free = threads - reserve
        self._kept = reserve
        self._arrivals = 0
        self._line: list[_Waiting] = []
        self._lock = threading.Lock()
        self._inside = threading.local()
        self._closed = False

    def share(self, threads: int, priority: str) -> Share:
        """Return a place for a session.

        Raises
        ------
        OptionError
            If a run of it needs more threads than there are.
        """
        if threads > self.threads:
            raise OptionError(
                f"option 'num_threads' cannot be {threads}: the pool has {self.threads} threads; give the session "
                "fewer, or the pool more"
            )
        if threads > self.threads - self.reserve and (PATIENCE[priority] or threads > self.reserve):
            raise OptionError(
                f"option 'num_threads' cannot be {threads}: the pool keeps {self.reserve} of its {self.threads} "
                "threads for runs of priority HIGH, and a run takes threads of one kind; give the session fewer, or "
                "reserve fewer"
            )
        return Share(self, threads, priority)

    def enter(self, share: Share, control: RunControl | None) -> None:
        """Wait for the turn of a run; see :meth:`Share.enter`."""
        # A run that an operator of another run starts has that one's threads: waiting for more could be for ever.
        depth = getattr(self._inside, "depth", 0)
        if not depth:
            self._admit(share, control)
        self._inside.depth = depth + 1

    def leave(self, share: Share) -> None:
        """End the turn of a run."""
        self._inside.depth -= 1
        if not self._inside.depth:
            with self._lock:
                self._give_back(share.threads, kept=self._inside.kept)

    def close(self) -> None:
        """Let nobody in any more; who waits is told. Runs under way come to their end."""
        with self._lock:
            self._closed = True
            for waiting in self._line:
                waiting.called.set()
            self._line.clear()

    def _admit(self, share: Share, control: RunControl | None) -> None:
        with self._lock:
            if self._closed:
                raise RunError(CLOSED)
            self._arrivals += 1
            if share.patience == 0 and share.threads <= self._kept:
                self._kept -= share.threads
                self._inside.kept = True
                share.count(None)
                return
            if not self._line and share.threads <= self._free:
                self._free -= share.threads
                self._inside.kept = False
                share.count(None)
                return
            waiting = _Waiting(share, self._arrivals)
            heapq.heappush(self._line, waiting)
            self._call()
        began = time.perf_counter()
        try:
            self._wait(waiting, control)
        except BaseException:  # an interrupt, or the end of the run: whoever comes next must not wait for this one
            self._withdraw(waiting)
            raise
        with self._lock:
            if not waiting.admitted:
                raise RunError(CLOSED)
            self._inside.kept = waiting.kept
            share.count(time.perf_counter() - began)

    def _wait(self, waiting: _Waiting, control: RunControl | None) -> None:
        if control is None:
            waiting.called.wait()
            return
        while not waiting.called.wait(_POLL_S):
            control.check()

    def _withdraw(self, waiting: _Waiting) -> None:
        with self._lock:
            if waiting.admitted:
                self._give_back(waiting.share.threads, kept=waiting.kept)
            elif waiting in self._line:
                self._line.remove(waiting)
                heapq.heapify(self._line)
                self._call()

    def _give_back(self, threads: int, *, kept: bool) -> None:
        if kept:
            self._kept += threads
        else:
            self._free += threads
        self._call()

    def _call(self) -> None:
        """Let in who is first, while there are threads; a run that needs many is not passed by ones that need few.

        But one of priority HIGH is let in with threads that are kept for it, past others that may not have them.
        """
        while self._line and self._line[0].share.threads <= self._free:
            first = heapq.heappop(self._line)
            self._free -= first.share.threads
            first.admit(kept=False)
        while self._kept:
            fitting = (w for w in self._line if w.share.patience == 0 and w.share.threads <= self._kept)
            first_high = min(fitting, default=None)
            if first_high is None:
                break
            self._line.remove(first_high)
            heapq.heapify(self._line)
            self._kept -= first_high.share.threads
            first_high.admit(kept=True)
