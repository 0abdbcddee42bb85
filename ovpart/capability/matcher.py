"""What a table entry says of an attribute or a constant, as a test of its value."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any


def matcher(spec: Any) -> Callable[[object], bool] | None:
    """Turn what an entry says of an attribute or a constant into a test of its value.

    Parameters
    ----------
    spec : object
        An atom; a list of alternatives; or a mapping of ``not``, ``min``, ``max`` (``given`` is left to the caller).

    Returns
    -------
    callable or None
        Takes an atom, a tuple of atoms, or ``None`` for an attribute that is absent and has no default. Of a tuple,
        each element must fit, unless an alternative is a list itself: that one stands for the whole tuple. ``None``
        where the spec says nothing of the value.
    """
    if not isinstance(spec, dict):
        return _alternatives(spec)
    tests: list[Callable[[object], bool]] = []
    if "not" in spec:
        fits = _alternatives(spec["not"])
        tests.append(lambda value: not fits(value))
    for bound, holds in (("min", lambda x, limit: x >= limit), ("max", lambda x, limit: x <= limit)):
        if bound in spec:
            tests.append(_bounded(spec[bound], holds))
    return (lambda value: all(test(value) for test in tests)) if tests else None


def given_wish(spec: Any) -> bool | None:
    """Return what an entry says of whether an attribute or input is given, ``None`` where it says nothing."""
    wish = spec.get("given") if isinstance(spec, dict) else None
    return wish if isinstance(wish, bool) else None


def _alternatives(spec: Any) -> Callable[[object], bool]:
    listed = spec if isinstance(spec, list) else [spec]
    wholes = [x for x in listed if isinstance(x, list)]
    atoms = [x for x in listed if not isinstance(x, list)]

    def fits(value: object) -> bool:
        if value is None:
            return False
        if not isinstance(value, tuple):
            return any(_same(value, atom) for atom in atoms)
        if any(len(whole) == len(value) and all(map(_same, value, whole)) for whole in wholes):
            return True
        return bool(atoms) and all(any(_same(x, atom) for atom in atoms) for x in value)

    return fits


def _bounded(limit: float, holds: Callable[[Any, float], bool]) -> Callable[[object], bool]:
    def fits(value: object) -> bool:
        if value is None:
            return False
        elements: Iterable[object] = value if isinstance(value, tuple) else (value,)
        return all(isinstance(x, int | float) and holds(x, limit) for x in elements)

    return fits


def _same(got: object, wanted: object) -> bool:
    if isinstance(got, str) or isinstance(wanted, str):
        return got == wanted
    if isinstance(got, int | float) and isinstance(wanted, int | float):
        # Attributes are 32-bit floats: 0.1 in a table is not the 0.1 of a file, bit for bit.
        return got == wanted or math.isclose(got, wanted, rel_tol=1e-6)
    return False
