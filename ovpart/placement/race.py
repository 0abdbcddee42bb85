"""A plan against onnxruntime alone, on the user's own inputs: what was predicted to pay is measured once.

The cost table was fitted on one machine. On another instruction set the same engine may lose what it was to win:
a residual network that ties on AVX-512 takes openvino twice onnxruntime's time on AVX2 (2026.4.1 and 1.31.1).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter, sleep

from ovpart.backend.base import Array
from ovpart.errors import OvpartError
from ovpart.runtime.schedule import Schedule

_log = logging.getLogger("ovpart")

ROUNDS = 3
"""Calls that are used to measure; the first call of all warms both up and is not counted."""
MAX_WEIGHT_BYTES = 512 << 20
"""Larger models are not measured: while a race lasts, both engines hold the weights in a layout of their own."""
PAUSE_S = 0.005
"""Rest before each contestant, so that the threads of the one before have stopped to spin."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a race has shown.

    Attributes
    ----------
    planned_us, plain_us : float
        Median of a run on the plan, and on onnxruntime alone, in µs.
    """

    planned_us: float
    plain_us: float

    @property
    def keeps_plan(self) -> bool:
        """Whether the plan is no slower."""
        return self.planned_us <= self.plain_us


class Race:
    """Answers calls with the plan's schedule, and measures onnxruntime alone beside it until it is known which wins.

    Parameters
    ----------
    planned : Schedule
        The plan's.
    plain : Schedule
        The whole model on onnxruntime.
    """

    def __init__(self, planned: Schedule, plain: Schedule) -> None:
        self.planned = planned
        self.plain = plain
        self._calls = 0
        self._seconds: list[tuple[float, float]] = []
        self._void = False
        self._lock = threading.Lock()

    @property
    def is_over(self) -> bool:
        """Whether enough has been measured, or nothing can be."""
        return self._void or len(self._seconds) >= ROUNDS

    def outcome(self) -> Outcome | None:
        """Return what was measured; ``None`` where one of them failed, which says nothing of their speed."""
        if self._void:
            return None
        planned, plain = zip(*self._seconds, strict=True)
        return Outcome(1e6 * median(planned), 1e6 * median(plain))

    def run(self, feed: Mapping[str, Array], wanted: Sequence[str] | None) -> list[Array]:
        """Answer a call; one thread at a time measures, the others are answered at once."""
        if not self._lock.acquire(blocking=False):
            return self.planned.run(feed, wanted)
        try:
            answer = self.planned.run(feed, wanted)
            try:
                self._measure(feed, wanted)
            except OvpartError as error:  # the call has its answer
                _log.warning("what was planned is not measured any more: %s", error)
                self._void = True
            return answer
        finally:
            self._lock.release()

    def _measure(self, feed: Mapping[str, Array], wanted: Sequence[str] | None) -> None:
        if self._calls == 0:
            self.plain.run(feed, wanted)
        elif not self.is_over:
            self._seconds.append((_seconds(self.planned, feed, wanted), _seconds(self.plain, feed, wanted)))
        self._calls += 1


def _seconds(schedule: Schedule, feed: Mapping[str, Array], wanted: Sequence[str] | None) -> float:
    sleep(PAUSE_S)
    schedule.run(feed, wanted)
    start = perf_counter()
    schedule.run(feed, wanted)
    return perf_counter() - start
