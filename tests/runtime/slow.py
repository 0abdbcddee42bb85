"""Models that take a while, so that a run can be ended halfway."""

from __future__ import annotations

import itertools

import numpy as np
from onnx import TensorProto, helper, numpy_helper

WIDTH = 400


def slow_model(rows: int | str = "n", steps: int = 40) -> bytes:
    """x(@W) -> ... -> y: a chain of matrix products by the identity, so that y is x."""
    weight = numpy_helper.from_array(np.eye(WIDTH, dtype=np.float32), "W")
    names = ["x", *(f"v{step}" for step in range(steps - 1)), "y"]
    nodes = [helper.make_node("MatMul", [before, "W"], [after]) for before, after in itertools.pairwise(names)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [rows, WIDTH]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "slow", ends[:1], ends[1:], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def rows(count: int, value: float = 1.0) -> np.ndarray:
    return np.full((count, WIDTH), value, np.float32)
