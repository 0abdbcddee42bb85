"""The measure that real models are judged by: each kind of difference counts, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.compare import largest_error

INF = float("inf")
RAMP = np.linspace(0, 10, 20, dtype=np.float32)


@pytest.mark.parametrize(
    ("got", "wanted", "error"),
    [
        (RAMP, RAMP, 0.0),
        (RAMP + np.float32(0.5), RAMP, 0.05),
        (np.float32([1, 4]), np.float32([1, 5]), 0.2),
        (RAMP, RAMP.astype(np.float64), INF),
        (RAMP[:19], RAMP, INF),
        (np.float32([np.nan, 1]), np.float32([0, 1]), INF),
        (np.float32([np.nan, 1]), np.float32([np.nan, 1]), 0.0),
        (np.float32([np.inf, 1]), np.float32([-np.inf, 1]), INF),
        (np.float32([np.inf, 1]), np.float32([2, 1]), INF),
        (np.zeros(0, np.float32), np.zeros(0, np.float32), 0.0),
        (np.int64([1, 2, 3, 4]), np.int64([1, 2, 3, 5]), 0.25),
        (np.uint8([255]), np.uint8([254]), 0.0),
        (np.uint8([255]), np.uint8([0]), 1.0),
        (np.array([True]), np.array([False]), INF),
        (np.array(["a"], object), np.array(["b"], object), INF),
        ([RAMP], [RAMP, RAMP], INF),
        ([{"a": 0.5}], [{"a": 0.5}], 0.0),
        ([{"a": 0.5}], [{"b": 0.5}], INF),
        (None, None, 0.0),
        (RAMP, None, INF),
    ],
)
def test_differences(got, wanted, error):
    assert largest_error(got, wanted) == pytest.approx(error)
