"""Models that must be refused: broken, or made to harm."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.acceptance.cases import Cases, constant, model, node, value, write

CASES = Cases()
case = CASES
SMALL = model([node("Relu", "x", "y", "n")], ["x"], ["y"])


# ---------------------------------------------------------------- no model


@case("empty")
def empty_file(folder):
    return write(folder, b"")


@case("no ONNX model")
def random_bytes(folder):
    return write(folder, np.random.default_rng(0).bytes(4096))


@case("model.onnx")
def text_file(folder):
    return write(folder, b"this is not a model\n" * 50)


@case("model.onnx")
def html_of_an_error_page(folder):
    return write(folder, b"<!DOCTYPE html><html><body>404: Not Found</body></html>")


@case("git-lfs")
def pointer_of_large_file_storage(folder):
    return write(folder, b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 98765432\n")


@case("cut off")
def cut_in_half(folder):
    data = model([node("Add", "x w", "y")], ["x"], ["y"], [constant("w", np.zeros((500, 50)))]).SerializeToString()
    return write(folder, data[: len(data) // 2])


@case("cut off")
def cut_by_one_byte(folder):
    return write(folder, SMALL.SerializeToString()[:-1])


@case("cut off")
def length_of_terabytes(folder):
    return write(folder, b"\x3a\xff\xff\xff\xff\x7f" + b"x" * 64)


@case("model.onnx", alone=True)
def nested_without_end(folder):
    return write(folder, b"\x3a\x7e" + b"\x0a\x7c" * 60 + b"\0" * 8)


@case("no graph")
def no_graph(folder):
    proto = onnx.ModelProto.FromString(SMALL.SerializeToString())
    proto.ClearField("graph")
    return write(folder, proto)


@case("nothing.onnx")
def no_such_file(folder):
    return folder / "nothing.onnx"


@case("folder")
def a_folder(folder):
    return folder


@case("regular file", alone=True)
def a_pipe(folder):
    import os

    os.mkfifo(folder / "model.onnx")
    return folder / "model.onnx"


@case("regular file", alone=True)
def a_device(folder):
    (folder / "model.onnx").symlink_to("/dev/zero")
    return folder / "model.onnx"


# ---------------------------------------------------------------- graphs that are none


@case("cycl", alone=True)
def cycle(folder):
    nodes = [node("Add", "x b", "a", "one"), node("Relu", "a", "b", "two"), node("Relu", "b", "y", "three")]
    return write(folder, model(nodes, ["x"], ["y"]))


@case("one", alone=True)
def node_that_reads_itself(folder):
    return write(folder, model([node("Add", "x y", "y", "one")], ["x"], ["y"]))


@case("cycl")
def body_that_waits_for_its_own_node(folder):
    body = helper.make_graph([node("Relu", "y", "t")], "body", [], [value("t")])
    other = helper.make_graph([node("Relu", "x", "e")], "other", [], [value("e")])
    choice = helper.make_node("If", ["c"], ["y"], name="choice", then_branch=body, else_branch=other)
    return write(folder, model([choice], ["x", value("c", (), TensorProto.BOOL)], ["y"]))


@case("'y'")
def two_producers(folder):
    return write(folder, model([node("Relu", "x", "y", "one"), node("Neg", "x", "y", "two")], ["x"], ["y"]))


@case("'y'")
def initializer_that_a_node_makes_too(folder):
    return write(folder, model([node("Relu", "x", "y")], ["x"], ["y"], [constant("y", np.zeros((2, 3)))]))


@case("'x'")
def input_that_a_node_makes_too(folder):
    return write(folder, model([node("Relu", "x", "x")], ["x"], ["x"]))


@case("'x'")
def input_twice(folder):
    return write(folder, model([node("Relu", "x", "y")], ["x", "x"], ["y"]))


@case("'w'")
def initializer_twice(folder):
    twice = [constant("w", np.zeros((2, 3))), constant("w", np.ones((2, 3)))]
    return write(folder, model([node("Add", "x w", "y")], ["x"], ["y"], twice))


@case("ghost")
def undefined_value(folder):
    return write(folder, model([node("Add", "x ghost", "y", "one")], ["x"], ["y"]))


@case("ghost")
def undefined_value_in_a_body(folder):
    body = helper.make_graph([node("Relu", "ghost", "t")], "body", [], [value("t")])
    other = helper.make_graph([node("Relu", "x", "e")], "other", [], [value("e")])
    choice = helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=other)
    return write(folder, model([choice], ["x", value("c", (), TensorProto.BOOL)], ["y"]))


@case("'y'")
def output_that_nothing_makes(folder):
    return write(folder, model([node("Relu", "x", "z")], ["x"], ["y"]))


@case("then_branch")
def choice_without_a_branch(folder):
    other = helper.make_graph([node("Relu", "x", "e")], "other", [], [value("e")])
    choice = helper.make_node("If", ["c"], ["y"], name="choice", else_branch=other)
    return write(folder, model([choice], ["x", value("c", (), TensorProto.BOOL)], ["y"]))


@case("NoSuchOperator")
def unknown_operator(folder):
    return write(folder, model([node("NoSuchOperator", "x", "y", "odd")], ["x"], ["y"]))


@case("nowhere.test")
def unknown_domain(folder):
    odd = node("Foo", "x", "y", "odd", domain="nowhere.test")
    return write(folder, model([odd], ["x"], ["y"], domains={"nowhere.test": 1}))


@case("nowhere.test")
def domain_that_is_not_imported(folder):
    return write(folder, model([node("Foo", "x", "y", "odd", domain="nowhere.test")], ["x"], ["y"]))


@case("Loopy", alone=True)
def function_that_calls_itself(folder):
    again = node("Loopy", "a", "b", domain="local")
    function = helper.make_function("local", "Loopy", ["a"], ["b"], [again], [helper.make_opsetid("local", 1)])
    proto = model([node("Loopy", "x", "y", domain="local")], ["x"], ["y"], domains={"local": 1}, functions=[function])
    return write(folder, proto)


@case("opset")
def no_opset(folder):
    proto = onnx.ModelProto.FromString(SMALL.SerializeToString())
    del proto.opset_import[:]
    return write(folder, proto)


def _of_opset(version):
    def make(folder):
        return write(folder, model([node("Relu", "x", "y")], ["x"], ["y"], opset=version))

    return make


for _version in (9999, 0, -3, 2**62):
    _make = _of_opset(_version)
    _make.__name__ = f"opset_{_version}"
    case(str(_version))(_make)


# ---------------------------------------------------------------- types, shapes and data that cannot be


@case("mix")
def types_that_do_not_mix(folder):
    inputs = ["x", value("i", (2, 3), TensorProto.INT64)]
    return write(folder, model([node("Add", "x i", "y", "mix")], inputs, ["y"]))


@case("mm")
def shapes_that_do_not_fit(folder):
    weight = constant("w", np.zeros((5, 4)))
    return write(folder, model([node("MatMul", "x w", "y", "mm")], ["x"], [value("y", (2, 4))], [weight]))


@case("99")
def element_type_out_of_range(folder):
    return write(folder, model([node("Relu", "x", "y")], [value("x", (2, 3), 99)], [value("y", (2, 3), 99)]))


@case("axis")
def attribute_of_a_wrong_type(folder):
    return write(folder, model([node("Softmax", "x", "y", "soft", axis=0.5)], ["x"], ["y"]))


@case("nonsense")
def attribute_that_the_operator_has_not(folder):
    return write(folder, model([node("Relu", "x", "y", nonsense=1)], ["x"], ["y"]))


@case("Conv", alone=True)
def convolution_without_weights(folder):
    image = value("x", (1, 3, 8, 8))
    return write(
        folder,
        model([node("Conv", "x", "y", "c")], [image], [value("y", None)]),
    )


@case("group 7", alone=True, x=np.zeros((1, 3, 8, 8), np.float32))
def convolution_with_groups_that_do_not_divide(folder):
    weight = constant("w", np.zeros((4, 3, 3, 3)))
    conv = node("Conv", "x w", "y", "c", group=7)
    return write(folder, model([conv], [value("x", (1, 3, 8, 8))], [value("y", None)], [weight]))


@case("group", alone=True, x=np.zeros((1, 3, 8, 8), np.float32))
def convolution_with_no_groups(folder):
    weight = constant("w", np.zeros((4, 3, 3, 3)))
    conv = node("Conv", "x w", "y", "c", group=0)
    return write(folder, model([conv], [value("x", (1, 3, 8, 8))], [value("y", None)], [weight]))


def _with_tensor(folder, tensor):
    return write(folder, model([node("Add", "x w", "y")], ["x"], ["y"], [tensor]))


def _tensor(dims, **fields):
    return TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, **fields)


@case("'w'")
def data_too_short(folder):
    return _with_tensor(folder, _tensor([2, 3], raw_data=b"\0" * 20))


@case("'w'")
def data_too_long(folder):
    return _with_tensor(folder, _tensor([2, 3], raw_data=b"\0" * 28))


@case("'w'")
def data_missing(folder):
    return _with_tensor(folder, _tensor([2, 3]))


@case("'w'")
def data_in_the_field_of_another_type(folder):
    return _with_tensor(folder, _tensor([2, 3], int64_data=[0] * 6))


@case("'w'")
def dims_negative(folder):
    return _with_tensor(folder, _tensor([-2, -3], raw_data=b"\0" * 24))


@case("'w'", alone=True)
def dims_beyond_memory(folder):
    return _with_tensor(folder, _tensor([2**40, 2**40], raw_data=b"\0" * 16))


@case("'w'", alone=True)
def dims_whose_product_wraps_to_nothing(folder):
    return _with_tensor(folder, _tensor([2**32, 2**32], raw_data=b""))


@case("'w'", alone=True)
def dims_whose_product_wraps_to_the_data(folder):
    return _with_tensor(folder, _tensor([2**62 + 1, 4], raw_data=b"\0" * 16))


@case("'k'")
def constant_of_a_bad_tensor(folder):
    tensor = TensorProto(name="t", data_type=TensorProto.FLOAT, dims=[5], raw_data=b"\0" * 8)
    return write(folder, model([node("Constant", "", "k", "k", value=tensor), node("Add", "x k", "y")], ["x"], ["y"]))


# ---------------------------------------------------------------- nested too deep


def nested_choices(depth: int) -> onnx.ModelProto:
    """Return a model of If in If, `depth` deep."""
    body = helper.make_graph([node("Relu", "x", "z0")], "b0", [], [value("z0")])
    for i in range(1, depth):
        other = helper.make_graph([node("Relu", "x", f"e{i}")], f"e{i}", [], [value(f"e{i}")])
        choice = helper.make_node("If", ["c"], [f"z{i}"], then_branch=body, else_branch=other)
        body = helper.make_graph([choice], f"b{i}", [], [value(f"z{i}")])
    other = helper.make_graph([node("Relu", "x", "e")], "e", [], [value("e")])
    last = helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=other)
    return model([last], ["x", value("c", (), TensorProto.BOOL)], ["y"])


def _head(number: int, size: int) -> bytes:
    """Return what protobuf writes before a field of `size` bytes."""
    length = b""
    while size > 0x7F:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size])


def _wire(number: int, content: bytes) -> bytes:
    """Return a field of bytes as protobuf writes it."""
    return _head(number, len(content)) + content


def nested_bytes(depth: int) -> bytes:
    """Return the file of a model of If in If that no protobuf library would write, so deep is it."""
    before = _wire(1, b"c") + _wire(2, b"y") + _wire(4, b"If")
    name, kind = _wire(1, b"then_branch"), b"\xa0\x01\x05"
    heads, size = [], 0
    for _ in range(depth):  # from the inside out: each knows its size only then
        graph = name + _head(6, size)
        attribute = _head(5, len(graph) + size + len(kind)) + graph
        node_size = len(before) + len(attribute) + size + len(kind)
        heads.append(_head(1, node_size) + before + attribute)
        size += len(heads[-1]) + len(kind)
    body = b"".join(reversed(heads)) + kind * depth
    return b"\x08\x0a" + _wire(7, body) + _wire(8, b"\x10\x15")


@case("nested", alone=True)
def hundreds_of_choices_in_one_another(folder):
    return write(folder, nested_bytes(400))


@case("nested", alone=True)
def many_thousands_of_choices_in_one_another(folder):
    return write(folder, nested_bytes(20_000))


@case("nested", alone=True)
def hundreds_of_choices_as_an_object(folder):
    """Deeper than protobuf writes or copies; it is made in place, from the outside in."""
    proto = model([], ["x", value("c", (), TensorProto.BOOL)], ["y"])
    graph = proto.graph
    for _ in range(400):
        choice = graph.node.add(op_type="If", input=["c"], output=["y"])
        graph = choice.attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH).g
    return proto


@case("nested", alone=True)
def hundreds_of_sequences_in_one_another(folder):
    kind = _wire(1, b"\x08\x01")
    for _ in range(400):
        kind = _wire(4, _wire(1, kind))
    given = _wire(11, _wire(1, b"s") + _wire(2, kind))
    return write(folder, SMALL.SerializeToString() + _wire(7, given))
