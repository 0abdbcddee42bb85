"""Schedules of steps in numpy, in a few words."""

from __future__ import annotations

from typing import Any

import numpy as np

from ovpart.runtime.schedule import Schedule, bind_schedule
from tests.runtime.numpy_step import NumpyStep, port

F = np.float32


def bind(inputs: str, outputs: str, *steps: tuple[str, NumpyStep], **options: Any) -> Schedule:
    return bind_schedule([port(name) for name in inputs.split()], outputs.split(), steps, **options)


def diamond(**options: Any) -> tuple[Schedule, dict[str, NumpyStep]]:
    # x -> a -> b -> y      a = x + 1, b = a * 2, c = a - 3, y = b + c
    #      a -> c -> y
    steps = {
        "A": NumpyStep(lambda x: x + 1, ["x"], ["a"]),
        "B": NumpyStep(lambda a: a * 2, ["a"], ["b"]),
        "C": NumpyStep(lambda a: a - 3, ["a"], ["c"]),
        "D": NumpyStep(lambda b, c: b + c, ["b", "c"], ["y"]),
    }
    return bind("x", "y", *steps.items(), **options), steps


def diamond_value(x: np.ndarray) -> np.ndarray:
    return (x + 1) * 2 + ((x + 1) - 3)
