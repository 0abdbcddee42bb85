"""Rules for com.microsoft, each against what onnxruntime computes; against their documents where it has no kernel."""

from __future__ import annotations

import numpy as np
import pytest

from ovpart.model.read import read_model
from tests.model.single import agrees, one_node, run

MICROSOFT = "com.microsoft"
RNG = np.random.default_rng(0)
ONE, ZERO = np.array(1, np.float32), np.array(0, np.uint8)
Q = (ONE, ZERO)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*shape):
    return np.zeros(shape, np.int64)


def ints32(*shape):
    return np.zeros(shape, np.int32)


def bytes8(*shape):
    return RNG.integers(0, 255, shape).astype(np.uint8)


def texts(*shape):
    return np.full(shape, "a", object)


# Operator, inputs, number of outputs, positions of constants, attributes.
CASES = [
    ("FusedConv", [floats(1, 3, 8, 8), floats(4, 3, 3, 3)], 1, (), {"activation": "Relu", "strides": [2, 2]}),
    ("FusedMatMul", [floats(2, 3, 4), floats(2, 5, 4)], 1, (), {"transB": 1}),
    ("FusedMatMul", [floats(2, 3, 4), floats(4, 5)], 1, (), {}),
    ("FusedMatMul", [floats(2, 4, 3), floats(2, 4, 5)], 1, (), {"transA": 1}),
    ("FusedMatMul", [floats(2, 3, 4), floats(3, 4, 5)], 1, (), {"transBatchA": 1}),
    ("TransposeMatMul", [floats(2, 3, 4), floats(2, 5, 4)], 1, (), {"transB": 1}),
    ("FusedGemm", [floats(3, 4), floats(5, 4), floats(5)], 1, (), {"transB": 1, "activation": "Relu"}),
    ("Gelu", [floats(2, 3, 4)], 1, (), {}),
    ("QuickGelu", [floats(2, 3, 4)], 1, (), {}),
    ("FastGelu", [floats(2, 3, 4), floats(4)], 1, (), {}),
    ("BiasGelu", [floats(2, 3, 4), floats(4)], 1, (), {}),
    ("SkipLayerNormalization", [floats(2, 3, 4), floats(2, 3, 4), floats(4), floats(4)], 4, (), {}),
    ("SkipSimplifiedLayerNormalization", [floats(2, 3, 4), floats(2, 3, 4), floats(4)], 4, (), {}),
    (
        "EmbedLayerNormalization",
        [
            ints32(2, 3),
            ints32(2, 3),
            floats(10, 8),
            floats(10, 8),
            floats(2, 8),
            floats(8),
            floats(8),
            ints32(2, 3) + 1,
        ],
        3,
        (),
        {},
    ),
    (
        "EmbedLayerNormalization",
        [ints32(2, 3), None, floats(10, 8), floats(10, 8), None, floats(8), floats(8)],
        2,
        (),
        {},
    ),
    ("Attention", [floats(2, 3, 8), floats(8, 24), floats(24)], 2, (), {"num_heads": 2}),
    ("Attention", [floats(2, 3, 8), floats(8, 24), floats(24)], 1, (1, 2), {"num_heads": 2}),
    (
        "Attention",
        [floats(2, 3, 8), floats(8, 24), floats(24), None, floats(2, 2, 2, 5, 4)],
        2,
        (),
        {"num_heads": 2},
    ),
    ("MultiHeadAttention", [floats(2, 3, 8), floats(2, 4, 8), floats(2, 4, 12)], 1, (), {"num_heads": 2}),
    ("MultiHeadAttention", [floats(2, 3, 8), floats(2, 2, 4, 4), floats(2, 2, 4, 4)], 1, (), {"num_heads": 2}),
    (
        "MultiHeadAttention",
        [*[floats(2, 3, 8)] * 3, None, None, None, *[floats(2, 2, 5, 4)] * 2],
        3,
        (),
        {"num_heads": 2},
    ),
    (
        "GroupQueryAttention",
        [
            floats(2, 1, 16),
            *[floats(2, 1, 8)] * 2,
            *[floats(2, 1, 5, 8)] * 2,
            np.full(2, 5, np.int32),
            np.array(6, np.int32),
        ],
        3,
        (),
        {"num_heads": 2, "kv_num_heads": 1},
    ),
    (
        "GroupQueryAttention",
        [floats(2, 3, 32), *[None] * 4, np.full(2, 2, np.int32), np.array(3, np.int32)],
        3,
        (),
        {"num_heads": 2, "kv_num_heads": 1},
    ),
    ("RotaryEmbedding", [floats(2, 3, 8), ints(1), floats(10, 2), floats(10, 2)], 1, (), {"num_heads": 2}),
    (
        "MatMulNBits",
        [floats(2, 3, 32), bytes8(6, 1, 16), floats(6, 1)],
        1,
        (),
        {"K": 32, "N": 6, "bits": 4, "block_size": 32},
    ),
    (
        "MatMulBnb4",
        [floats(3, 32), bytes8(96), floats(6)],
        1,
        (),
        {"K": 32, "N": 6, "block_size": 32, "quant_type": 1},
    ),
    ("DynamicQuantizeMatMul", [floats(2, 3, 4), bytes8(4, 5), *Q], 1, (), {}),
    ("MatMulIntegerToFloat", [bytes8(2, 3, 4), bytes8(4, 5), ONE, ONE], 1, (), {}),
    ("MatMulInteger16", [np.ones((3, 4), np.int16), np.ones((4, 5), np.int16)], 1, (), {}),
    ("QLinearAdd", [bytes8(2, 3, 4), *Q, bytes8(3, 1), *Q, *Q], 1, (), {}),
    ("QLinearMul", [bytes8(2, 3, 4), *Q, bytes8(4), *Q, *Q], 1, (), {}),
    ("QLinearConcat", [*Q, bytes8(2, 3), *Q, bytes8(2, 5), *Q], 1, (0, 1, 3, 4, 6, 7), {"axis": 1}),
    ("QLinearSigmoid", [bytes8(2, 3), *Q, *Q], 1, (1, 2, 3, 4), {}),
    ("QLinearLeakyRelu", [bytes8(2, 3), *Q, *Q], 1, (1, 2, 3, 4), {}),
    ("QLinearSoftmax", [bytes8(2, 3), *Q, *Q], 1, (1, 2, 3, 4), {"axis": -1, "opset": 13}),
    ("QLinearGlobalAveragePool", [bytes8(1, 3, 4, 5), *Q, *Q], 1, (), {}),
    ("QLinearGlobalAveragePool", [bytes8(1, 4, 5, 3), *Q, *Q], 1, (), {"channels_last": 1}),
    ("QLinearAveragePool", [bytes8(1, 3, 8, 8), *Q, *Q], 1, (), {"kernel_shape": [2, 2], "strides": [2, 2]}),
    (
        "QLinearAveragePool",
        [bytes8(1, 8, 8, 3), *Q, *Q],
        1,
        (),
        {"kernel_shape": [3, 3], "channels_last": 1, "strides": [2, 2], "ceil_mode": 1},
    ),
    ("QLinearConv", [bytes8(1, 3, 8, 8), *Q, bytes8(4, 3, 3, 3), *Q, *Q], 1, (1, 2, 3, 4, 5, 6, 7), {}),
    (
        "QLinearConv",
        [bytes8(1, 8, 8, 3), *Q, bytes8(4, 3, 3, 3), *Q, *Q],
        1,
        (1, 2, 3, 4, 5, 6, 7),
        {"channels_last": 1, "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    ),
    ("QLinearWhere", [np.ones((2, 1), bool), bytes8(2, 3), *Q, bytes8(3), *Q, *Q], 1, (), {}),
    ("QGemm", [bytes8(3, 4), *Q, bytes8(4, 5), *Q, None, *Q], 1, (), {}),
    ("QGemm", [bytes8(3, 4), *Q, bytes8(4, 5), *Q], 1, (), {}),
    ("QuantizeLinear", [floats(2, 3), *Q], 1, (), {}),
    ("QuantizeLinear", [floats(2, 3), ONE, np.array(0, np.int16)], 1, (), {}),
    ("DequantizeLinear", [bytes8(2, 3), *Q], 1, (), {}),
    ("QAttention", [bytes8(2, 3, 8), bytes8(8, 24), floats(24), ONE, ONE, None, ZERO, ZERO], 1, (), {"num_heads": 2}),
    (
        "DynamicQuantizeLSTM",
        [
            floats(5, 2, 4),
            bytes8(1, 4, 12),
            bytes8(1, 3, 12),
            *[None] * 5,
            *[np.array([1], np.float32), np.array([0], np.uint8)] * 2,
        ],
        3,
        (1, 2, 8, 9, 10, 11),
        {"hidden_size": 3},
    ),
    ("NhwcMaxPool", [bytes8(1, 8, 8, 3)], 1, (), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ("MaxpoolWithMask", [floats(1, 3, 8, 8), ints32(1, 3, 8, 8)], 1, (), {"kernel_shape": [2, 2]}),
    ("Inverse", [floats(2, 3, 3)], 1, (), {}),
    ("Trilu", [floats(2, 3, 3)], 1, (), {}),
    ("CDist", [floats(3, 4), floats(5, 4)], 1, (), {"metric": "euclidean"}),
    ("Range", [np.array(0.0, np.float32), np.array(5.0, np.float32), ONE], 1, (), {}),
    ("Unique", [floats(6)], 3, (), {}),
    ("ExpandDims", [floats(2, 3), np.array(1, np.int32)], 1, (), {}),
    ("Pad", [floats(2, 3), np.array([0, 1, 0, 1], np.int64)], 1, (), {}),
    ("MurmurHash3", [ints32(2, 3)], 1, (), {}),
    ("MurmurHash3", [ints32(2, 3)], 1, (), {"positive": 0}),
    (
        "WordConvEmbedding",
        [ints32(3, 6) + 1, floats(4, 1, 2, 3), floats(4), floats(9, 3)],
        1,
        (),
        {"conv_window_size": 2, "embedding_size": 4, "char_embedding_size": 3},
    ),
    ("Tokenizer", [texts(2)], 1, (), {"mark": 0, "pad_value": "#", "mincharnum": 1, "separators": [" "]}),
    ("NGramRepeatBlock", [ints(2, 5), floats(2, 9)], 1, (), {"ngram_size": 2}),
    ("UnfoldTensor", [floats(2, 8)], 1, (), {"dim": 1, "size": 3, "step": 2}),
    (
        "CropAndResize",
        [
            floats(1, 3, 8, 8),
            np.array([[0, 0, 1, 1]], np.float32),
            ints32(1),
            np.array([4, 5], np.int32),
        ],
        1,
        (3,),
        {},
    ),
    ("GridSample", [floats(1, 3, 4, 4), floats(1, 5, 6, 2)], 1, (), {}),
    (
        "GatherBlockQuantized",
        [bytes8(8, 16), ints(2, 3), floats(8, 1)],
        1,
        (),
        {"block_size": 16, "bits": 8, "gather_axis": 0, "quantize_axis": 1},
    ),
    (
        "GatherBlockQuantized",
        [bytes8(8, 16), ints(2, 3), floats(8, 1)],
        1,
        (),
        {"block_size": 32, "bits": 4, "gather_axis": 0, "quantize_axis": 1},
    ),
]


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_inferred_types_hold_for_what_onnxruntime_computes(case, dynamic):
    op_type, inputs, outputs, constant, attributes = case
    fixed = {"outputs": outputs, "constant": constant, **attributes}
    results = run(one_node(op_type, MICROSOFT, inputs, **fixed), inputs)
    graph = read_model(one_node(op_type, MICROSOFT, inputs, dynamic=dynamic, **fixed)).graph
    for name, result in zip(graph.outputs, results, strict=True):
        assert agrees(graph.type_of(name), result), f"{name}: {graph.type_of(name)}, computed {result.shape}"


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes", "types"),
    [
        ("MultiHeadAttention", [floats(2, 3, 2, 3, 4)], {"num_heads": 2}, ["f32[2,3,8]"]),
        ("MultiHeadAttention", [floats(2, 3, 8), floats(2, 4, 2, 2, 4)], {"num_heads": 2}, ["f32[2,3,8]"]),
        ("QLinearReduceMean", [bytes8(2, 3, 4), *Q, *Q], {"axes": [1], "keepdims": 0}, ["u8[2,4]"]),
        ("Rfft", [floats(2, 8)], {"normalized": 0, "onesided": 1, "signal_ndim": 1}, ["f32[2,5,2]"]),
        ("BiasSplitGelu", [floats(1, 2, 8), floats(8)], {}, ["f32[1,2,4]"]),
        ("GatherND", [floats(2, 3, 4), np.zeros((2, 2), np.int64)], {}, ["f32[2,4]"]),
        ("MulInteger", [bytes8(2, 3), ZERO, bytes8(3), ZERO], {}, ["i32[2,3]"]),
        ("RelativePositionBias", [floats(32, 4), ints(1), ints(1)], {"max_distance": 128}, ["f32[1,4,?,?]"]),
    ],
)
def test_inferred_types_where_onnxruntime_has_no_kernel_here(op_type, inputs, attributes, types):
    graph = read_model(one_node(op_type, MICROSOFT, inputs, outputs=len(types), **attributes)).graph
    assert [str(graph.type_of(name)) for name in graph.outputs] == types


def test_simplified_layer_normalization_stands_in_the_standard_domain_though_onnx_has_no_schema():
    inputs = [floats(2, 3, 4), floats(4)]
    model = one_node("SimplifiedLayerNormalization", "", inputs, outputs=2)
    graph = read_model(model).graph
    for name, result in zip(graph.outputs, run(model, inputs), strict=True):
        assert agrees(graph.type_of(name), result)
    assert graph.nodes[0].since == 1


def test_a_rule_of_a_deep_stack_needs_no_round_for_each_layer():
    """X → (Gelu → MatMul → SkipLayerNormalization) 60 times: proxies let onnx go through at once."""
    import onnx
    from onnx import TensorProto, helper

    nodes, last = [], "x"
    for i in range(60):
        nodes += [
            helper.make_node("Gelu", [last], [f"g{i}"], domain=MICROSOFT),
            helper.make_node("MatMul", [f"g{i}", "w"], [f"m{i}"]),
            helper.make_node("SkipLayerNormalization", [f"m{i}", last, "s"], [f"n{i}"], domain=MICROSOFT),
            helper.make_node("Reshape", [f"n{i}", "shape"], [f"r{i}"]),
        ]
        last = f"r{i}"
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 4])
    constants = [
        onnx.numpy_helper.from_array(a, n)
        for n, a in (("w", floats(4, 4)), ("s", floats(4)), ("shape", np.array([0, 3, 4], np.int64)))
    ]
    y = onnx.ValueInfoProto(name=last)
    proto = helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], constants),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)],
        ir_version=8,
    )
    graph = read_model(proto).graph
    assert str(graph.type_of(last)) == "f32[batch,3,4]"


def test_a_rule_is_not_asked_before_its_inputs_are_known():
    """Three layers of attention, each reading the one before: asked too early, the rule would give the rank alone."""
    import onnx
    from onnx import TensorProto, helper

    nodes, last = [], "x"
    for i in range(3):
        nodes += [
            helper.make_node("MatMul", [last, "w"], [f"q{i}"]),
            helper.make_node("MultiHeadAttention", [f"q{i}"] * 3, [f"a{i}"], domain=MICROSOFT, num_heads=2),
            helper.make_node("Add", [f"a{i}", last], [f"r{i}"]),
        ]
        last = f"r{i}"
    nodes.append(helper.make_node("Reshape", [last, "shape"], ["y"]))
    constants = [
        onnx.numpy_helper.from_array(a, n)
        for n, a in (("w", floats(8, 8)), ("shape", np.array([0, 0, 2, 4], np.int64)))
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", "s", 8])
    proto = helper.make_model(
        helper.make_graph(nodes, "g", [x], [onnx.ValueInfoProto(name="y")], constants),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)],
        ir_version=8,
    )
    assert str(read_model(proto).graph.type_of("y")) == "f32[b,s,2,4]"
