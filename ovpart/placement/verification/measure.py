"""How far a value is from the one wanted: absolute error, error over the range, signal to noise, cosine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ovpart.backend.base import Array

if TYPE_CHECKING:
    import numpy as np

_FEW = 16
"""Tensors of fewer elements are measured against their largest magnitude: their range says little."""
_OUTLIER = 1e6
"""What is so many times larger than the median magnitude is measured against itself: a mask of -1e9 beside scores of 3
would otherwise make a range in which every error is small."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What two values differ by.

    Attributes
    ----------
    kind : str
        ``"float"``, ``"integer"`` (quantised numbers of 8 bits and fewer), ``"exact"`` (other integers, bools, texts),
        ``"other"`` (sequences and maps: the worst of what is in them).
    problem : str
        What no number tells: another shape, dtype or kind, NaN where none is wanted. Empty where there is none.
    max_error, mean_error, p99_error : float
        Absolute; of ``"exact"`` values 0 or 1 each, so that the mean is the share that differs.
    relative : float
        Largest error over the range of what is wanted (elements far outside it: over their own magnitude); for
        ``"exact"`` the share that differs; for ``"integer"`` the largest difference in steps.
    ulps : float
        Largest error in units of f32's rounding at the largest magnitude wanted; ``inf`` where that is not meant.
    sqnr_db : float or None
        Signal to noise in decibels: ``inf`` where equal, ``None`` for what is no number.
    cosine : float or None
        Cosine of the angle between the two, taken as vectors.
    dtype : str
        numpy's name for the dtype wanted; the kind of what is no tensor.
    shape : tuple of int, or None
        Of what is wanted.
    """

    kind: str
    problem: str = ""
    max_error: float = 0.0
    mean_error: float = 0.0
    p99_error: float = 0.0
    relative: float = 0.0
    ulps: float = math.inf
    sqnr_db: float | None = None
    cosine: float | None = None
    dtype: str = ""
    shape: tuple[int, ...] | None = None


def difference(got: Array, wanted: Array) -> Difference:
    """Compare a value with the one wanted.

    Parameters
    ----------
    got, wanted : array, list, dict or None
        As runs give them.
    """
    import numpy as np

    if isinstance(wanted, list | tuple):
        if not isinstance(got, list | tuple) or len(got) != len(wanted):
            return Difference("other", "another number of elements", dtype="sequence", relative=math.inf)
        return _worst([difference(g, w) for g, w in zip(got, wanted, strict=True)], "sequence")
    if isinstance(wanted, dict):
        if not isinstance(got, dict) or set(got) != set(wanted):
            return Difference("other", "other keys", dtype="map", relative=math.inf)
        return _worst([difference(got[key], wanted[key]) for key in wanted], "map")
    if wanted is None or got is None:
        same = wanted is got
        return Difference("other", "" if same else "there is a value where none is wanted, or none where there is one")
    return _of_arrays(np.asarray(got), np.asarray(wanted))


def _of_arrays(got: np.ndarray, wanted: np.ndarray) -> Difference:
    kind = _kind(wanted)
    about: dict[str, Any] = {"dtype": str(wanted.dtype), "shape": tuple(wanted.shape)}
    if got.dtype != wanted.dtype:
        return Difference(kind, f"dtype {got.dtype}, wanted {wanted.dtype}", relative=math.inf, **about)
    if got.shape != wanted.shape:
        return Difference(kind, f"shape {list(got.shape)}, wanted {list(wanted.shape)}", relative=math.inf, **about)
    if wanted.size == 0:
        return Difference(kind, **about)
    if kind == "exact":
        return _exact(got, wanted, about)
    return _numbers(got, wanted, kind, about)


def _kind(array: np.ndarray) -> str:
    import numpy as np

    if array.dtype.kind == "f":
        return "float"
    if array.dtype.kind in "iu":
        return "integer" if array.dtype.itemsize == 1 else "exact"
    if array.dtype.kind in "bOUSTc" or array.dtype == np.bool_:
        return "exact"
    return "integer" if "int" in array.dtype.name else "float"  # ml_dtypes: kind V


def _exact(got: np.ndarray, wanted: np.ndarray, about: dict[str, Any]) -> Difference:
    import numpy as np

    wrong = np.asarray(got != wanted)
    if wanted.dtype.kind == "c":
        wrong &= ~(np.isnan(got) & np.isnan(wanted))
    share = float(np.mean(wrong))
    worst = float(share > 0)
    if wanted.dtype.kind in "iu" and share:
        worst = float(np.abs(got.astype(np.float64) - wanted.astype(np.float64)).max())
    return Difference("exact", "", worst, share, float(share > 0.01), share, **about)


def _numbers(got: np.ndarray, wanted: np.ndarray, kind: str, about: dict[str, Any]) -> Difference:
    import numpy as np

    g, w = got.astype(np.float64).ravel(), wanted.astype(np.float64).ravel()
    finite = np.isfinite(w)
    odd = ~finite
    if (problem := _odd_values(g, w, finite)) is not None:
        return Difference(kind, problem, relative=math.inf, **about)
    if odd.any():
        g, w = g[finite], w[finite]
    if not w.size:
        return Difference(kind, sqnr_db=math.inf, cosine=1.0, **about)
    error = np.abs(g - w)
    largest = float(error.max())
    sqnr, cosine = _signal(g, w, error)
    magnitude = float(np.abs(w).max())
    return Difference(
        kind,
        "",
        largest,
        float(error.mean()),
        float(np.percentile(error, 99)),
        largest if kind == "integer" else _over_range(error, w),
        largest / (magnitude * 2.0**-23) if magnitude else math.inf if largest else 0.0,
        sqnr,
        cosine,
        **about,
    )


def _odd_values(g: np.ndarray, w: np.ndarray, finite: np.ndarray) -> str | None:
    """Say how NaN and infinities differ, ``None`` where they do not."""
    import numpy as np

    if finite.all() and np.isfinite(g).all():
        return None
    missing = int((np.isnan(w) & ~np.isnan(g)).sum())
    invented = int((~np.isnan(w) & np.isnan(g)).sum())
    infinite = int((np.isinf(w) & ~np.isnan(g) & (g != w)).sum())
    infinite += int((finite & np.isinf(g)).sum())
    counts = {"NaN lost": missing, "NaN invented": invented, "infinities differ": infinite}
    told = [f"{words} in {count} of {w.size} elements" for words, count in counts.items() if count]
    return "; ".join(told) or None


def _signal(g: np.ndarray, w: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    import numpy as np

    scale = float(np.abs(w).max()) or 1.0  # so that squares neither overflow nor vanish
    signal, noise = float(((w / scale) ** 2).sum()), float(((error / scale) ** 2).sum())
    sqnr = math.inf if noise == 0 else -math.inf if signal == 0 else 10 * math.log10(signal / noise)
    top = float(np.abs(g).max()) or 1.0
    length = math.sqrt(signal) * math.sqrt(float(((g / top) ** 2).sum()))
    cosine = float((g / top) @ (w / scale)) / length if length else float(noise == 0)
    return sqnr, min(1.0, cosine)


def _over_range(error: np.ndarray, w: np.ndarray) -> float:
    """Return the largest error over the range; of outliers, over their own magnitude."""
    import numpy as np

    magnitude = np.abs(w)
    above = magnitude[magnitude > 0]
    outlier = magnitude > _OUTLIER * float(np.median(above)) if above.size else np.zeros(w.shape, bool)
    usual = w[~outlier]
    span = float(np.abs(usual).max() if usual.size < _FEW else np.ptp(usual)) or float(magnitude.max()) or 1.0
    worst = float(error[~outlier].max()) / span if usual.size else 0.0
    if outlier.any():
        worst = max(worst, float((error[outlier] / magnitude[outlier]).max()))
    return worst


def _worst(found: Sequence[Difference], dtype: str) -> Difference:
    """Return the worst of the differences inside a sequence or map, as one of the whole."""
    worst = max(found, key=lambda d: (bool(d.problem), d.relative), default=Difference("other"))
    return Difference(
        worst.kind if found else "other",
        worst.problem,
        max((d.max_error for d in found), default=0.0),
        max((d.mean_error for d in found), default=0.0),
        max((d.p99_error for d in found), default=0.0),
        worst.relative,
        worst.ulps,
        min((d.sqnr_db for d in found if d.sqnr_db is not None), default=None),
        min((d.cosine for d in found if d.cosine is not None), default=None),
        dtype,
        None,
    )
