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


def statically_quantised(folder) -> tuple[onnx.ModelProto, onnx.ModelProto, dict[str, np.ndarray]]:
    """Return a network as onnxruntime's own quantiser makes it, the float one that it comes from, and an input."""
    import onnx.parser
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    rng = np.random.default_rng(3)
    plain = onnx.parser.parse_model("""
    <ir_version: 8, opset_import: ["" : 17]>
    g (float[2,3,8,8] x) => (float[2,10] y) <int64[2] flat = {2, -1}> {
      c1 = Conv<pads = [1, 1, 1, 1]>(x, w1)
      r1 = Relu(c1)
      s1 = Sigmoid(r1)
      m1 = Mul(r1, s1)
      c2 = Conv<pads = [1, 1, 1, 1]>(m1, w2)
      a = Add(c2, m1)
      p = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(a)
      f = Reshape(p, flat)
      d = MatMul(f, w3)
      y = Softmax(d)
    }""")
    for name, shape in {"w1": (4, 3, 3, 3), "w2": (4, 4, 3, 3), "w3": (64, 10)}.items():
        plain.graph.initializer.append(nh.from_array((rng.normal(size=shape) / 4).astype(np.float32), name))
    feed = {"x": rng.normal(size=(2, 3, 8, 8)).astype(np.float32)}

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.feeds = iter([feed, {"x": 2 * feed["x"]}])

        def get_next(self):
            return next(self.feeds, None)

    onnx.save(plain, folder / "plain.onnx")
    quantize_static(folder / "plain.onnx", folder / "q.onnx", Reader(), quant_format=QuantFormat.QDQ,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)  # fmt: skip
    return onnx.load(folder / "q.onnx"), plain, feed


def signal_to_noise_db(wanted: np.ndarray, got: np.ndarray) -> float:
    return 10 * float(np.log10(np.square(wanted).sum() / np.square(wanted - got).sum()))


def test_what_is_left_of_a_real_quantised_network_is_nearer_to_the_float_one(tmp_path):
    quantised, plain, feed = statically_quantised(tmp_path)
    model = read_model(quantised)
    cut = without_idle_pairs(cut_of(model, range(len(model.graph.nodes))))
    before = [node for node in quantised.graph.node if node.op_type == "QuantizeLinear"]
    left = [node for node in cut.proto.graph.node if node.op_type == "QuantizeLinear"]
    assert 0 < len(left) < len(before)
    made = {name: node.op_type for node in cut.proto.graph.node for name in node.output}
    for pair in left:  # each serves a product or a convolution, on one of its sides
        given = next(n.output[0] for n in cut.proto.graph.node if pair.output[0] in n.input)
        around = {made.get(pair.input[0], "")} | {n.op_type for n in cut.proto.graph.node if given in n.input}
        assert around & {"Conv", "MatMul"}

    def answer(proto: onnx.ModelProto, level: str) -> np.ndarray:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        return onnxruntime.InferenceSession(proto.SerializeToString(), options).run(None, feed)[0]

    exact = answer(plain, "ORT_DISABLE_ALL")
    levels = [answer(quantised, level) for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_ALL")]
    worst = min(signal_to_noise_db(exact, level) for level in levels)
    # within the spread: no further from what the network was before it was quantised than onnxruntime's worst level
    assert signal_to_noise_db(exact, answer(cut.proto, "ORT_ENABLE_ALL")) >= worst - 1
    with ovpart.Session(cut.proto, min_gain=0, evidence="off") as session:
        assert session.plan.delegated
        assert signal_to_noise_db(exact, session.run(None, feed)[0]) >= worst - 1
