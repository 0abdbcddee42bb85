"""What a difference is measured by: range, steps, shares, signal to noise."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest

from ovpart.placement.verification.measure import difference

RAMP = np.linspace(0, 10, 101, dtype=np.float32)


def test_errors_of_floats_in_every_measure():
    off = RAMP.copy()
    off[3] += np.float32(0.5)
    found = difference(off, RAMP)
    assert found.max_error == pytest.approx(0.5, rel=1e-6)
    assert found.mean_error == pytest.approx(0.5 / 101, rel=1e-6)
    assert found.p99_error == 0.0
    assert found.relative == pytest.approx(0.05, rel=1e-6)
    assert found.sqnr_db == pytest.approx(10 * math.log10(float((RAMP.astype(float) ** 2).sum()) / 0.25), rel=1e-6)
    assert 0.999 < found.cosine < 1.0


def test_equal_values_have_no_noise():
    found = difference(RAMP, RAMP.copy())
    assert (found.max_error, found.relative, found.sqnr_db) == (0.0, 0.0, math.inf)
    assert found.cosine == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("got", "wanted", "words"),
    [
        (RAMP[:9], RAMP, "shape"),
        (RAMP.astype(np.float64), RAMP, "dtype"),
        (np.float32([np.nan, 1]), np.float32([0, 1]), "NaN invented in 1 of 2"),
        (np.float32([0, 1]), np.float32([np.nan, 1]), "NaN lost in 1 of 2"),
        (np.float32([np.inf, 1]), np.float32([-np.inf, 1]), "infinities differ"),
        (np.float32([np.inf, 1]), np.float32([2, 1]), "infinities differ"),
        ([RAMP], [RAMP, RAMP], "another number"),
        ({"a": 1.0}, {"b": 1.0}, "other keys"),
        (RAMP, None, "where none is wanted"),
    ],
)
def test_what_no_number_tells(got, wanted, words):
    assert words in difference(got, wanted).problem


def test_infinities_and_nan_that_agree_are_left_out():
    wanted = np.float32([np.nan, np.inf, -np.inf, 1, 2])
    assert difference(wanted.copy(), wanted).problem == ""
    assert difference(wanted.copy(), wanted).max_error == 0


def test_a_mask_of_minus_1e9_does_not_hide_errors_beside_it():
    wanted = np.concatenate([RAMP, np.full(20, -1e9, np.float32)])
    off = wanted.copy()
    off[5] += 1
    assert difference(off, wanted).relative == pytest.approx(0.1, rel=1e-3)
    off = wanted.copy()
    off[-1] *= np.float32(1.5)
    assert difference(off, wanted).relative == pytest.approx(0.5, rel=1e-3)


def test_short_integers_count_in_steps_and_long_ones_by_share():
    assert difference(np.uint8([3, 255]), np.uint8([5, 255])).relative == 2
    assert difference(np.int64([1, 2, 3, 9]), np.int64([1, 2, 3, 4])).relative == 0.25
    assert difference(np.int64([1, 2, 3, 9]), np.int64([1, 2, 3, 4])).max_error == 5
    assert difference(np.array(["a", "b"], object), np.array(["a", "c"], object)).relative == 0.5
    assert difference(np.array([1, 2], ml_dtypes.int4), np.array([1, 4], ml_dtypes.int4)).relative == 2


def test_types_of_ml_dtypes_are_numbers():
    wanted = RAMP.astype(ml_dtypes.bfloat16)
    found = difference(wanted + ml_dtypes.bfloat16(1), wanted)
    assert found.kind == "float"
    assert found.max_error >= 1


def test_empty_values_and_huge_ones_do_not_overflow():
    assert difference(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)).relative == 0
    huge = np.float32([3e38, -3e38] * 20)
    assert difference(huge, huge).sqnr_db == math.inf


def test_sequences_and_maps_are_as_wrong_as_the_worst_in_them():
    assert difference([RAMP, RAMP + np.float32(1)], [RAMP, RAMP]).relative == pytest.approx(0.1, rel=1e-3)
    assert difference([{"a": 0.5}], [{"a": 0.5}]).relative == 0
