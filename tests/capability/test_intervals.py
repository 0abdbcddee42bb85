"""Interval arithmetic against every pair of small numbers, and the rule for sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest

from ovpart.capability import intervals as iv
from ovpart.capability.intervals import SIZE, Interval

ENDS = [(low, high) for low in range(-4, 5) for high in range(low, 5)]


def cut(x: int, y: int) -> int:
    return int(x / y)


def pairs(a: tuple[int, int], b: tuple[int, int]) -> Iterator[tuple[int, int]]:
    return ((x, y) for x in range(a[0], a[1] + 1) for y in range(b[0], b[1] + 1))


@pytest.mark.parametrize(
    ("rule", "computed", "by_zero"),
    [
        (iv.add, lambda x, y: x + y, True),
        (iv.subtract, lambda x, y: x - y, True),
        (iv.multiply, lambda x, y: x * y, True),
        (lambda a, b: iv.least((a, b)), min, True),
        (lambda a, b: iv.greatest((a, b)), max, True),
        (lambda a, b: iv.joined((a, b)), lambda x, y: y, True),
        (lambda a, b: iv.divide(a, b, True), cut, False),
        (lambda a, b: iv.divide(a, b, True), lambda x, y: x // y, False),
        (lambda a, b: iv.divide(a, b, False), lambda x, y: x / y, False),
        (lambda a, b: iv.remainder(a, b, False, True), lambda x, y: x % y, False),
        (lambda a, b: iv.remainder(a, b, True, True), math.fmod, False),
        (lambda a, b: iv.remainder(a, b, True, False), math.fmod, False),
        (lambda a, _: iv.absolute(a), lambda x, _: abs(x), True),
        (lambda a, _: iv.negative(a), lambda x, _: -x, True),
    ],
)
def test_rules_hold_every_result(
    rule: Callable[[Interval, Interval], Interval], computed: Callable[[int, int], float], by_zero: bool
) -> None:
    for a in ENDS:
        for b in ENDS:
            found = rule(Interval(*a), Interval(*b))
            for x, y in pairs(a, b):
                if y or by_zero:
                    assert found.low <= computed(x, y) <= found.high, (a, b, x, y, found)


def test_results_are_no_wider_than_they_must_be() -> None:
    assert iv.add(Interval(1, 2), Interval(3, 4)) == Interval(4, 6)
    assert iv.multiply(Interval(-2, 3), Interval(-5, 1)) == Interval(-15, 10)
    assert iv.divide(Interval(10, 20), Interval(2, 5), True) == Interval(2, 10)
    assert iv.remainder(Interval(0, 3), Interval(10, 10), False, True) == Interval(0, 3)


def test_integers_wrap_to_all_that_their_dtype_holds() -> None:
    assert iv.fitted(Interval(0, 256), "u8") == Interval(0, 255)
    assert iv.fitted(Interval(-1, 5), "u8") == Interval(0, 255)
    assert iv.fitted(Interval(3, 5), "u8") == Interval(3, 5)
    assert iv.fitted(Interval(0, 2**63), "i64") == Interval(-(2**63), 2**63 - 1)


def test_floats_round_outward_and_overflow() -> None:
    found = iv.fitted(Interval(-1, 2**24 + 1), "f32")
    assert found.low < -1
    assert found.high > 2**24 + 1
    assert iv.fitted(Interval(0, 70000), "f16").high == iv.INFINITE
    assert iv.fitted(Interval(0, iv.INFINITE), "f32").low > -1


def test_casts_to_integers_cut_towards_zero() -> None:
    assert iv.to_integer(Interval(-1.9, 2.9), "i64") == Interval(-1, 2)
    assert iv.to_integer(Interval(0, iv.INFINITE), "i32") == Interval(-(2**31), 2**31 - 1)
    assert iv.to_integer(Interval(0, 300.0), "u8") == Interval(0, 255)


def test_sizes_stay_within_32_bits_as_long_as_their_factor_is_small() -> None:
    area = iv.multiply(SIZE, SIZE)
    assert area.within_int32
    assert iv.add(area, Interval(7, 7)).within_int32
    assert iv.multiply(area, Interval(4, 4)).within_int32
    grown = SIZE
    for _ in range(15):
        grown = iv.add(grown, grown)
        assert grown.within_int32
    assert not iv.add(iv.add(grown, grown), grown).within_int32
    assert not iv.multiply(SIZE, Interval(0, 2**17)).within_int32
    assert not iv.add(SIZE, Interval(0, 2**40)).within_int32


def test_what_bounds_a_size_from_above_leaves_a_size() -> None:
    to_the_end = Interval(2**63 - 1, 2**63 - 1)
    end = iv.least((SIZE, to_the_end))
    assert end.sizes == 1
    assert iv.add(end, Interval(1, 1)).within_int32
    assert not iv.least((SIZE, Interval(-(2**40), 0))).sizes


def test_sums_over_what_nobody_counts() -> None:
    assert iv.summed(Interval(0, 1), None).within_int32  # counts things
    assert iv.summed(Interval(-128, 128), None).within_int32
    assert not iv.summed(Interval(0, 2**16), None).within_int32
    assert iv.summed(Interval(2, 3), 4) == Interval(0, 12)  # partial sums too


def test_what_an_interval_rests_on_is_carried() -> None:
    x, y = Interval(0, 1, 0, frozenset("x")), Interval(0, 1, 0, frozenset("y"))
    for found in (iv.add(x, y), iv.multiply(x, y), iv.least((x, y)), iv.joined((x, y)), iv.divide(x, y, True)):
        assert found.inputs == {"x", "y"}
    assert iv.fitted(Interval(0, 10**30, 0, frozenset("x")), "i64").inputs == {"x"}
