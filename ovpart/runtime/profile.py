"""How long each step took, where asked: two clock reads a step, and nothing at all where not asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock


@dataclass(frozen=True, slots=True)
class StepTime:
    """What a cluster took, over all runs so far.

    Attributes
    ----------
    count : int
        Runs that reached its end.
    total_us : float
        Microseconds spent computing, the parts of a cluster added up. What a run takes beyond the sum is hand-over.
    """

    count: int
    total_us: float

    @property
    def mean_us(self) -> float:
        """Microseconds per run, 0 before the first."""
        return self.total_us / self.count if self.count else 0.0


class Stopwatch:
    """Counts of one lease, which one thread at a time has: plain lists, no lock.

    Attributes
    ----------
    counts, totals_ns : list of int
        One entry a step.
    """

    __slots__ = ("counts", "totals_ns")

    def __init__(self, steps: int) -> None:
        self.counts = [0] * steps
        self.totals_ns = [0] * steps


class Profile:
    """The stopwatches of all leases of a schedule, summed on demand.

    Parameters
    ----------
    clusters : sequence of str
        The cluster of each step.
    """

    __slots__ = ("_clusters", "_lock", "_retired", "_running")

    def __init__(self, clusters: Sequence[str]) -> None:
        self._clusters = tuple(clusters)
        self._running: list[Stopwatch] = []
        self._retired = Stopwatch(len(self._clusters))
        self._lock = Lock()

    def stopwatch(self) -> Stopwatch:
        """Make the stopwatch of a new lease."""
        watch = Stopwatch(len(self._clusters))
        with self._lock:
            self._running.append(watch)
        return watch

    def retire(self, watch: Stopwatch) -> None:
        """Keep the counts of a lease that is dropped, and forget the lease."""
        with self._lock:
            self._running.remove(watch)
            _add(self._retired, watch)

    def times(self) -> dict[str, StepTime]:
        """Return cluster id → time, in the order of the steps.

        Runs under way may be counted in part. A cluster of several parts counts as often as its last part ran.
        """
        total = Stopwatch(len(self._clusters))
        with self._lock:
            for watch in (self._retired, *self._running):
                _add(total, watch)
        times: dict[str, StepTime] = {}
        for cluster, count, nanoseconds in zip(self._clusters, total.counts, total.totals_ns, strict=True):
            before = times.get(cluster)
            times[cluster] = StepTime(count, nanoseconds / 1000 + (before.total_us if before else 0.0))
        return times


def _add(total: Stopwatch, watch: Stopwatch) -> None:
    for step, (count, nanoseconds) in enumerate(zip(watch.counts, watch.totals_ns, strict=True)):
        total.counts[step] += count
        total.totals_ns[step] += nanoseconds
