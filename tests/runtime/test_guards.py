"""Ranges of integer inputs: decided per run."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovpart.capability.verdict import Guard
from ovpart.errors import PlanError
from ovpart.runtime.guards import merge, violated

BOUND = 2**31 - 1


def guard(*names: str, bound: int = BOUND) -> Guard:
    return Guard("int32_range", names, bound)


@pytest.mark.parametrize("size", [1, 40, 5000])
@pytest.mark.parametrize(
    ("value", "expected"),
    [(BOUND, False), (-BOUND, False), (BOUND + 1, True), (-BOUND - 1, True), (2**63 - 1, True), (-(2**63), True)],
)
def test_one_value_outside_is_enough(size: int, value: int, expected: bool) -> None:
    ids = np.zeros(size, np.int64)
    ids[size // 2] = value
    assert violated([guard("ids")], {"ids": ids}) is expected
    assert violated([guard("ids")], {"ids": ids.reshape(1, -1)}) is expected


@pytest.mark.parametrize("size", [3, 300])
def test_unsigned_values_do_not_wrap(size: int) -> None:
    for dtype in (np.uint64, np.uint32):
        assert violated([guard("n")], {"n": np.full(size, np.iinfo(dtype).max, dtype)})
    assert not violated([guard("n")], {"n": np.full(size, BOUND, np.uint64)})


def test_only_named_inputs_count_and_empty_or_missing_ones_violate_nothing() -> None:
    large = np.array([2**40])
    assert not violated([guard("ids")], {"ids": np.zeros(0, np.int64), "hash": large})
    assert not violated([guard("ids")], {"hash": large})
    assert not violated([guard("ids")], {"ids": None})
    assert not violated([], {"hash": large})
    assert violated([guard("ids"), guard("hash", bound=2**39)], {"ids": np.zeros(3, np.int64), "hash": large})


def test_other_forms_of_arrays_are_read_rightly() -> None:
    assert violated([guard("ids")], {"ids": [[1, 2**31]]})
    assert violated([guard("ids")], {"ids": np.array(2**31)})
    assert not violated([guard("ids")], {"ids": np.array([1, 2], ">i8")})
    assert violated([guard("ids")], {"ids": np.array([2**32, 2], ">i8")})
    assert not violated([guard("x")], {"x": np.array([1e30])})


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=120),
    st.sampled_from([100, 2**24, BOUND]),
    st.integers(0, 63),
)
def test_equal_to_the_definition(values: list[int], bound: int, shift: int) -> None:
    values = [value >> shift for value in values]
    expected = any(not -bound <= value <= bound for value in values)
    assert violated([guard("ids", bound=bound)], {"ids": np.array(values, np.int64)}) is expected
    small = np.array(values, np.int64).astype(np.int16)
    expected = any(not -bound <= value <= bound for value in small.tolist())
    assert violated([guard("ids", bound=bound)], {"ids": small}) is expected


def test_guards_of_many_nodes_become_one_look_at_each_input() -> None:
    many = [guard("ids", "mask")] * 40 + [guard("ids", bound=2**24)]
    assert merge(many) == (guard("ids", bound=2**24), guard("mask"))
    assert merge([]) == ()


def test_a_guard_of_another_kind_is_refused() -> None:
    with pytest.raises(PlanError, match="'finite'"):
        merge([Guard("finite", ("x",))])
