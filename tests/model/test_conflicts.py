from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto
from onnx import helper as h

import ovpart
from ovpart.errors import ModelError
from ovpart.model.read import read_model


def model(node, inputs, output):
    info = h.make_tensor_value_info
    graph = h.make_graph([node], "g", [info(*one) for one in inputs], [info(*output)])
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 19)], ir_version=9)


def test_sizes_of_open_length_do_not_contradict_the_rank():
    resize = h.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="nearest")
    inputs = [("x", TensorProto.FLOAT, ["n", "c", "h", "w"]), ("sizes", TensorProto.INT64, ["k"])]
    proto = model(resize, inputs, ("y", TensorProto.FLOAT, [None] * 4))
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    (y,) = ovpart.Session(proto).run(None, {"x": x, "sizes": np.array([1, 1, 4, 4])})
    np.testing.assert_array_equal(y, x.repeat(2, 2).repeat(2, 3))


def test_an_open_first_dim_may_be_one():
    node = h.make_node("StringNormalizer", ["x"], ["y"], case_change_action="UPPER", is_case_sensitive=1)
    proto = model(node, [("x", TensorProto.STRING, [None, None])], ("y", TensorProto.STRING, [None, None]))
    assert read_model(proto).graph.type_of("y").dtype == "string"


def test_a_contradiction_that_no_size_mends_is_refused():
    node = h.make_node("Conv", ["x", "w"], ["y"])
    inputs = [("x", TensorProto.FLOAT, ["n", "c"]), ("w", TensorProto.FLOAT, [4, 3, 3, 3])]
    with pytest.raises(ModelError, match="cannot take inputs"):
        read_model(model(node, inputs, ("y", TensorProto.FLOAT, None)))
