"""Models that are valid, however odd: they run, and give what onnxruntime gives."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.acceptance.broken_models import nested_choices
from tests.acceptance.cases import Cases, X, constant, model, node, value, write

CASES = Cases()
case = CASES
I64, F64 = TensorProto.INT64, TensorProto.DOUBLE


# ---------------------------------------------------------------- inputs, outputs and names


@case()
def input_is_output(folder):
    return write(folder, model([node("Relu", "x", "y")], ["x"], ["x", "y"]))


@case()
def initializer_is_output(folder):
    return write(folder, model([node("Relu", "x", "y")], ["x"], ["y", value("w", (2,))], [constant("w", [4, 5])]))


@case()
def constant_is_output(folder):
    given = node("Constant", "", "w", value=constant("", [4, 5]))
    return write(folder, model([node("Relu", "x", "y"), given], ["x"], ["y", value("w", (2,))]))


@case()
def no_node_names(folder):
    return write(folder, model([node("Relu", "x", "a"), node("Neg", "a", "y")], ["x"], ["y"]))


@case()
def same_node_names(folder):
    nodes = [node("Relu", "x", "a", "n"), node("Neg", "a", "b", "n"), node("Erf", "b", "y", "n")]
    return write(folder, model(nodes, ["x"], ["y"]))


def _named(name):
    def make(folder):
        nodes = [
            helper.make_node("Relu", ["x"], [name], name=name),
            helper.make_node("Neg", [name], ["y"], name=f"{name}2"),
        ]
        return write(folder, model(nodes, ["x"], ["y", value(name)]))

    return make


for _title, _name in {
    "many_signs": "a/b:0;\n é ☃",
    "nul": "a\0b",
    "newline": "a\nb\r",
    "blank": " ",
    "quotes": "'\"`${x}%s",
    "long": "n" * 20_000,
    "number": "0",
    "looks_like_a_port": "y:0",
    "looks_like_a_place": "constant",
}.items():
    _make = _named(_name)
    _make.__name__ = f"name_of_{_title}"
    case()(_make)


@case(**{"in\0put\n☃": X})
def odd_name_of_an_input(folder):
    return write(folder, model([helper.make_node("Relu", ["in\0put\n☃"], ["y"])], ["in\0put\n☃"], ["y"]))


@case(unused=X, x=X)
def unused_input(folder):
    return write(folder, model([node("Relu", "x", "y")], ["x", "unused"], ["y"]))


@case(x=X, unused=np.array(["a"], object))
def unused_input_of_strings(folder):
    text = value("unused", (1,), TensorProto.STRING)
    return write(folder, model([node("Relu", "x", "y")], ["x", text], ["y"]))


@case(dummy=np.zeros(1, np.float32))
def nothing_depends_on_the_input(folder):
    weight = constant("w", [4, 5])
    return write(folder, model([node("Neg", "w", "y")], [value("dummy", (1,))], [value("y", (2,))], [weight]))


@case()
def no_nodes(folder):
    return write(folder, model([], ["x"], ["x"]))


@case()
def identity_only(folder):
    return write(folder, model([node("Identity", "x", "y")], ["x"], ["y"]))


@case()
def pair_that_cancels(folder):
    nodes = [node("Transpose", "x", "a", perm=[1, 0]), node("Transpose", "a", "y", perm=[1, 0])]
    return write(folder, model(nodes, ["x"], ["y"]))


@case()
def one_value_as_three_outputs(folder):
    nodes = [node("Relu", "x", "a"), node("Identity", "a", "y"), node("Identity", "a", "z")]
    return write(folder, model(nodes, ["x"], ["y", "z", "a"]))


@case()
def dead_nodes(folder):
    return write(folder, model([node("Relu", "x", "y"), node("Erf", "x", "a"), node("Neg", "a", "b")], ["x"], ["y"]))


@case()
def unsorted_nodes(folder):
    return write(folder, model([node("Neg", "a", "y", "two"), node("Relu", "x", "a", "one")], ["x"], ["y"]))


@case(x=X[None])
def outputs_left_out(folder):
    nodes = [
        helper.make_node("Dropout", ["x"], ["a", ""]),
        helper.make_node("GRU", ["a", "w", "r"], ["", "h"], hidden_size=1),
    ]
    weights = [constant("w", [[[1, 2, 0], [0, 1, 1], [1, 0, 2]]]), constant("r", [[[1], [2], [3]]])]
    return write(folder, model(nodes, [value("x", (1, 2, 3))], [value("h", (1, 2, 1))], weights))


@case()
def inputs_left_out(folder):
    clip = helper.make_node("Clip", ["x", "", "top"], ["y"])
    return write(folder, model([clip], ["x"], ["y"], [constant("top", 0.5)]))


# ---------------------------------------------------------------- values


@case(x=np.zeros((0, 3), np.float32))
def empty_tensor(folder):
    nodes = [node("Relu", "x", "a"), node("Erf", "a", "y")]
    return write(folder, model(nodes, [value("x", ("n", 3))], [value("y", ("n", 3))]))


@case(x=np.array(2.5, np.float32))
def scalar(folder):
    nodes = [node("Relu", "x", "a"), node("Erf", "a", "y")]
    return write(folder, model(nodes, [value("x", ())], [value("y", ())]))


@case(x=np.array([2**40, -(2**33), 7]))
def large_int64(folder):
    nodes = [node("Add", "x x", "a"), node("Identity", "a", "y")]
    return write(folder, model(nodes, [value("x", (3,), I64)], [value("y", (3,), I64)]))


@case(x=np.array([1 / 3, 1e300, np.inf]))
def float64(folder):
    nodes = [node("Mul", "x x", "a"), node("Sqrt", "a", "y")]
    return write(folder, model(nodes, [value("x", (3,), F64)], [value("y", (3,), F64)]))


@case(x=np.array([200, 100, 3], np.uint8))
def uint8_that_wraps(folder):
    kind = TensorProto.UINT8
    return write(folder, model([node("Add", "x x", "y")], [value("x", (3,), kind)], [value("y", (3,), kind)]))


@case(alone=True, x=np.array(["a", "Bb", ""], object))
def strings(folder):
    kind = TensorProto.STRING
    nodes = [node("Identity", "x", "a"), node("Identity", "a", "y")]
    return write(folder, model(nodes, [value("x", (3,), kind)], [value("y", (3,), kind)]))


@case(alone=True, x=np.arange(6, dtype=np.float32).reshape(2, 3), i=np.zeros(0, np.int64))
def gather_of_nothing(folder):
    inputs = ["x", value("i", (0,), I64)]
    return write(folder, model([node("Gather", "x i", "y")], inputs, [value("y", (0, 3))]))


@case(x=np.ones((1, 2, 2, 2), np.float32), r=np.array([1, 2, 2, 2]))
def tile_by_an_input(folder):
    inputs = [value("x", (1, 2, 2, 2)), value("r", (4,), I64)]
    return write(folder, model([node("Tile", "x r", "y")], inputs, [value("y", (None,) * 4)]))


@case(x=np.arange(12, dtype=np.float32).reshape(3, 4), e=np.array([2**63 - 1]))
def slice_to_an_end_that_is_an_input(folder):
    inputs = [value("x", (3, 4)), value("e", (1,), I64)]
    start = constant("s", [1], np.int64)
    return write(folder, model([node("Slice", "x s e", "y")], inputs, [value("y", (None, 4))], [start]))


@case(x=np.array([[1 / 3, 1e-5, 70000.0]], np.float32))
def half_and_back(folder):
    nodes = [node("Cast", "x", "a", to=TensorProto.FLOAT16), node("Cast", "a", "y", to=TensorProto.FLOAT)]
    return write(folder, model(nodes, [value("x", (1, 3))], [value("y", (1, 3))]))


@case(x=X, w=np.array([10, 20, 30], np.float32))
def initializer_that_is_overridden(folder):
    inputs = ["x", value("w", (3,))]
    return write(folder, model([node("Add", "x w", "y")], inputs, ["y"], [constant("w", np.zeros(3))]))


@case()
def initializer_that_may_be_overridden(folder):
    inputs = ["x", value("w", (3,))]
    return write(folder, model([node("Add", "x w", "y")], inputs, ["y"], [constant("w", np.ones(3))]))


# ---------------------------------------------------------------- versions, functions, bodies, sizes


@case()
def newest_file_format(folder):
    return write(folder, model([node("Relu", "x", "y")], ["x"], ["y"], ir=onnx.IR_VERSION))


@case()
def newest_opset(folder):
    return write(folder, model([node("Relu", "x", "y")], ["x"], ["y"], opset=onnx.defs.onnx_opset_version()))


@case()
def default_domain_spelt_out(folder):
    proto = model([node("Relu", "x", "y", domain="ai.onnx")], ["x"], ["y"])
    proto.opset_import[0].domain = "ai.onnx"
    return write(folder, proto)


@case()
def branches_that_capture(folder):
    then = helper.make_graph([node("Add", "a w", "t")], "then", [], [value("t")])
    other = helper.make_graph([node("Neg", "a", "e")], "other", [], [value("e")])
    nodes = [
        node("Relu", "x", "a"),
        node("ReduceSum", "x", "s", keepdims=0),
        node("Greater", "s zero", "c"),
        node("If", "c", "y", then_branch=then, else_branch=other),
    ]
    return write(folder, model(nodes, ["x"], ["y"], [constant("w", np.ones((2, 3))), constant("zero", 0)]))


@case(alone=True, x=X, c=np.array(True))
def a_dozen_choices_in_one_another(folder):
    return write(folder, nested_choices(12))


@case(alone=True, x=X, c=np.array(True))
def two_dozen_choices_in_one_another(folder):
    return write(folder, nested_choices(24))


@case()
def local_function(folder):
    body = [node("Add", "a a", "b")]
    function = helper.make_function("local", "Twice", ["a"], ["b"], body, [helper.make_opsetid("", 21)])
    call = node("Twice", "x", "y", domain="local")
    return write(folder, model([call], ["x"], ["y"], domains={"local": 1}, functions=[function]))


@case()
def wide_sum(folder):
    return write(folder, model([helper.make_node("Sum", ["x"] * 2_000, ["y"])], ["x"], ["y"]))


@case()
def great_many_private_attributes(folder):
    """Attributes that begin with ``__`` are onnx's own way to leave notes."""
    given = node("Relu", "x", "y")
    given.attribute.extend(helper.make_attribute(f"__note{i}", i) for i in range(20_000))
    return write(folder, model([given], ["x"], ["y"]))


@case()
def great_many_initializers_unused(folder):
    unused = [constant(f"w{i}", [i]) for i in range(2_000)]
    return write(folder, model([node("Relu", "x", "y")], ["x"], ["y"], unused))


@case()
def metadata_and_text_of_megabytes(folder):
    proto = model([node("Relu", "x", "y", doc_string="d" * 2_000_000)], ["x"], ["y"])
    proto.metadata_props.add(key="k" * 100_000, value="v" * 2_000_000)
    return write(folder, proto)
