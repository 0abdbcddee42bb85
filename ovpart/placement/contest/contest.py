"""A contest for the place of a plan: rivals are compiled in the background while it answers, then measured with it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from ovpart.backend.base import Array
from ovpart.capability.evidence import ONNXRUNTIME
from ovpart.capability.verdict import Guard
from ovpart.errors import OvpartError
from ovpart.placement.contest.race import Outcome, Race, Rival
from ovpart.placement.contest.rivals import Way
from ovpart.placement.realise import Realised, close_bodies
from ovpart.planning import told_why
from ovpart.runtime.buffers import copied
from ovpart.runtime.guards import violated
from ovpart.runtime.schedule import Schedule

_log = logging.getLogger("ovpart")

FIRST_CALLS = 2
"""Calls after which rivals are looked for: who runs a model once does not pay for them."""
WARMED_BYTES = 64 << 20
"""Inputs up to this size are copied for a run that warms a rival up in the background."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A rival, compiled.

    Attributes
    ----------
    way : Way
        What it is.
    realised : Realised
        Its plan with its executables.
    schedule : Schedule
        What runs it.
    guards : tuple of Guard
        What inputs must hold to for it to be right.
    """

    way: Way
    realised: Realised
    schedule: Schedule
    guards: tuple[Guard, ...]


Ways = Callable[[float], Sequence[Way]]
"""Gives the ways that are worth a compile, told what a run takes in µs."""
Make = Callable[[Way], Entry]
"""Compiles a way; raises an :class:`ovpart.errors.OvpartError` where an engine refuses it."""


class Contest:
    """Answers calls with the plan's schedule until it is known whether another way is faster.

    Parameters
    ----------
    planned : Schedule
        The plan's.
    ways : callable
        See :data:`Ways`.
    make : callable
        See :data:`Make`; called in a thread of its own.
    """

    def __init__(self, planned: Schedule, ways: Ways, make: Make) -> None:
        self._planned = planned
        self._ways = ways
        self._make = make
        self._lock = threading.Lock()
        self._seconds: list[float] = []
        self._thread: threading.Thread | None = None
        self._entries: list[Entry] = []
        self._race: Race | None = None
        self._is_void = False

    @property
    def is_over(self) -> bool:
        """Whether it is decided, or there is nothing to decide."""
        race = self._race
        return self._is_void or (race is not None and race.is_over)

    def end(self) -> tuple[Outcome | None, Entry | None]:
        """Return what was measured, and the rival that takes the plan's place, if one does; the others are let go."""
        outcome = None if self._race is None else self._race.outcome()
        kept = "" if outcome is None else outcome.kept
        winner = next((entry for entry in self._entries if entry.way.name == kept), None)
        self.close(winner)
        if winner is None or outcome is None:
            return outcome, None
        if outcome.kept == ONNXRUNTIME:  # only now are there figures to tell
            plan = told_why(winner.realised.plan, outcome.us)
            winner = replace(winner, realised=replace(winner.realised, plan=plan))
        _log.info("measured: %s", ", ".join(f"{way} {us:.0f} µs" for way, us in outcome.us.items()))
        return outcome, winner

    def run(self, feed: Mapping[str, Array], wanted: Sequence[str] | None) -> list[Array]:
        """Answer a call."""
        race = self._race
        if race is not None:
            return race.run(feed, wanted)
        if self._thread is not None:
            return self._planned.run(feed, wanted)
        start = perf_counter()
        outputs = self._planned.run(feed, wanted)
        self._seconds.append(perf_counter() - start)
        if len(self._seconds) >= FIRST_CALLS:
            self._open(feed)
        return outputs

    def settle(self, timeout: float | None) -> bool:
        """Wait until rivals are compiled, if they are being compiled; return whether they are."""
        thread = self._thread
        if thread is None or self._is_void:
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def close(self, kept: Entry | None = None) -> None:
        """Let go of all rivals but one."""
        self._is_void = True
        for entry in self._entries:
            if entry is not kept:
                entry.schedule.close()
                close_bodies(entry.realised)
        self._entries = [] if kept is None else [kept]

    def _open(self, feed: Mapping[str, Array]) -> None:
        """Start to compile the rivals."""
        with self._lock:
            if self._thread is not None:
                return
            size = sum(getattr(array, "nbytes", WARMED_BYTES) for array in feed.values())
            kept = {name: copied(array) for name, array in feed.items()} if size < WARMED_BYTES else None
            # Not a daemon: an engine that compiles while the interpreter goes away would crash.
            thread = threading.Thread(target=self._compile, args=(kept,), name="ovpart-contest")
            try:
                thread.start()
            except RuntimeError as error:  # no thread to be had, or the interpreter is going away
                _log.info("nothing is measured beside the plan: %s", error)
                self._is_void = True
                return
            self._thread = thread

    def _compile(self, feed: Mapping[str, Array] | None) -> None:
        rivals = []
        try:
            for way in self._ways(1e6 * min(self._seconds)):
                rival = None if self._is_void else self._compiled(way, feed)
                if rival is not None:
                    rivals.append(rival)
        finally:
            if self._is_void or not rivals:
                self.close()
            else:
                self._race = Race(self._planned, rivals)

    def _compiled(self, way: Way, feed: Mapping[str, Array] | None) -> Rival | None:
        """Compile a way and run it once; ``None`` where an engine refuses."""
        try:
            entry = self._make(way)
        except OvpartError as error:
            _log.info("%s is not measured beside the plan: %s", way.name, error)
            return None
        self._entries.append(entry)
        rival = Rival(way.name, entry.schedule, entry.guards, compared=way.compared)
        if feed is not None and not violated(entry.guards, feed):
            try:
                entry.schedule.run(feed)
            except OvpartError as error:
                _log.info("%s is not measured beside the plan: %s", way.name, error)
                return None
            rival.is_warm = True
        return rival
