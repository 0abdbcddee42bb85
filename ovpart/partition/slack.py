"""Slack: which group of its label a unit stands in, where several are possible, so that few bytes cross.

The number of groups does not depend on it: whatever position between its earliest and its latest a unit takes, edges
keep pointing forward along the same line of groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ovpart.partition.levels import Edges, Labels, last_positions, latest, next_positions

MAX_MOVABLE = 10_000
"""Units with a choice above which all stay at their earliest: weighing what crosses takes 10 to 30 µs a unit."""
SWEEPS = 2
"""Sweeps in each direction; further ones changed nothing on the models tried."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value that may cross between groups.

    Attributes
    ----------
    maker : int
        Unit or node that makes it, -1 for an input of the graph.
    readers : tuple of int
        Units or nodes that read it.
    nbytes : float
        Its size.
    """

    maker: int
    readers: tuple[int, ...]
    nbytes: float


ValuesOf = Callable[[Sequence[int]], Sequence[Value]]
"""Given nodes: the values that at least one of them makes or reads, each once."""


def crossing_bytes(values: Sequence[Value], positions: Sequence[int]) -> float:
    """Return the bytes handed over between groups: each value counts once for each group that has to be given it."""
    total = 0.0
    for value in values:
        groups = {positions[reader] for reader in value.readers}
        if value.maker >= 0:
            groups.discard(positions[value.maker])
        total += value.nbytes * len(groups)
    return total


def movable(preds: Edges, labels: Labels, line: Sequence[int], early: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the latest positions, and the units that have more than one position, ascending."""
    late = latest(preds, labels, line)
    return late, [unit for unit in range(len(labels)) if late[unit] > early[unit]]


def settle(
    preds: Edges,
    labels: Labels,
    line: Sequence[int],
    early: Sequence[int],
    late: Sequence[int],
    units: Sequence[int],
    values: Sequence[Value],
) -> list[int]:
    """Choose positions: the best of earliest, latest and both improved greedily.

    Parameters
    ----------
    preds, labels, line
        As for :func:`ovpart.partition.levels.latest`.
    early, late : sequence of int
        Earliest and latest position of each unit.
    units : sequence of int
        The movable units, ascending.
    values : sequence of Value
        Those that a movable unit makes or reads; all others cross or not whatever is chosen here.

    Returns
    -------
    list of int
        A position for each unit. Ties go to the earliest.
    """
    choices = [list(early), list(late)]
    sweep = _Sweep(preds, labels, line, units, values)
    for start in (early, late):
        positions = list(start)
        for _ in range(SWEEPS):
            if not sweep.run(positions, reversed(units)) + sweep.run(positions, units):
                break
        choices.append(positions)
    return min(choices, key=lambda positions: crossing_bytes(values, positions))


class _Sweep:
    """Moves single units to the position that makes the fewest bytes cross, given where all others stand."""

    def __init__(
        self, preds: Edges, labels: Labels, line: Sequence[int], units: Sequence[int], values: Sequence[Value]
    ) -> None:
        self._end = len(line) - 1
        self._before = last_positions(line)
        self._after = next_positions(line)
        self._label = {unit: label for unit in units if (label := labels[unit]) is not None}
        self._preds = {unit: [p for p in preds[unit] if labels[p] is not None] for unit in units}
        self._succs: dict[int, list[int]] = {unit: [] for unit in units}
        for unit, label in enumerate(labels):
            if label is not None:
                for pred in preds[unit]:
                    if pred in self._succs:
                        self._succs[pred].append(unit)
        self._near: dict[int, list[Value]] = {unit: [] for unit in units}
        for value in values:
            for unit in dict.fromkeys((value.maker, *value.readers)):
                if unit in self._near:
                    self._near[unit].append(value)

    def run(self, positions: list[int], units: Iterable[int]) -> int:
        """Move each unit once, in the order given; return how many moved."""
        moved = 0
        for unit in units:
            before, after = self._before[self._label[unit]], self._after[self._label[unit]]
            low = after[max((positions[p] for p in self._preds[unit]), default=0)]
            high = before[min((positions[s] for s in self._succs[unit]), default=self._end)]
            if low < high:
                best = self._best(unit, low, high, positions)
                moved += best != positions[unit]
                positions[unit] = best
        return moved

    def _best(self, unit: int, low: int, high: int, positions: list[int]) -> int:
        """Return the cheapest of the positions where a neighbour stands, the ends and the present one."""
        here = positions[unit]
        near = self._near[unit]
        mine = self._after[self._label[unit]]
        around = {positions[x] for value in near for x in (value.maker, *value.readers) if x >= 0}
        candidates = {low, high, *(x for x in around if low < x < high and mine[x] == x)}
        best, least = here, crossing_bytes(near, positions)
        for candidate in sorted(candidates - {here}):
            positions[unit] = candidate
            cost = crossing_bytes(near, positions)
            if cost < least:
                best, least = candidate, cost
        positions[unit] = here
        return best
