from __future__ import annotations

import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from ovpart.runtime.type_words import type_words

TENSOR = helper.make_tensor_type_proto(TensorProto.FLOAT, [None])
SEQUENCE = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.INT64, None))
KINDS = [
    *(helper.make_tensor_type_proto(number, [1]) for number in (*range(1, 14), TensorProto.BFLOAT16)),
    SEQUENCE,
    helper.make_optional_type_proto(TENSOR),
    helper.make_optional_type_proto(SEQUENCE),
]


@pytest.mark.parametrize("kind", KINDS, ids=type_words)
def test_words_are_those_of_onnxruntime(kind):
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph([node], "g", [helper.make_value_info("x", kind)], [helper.make_value_info("y", kind)])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].type == type_words(kind)


def test_maps_and_what_is_left_out():
    kind = onnx.TypeProto()
    assert type_words(kind) == "tensor(?)"
    kind.map_type.key_type = TensorProto.STRING
    kind.map_type.value_type.CopyFrom(TENSOR)
    assert type_words(kind) == "map(string,tensor(float))"
    assert type_words(helper.make_sequence_type_proto(kind)) == "seq(map(string,tensor(float)))"
    assert type_words(helper.make_sparse_tensor_type_proto(TensorProto.FLOAT, None)) == "sparse_tensor(float)"
