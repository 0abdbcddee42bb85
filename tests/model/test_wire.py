"""The walk over serialized models."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from ovpart.model import source
from ovpart.model.read import read_model
from ovpart.model.wire import WireError, skeleton, stub_index
from tests.model.protos import constant, graph, model, node, value

BIG = np.arange(600, dtype=np.float32)


def proto():
    then = graph([node("Add", "x b", "t")], (), ("t",), [constant("b", BIG)])
    other = graph([node("Add", "x w", "e")], (), ("e",))
    nodes = [
        node("Constant", "", "k", value=constant("", BIG)),
        node("If", "c", "a", then_branch=then, else_branch=other),
        node("Add", "a k", "y"),
    ]
    inputs = [value("x", (600,)), value("c", (), onnx.TensorProto.BOOL)]
    return model(nodes, inputs, [value("y", (600,))], [constant("w", BIG), constant("small", BIG[:3])])


def test_what_is_left_is_the_model_without_large_data():
    whole = proto()
    data = whole.SerializeToString()
    small, regions = skeleton(memoryview(data))
    left = onnx.ModelProto.FromString(small)
    assert [data[r.start : r.end] for r in regions] == [BIG.tobytes()] * 2
    assert {stub_index(left.graph.initializer[0]), stub_index(left.graph.node[0].attribute[0].t)} == {0, 1}
    # Bodies keep their data, and so does what is small; nothing else has changed.
    for held, number in ((left.graph.initializer[0], 0), (left.graph.node[0].attribute[0].t, 0)):
        held.ClearField("external_data")
        held.ClearField("data_location")
        held.raw_data = BIG.tobytes()
        assert number == 0
    assert left == whole


def test_float_data_is_found_like_raw_data():
    tensor = helper.make_tensor("w", onnx.TensorProto.FLOAT, [600], BIG.tolist())
    data = model([node("Add", "x w", "y")], [value("x", (600,))], [value("y", (600,))], [tensor]).SerializeToString()
    _, (region,) = skeleton(memoryview(data))
    assert data[region.start : region.end] == BIG.tobytes()


def test_unpacked_and_repeated_fields_are_left_alone():
    """A tensor whose data comes in two fields is put together by protobuf alone."""
    half = helper.make_tensor("w", onnx.TensorProto.FLOAT, [600], BIG.tolist())
    twice = half.SerializeToString()
    other = onnx.TensorProto(float_data=BIG[:300].tolist()).SerializeToString()
    data = model([node("Add", "x w", "y")], [value("x", (600,))], [value("y", (600,))]).SerializeToString()
    tensor = twice + other
    piece = b"\x2a" + bytes([len(tensor) & 0x7F | 0x80, len(tensor) >> 7]) + tensor
    merged = onnx.ModelProto.FromString(data)
    merged.graph.MergeFromString(piece)
    assert len(merged.graph.initializer[0].float_data) == 900
    small, regions = skeleton(memoryview(b"\x3a" + _varint(len(piece)) + piece))
    assert not regions
    assert small.endswith(piece)


def _varint(number):
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


@pytest.mark.parametrize("data", [b"\x0b", b"\x3a\x05\x0a", b"\xff" * 12, b"\x08", b"\x3a\x04\x2a\x80\x80\x80"])
def test_what_is_no_protobuf_is_an_error(data):
    with pytest.raises(WireError):
        skeleton(memoryview(data))


def test_a_proto_over_the_limit_of_protobuf_is_taken_apart(monkeypatch):
    whole = proto()
    whole.graph.initializer[0].CopyFrom(constant("w", np.zeros(600, np.float32)))
    taken = source._taken_apart(whole)
    assert taken.proto.graph.node == whole.graph.node
    assert taken.proto.opset_import == whole.opset_import
    assert taken.proto.ir_version == whole.ir_version
    assert [t.name for t in taken.proto.graph.initializer] == ["w", "small"]
    monkeypatch.setattr(source, "_LIMIT", 1)
    np.testing.assert_array_equal(read_model(whole).weights.array("w"), np.zeros(600))
