"""Who owns which memory: what leaves a run belongs to the user alone.

Between steps, arrays are handed over by address, and let go after their last reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ovpart.backend.base import Array


def copied(value: Array) -> Array:
    """Return a value that shares no memory with another: arrays, and the lists and dicts that stand for other types."""
    import numpy as np

    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, (list, tuple)):
        return type(value)([copied(item) for item in value])
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return value


def part(values: list[Array], given: Sequence[Array]) -> list[Array]:
    """Copy, in `values` itself, what shares memory with what the user gave, or with an earlier value.

    Engines answer with memory of their own, which numpy shows as an array without a base, or over an object of the
    engine (openvino's tensor, onnxruntime's capsule). An executable that computes in numpy may hand back its input,
    or a view of it: then the base is an array. So a good answer costs a look at each base, and some comparisons.
    """
    for value in values:
        if type(getattr(value, "base", value)) is type(value):
            return _parted(values, given)
    if len(values) == 1 and len(given) == 1:
        return values if values[0] is not given[0] else _parted(values, given)
    seen = set(map(id, given))
    distinct = len(seen) + len(values)
    seen.update(map(id, values))
    return values if len(seen) == distinct else _parted(values, given)


def _parted(values: list[Array], given: Sequence[Array]) -> list[Array]:
    seen: set[int] = set()
    for value in given:
        seen.update(_owners(value))
    for position, value in enumerate(values):
        owners = _owners(value)
        if seen.isdisjoint(owners):
            seen.update(owners)
        else:
            values[position] = copied(value)
    return values


def _owners(value: Array) -> list[int]:
    """Return the identity of what holds the memory of a value, one for each array in it."""
    if isinstance(value, (list, tuple)):
        return [owner for item in value for owner in _owners(item)]
    if isinstance(value, dict):
        return [owner for item in value.values() for owner in _owners(item)]
    if not hasattr(value, "base"):
        return []
    while (base := getattr(value, "base", None)) is not None:
        value = base
    return [id(value)]
