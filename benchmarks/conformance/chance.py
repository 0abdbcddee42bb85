"""Tests of operators that draw random numbers, judged by the distribution of what they draw.

Their recorded outputs come from numpy's generator, which no engine shares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx

REPEATS = 200
DEVIATIONS = 5.0
"""Standard deviations by which a share may miss its expectation: less than one wrong alarm in a million."""


def draws(model: onnx.ModelProto) -> str:
    """Return the operator whose draws make a test random, ``""`` where none does."""
    names = {node.op_type for node in model.graph.node}
    if "RandomUniformLike" in names:
        # onnx's body of Bernoulli compares the wrong way round (1.23), and is to be computed as it stands.
        return "not Bernoulli" if "Greater" in names else "Bernoulli"
    if "Bernoulli" in names:
        return "Bernoulli"
    for node in model.graph.node:
        if node.op_type == "Dropout" and len(node.input) == 3 and _ratio_given(model, node) != 0:
            return "Dropout"
    return ""


def _ratio_given(model: onnx.ModelProto, node: onnx.NodeProto) -> float | None:
    """Return a ratio that the model fixes, None where it is an input of the run."""
    for tensor in model.graph.initializer:
        if tensor.name == node.input[1]:
            return float(onnx.numpy_helper.to_array(tensor))
    return None


def judge(
    operator: str, run: Callable[[], Sequence[Any]], inputs: Sequence[Any], wanted: Sequence[Any], outputs: int
) -> None:
    """Raise ``AssertionError`` unless what an engine draws is spread as the operator says.

    Parameters
    ----------
    operator : str
        What :func:`draws` said.
    run : callable
        Runs the model on `inputs`.
    inputs : sequence
        Bernoulli: probabilities. Dropout: data, ratio (0.5 where left out), training mode.
    wanted : sequence
        Recorded outputs: shape and dtype must be theirs.
    outputs : int
        How many outputs there are.
    """
    found = [run() for _ in range(REPEATS)]
    for one in found:
        for got, like in zip(one, wanted, strict=True):
            if got.shape != like.shape or got.dtype != like.dtype:
                raise AssertionError(f"{got.dtype}{got.shape} in place of {like.dtype}{like.shape}")
    if operator.endswith("Bernoulli"):
        drawn = np.stack([np.asarray(one[0], np.float64) for one in found])
        if not np.isin(drawn, (0, 1)).all():
            raise AssertionError("a draw is neither 0 nor 1")
        hit = np.asarray(inputs[0], np.float64)
        _spread(drawn, np.broadcast_to(hit if operator == "Bernoulli" else 1 - hit, drawn.shape))
        return
    data, ratio = np.asarray(inputs[0], np.float64), 0.5 if len(inputs) < 3 else float(inputs[1])
    values = np.stack([np.asarray(one[0], np.float64) for one in found])
    kept = values != 0
    scaled = np.broadcast_to(data / (1 - ratio), values.shape)
    np.testing.assert_allclose(values[kept], scaled[kept], rtol=1e-5)
    if outputs > 1:
        masks = np.stack([np.asarray(one[1], bool) for one in found])
        np.testing.assert_array_equal(kept, masks & (data != 0))
    _spread(kept, np.full(values.shape, 1 - ratio))


def _spread(drawn: np.ndarray, probability: np.ndarray) -> None:
    """Raise unless the number of hits is as expected; runs that repeat each other count once."""
    if (drawn == drawn[:1]).all():
        drawn, probability = drawn[:1], probability[:1]
    expected = probability.sum()
    deviation = float(np.sqrt((probability * (1 - probability)).sum()))
    if abs(drawn.sum() - expected) > DEVIATIONS * max(deviation, 0.5):
        raise AssertionError(f"{drawn.sum():.0f} hits where {expected:.1f} ± {deviation:.1f} are expected")
