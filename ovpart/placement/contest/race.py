"""Several schedules of one model, measured on the inputs of calls that want an answer anyway.

The cost table was fitted on one machine. On another instruction set the same engine may lose what it was to win: a
residual network that ties on AVX-512 takes openvino twice onnxruntime's time on AVX2 (2026.4.1 and 1.31.1), and a
recurrent one that was to lose takes it half.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter, sleep

from ovpart.backend.base import Array
from ovpart.capability.evidence import PLAN
from ovpart.capability.verdict import Guard
from ovpart.errors import OvpartError
from ovpart.placement.verification.measure import difference
from ovpart.placement.verification.tolerance import judged
from ovpart.runtime.guards import violated
from ovpart.runtime.schedule import Schedule

_log = logging.getLogger("ovpart")

ROUNDS = 3
"""Calls that measure a rival, at least; the first call of all warms it up and is not counted."""
MOST_ROUNDS = 7
"""Calls that measure a rival, at most: where the figures are near to each other."""
NEAR = 0.85
"""Ratios of times between this and its inverse are near to each other: two equal sessions differ by as much."""
HOPELESS = 2.0
"""A rival that takes so many times the plan's time, in two rounds, is measured no more."""
STEADY = 1.5
"""Rounds of one contestant differ by less than this on a machine that does nothing else: what was measured while they
differ by more is not kept for later sessions."""
GAIN = 0.97
"""A rival takes the plan's place if it takes less than this share of its time, after as many rounds as are meant."""
TRIES = 3
"""How often a race is held, at most, where the machine was busy with other work."""
REST_CALLS = 64
"""Calls between two tries, which nothing is measured in."""
BUDGET_S = 2.0
"""Seconds that a race may cost in all, warming up apart; what was measured until then decides."""
PAUSE_S = 0.005
"""Rest before each contestant, so that the threads of the one before have stopped to spin."""
SPELL_S = 0.02
"""Seconds for which a contestant is run again and again in a round; the shortest run counts, which other work on the
machine has disturbed least."""
MOST_RUNS = 8
"""Runs of a contestant in a round, at most."""
SLOW_S = 0.2
"""Runs that take longer are not measured twice in a round."""
COMPARED = 2
"""Rounds in which the answers of a new way are held against those of the plan."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a race has shown.

    Attributes
    ----------
    us : mapping of str to float
        Way of running the model → its shortest run, in µs: :data:`ovpart.capability.evidence.PLAN`, and those of its
        rivals that were measured.
    kept : str
        The way that runs from now on.
    known_before : bool
        Whether an earlier session measured it.
    is_steady : bool
        Whether the rounds agreed with each other: no other work disturbed them, and the inputs were of one size.
    """

    us: Mapping[str, float]
    kept: str = PLAN
    known_before: bool = False
    is_steady: bool = True

    @property
    def keeps_plan(self) -> bool:
        """Whether the plan that was predicted to be the best is."""
        return self.kept == PLAN


@dataclass(slots=True)
class Rival:
    """A way of running the model, ready to run.

    Attributes
    ----------
    name : str
        Of the way.
    schedule : Schedule
        What runs it.
    guards : sequence of Guard
        What inputs must hold to for it to be right.
    compared : bool
        Whether its answers must be those of the plan: nobody has asked for this way before.
    is_wrong : bool
        Whether it failed, or answered otherwise than the plan.
    is_out : bool
        Whether it is measured no more.
    is_warm : bool
        Whether it has run.
    rounds : list of tuple of float
        Seconds of the plan and of it, round by round.
    """

    name: str
    schedule: Schedule
    guards: Sequence[Guard] = ()
    compared: bool = False
    is_wrong: bool = False
    is_out: bool = False
    is_warm: bool = False
    rounds: list[tuple[float, float]] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Its time over that of the plan: the shortest runs of both."""
        planned, mine = zip(*self.rounds, strict=True)
        return float(min(mine) / min(planned))

    @property
    def needed(self) -> float:
        """What its time must be below, over that of the plan, for it to win: less where few rounds tell of it."""
        return GAIN if len(self.rounds) >= ROUNDS else NEAR

    @property
    def is_settled(self) -> bool:
        """Whether enough is known of it."""
        rounds = len(self.rounds)
        if self.is_out or rounds >= MOST_ROUNDS:
            return True
        if rounds < ROUNDS or NEAR < self.ratio < 1 / NEAR:
            return False
        return (self.ratio < 1) == (median(mine / planned for planned, mine in self.rounds) < 1)


class Race:
    """Answers calls with the plan's schedule, and measures its rivals beside it until it is known which one wins.

    Parameters
    ----------
    planned : Schedule
        The plan's.
    rivals : sequence of Rival
        The others.
    """

    def __init__(self, planned: Schedule, rivals: Sequence[Rival]) -> None:
        self.planned = planned
        self.rivals = tuple(rivals)
        self._seconds = 0.0
        self._tries = 1
        self._rest = 0
        self._leader: Rival | None = None
        self._shapes: tuple[object, ...] | None = None
        self._is_changing = False
        self._lock = threading.Lock()

    @property
    def is_over(self) -> bool:
        """Whether enough has been measured, or nothing can be."""
        return self._rest == 0 and (self._seconds > BUDGET_S or all(rival.is_settled for rival in self.rivals))

    def outcome(self) -> Outcome | None:
        """Return what was measured; ``None`` where all rivals failed, which says nothing of their speed."""
        measured = [rival for rival in self.rivals if rival.rounds]
        if not measured:
            return None
        us = {PLAN: 1e6 * min(planned for rival in measured for planned, _ in rival.rounds)}
        us.update((rival.name, us[PLAN] * rival.ratio) for rival in measured)
        able = [rival for rival in measured if not rival.is_out and rival.ratio < rival.needed]
        best = min(able, key=lambda rival: rival.ratio, default=None)
        series = [seconds for rival in measured for seconds in zip(*rival.rounds, strict=True)]
        steady = all(len(seconds) > 1 and max(seconds) <= STEADY * min(seconds) for seconds in series)
        return Outcome(us, PLAN if best is None else best.name, is_steady=steady)

    def run(self, feed: Mapping[str, Array], wanted: Sequence[str] | None) -> list[Array]:
        """Answer a call; one thread at a time measures, the others are answered at once."""
        if self.is_over or not self._lock.acquire(blocking=False):
            return self.planned.run(feed, wanted)
        try:
            if self._rest:
                self._rest -= 1
                return self._led(feed, wanted)
            answer = self._measure(feed, wanted)
            if self.is_over and self._tries < TRIES and self._seconds <= BUDGET_S:
                self._try_again()
            return answer
        finally:
            self._lock.release()

    def _led(self, feed: Mapping[str, Array], wanted: Sequence[str] | None) -> list[Array]:
        """Answer a call between two tries the way that was ahead in the last one."""
        leader = self._leader
        if leader is not None and not leader.is_wrong and not violated(leader.guards, feed):
            try:
                return leader.schedule.run(feed, wanted)
            except OvpartError as error:
                _log.info("%s is not measured any more: %s", leader.name, error)
                leader.is_out = leader.is_wrong = True
        return self.planned.run(feed, wanted)

    def _try_again(self) -> None:
        """Hold the race once more after some calls, where other work has disturbed this one."""
        outcome = self.outcome()
        if outcome is None or outcome.is_steady or all(rival.is_wrong for rival in self.rivals):
            return
        self._tries += 1
        self._rest = REST_CALLS
        self._leader = next((rival for rival in self.rivals if rival.name == outcome.kept), None)
        for rival in self.rivals:
            rival.rounds.clear()
            rival.is_out = rival.is_wrong

    def _measure(self, feed: Mapping[str, Array], wanted: Sequence[str] | None) -> list[Array]:
        """Run everybody on one feed, the rivals after the plan; the plan's answer is the answer."""
        start = perf_counter()
        self._look_at_shapes(feed)
        at_once = self._is_changing
        sleep(PAUSE_S)
        answer, planned = _timed(self.planned, feed, wanted, at_once=at_once)
        warming = 0.0
        for rival in self.rivals:
            if rival.is_settled or violated(rival.guards, feed):
                continue
            try:
                warming += self._round(rival, feed, wanted, answer, planned, at_once=at_once)
            except OvpartError as error:  # the call has its answer
                _log.info("%s is not measured any more: %s", rival.name, error)
                rival.is_out = rival.is_wrong = True
                rival.rounds.clear()
        self._seconds += perf_counter() - start - planned - warming
        return answer

    def _look_at_shapes(self, feed: Mapping[str, Array]) -> None:
        """Who feeds other shapes pays for what an engine does at the first run of a shape: then single runs count."""
        shapes = tuple(getattr(array, "shape", None) for array in feed.values())
        if self._shapes not in (None, shapes) and not self._is_changing:
            self._is_changing = True
            for rival in self.rivals:
                rival.rounds.clear()
        self._shapes = shapes

    def _round(
        self,
        rival: Rival,
        feed: Mapping[str, Array],
        wanted: Sequence[str] | None,
        answer: Sequence[Array],
        planned: float,
        *,
        at_once: bool,
    ) -> float:
        """Measure a rival once; return the seconds that went into warming it up."""
        warming = 0.0
        if not rival.is_warm:
            warming = _timed(rival.schedule, feed, wanted, at_once=True)[1]
            rival.is_warm, at_once = True, False
        sleep(PAUSE_S)
        theirs, seconds = _timed(rival.schedule, feed, wanted, at_once=at_once)
        if rival.compared and len(rival.rounds) < COMPARED:
            pairs = zip(theirs, answer, strict=True)
            if not all(judged(difference(mine, other)).is_right for mine, other in pairs):
                _log.info("%s answers otherwise than the plan, and is left out", rival.name)
                rival.is_out = rival.is_wrong = True
        rival.rounds.append((planned, seconds))
        if len(rival.rounds) > 1 and rival.ratio > HOPELESS:
            rival.is_out = True
        return warming


def _timed(
    schedule: Schedule, feed: Mapping[str, Array], wanted: Sequence[str] | None, *, at_once: bool
) -> tuple[list[Array], float]:
    """Run once, or for a spell; return the answer of the first run and the seconds of the shortest."""
    begin = start = perf_counter()
    answer = schedule.run(feed, wanted)
    end = perf_counter()
    shortest = end - start
    runs = 1
    while not at_once and runs < MOST_RUNS and (end - begin < SPELL_S or (runs == 1 and end - begin < SLOW_S)):
        start = end
        schedule.run(feed, wanted)
        end = perf_counter()
        shortest = min(shortest, end - start)
        runs += 1
    return answer, shortest
