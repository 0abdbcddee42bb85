"""Whether two answers are the same, at what a dtype can hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ovpart.model.types import dtype_of_array

if TYPE_CHECKING:
    from ovpart.backend.base import Array

TOLERANCE = {"f32": 1e-4, "f16": 3e-3, "bf16": 2e-2, "f64": 1e-9, "c64": 1e-4, "c128": 1e-9}
"""Relative to each element, by dtype. Others are exact."""
_OF_LARGEST = {"f16": 0.5, "bf16": 0.5}
"""What is allowed of that relative to the largest element of the tensor, 0.1 for other dtypes: sums whose terms cancel
lose what their terms were rounded by, and onnx.reference rounds each term of a half-precision sum."""


def difference(found: Sequence[Array], wanted: Sequence[Array], rtol: float | None = None, atol: float = 0.0) -> str:
    """Say how answers differ, ``""`` where they agree.

    Parameters
    ----------
    found, wanted : sequence of array
        One an output; NaN and infinities must stand in the same places.
    rtol : float, optional
        In place of :data:`TOLERANCE` where it is wider.
    atol : float
        Allowed in any case.
    """
    if len(found) != len(wanted):
        return f"{len(found)} outputs where {len(wanted)} are right"
    for position, (mine, right) in enumerate(zip(found, wanted, strict=True)):
        words = _one(mine, right, rtol, atol)
        if words:
            return f"output {position}: {words}"
    return ""


def _one(found: Array, wanted: Array, rtol: float | None, atol: float) -> str:
    import numpy as np

    if isinstance(wanted, list | dict) or wanted is None:
        return _no_tensor(found, wanted, rtol, atol)
    if isinstance(found, list | dict) or found is None:
        return f"{type(found).__name__} where a tensor is right"
    mine, right = np.asarray(found), np.asarray(wanted)
    ours, theirs = dtype_of_array(mine), dtype_of_array(right)
    if ours != theirs or mine.shape != right.shape:
        return f"{ours}{list(mine.shape)} where {theirs}{list(right.shape)} is right"
    if theirs == "string":
        return "" if [str(v) for v in mine.reshape(-1)] == [str(v) for v in right.reshape(-1)] else "other words"
    relative = TOLERANCE.get(theirs)
    if relative is None:
        return _exact(_wide(mine), _wide(right))
    return _near(_wide(mine), _wide(right), max(relative, rtol or 0.0), atol, _OF_LARGEST.get(theirs, 0.1))


def _no_tensor(found: Array, wanted: Array, rtol: float | None, atol: float) -> str:
    """Compare sequences, maps and optionals."""
    if wanted is None or found is None or type(found) is not type(wanted):
        return "" if wanted is None and found is None else f"{type(found).__name__} for {type(wanted).__name__}"
    if isinstance(wanted, dict):
        return "" if found == wanted else "another map"
    if len(found) != len(wanted):
        return f"{len(found)} elements where {len(wanted)} are right"
    return next((w for a, b in zip(found, wanted, strict=True) if (w := _one(a, b, rtol, atol))), "")


def _wide(array: Array) -> Array:
    """Return an array in a type that numpy calculates with and that holds its values."""
    import numpy as np

    if array.dtype.kind in "biuc":
        return array
    if array.dtype in (np.float32, np.float64, np.float16):
        return array.astype(np.float64)
    return array.astype(np.float32).astype(np.float64)


def _exact(mine: Array, right: Array) -> str:
    import numpy as np

    same = (mine == right) | ((mine != mine) & (right != right))
    return "" if np.all(same) else _words(mine, right, ~same)


def _near(mine: Array, right: Array, rtol: float, atol: float, of_largest: float) -> str:
    import numpy as np

    finite = np.isfinite(right)
    largest = np.abs(right[finite]).max(initial=0.0)
    with np.errstate(all="ignore"):
        near = np.abs(mine - right) <= atol + rtol * (np.abs(right) + of_largest * largest)
    same = np.where(finite, near, (mine == right) | (np.isnan(mine) & np.isnan(right)))
    return "" if np.all(same) else _words(mine, right, ~same)


def _words(mine: Array, right: Array, bad: Array) -> str:
    import numpy as np

    where = np.unravel_index(int(np.argmax(bad)), bad.shape) if bad.ndim else ()
    return f"{int(np.sum(bad))} of {bad.size} differ, {mine[where]} where {right[where]} is right"
