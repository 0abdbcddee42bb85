"""How far an answer is from the one wanted, in a measure that suits tensors of any range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_FEW = 16
"""Tensors of fewer elements are measured against their largest magnitude: their range says little."""


def largest_error(got: Any, wanted: Any) -> float:
    """Return the largest difference over the range of what is wanted.

    Parameters
    ----------
    got, wanted
        Arrays; or lists, tuples and dicts of such, as sequences, maps and the outputs of a run are.

    Returns
    -------
    float
        0 where equal; the largest absolute difference over the range of the wanted tensor for floats (over its largest
        magnitude for tensors of fewer than 16 values); the share of elements that differ for integers, where one step
        of an 8-bit integer does not count; ``inf`` where kind, shape, dtype, NaN or infinities differ, and for texts
        and bools that differ.
    """
    if isinstance(wanted, list | tuple):
        return _of_sequence(got, wanted)
    if isinstance(wanted, dict):
        if not isinstance(got, dict) or set(got) != set(wanted):
            return float("inf")
        return max((largest_error(got[key], wanted[key]) for key in wanted), default=0.0)
    if wanted is None or got is None:
        return 0.0 if wanted is got else float("inf")
    got, wanted = np.asarray(got), np.asarray(wanted)
    if got.shape != wanted.shape or got.dtype != wanted.dtype:
        return float("inf")
    if wanted.size == 0:
        return 0.0
    return _of_floats(got, wanted) if wanted.dtype.kind == "f" else _of_exact(got, wanted)


def _of_sequence(got: Any, wanted: Sequence[Any]) -> float:
    if not isinstance(got, list | tuple) or len(got) != len(wanted):
        return float("inf")
    return max((largest_error(g, w) for g, w in zip(got, wanted, strict=True)), default=0.0)


def _of_exact(got: np.ndarray, wanted: np.ndarray) -> float:
    is_integer = wanted.dtype.kind in "iu"
    if is_integer and wanted.dtype.itemsize == 1 and int(np.abs(got.astype(int) - wanted.astype(int)).max()) <= 1:
        return 0.0
    differs = float(np.mean(got != wanted))
    return differs if differs == 0 or is_integer else float("inf")


def _of_floats(got: np.ndarray, wanted: np.ndarray) -> float:
    g, w = got.astype(np.float64), wanted.astype(np.float64)
    finite = np.isfinite(w)
    if not np.array_equal(np.isnan(g), np.isnan(w)) or not np.array_equal(g[np.isinf(w)], w[np.isinf(w)]):
        return float("inf")
    if not np.isfinite(g[finite]).all():
        return float("inf")
    if not finite.any():
        return 0.0
    span = float(np.abs(w[finite]).max() if w.size < _FEW else np.ptp(w[finite])) or 1.0
    return float(np.abs(g[finite] - w[finite]).max()) / span
