from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto
from onnx import helper as h
from onnx import numpy_helper as nh

from ovpart.model.read import read_model


def recurrent(state_batch):
    """x[T, batch, 2] -> GRU with a given initial state -> Squeeze of everything that is one."""
    weights = {"w": (1, 9, 2), "r": (1, 9, 3), "h": (1, state_batch, 3)}
    inits = [nh.from_array(np.zeros(shape, np.float32), name) for name, shape in weights.items()]
    nodes = [
        h.make_node("GRU", ["x", "w", "r", "", "", "h"], ["y", ""], hidden_size=3),
        h.make_node("Squeeze", ["y"], ["z"]),
        h.make_node("Tanh", ["z"], ["t"]),
    ]
    x = h.make_tensor_value_info("x", TensorProto.FLOAT, [4, "batch", 2])
    t = h.make_tensor_value_info("t", TensorProto.FLOAT, None)
    return h.make_model(h.make_graph(nodes, "g", [x], [t], inits), opset_imports=[h.make_opsetid("", 12)], ir_version=7)


@pytest.mark.parametrize(("batch", "shape"), [(1, (4, 3)), (5, (4, 5, 3))])
def test_a_batch_that_the_initial_state_fixes_is_a_number_everywhere(batch, shape):
    model = read_model(recurrent(batch))
    assert model.graph.type_of("x").shape == (4, batch, 2)
    assert model.graph.type_of("t").shape == shape


def test_symbols_that_nothing_fixes_stay():
    proto = recurrent(1)
    proto.graph.node[0].input[5] = ""
    del proto.graph.initializer[2]
    assert read_model(proto).graph.type_of("x").shape == (4, "batch", 2)
