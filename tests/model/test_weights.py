"""Weights are views of the file, or of the bytes, that the model came in."""

from __future__ import annotations

import mmap

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ovpart.model.read import read_model
from ovpart.model.types import DTYPES, dtype_bits, dtype_name, dtype_of_array, numpy_dtype
from ovpart.model.wire import LARGE_BYTES, stub_index
from tests.model.protos import constant, external, model, node, saved, value

BIG = np.arange(1200, dtype=np.float32).reshape(3, 400)


def with_weight(tensor):
    return model([node("Add", "x w", "y")], [value("x", (3, 400))], [value("y", (3, 400))], [tensor])


def with_constant(tensor):
    nodes = [node("Constant", "", "w", value=tensor), node("Add", "x w", "y")]
    return model(nodes, [value("x", (3, 400))], [value("y", (3, 400))])


def is_mapped(array):
    """Whether an array lies in a memory map."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap):
            return True
        array = array.base
    return False


@pytest.mark.parametrize("make", [with_weight, with_constant], ids=["initializer", "constant node"])
def test_weights_of_a_file_are_writeable_views_of_its_map(make, tmp_path):
    read = read_model(saved(tmp_path, make(constant("w", BIG))))
    array = read.weights.array("w")
    np.testing.assert_array_equal(array, BIG)
    assert is_mapped(array)
    assert array.flags.writeable
    assert np.shares_memory(array, read.weights.array("w"))
    array[:] = 0  # copy on write: the file keeps what it has
    np.testing.assert_array_equal(read_model(tmp_path / "model.onnx").weights.array("w"), BIG)


@pytest.mark.parametrize("make", [with_weight, with_constant], ids=["initializer", "constant node"])
def test_large_data_is_not_in_the_skeleton(make, tmp_path):
    read = read_model(saved(tmp_path, make(constant("w", BIG))))
    assert read.proto.ByteSize() < LARGE_BYTES
    held = read.graph.initializers.get("w") or read.graph.nodes[0].proto.attribute[0].t
    assert stub_index(held) is not None
    assert (held.name, tuple(held.dims), held.data_type) == ("w", (3, 400), TensorProto.FLOAT)
    assert read.weights.is_mapped("w")
    assert str(read.graph.type_of("w")) == "f32[3,400]"


def test_weights_of_bytes_are_views_of_the_bytes():
    data = with_weight(constant("w", BIG)).SerializeToString()
    array = read_model(data).weights.array("w")
    assert np.shares_memory(array, np.frombuffer(data, dtype=np.uint8))
    assert array.flags.writeable
    np.testing.assert_array_equal(array, BIG)


def test_weights_of_a_proto_do_not_change_with_it():
    proto = with_weight(constant("w", BIG))
    read = read_model(proto)
    proto.graph.initializer[0].raw_data = bytes(BIG.nbytes)
    np.testing.assert_array_equal(read.weights.array("w"), BIG)


def test_external_weights_are_views_of_one_map(tmp_path):
    (tmp_path / "w.bin").write_bytes(b"12345678" + BIG.tobytes() * 2)
    proto = model(
        [node("Add", "x w", "a"), node("Add", "a v", "y")],
        [value("x", (3, 400))],
        [value("y", (3, 400))],
        [external("w", [3, 400], "w.bin", 8), external("v", [3, 400], "w.bin", 8 + BIG.nbytes, BIG.nbytes)],
    )
    weights = read_model(saved(tmp_path, proto)).weights
    for name in ("w", "v"):
        np.testing.assert_array_equal(weights.array(name), BIG)
        assert is_mapped(weights.array(name))
    assert weights.entries["w"].buffer is weights.entries["v"].buffer


def test_small_and_shape_like_constants_stay_inside(tmp_path):
    (tmp_path / "s.bin").write_bytes(np.array([3, 400], np.int64).tobytes())
    shape = external("s", [2], "s.bin", kind=TensorProto.INT64)
    proto = model([node("Reshape", "x s", "y")], [value("x", (1200,))], [onnx.ValueInfoProto(name="y")], [shape])
    read = read_model(saved(tmp_path, proto))
    assert str(read.graph.type_of("y")) == "f32[3,400]"
    assert not read.weights.is_mapped("s")
    np.testing.assert_array_equal(read.weights.array("s"), [3, 400])


KINDS = ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64",
         "UINT64", "BOOL", "COMPLEX64", "COMPLEX128", "FLOAT8E4M3FN", "FLOAT8E5M2", "INT4", "UINT4", "FLOAT4E2M1",
         "FLOAT8E8M0", "INT2", "UINT2")  # fmt: skip


def packed(values, bits):
    """Return values as raw_data has them: those below a byte share bytes, the first in the lowest bits."""
    if bits >= 8:
        return values.tobytes()
    codes = values.view(np.uint8).reshape(-1) & ((1 << bits) - 1)
    each = 8 // bits
    codes = np.concatenate([codes, np.zeros(-len(codes) % each, np.uint8)]).reshape(-1, each)
    return (codes << np.arange(0, 8, bits, dtype=np.uint8)).sum(1).astype(np.uint8).tobytes()


def in_typed_field(tensor, raw, dtype):
    """Move raw data to the field that onnx.proto has for the type."""
    field, code = {
        "f32": ("float_data", "<f4"),
        "c64": ("float_data", "<f4"),
        "f64": ("double_data", "<f8"),
        "c128": ("double_data", "<f8"),
        "i64": ("int64_data", "<i8"),
        "u32": ("uint64_data", "<u4"),
        "u64": ("uint64_data", "<u8"),
        "i32": ("int32_data", "<i4"),
        "i16": ("int32_data", "<i2"),
        "i8": ("int32_data", "<i1"),
    }.get(dtype, ("int32_data", f"<u{max(dtype_bits(dtype), 8) // 8}"))
    getattr(tensor, field).extend(np.frombuffer(raw, code).tolist())


@pytest.mark.parametrize("kind", [k for k in KINDS if hasattr(TensorProto, k)])
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed field"])
@pytest.mark.parametrize("rows", [2, 80], ids=["small", "large"])
def test_every_element_type_is_read(kind, raw, rows):
    number = getattr(TensorProto, kind)
    dtype = dtype_name(number)
    values = (np.arange(rows * 63) % 2).astype(numpy_dtype(dtype)).reshape(rows, 63)
    data = packed(values, dtype_bits(dtype))
    tensor = TensorProto(name="w", data_type=number, dims=values.shape)
    if raw:
        tensor.raw_data = data
    else:
        in_typed_field(tensor, data, dtype)
    read = read_model(model([node("Identity", "w", "y")], (), [onnx.ValueInfoProto(name="y")], [tensor]))
    got = read.weights.array("w")
    assert got.dtype == values.dtype
    assert got.shape == (rows, 63)
    assert got.tobytes() == values.tobytes()
    assert got.flags.writeable
    assert read.weights.nbytes("w") == len(data)


@pytest.mark.parametrize("kind", ["FLOAT", "INT64", "INT4"])
def test_values_are_those_of_numpy_helper(kind):
    number = getattr(TensorProto, kind)
    tensor = helper.make_tensor("w", number, [9], [1, -2, 3, 0, 1, -1, 2, 2, 1])
    read = read_model(model([node("Identity", "w", "y")], (), [onnx.ValueInfoProto(name="y")], [tensor]))
    want = numpy_helper.to_array(tensor).astype(np.float64)
    np.testing.assert_array_equal(read.weights.array("w").astype(np.float64), want)


def test_strings_are_arrays_of_objects():
    tensor = TensorProto(name="w", data_type=TensorProto.STRING, dims=[2], string_data=[b"a", "ü".encode()])
    read = read_model(model([node("Identity", "w", "y")], (), [onnx.ValueInfoProto(name="y")], [tensor]))
    assert read.weights.array("w").tolist() == ["a", "ü"]
    assert read.weights.dtype("w") == "string"


@pytest.mark.parametrize(
    ("attribute", "want"),
    [
        ({"value_float": 1.5}, np.array(1.5, np.float32)),
        ({"value_floats": [1.5, 2.0]}, np.array([1.5, 2.0], np.float32)),
        ({"value_int": 7}, np.array(7)),
        ({"value_ints": [7, 8]}, np.array([7, 8])),
        ({"value_string": "a"}, np.array("a", object)),
        ({"value_strings": ["a", "b"]}, np.array(["a", "b"], object)),
    ],
    ids=lambda case: next(iter(case)) if isinstance(case, dict) else "",
)
def test_every_kind_of_constant_node_has_a_value(attribute, want):
    proto = model(
        [node("Constant", "", "w", **attribute), node("Identity", "w", "y")], (), [onnx.ValueInfoProto(name="y")]
    )
    weights = read_model(proto).weights
    got = weights.array("w")
    assert got.shape == want.shape
    assert got.tolist() == want.tolist()
    assert weights.shape("w") == want.shape


def sparse(name, indices):
    return helper.make_sparse_tensor(
        constant(name, np.array([1.0, 2.0], np.float32)), constant("at", np.array(indices, np.int64)), [2, 3]
    )


@pytest.mark.parametrize("indices", [[1, 5], [[0, 1], [1, 2]]], ids=["flat", "coordinates"])
def test_sparse_constants_are_made_dense(indices):
    want = [[0, 1, 0], [0, 0, 2]]
    proto = model([node("Add", "x s", "y")])
    proto.graph.sparse_initializer.append(sparse("s", indices))
    read = read_model(proto)
    assert read.weights.array("s").tolist() == want
    assert str(read.graph.type_of("s")) == "f32[2,3]"
    held = read_model(model([node("Constant", "", "s", sparse_value=sparse("", indices)), node("Add", "x s", "y")]))
    assert held.weights.array("s").tolist() == want


def test_values_computed_later_join_the_weights():
    weights = read_model(with_weight(constant("w", BIG))).weights
    more = weights.with_arrays({"folded": np.ones((2, 2), np.float16)})
    assert "folded" in more
    assert "folded" not in weights
    assert (more.dtype("folded"), more.shape("folded"), more.nbytes("folded")) == ("f16", (2, 2), 8)
    assert set(more) == {"w", "folded"}


def test_the_fingerprint_names_content_and_not_the_place(tmp_path):
    proto = with_weight(constant("w", BIG))
    first = read_model(saved(tmp_path, proto)).fingerprint
    assert first == read_model(proto).fingerprint
    assert first == read_model(saved(tmp_path, proto, "other.onnx")).fingerprint
    assert first != read_model(with_weight(constant("w", BIG + 1))).fingerprint
    assert first != read_model(with_constant(constant("w", BIG))).fingerprint


def test_the_digest_sees_every_byte_of_the_weights(tmp_path):
    changed = BIG.copy()
    changed[0, 0] += 1
    first, second = (read_model(with_weight(constant("w", a))) for a in (BIG, changed))
    assert first.weights.digest() != second.weights.digest()
    assert first.weights.digest() == read_model(saved(tmp_path, with_weight(constant("w", BIG)))).weights.digest()


def test_arrays_have_a_short_dtype_name_and_back():
    for name in DTYPES[1:]:
        assert dtype_of_array(np.zeros(2, numpy_dtype(name))) == name
    assert dtype_of_array(np.zeros(2, np.longlong)) == "i64"
    with pytest.raises(ValueError, match=">f4"):
        dtype_of_array(np.zeros(2, ">f4"))
