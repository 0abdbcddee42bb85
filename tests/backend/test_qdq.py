from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto
from onnx import helper as h
from onnx import numpy_helper as nh

import ovpart
from ovpart.backend.qdq import without_idle_pairs
from ovpart.errors import OvpartWarning
from ovpart.model.read import read_model
from ovpart.placement.cutting import cut_of


def quantised_between(first: str, second: str) -> onnx.ModelProto:
    """X -> first -> Q -> DQ -> second -> y; where one of them is MatMul, with a constant."""
    constants = [
        nh.from_array(np.float32(0.25), "s"),
        nh.from_array(np.uint8(8), "z"),
        nh.from_array(np.eye(4, dtype=np.float32), "w"),
    ]

    def node(op: str, source: str, target: str) -> onnx.NodeProto:
        return h.make_node(op, [source, "w"] if op == "MatMul" else [source], [target], name=target)

    nodes = [
        node(first, "x", "a"),
        h.make_node("QuantizeLinear", ["a", "s", "z"], ["q"], name="q"),
        h.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], name="d"),
        node(second, "d", "y"),
    ]
    ends = [h.make_tensor_value_info(name, TensorProto.FLOAT, [2, 4]) for name in ("x", "y")]
    graph = h.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)


def operators(proto: onnx.ModelProto) -> list[str]:
    model = read_model(proto)
    cut = without_idle_pairs(cut_of(model, range(len(model.graph.nodes))))
    onnxruntime.InferenceSession(cut.proto.SerializeToString())
    assert len(cut.node_names) == len(cut.proto.graph.node)
    return [node.op_type for node in cut.proto.graph.node]


def test_pairs_between_operators_that_gain_nothing_are_taken_out():
    assert operators(quantised_between("Relu", "Sigmoid")) == ["Relu", "Sigmoid"]


@pytest.mark.parametrize(("first", "second"), [("MatMul", "Relu"), ("Relu", "MatMul"), ("MatMul", "MatMul")])
def test_pairs_that_make_an_operator_run_in_int8_stay(first, second):
    assert operators(quantised_between(first, second)) == [first, "QuantizeLinear", "DequantizeLinear", second]


def test_pairs_of_other_scales_or_with_other_readers_stay():
    other = quantised_between("Relu", "Sigmoid")
    other.graph.initializer.append(nh.from_array(np.float32(0.5), "s2"))
    other.graph.node[2].input[1] = "s2"
    assert "QuantizeLinear" in operators(other)
    read = quantised_between("Relu", "Sigmoid")
    read.graph.node.append(h.make_node("Cast", ["q"], ["i"], to=TensorProto.INT32))
    read.graph.output.append(h.make_tensor_value_info("i", TensorProto.INT32, [2, 4]))
    assert "QuantizeLinear" in operators(read)
    output = quantised_between("Relu", "Sigmoid")
    output.graph.output.append(h.make_tensor_value_info("d", TensorProto.FLOAT, [2, 4]))
    assert "QuantizeLinear" in operators(output)


def test_pairs_in_a_row_are_taken_out_together():
    proto = quantised_between("Relu", "Sigmoid")
    again = [
        h.make_node("QuantizeLinear", ["d", "s", "z"], ["q2"], name="q2"),
        h.make_node("DequantizeLinear", ["q2", "s", "z"], ["d2"], name="d2"),
    ]
    proto.graph.node.extend(again)
    proto.graph.node[3].input[0] = "d2"
    nodes = [proto.graph.node[i] for i in (0, 1, 2, 4, 5, 3)]
    ordered = onnx.GraphProto(node=nodes)
    del proto.graph.node[:]
    proto.graph.node.extend(ordered.node)
    assert operators(proto) == ["Relu", "Sigmoid"]


def test_an_npus_cluster_loses_its_idle_pairs_and_moves_by_a_rounding_at_most():
    proto = quantised_between("Relu", "Relu")
    x = np.linspace(0, 3, 8, dtype=np.float32).reshape(2, 4)
    exact = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"x": x})[0]
    kept, taken = (
        ovpart.Session(proto, device="NPU", emulate=True, unknown="delegate", enable_qdq_optimizer=on, min_gain=0)
        for on in (False, True)
    )
    assert {cluster.label.device for cluster in taken.plan.delegated} == {"NPU"}
    np.testing.assert_allclose(kept.run(None, {"x": x})[0], exact, atol=1e-6)
    np.testing.assert_allclose(taken.run(None, {"x": x})[0], np.maximum(x, 0), atol=1e-6)
    assert np.abs(exact - x).max() > 0.05


def test_the_option_is_for_npu_and_says_so_elsewhere():
    with pytest.warns(OvpartWarning, match="enable_qdq_optimizer=True has no effect on CPU: it is for NPU"):
        ovpart.Session(quantised_between("Relu", "Relu"), enable_qdq_optimizer="True")
