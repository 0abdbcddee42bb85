"""When a value is right: bounds by dtype, and the spread that onnxruntime shows among its own optimisation levels.

No two engines round alike, so f32 results differ in their last digits. Quantised models amplify that: a rounding that
falls the other way moves a value by a whole step. How far a right answer may lie from another right answer there is
what onnxruntime's own levels differ by, on the same inputs: nothing else is known of a model that nobody trained here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ovpart.model.graph import Graph
from ovpart.placement.verification.measure import Difference

BOUNDS = {
    "float64": 1e-6,
    "float32": 1e-3,
    "float16": 1e-2,
    "bfloat16": 5e-2,
    "float8_e4m3fn": 0.25, "float8_e4m3fnuz": 0.25, "float8_e5m2": 0.5, "float8_e5m2fnuz": 0.5,
    "float8_e8m0fnu": 1.0, "float4_e2m1fn": 0.5,
}  # fmt: skip
"""Largest error over the range that rounding in another order explains, by dtype. f32: deep networks on two engines
stay under 1e-3 (51 real models); the shorter types in proportion to their digits, 8 bits and fewer one step."""
STEP = 1.0
"""Steps by which quantised integers may differ: the rounding of a value that lies between two of them."""
SHARE = 1e-3
"""Share of other integers, bools and texts that may differ: positions of equals, thresholds met within rounding."""
ROUNDING_ULPS = 64.0
"""Error in units of f32's last place at the largest magnitude that is rounding, however narrow the range is."""
SPREAD_DB = 1.0
"""Decibels below the worst of onnxruntime's own levels that are still within their spread: one input is one sample."""

_QUANTISED = frozenset({
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger",
    "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "QAttention", "QGemm", "MatMulNBits",
    "GatherBlockQuantized", "QMoE", "ConvIntegerToFloat",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spread:
    """How far onnxruntime's optimisation levels lie from each other on one value.

    Attributes
    ----------
    relative : float
        Worst of :attr:`ovpart.placement.verification.measure.Difference.relative`.
    sqnr_db : float
        Worst signal to noise; ``inf`` where all levels agree.
    """

    relative: float = 0.0
    sqnr_db: float = math.inf


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found about a difference.

    Attributes
    ----------
    is_right : bool
        Whether it is explained.
    bound : float
        What :attr:`ovpart.placement.verification.measure.Difference.relative` was held against.
    by : str
        ``"bound"``, ``"rounding"``, ``"spread"``; of a wrong value, the same of what it breaks.
    """

    is_right: bool
    bound: float
    by: str


def judged(found: Difference, *, tolerance: float | None = None, spread: Spread | None = None) -> Judgement:
    """Tell whether a difference is explained.

    Parameters
    ----------
    found : Difference
        From the reference.
    tolerance : float, optional
        Bound over the range for floats of every dtype; by default that of the dtype.
    spread : Spread, optional
        Of onnxruntime's own levels. What lies within it is right, whatever the bound.
    """
    bound = bound_of(found, tolerance)
    if found.problem:
        return Judgement(False, bound, "bound")
    if found.relative <= bound:
        return Judgement(True, bound, "bound")
    if tolerance is None and found.kind == "float" and found.dtype == "float32" and found.ulps <= ROUNDING_ULPS:
        return Judgement(True, bound, "rounding")
    return Judgement(spread is not None and _within(found, spread), bound, "bound" if spread is None else "spread")


def bound_of(found: Difference, tolerance: float | None = None) -> float:
    """Return the bound that a difference is held against."""
    if found.kind == "exact":
        return SHARE
    if found.kind == "integer":
        return STEP
    return BOUNDS.get(found.dtype, BOUNDS["float32"]) if tolerance is None else tolerance


def spread_of(differences: Iterable[Difference]) -> Spread:
    """Return the spread that differences of onnxruntime's levels from its plainest show."""
    found = [d for d in differences if not d.problem]
    return Spread(
        max((d.relative for d in found), default=0.0),
        min((d.sqnr_db for d in found if d.sqnr_db is not None), default=math.inf),
    )


def _within(found: Difference, spread: Spread) -> bool:
    if found.sqnr_db is None:
        return found.relative <= spread.relative
    return found.sqnr_db >= spread.sqnr_db - SPREAD_DB


def is_quantised(graph: Graph, nodes: Sequence[int] | None = None) -> bool:
    """Whether nodes of a scope, constant ones and bodies included, compute with quantised numbers.

    Parameters
    ----------
    graph : Graph
        The scope.
    nodes : sequence of int, optional
        Indices; all that an output depends on if left out.
    """
    chosen = graph.nodes if nodes is None else [graph.nodes[index] for index in nodes]
    return any(
        node.op_type in _QUANTISED
        or node.op_type.startswith("QLinear")
        or any(is_quantised(body) for body in node.bodies.values())
        for node in chosen
        if nodes is not None or node.index not in graph.dead
    )
