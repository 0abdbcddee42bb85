"""Other views of a model: initializers as inputs."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from ovpart.model.read import read_model
from ovpart.model.variants import general_form
from tests.model.protos import constant, model, node, value


def overridable():
    """Reshape of x to a shape that calls may override, plus a weight that they may too."""
    nodes = [node("Reshape", "x s", "a"), node("Add", "a w", "y")]
    inputs = [value("x", (2, 3)), value("s", (2,), TensorProto.INT64), value("w", (1,))]
    given = [constant("s", np.array([3, 2])), constant("w", np.ones(1, np.float32))]
    return model(nodes, inputs, [onnx.ValueInfoProto(name="y")], given)


def test_default_values_are_constants_in_the_usual_form():
    graph = read_model(overridable()).graph
    assert graph.inputs == ("x",)
    assert graph.overridable == ("s", "w")
    assert str(graph.type_of("y")) == "f32[3,2]"
    assert graph.is_constant("w")


def test_in_the_general_form_they_are_inputs_and_nothing_is_known_of_their_values():
    usual = read_model(overridable())
    graph = (general := general_form(usual)).graph
    assert graph.inputs == ("x", "s", "w")
    assert graph.overridable == ()
    assert str(graph.type_of("y")) == "f32[?,?]"
    assert not graph.is_constant("w")
    assert "w" not in general.weights
    assert "w" in usual.weights


def test_what_is_not_named_stays_constant():
    graph = (general := general_form(read_model(overridable()), {"w"})).graph
    assert graph.inputs == ("x", "w")
    assert graph.overridable == ("s",)
    assert str(graph.type_of("y")) == "f32[3,2]"
    assert "s" in general.weights


def test_values_computed_from_defaults_are_not_in_the_general_form():
    proto = overridable()
    proto.graph.node.insert(0, node("Neg", "w", "minus"))
    proto.graph.node[2].input[1] = "minus"
    usual = read_model(proto)
    assert usual.graph.is_constant("minus")
    folded = usual.weights.with_arrays({"minus": -np.ones(1, np.float32)})
    from dataclasses import replace

    assert "minus" not in general_form(replace(usual, weights=folded)).weights


def test_a_model_without_such_initializers_is_its_own_general_form():
    usual = read_model(model([node("Relu", "x", "y")]))
    assert general_form(usual) is usual


def test_an_initializer_of_other_dims_than_its_input_is_taken_as_it_is():
    proto = overridable()
    proto.graph.initializer[1].CopyFrom(constant("w", np.ones((1, 2), np.float32)))
    assert str(read_model(proto).graph.type_of("w")) == "f32[1,2]"
