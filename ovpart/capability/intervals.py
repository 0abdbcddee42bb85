"""Intervals that hold all elements of a tensor, and their arithmetic.

Bounds are Python numbers: whole ones are exact, whatever their size. Two things ride along:

* ``sizes``: how many times a size of the model a value may be. Dimensions, counts and positions are *sizes*: a tensor
  that exists has fewer than 2**31 elements, so a product of dims of one model, and small multiples and sums of such,
  stay within 32 bits in practice, although nothing but practice says so. This is a decision: without it no shape
  arithmetic of a dynamic model could be delegated. It ends where the factor passes :data:`SMALL`.
* ``inputs``: the graph inputs whose assumed bound the interval rests on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

Number: TypeAlias = int | float

INT32_MAX = 2**31 - 1
INT32_MIN = -(2**31)
SMALL = 2**16
"""Largest factor by which a size may be multiplied and still be taken for one."""
INFINITE = float("inf")

_NONE: frozenset[str] = frozenset()

DTYPE_RANGES: dict[str, tuple[int, int]] = {
    "bool": (0, 1),
    **{f"u{bits}": (0, 2**bits - 1) for bits in (2, 4, 8, 16, 32, 64)},
    **{f"i{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (2, 4, 8, 16, 32, 64)},
}
# Relative rounding error of one operation, rounded up; and the largest finite value (IEEE 754, bfloat16 as usual).
_FLOATS: dict[str, tuple[float, float]] = {
    "f64": (2.0**-50, 1.7e308),
    "f32": (2.0**-22, 3.4e38),
    "f16": (2.0**-9, 65504.0),
    "bf16": (2.0**-6, 3.3e38),
}


@dataclass(frozen=True, slots=True)
class Interval:
    """All elements of a value lie in ``[low, high]``; see the module for `sizes` (0: none) and `inputs`."""

    low: Number
    high: Number
    sizes: int = 0
    inputs: frozenset[str] = _NONE

    @property
    def most(self) -> Number:
        """Largest absolute value."""
        return max(abs(self.low), abs(self.high))

    @property
    def bounded(self) -> bool:
        """Whether both ends are finite."""
        return self.low > -INFINITE and self.high < INFINITE

    @property
    def within_int32(self) -> bool:
        """Whether 32 bits hold all values."""
        return self.low >= INT32_MIN and self.high <= INT32_MAX


SIZE = Interval(0, INT32_MAX, sizes=1)
"""A dimension, a count, a position."""
ANY = Interval(-INFINITE, INFINITE)
UNIT = Interval(0, 1)


def whole(dtype: str | None) -> Interval:
    """Return all that a dtype can hold."""
    low, high = DTYPE_RANGES.get(dtype or "", (-INFINITE, INFINITE))
    return Interval(low, high)


def fitted(value: Interval, dtype: str | None) -> Interval:
    """Return what a dtype makes of an interval: integers wrap round, floats round and overflow.

    ``sizes`` stays only where the values do.
    """
    if dtype in DTYPE_RANGES:
        least, most = DTYPE_RANGES[dtype]
        if value.low >= least and value.high <= most:
            return value
        return Interval(least, most, 0, value.inputs)
    error, largest = _FLOATS.get(dtype or "", (1.0, 0.0))
    tiny = 1e-37
    low = value.low - abs(value.low) * error - tiny if value.low >= -largest else -INFINITE
    high = value.high + abs(value.high) * error + tiny if value.high <= largest else INFINITE
    return Interval(low, high, value.sizes if value.most <= largest else 0, value.inputs)


def joined(values: Iterable[Interval]) -> Interval:
    """Return the smallest interval that holds all."""
    listed = list(values)
    factors = [v.sizes or _factor(v) for v in listed]
    sizes = max(factors) if any(v.sizes for v in listed) and 0 not in factors else 0
    low, high = min(v.low for v in listed), max(v.high for v in listed)
    return Interval(low, high, sizes, _inputs(listed))


def _inputs(values: Iterable[Interval]) -> frozenset[str]:
    merged = _NONE
    for value in values:
        if value.inputs and value.inputs is not merged:
            merged = merged | value.inputs if merged else value.inputs
    return merged


def _factor(value: Interval) -> int:
    """Return how many sizes a plain value is at most, 0 where it is too large to be taken for a few."""
    return max(1, math.ceil(value.most)) if value.most <= SMALL else 0


def _as_size(low: Number, high: Number, operands: tuple[Interval, ...], sizes: int) -> Interval:
    """Make a result; if it counts as a size, practice bounds it too."""
    if 0 < sizes <= SMALL:
        low, high = max(low, -INT32_MAX), min(high, INT32_MAX)
        if low <= high:
            return Interval(low, high, sizes, _inputs(operands))
    return Interval(low, high, 0, _inputs(operands))


def _factors(a: Interval, b: Interval) -> tuple[int, int]:
    """Return the factors of two operands, (0, 0) where the result of both is no size."""
    if not (a.sizes or b.sizes):
        return 0, 0
    first, second = a.sizes or _factor(a), b.sizes or _factor(b)
    return (first, second) if first and second else (0, 0)


def add(a: Interval, b: Interval) -> Interval:
    """Return the interval of sums."""
    first, second = _factors(a, b)
    return _as_size(a.low + b.low, a.high + b.high, (a, b), first + second)


def negative(a: Interval) -> Interval:
    """Return the interval of negated values."""
    return Interval(-a.high, -a.low, a.sizes, a.inputs)


def subtract(a: Interval, b: Interval) -> Interval:
    """Return the interval of differences."""
    return add(a, negative(b))


def _times(x: Number, y: Number) -> Number:
    return 0 if x == 0 or y == 0 else x * y  # infinity times 0 is no value that an element has


def multiply(a: Interval, b: Interval) -> Interval:
    """Return the interval of products."""
    corners = [_times(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    first, second = _factors(a, b)
    return _as_size(min(corners), max(corners), (a, b), first * second)


def divide(a: Interval, b: Interval, whole_numbers: bool) -> Interval:
    """Return the interval of quotients; whole numbers are cut towards zero, and none is divided by 0."""
    if whole_numbers:
        parts = [(b.low, min(b.high, -1)), (max(b.low, 1), b.high)]
        ends = [y for low, high in parts if low <= high for y in (low, high)]
        if not ends:
            return ANY
        # Towards zero, as ONNX has it, and down, as constant folding does: both are inside.
        corners = [f(x, y) for x in (int(a.low), int(a.high)) for y in map(int, ends) for f in (_cut, _down)]
        return _as_size(min(corners), max(corners), (a, b), a.sizes)
    if b.low <= 0 <= b.high:
        # A dimension is a divisor only where it is not 0: scales of a tensor that has elements.
        if not b.sizes or b.low < 0 or not a.bounded:
            return replace(ANY, inputs=_inputs((a, b)))
        b = replace(b, low=1) if b.high >= 1 else b
        if b.low <= 0:
            return replace(ANY, inputs=_inputs((a, b)))
    quotients = [0.0 if x == 0 else x / y for x in (a.low, a.high) for y in (b.low, b.high)]
    factor = a.sizes * math.ceil(max(1, 1 / min(abs(b.low), abs(b.high)))) if a.sizes else _factor(a) if b.sizes else 0
    return _as_size(min(quotients), max(quotients), (a, b), factor)


def _cut(x: int, y: int) -> int:
    quotient = abs(x) // abs(y)
    return quotient if (x < 0) == (y < 0) else -quotient


def _down(x: int, y: int) -> int:
    return x // y


def remainder(a: Interval, b: Interval, sign_of_dividend: bool, whole_numbers: bool) -> Interval:
    """Return the interval of remainders (``Mod``: the divisor's sign; with ``fmod``: the dividend's)."""
    if not whole_numbers and b.low <= 0 <= b.high:
        return replace(ANY, inputs=_inputs((a, b)))
    most = b.most - 1 if whole_numbers else b.most
    if most < 0:
        return replace(ANY, inputs=_inputs((a, b)))
    if sign_of_dividend:
        most = min(most, a.most)
        low, high = (0 if a.low >= 0 else -most), (0 if a.high <= 0 else most)
    else:
        low, high = (0 if b.low >= 0 else -most), (0 if b.high <= 0 else most)
        if a.low >= 0 and b.low >= 0:
            high = min(high, a.high)
    return Interval(low, high, b.sizes or (_factor(b) if a.sizes else 0), _inputs((a, b)))


def absolute(a: Interval) -> Interval:
    """Return the interval of absolute values."""
    low = 0 if a.low <= 0 <= a.high else min(abs(a.low), abs(a.high))
    return replace(a, low=low, high=a.most)


def least(values: Iterable[Interval]) -> Interval:
    """Return the interval of the element-wise smallest."""
    listed = list(values)
    low, high = min(v.low for v in listed), min(v.high for v in listed)
    # A size bounds it from above, so only how far down the others reach can make it more than a size.
    factors = [v.sizes or _factor(Interval(min(v.low, 0), 0)) for v in listed]
    sizes = max(factors) if any(v.sizes for v in listed) and 0 not in factors else 0
    return Interval(low, high, sizes, _inputs(listed))


def greatest(values: Iterable[Interval]) -> Interval:
    """Return the interval of the element-wise largest."""
    return negative(least(negative(v) for v in values))


def summed(a: Interval, count: int | None) -> Interval:
    """Return the interval of sums of any number up to `count` of elements; ``None`` where nobody knows how many."""
    if count is not None:
        return multiply(a, Interval(0, max(1, count)))
    if a.sizes or a.most <= 1.001:
        return multiply(a, SIZE)  # counts things; a float 1 may be a little more
    return multiply(a, Interval(0, LONGEST_AXIS))


LONGEST_AXIS = 2**23
"""Most elements that a sum over dims that are not known is taken to have, where the elements are data, not sizes."""


def to_integer(a: Interval, dtype: str) -> Interval:
    """Return what a cast to an integer type gives: cut towards zero; what does not fit may become anything."""
    low, high = DTYPE_RANGES[dtype]
    if not a.bounded:
        return Interval(low, high, 0, a.inputs)
    if a.sizes:  # 2**31 - 1 as a float is 2**31; a size stays one
        a = replace(a, low=max(a.low, -INT32_MAX), high=min(a.high, INT32_MAX))
    return fitted(replace(a, low=math.trunc(a.low), high=math.trunc(a.high)), dtype)
