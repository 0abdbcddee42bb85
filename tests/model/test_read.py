"""Reading models from every kind of source."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from ovpart.errors import ModelError
from ovpart.model.read import read_model


def _model():
    """x(2, 3) → Add(x, w) → Relu → y; w is large enough to lie outside of the skeleton."""
    weights = numpy_helper.from_array(np.arange(600, dtype=np.float32).reshape(2, 300), "w")
    nodes = [helper.make_node("Relu", ["a"], ["y"]), helper.make_node("Add", ["x", "w"], ["a"])]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 300])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.fixture(params=["path", "text", "bytes", "proto"])
def source(request, tmp_path):
    proto = _model()
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    return {"path": path, "text": str(path), "bytes": path.read_bytes(), "proto": proto}[request.param]


def test_every_source_gives_the_same_graph(source):
    model = read_model(source)
    graph = model.graph
    assert [n.op_type for n in graph.nodes] == ["Add", "Relu"]  # topological, though the file is not
    assert graph.inputs == ("x",)
    assert graph.consumers["a"] == (1,)
    np.testing.assert_array_equal(model.weights.array("w"), np.arange(600, dtype=np.float32).reshape(2, 300))
    assert not graph.initializers["w"].raw_data


def test_other_objects_are_refused():
    with pytest.raises(ModelError, match="not int"):
        read_model(3)
