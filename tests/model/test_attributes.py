"""Attributes as plain values, and what a schema says of a node."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from ovpart.model.attributes import attribute, attributes, formal_inputs, formal_outputs, schema_of
from ovpart.model.forms import form_of, is_contrib
from ovpart.model.read import read_model
from tests.model.protos import constant, model, node, value


def only(op_type, inputs, outputs="y", opset=21, **more):
    names = [value(n, (1, 1, 4, 4)) for n in dict.fromkeys(inputs.split())]
    results = [helper.make_empty_tensor_value_info(n) for n in outputs.split()]
    return read_model(model([node(op_type, inputs, outputs, **more)], names, results, opset=opset)).graph.nodes[0]


def test_given_attributes_are_plain_values():
    conv = only("Conv", "x w", kernel_shape=[4, 4], auto_pad="VALID", group=1)
    assert attributes(conv) == {"kernel_shape": (4, 4), "auto_pad": "VALID", "group": 1}
    assert attribute(only("LeakyRelu", "x", alpha=0.5), "alpha") == 0.5


def test_absent_attributes_have_the_default_of_the_schema():
    conv = only("Conv", "x w")
    assert attribute(conv, "auto_pad") == "NOTSET"
    assert attribute(conv, "group") == 1
    assert attribute(conv, "pads") is None
    assert attribute(conv, "no such name") is None
    assert attribute(only("Gelu", "x", opset=21), "approximate") == "none"


def test_the_default_is_that_of_the_opset_in_force():
    assert attribute(only("Softmax", "x", opset=11), "axis") == 1
    assert attribute(only("Softmax", "x", opset=13), "axis") == -1
    assert [only("Softmax", "x", opset=v).since for v in (11, 13, 21)] == [11, 13, 13]


def test_formal_names_stand_beside_actual_values():
    assert formal_inputs(only("Conv", "x w")) == ("X", "W")
    assert formal_inputs(only("Concat", "x w x", axis=0)) == ("inputs",) * 3
    assert formal_outputs(only("Split", "x", "a b", num_outputs=2, axis=2)) == ("outputs",) * 2


def test_names_of_a_contrib_operator_come_from_our_table():
    gelu = read_model(model([node("FusedMatMul", "x w", "y", domain="com.microsoft")],
                            [value("x"), value("w", (3, 4))], [value("y", (2, 4))])).graph.nodes[0]  # fmt: skip
    assert formal_inputs(gelu) == ("A", "B")
    assert attribute(gelu, "transA") == 0
    assert attribute(gelu, "alpha") == 1.0
    assert schema_of(gelu).contrib
    assert gelu.op_id == "com.microsoft.FusedMatMul"
    assert is_contrib("FusedMatMul", "com.microsoft")
    assert not is_contrib("Relu", "")


def test_an_operator_that_was_dropped_has_the_form_that_engines_still_run():
    assert form_of("Upsample", "", 13).since == 9
    assert form_of("Scatter", "", 13).since == 9
    assert form_of("ImageScaler", "", 7) is not None
    assert form_of("NoSuchOperator", "", 21) is None
    assert form_of("Gelu", "", 13) is None  # came with opset 20


@pytest.mark.parametrize("name", ["value_float", "value_ints"])
def test_attributes_of_constants(name):
    given = {"value_float": 2.5, "value_ints": [1, 2]}[name]
    made = read_model(
        model([node("Constant", "", "y", **{name: given})], (), [helper.make_empty_tensor_value_info("y")])
    )
    assert attributes(made.graph.nodes[0]) == {name: given if name == "value_float" else (1, 2)}


def test_a_file_of_the_first_ir_version_does_not_say_what_attributes_are():
    proto = model([node("Gemm", "x w c", "y", transB=1, alpha=0.5)], [value("x"), value("w", (4, 3)), value("c", (4,))],
                  [value("y", (2, 4))], opset=9, ir=1)  # fmt: skip
    for given in proto.graph.node[0].attribute:
        given.ClearField("type")
    read = read_model(proto)
    assert attributes(read.graph.nodes[0]) == {"transB": 1, "alpha": 0.5}
    assert str(read.graph.type_of("y")) == "f32[2,4]"


def test_text_that_is_no_utf8_does_not_stop_reading():
    proto = model([node("Cast", "x", "y", to=1)], ["x"])
    made = read_model(proto).graph.nodes[0]
    label = made.proto.attribute.add(name="__private", type=3)
    label.s = b"\xff\xfe"
    assert attributes(made)["__private"] == "\udcff\udcfe"
    assert np.isscalar(attribute(made, "to"))
    assert constant("w", [1.0]).name == "w"
