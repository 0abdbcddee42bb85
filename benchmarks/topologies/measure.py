"""How far outputs are from the right ones, and when a row counts as right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

TOLERANCE = 1e-3
"""Of an output's largest absolute value: what rounding in f32 may add up to in 500 layers, with room to spare."""

SLACK_DB = 1.0
"""How far below that of onnxruntime's own optimisations the signal-to-noise ratio of a quantised network may be."""


def error(got: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[float, str]:
    """Return the largest error of all outputs, and words where it is not one of rounding.

    Floats: the largest difference over the largest absolute value of what is wanted. Anything else must be equal.
    ``inf`` where an output, a shape or a type differs, an integer, text or flag does, or NaN and infinities do.
    """
    if set(got) != set(wanted):
        return math.inf, f"outputs {sorted(set(got) ^ set(wanted))} are on one side only"
    worst, words = 0.0, ""
    for name, right in wanted.items():
        found, why = _of_arrays(np.asarray(got[name]), np.asarray(right))
        if found > worst:
            worst, words = found, f"{name}: {why}" if why else ""
    return worst, words


def _of_arrays(got: Any, wanted: Any) -> tuple[float, str]:
    if got.dtype != wanted.dtype and not got.dtype.kind == wanted.dtype.kind == "U":
        return math.inf, f"{got.dtype} in place of {wanted.dtype}"
    if got.shape != wanted.shape:
        return math.inf, f"shape {got.shape} in place of {wanted.shape}"
    if wanted.size == 0:
        return 0.0, ""
    if wanted.dtype.kind not in "fc":
        differing = int(np.sum(got != wanted))
        return (math.inf, f"{differing} of {wanted.size} differ") if differing else (0.0, "")
    if not np.array_equal(np.isnan(got), np.isnan(wanted)):
        return math.inf, "NaN elsewhere"
    finite = np.isfinite(wanted)
    if not np.array_equal(got[~finite], wanted[~finite], equal_nan=True) or not np.isfinite(got[finite]).all():
        return math.inf, "infinities elsewhere"
    if not finite.any():
        return 0.0, ""
    scale = float(np.abs(wanted[finite].astype(np.float64)).max()) or 1.0
    difference = np.abs(got[finite].astype(np.float64) - wanted[finite].astype(np.float64))
    return float(difference.max()) / scale, ""


def sqnr(got: Mapping[str, Any], wanted: Mapping[str, Any]) -> float:
    """Return the worst signal-to-noise ratio of all float outputs, in decibels; ``inf`` where all are equal."""
    worst = math.inf
    for name, right in wanted.items():
        found = got.get(name)
        if right.dtype.kind == "f" and found is not None and found.shape == right.shape:
            signal = float(np.sum(right.astype(np.float64) ** 2))
            noise = float(np.sum((found.astype(np.float64) - right.astype(np.float64)) ** 2))
            if noise != 0:
                worst = min(worst, 10 * math.log10(signal / noise) if signal > 0 and noise > 0 else -math.inf)
    return worst


def is_right(result: Mapping[str, Any], engine: str) -> bool:
    """Whether an engine's answers are right; ovpart's with its defaults and with all delegated that may be."""
    if engine == "ovpart" and "ovpart-all" in result["engines"] and not is_right(result, "ovpart-all"):
        return False
    row = result["engines"].get(engine)
    if row is None or row.get("failed") or row.get("error") is None:
        return False
    if row["error"] <= TOLERANCE:
        return True
    spread = result["engines"].get("onnxruntime", {}).get("sqnr")
    if not result["quantised"] or spread is None or math.isinf(row["error"]):
        return False
    return bool(row["sqnr"] >= spread - SLACK_DB)
