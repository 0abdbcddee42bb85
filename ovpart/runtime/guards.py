"""Conditions on a run's inputs under which a plan holds.

Some verdicts of the table hold for a range of values only: the device cuts 64-bit integers to 32 bits, which is right
for token ids and masks and wrong for hashes. Such a run is taken by a plan without guarded nodes; here is the test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ovpart.capability.verdict import Guard
from ovpart.errors import PlanError
from ovpart.runtime.feed import normalise

if TYPE_CHECKING:
    from ovpart.backend.base import Array

INT32_RANGE = "int32_range"

# Elements up to which a Python list is quicker than two reductions of numpy, which cost about 1.3 µs each whatever the
# size (numpy 2.4); at 48 elements the two are level.
_LIST_LIMIT = 48


def merge(guards: Iterable[Guard]) -> tuple[Guard, ...]:
    """Return the fewest guards that say the same: each input once, under its smallest bound.

    A plan has one guard a node; the check of a run should read each input once.

    Raises
    ------
    PlanError
        If a guard is of a kind that this version cannot evaluate.

    Examples
    --------
    >>> merge([Guard("int32_range", ("ids",), 90), Guard("int32_range", ("ids", "k"), 70)])
    (Guard(kind='int32_range', inputs=('ids', 'k'), bound=70),)
    """
    bounds: dict[str, int] = {}
    for guard in guards:
        if guard.kind != INT32_RANGE:
            raise PlanError(
                f"The plan has a guard of kind {guard.kind!r}, this version of ovpart knows {INT32_RANGE!r} only. "
                "Make the plan anew with this version, or update ovpart."
            )
        for name in guard.inputs:
            bounds[name] = min(guard.bound, bounds.get(name, guard.bound))
    by_bound: dict[int, list[str]] = {}
    for name, bound in sorted(bounds.items()):
        by_bound.setdefault(bound, []).append(name)
    return tuple(Guard(INT32_RANGE, tuple(names), bound) for bound, names in sorted(by_bound.items()))


def violated(guards: Sequence[Guard], feed: Mapping[str, Array]) -> bool:
    """Whether an input of this run lies outside what a guard allows.

    Parameters
    ----------
    guards : sequence of Guard
        Best as :func:`merge` gives them.
    feed : mapping of str to array
        The inputs of the run. Names that are not in it, empty arrays and what is no tensor violate nothing.

    Notes
    -----
    About 0.4 µs for eight elements, 3 µs from fifty up to some thousands; only integers are looked at.
    """
    for guard in guards:
        for name in guard.inputs:
            value = feed.get(name)
            if value is not None and _exceeds(value, guard.bound):
                return True
    return False


def _exceeds(value: Array, bound: int) -> bool:
    array = normalise(value)
    if array.dtype.kind not in "iu" or not array.size:
        return False
    if array.dtype.itemsize < 4 and bound >= 2**16:
        return False  # 8 and 16 bits cannot reach it
    if array.size <= _LIST_LIMIT:
        values = array.ravel().tolist()
        return bool(max(values) > bound or min(values) < -bound)
    # As Python integers: a comparison in numpy would wrap the bound for unsigned types.
    return int(array.max()) > bound or int(array.min()) < -bound
