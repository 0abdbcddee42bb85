"""Levels: the least number of convex groups, on plain integer lists.

Two labels stand on even and odd levels, and a level never falls along an edge. So all units of one level form one
group: a path that leaves the group is at a higher level and never comes back (convex), and groups in the order of
their levels are in an order in which they can run (the quotient is acyclic).

Why the number of levels is the least possible: lay any partition with an acyclic quotient out in a line and merge
neighbours of one label; what is left is an alternating line with no more groups, and a unit cannot stand earlier in an
alternating line that begins with its first label than its level says. The better of the two beginnings is the least.

With more labels the levels go round robin (`period` labels, label `l` on levels ``residue[l]`` modulo `period`): still
convex and acyclic by construction, no longer the least.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations

Labels = Sequence[int | None]
Edges = Sequence[Sequence[int]]

MAX_ORDERS_WORK = 4_000_000
"""Units times orders that are tried with three labels and more (seconds); beyond it only the given order is."""


def earliest_pair(preds: Edges, labels: Labels) -> tuple[list[int], list[int]]:
    """Return the earliest levels of two labels for both beginnings.

    Parameters
    ----------
    preds : sequence of sequence of int
        Predecessors of each unit; units stand in topological order.
    labels : sequence of 0, 1 or None
        ``None``: belongs nowhere, and no path leads through it.

    Returns
    -------
    tuple of list of int
        Levels with label 0 on even levels, levels with label 1 on even levels. 0 for units without a label.
    """
    zero_first, one_first = [0] * len(labels), [0] * len(labels)
    for unit, label in enumerate(labels):
        if label is None:
            continue
        zero = one = 0
        for pred in preds[unit]:
            if zero_first[pred] > zero:
                zero = zero_first[pred]
            if one_first[pred] > one:
                one = one_first[pred]
        if label:
            zero_first[unit] = zero | 1
            one_first[unit] = one + (one & 1)
        else:
            zero_first[unit] = zero + (zero & 1)
            one_first[unit] = one | 1
    return zero_first, one_first


def earliest(preds: Edges, labels: Labels, residue: Sequence[int]) -> list[int]:
    """Return the earliest levels when label ``l`` may stand on levels ``residue[l]`` modulo ``len(residue)``."""
    period = len(residue)
    levels = [0] * len(labels)
    for unit, label in enumerate(labels):
        if label is None:
            continue
        level = 0
        for pred in preds[unit]:
            if levels[pred] > level:
                level = levels[pred]
        levels[unit] = level + (residue[label] - level) % period
    return levels


def latest(preds: Edges, labels: Labels, line: Sequence[int]) -> list[int]:
    """Return the latest position of each unit in a line of groups that keeps every edge forward.

    Parameters
    ----------
    preds, labels
        As for :func:`earliest_pair`.
    line : sequence of int
        The label of the group at each position. Every unit must fit somewhere (there is an earliest position).

    Returns
    -------
    list of int
        0 for units without a label.
    """
    before = last_positions(line)
    bound = [len(line) - 1] * len(labels)
    for unit in range(len(labels) - 1, -1, -1):
        label = labels[unit]
        if label is None:
            bound[unit] = 0
            continue
        mine = bound[unit] = before[label][bound[unit]]
        for pred in preds[unit]:
            if bound[pred] > mine:
                bound[pred] = mine
    return bound


def last_positions(line: Sequence[int]) -> list[list[int]]:
    """Return for each label and position the last position at or before it that has the label, -1 where none has."""
    table = [[-1] * len(line) for _ in range(max(line, default=-1) + 1)]
    for label, row in enumerate(table):
        last = -1
        for position, here in enumerate(line):
            if here == label:
                last = position
            row[position] = last
    return table


def next_positions(line: Sequence[int]) -> list[list[int]]:
    """Return for each label and position the first position at or after it with the label, ``len(line)`` if none."""
    table = [[len(line)] * len(line) for _ in range(max(line, default=-1) + 1)]
    for label, row in enumerate(table):
        following = len(line)
        for position in range(len(line) - 1, -1, -1):
            if line[position] == label:
                following = position
            row[position] = following
    return table


def compact(levels: Sequence[int], labels: Labels) -> tuple[list[int], list[int]]:
    """Return levels renumbered without gaps, and the line: the label at each position. Units without a label: 0."""
    label_at: dict[int, int] = {}
    for level, label in zip(levels, labels, strict=True):
        if label is not None:
            label_at[level] = label
    rank = {level: position for position, level in enumerate(sorted(label_at))}
    line = [label_at[level] for level in rank]
    return [0 if label is None else rank[level] for level, label in zip(levels, labels, strict=True)], line


def best_line(preds: Edges, labels: Labels) -> tuple[list[int], list[int]]:
    """Return the positions of units in the shortest line that the level pass finds, and the line.

    With one or two labels the line is the shortest there is. Ties: fewer groups of the first label (the device: its
    clusters cost more to compile and to call), then the first label first.
    """
    used = sorted({label for label in labels if label is not None})
    if len(used) <= 2:
        small = _renumbered(labels, used)
        lines = [compact(levels, small) for levels in earliest_pair(preds, small)]
        positions, line = min(lines, key=lambda found: (len(found[1]), found[1].count(0)))
        return positions, [used[label] for label in line]
    orders = list(permutations(range(len(used))))
    if len(labels) * len(orders) > MAX_ORDERS_WORK:
        orders = orders[:1]
    small = _renumbered(labels, used)
    found = (compact(earliest(preds, small, _residues(order)), small) for order in orders)
    positions, line = min(found, key=lambda made: len(made[1]))
    return positions, [used[label] for label in line]


def _residues(order: Sequence[int]) -> list[int]:
    """Return the place of each label in a round."""
    residue = [0] * len(order)
    for place, label in enumerate(order):
        residue[label] = place
    return residue


def _renumbered(labels: Labels, used: Sequence[int]) -> Labels:
    """Return labels as 0, 1, ... in the order of `used`."""
    if list(used) == list(range(len(used))):
        return labels
    number = {label: small for small, label in enumerate(used)}
    return [None if label is None else number[label] for label in labels]


def lower_bound(preds: Edges, labels: Labels) -> int:
    """Return a number of groups that no partition into convex one-label groups with an acyclic quotient goes below.

    With two labels a partition with that many exists. With more it is the larger of two bounds: for any two-colouring
    of the labels, the least for two labels (a partition in labels is one in colours); and the sum over labels of the
    most runs of the label on one path (two runs on a path cannot share a convex group).
    """
    used = sorted({label for label in labels if label is not None})
    small = _renumbered(labels, used)
    if len(used) <= 2:
        return _least_of_two(preds, small)
    bound = 0
    runs = 0
    for count in range(1, len(used) // 2 + 1):
        for chosen in combinations(range(len(used)), count):
            coloured = [None if label is None else int(label not in chosen) for label in small]
            bound = max(bound, _least_of_two(preds, coloured))
    for chosen_label in range(len(used)):
        coloured = [None if label is None else int(label == chosen_label) for label in small]
        levels, _ = earliest_pair(preds, coloured)
        runs += max((level + 1) // 2 for level, label in zip(levels, coloured, strict=True) if label)
    return max(bound, runs)


def _least_of_two(preds: Edges, labels: Labels) -> int:
    """Return the least number of groups for labels 0 and 1."""
    return min(len(compact(levels, labels)[1]) for levels in earliest_pair(preds, labels))
