"""Answers are compared at what their dtype can hold."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from ovpart.probe.compare import difference

F32 = np.array([1.0, -2.0, 1000.0], np.float32)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (F32, F32),
        (F32 * np.float32(1 + 1e-5), F32),
        (np.array([np.nan, np.inf, -np.inf], np.float32), np.array([np.nan, np.inf, -np.inf], np.float32)),
        (np.array([1.01], ml_dtypes.bfloat16), np.array([1.0], ml_dtypes.bfloat16)),
        (np.array(["a"], object), np.array(["a"])),
        (np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)),
    ],
)
def test_what_is_the_same_is_the_same(found, wanted):
    assert difference([found], [wanted]) == ""


@pytest.mark.parametrize(
    ("found", "wanted", "words"),
    [
        (F32 * np.float32(1.01), F32, "2 of 3 differ"),
        (np.array([np.nan], np.float32), np.array([0.0], np.float32), "nan where 0.0 is right"),
        (np.array([3.4e38], np.float32), np.array([np.inf], np.float32), "where inf is right"),
        (np.array([1.00000001]), np.array([1.0]), "1 of 1 differ"),
        (np.array([1], np.int32), np.array([2], np.int32), "1 where 2 is right"),
        (np.array([1], np.int32), np.array([1], np.int64), "i32[1] where i64[1] is right"),
        (np.zeros((1, 3), np.float32), np.zeros(3, np.float32), "f32[1, 3] where f32[3] is right"),
        (np.array([1.0], ml_dtypes.float8_e4m3fn), np.array([1.125], ml_dtypes.float8_e4m3fn), "1 of 1 differ"),
    ],
)
def test_what_is_not_is_told(found, wanted, words):
    assert words in difference([found], [wanted])


def test_a_missing_output_is_told():
    assert difference([], [F32]) == "0 outputs where 1 are right"
