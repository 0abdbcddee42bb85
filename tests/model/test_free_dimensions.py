"""Open dimensions that get a size: by symbol, by denotation, in bodies and types that hold types."""

from __future__ import annotations

import warnings

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import ovpart
from ovpart.model.free_dimensions import with_sizes
from ovpart.model.read import read_model
from tests.model.protos import constant, model, node, value


def dynamic():
    """Return x[batch, 3] -> Relu -> a -> MatMul with w[3, 4] -> y[batch, 4]."""
    nodes = [node("Relu", "x", "a"), node("MatMul", "a w", "y")]
    return model(nodes, [value("x", ("batch", 3))], [value("y", ("batch", 4))], [constant("w", np.ones((3, 4), "f4"))])


def denoted():
    proto = dynamic()
    proto.graph.input[0].type.tensor_type.shape.dim[0].denotation = "DATA_BATCH"
    return proto


@pytest.mark.parametrize("sizes", [{"batch": 2}, {"DATA_BATCH": 2}, {"batch": 2, "DATA_BATCH": 7}])
def test_what_follows_from_a_size_is_inferred(sizes):
    found = with_sizes(read_model(denoted()), sizes) if len(sizes) == 1 else None
    if found is None:
        with pytest.warns(ovpart.OvpartWarning, match="'DATA_BATCH' has no effect"):  # the name counts before it
            found = with_sizes(read_model(denoted()), sizes)
    assert [str(found.graph.type_of(name)) for name in "xay"] == ["f32[2,3]", "f32[2,3]", "f32[2,4]"]
    assert [dim.dim_value for dim in found.proto.graph.output[0].type.tensor_type.shape.dim] == [2, 4]


def test_the_model_as_it_was_is_left_alone_and_told_apart():
    read = read_model(dynamic())
    assert with_sizes(read, {}) is read
    two, three = (with_sizes(read, {"batch": size}) for size in (2, 3))
    assert str(read.graph.type_of("x")) == "f32[batch,3]"
    assert len({read.fingerprint, two.fingerprint, three.fingerprint}) == 3
    assert two.fingerprint == with_sizes(read, {"batch": 2}).fingerprint
    assert read.is_untouched
    assert not two.is_untouched


def test_a_name_that_no_dimension_has_is_said():
    with pytest.warns(ovpart.OvpartWarning, match="'bacth' has no effect.* did you mean 'batch'"):
        found = with_sizes(read_model(dynamic()), {"bacth": 2})
    assert str(found.graph.type_of("x")) == "f32[batch,3]"


def test_one_symbol_has_one_size():
    proto = denoted()
    proto.graph.input.append(value("z", ("batch",)))
    proto.graph.input[1].type.tensor_type.shape.dim[0].denotation = "DATA_CHANNEL"
    with pytest.raises(ovpart.OptionError, match="'batch' two sizes: 2 and 3"):
        with_sizes(read_model(proto), {"DATA_BATCH": 2, "DATA_CHANNEL": 3})


def test_sizes_that_cannot_be_are_refused():
    nodes = [node("Relu", "x", "a"), node("MatMul", "a w", "y")]
    proto = model(nodes, [value("x", (2, "width"))], [value("y", (2, 4))], [constant("w", np.ones((3, 4), "f4"))])
    assert str(with_sizes(read_model(proto), {"width": 3}).graph.type_of("y")) == "f32[2,4]"
    with pytest.raises(ovpart.ModelError, match="MatMul"):
        with_sizes(read_model(proto), {"width": 5})


def test_types_of_bodies_and_of_sequences_get_the_size_too():
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, ("batch", 3)))
    body = helper.make_graph([node("Relu", "x", "t")], "then", [], [value("t", ("batch", 3))])
    other = helper.make_graph([node("Neg", "x", "e")], "else", [], [value("e", ("batch", 3))])
    nodes = [
        helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=other),
        node("SequenceAt", "s zero", "z"),
    ]
    inputs = [value("x", ("batch", 3)), value("c", (), TensorProto.BOOL), helper.make_value_info("s", kind)]
    proto = model(nodes, inputs, [value("y", ("batch", 3)), value("z", ("batch", 3))], [constant("zero", np.int64(0))])
    found = with_sizes(read_model(proto), {"batch": 2})
    assert str(found.graph.type_of("y")) == "f32[2,3]"
    assert str(found.graph.type_of("z")) == "f32[2,3]"
    (choice,) = (node for node in found.graph.nodes if node.op_type == "If")
    assert str(choice.bodies["then_branch"].type_of("t")) == "f32[2,3]"


@pytest.mark.parametrize("min_gain", [0, None])
def test_a_session_computes_and_checks_with_the_size(min_gain):
    x = np.array([[-1, 2, 3], [4, -5, 6]], np.float32)
    session = ovpart.Session(dynamic(), min_gain=min_gain, free_dimensions={"batch": 2})
    np.testing.assert_allclose(session.run(None, {"x": x})[0], np.maximum(x, 0) @ np.ones((3, 4), np.float32))
    assert session.get_inputs()[0].shape == [2, 3]
    with pytest.raises(ovpart.InputError, match="2"):
        session.run(None, {"x": x[:1]})


def test_a_device_of_static_shapes_takes_what_has_a_size(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(dynamic(), path)
    refused = ovpart.plan(path, device="NPU", min_gain=0, unknown="delegate")
    assert {verdict.hint for verdict in refused.verdicts} == {"fix the shapes: option free_dimensions"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        taken = ovpart.plan(path, device="NPU", min_gain=0, unknown="delegate", free_dimensions={"batch": "1"})
    assert taken.coverage == 1
    saved = tmp_path / "plan.json"
    ovpart.plan(path, min_gain=0, free_dimensions={"batch": 1}).save(saved)
    assert ovpart.Session(path, plan=saved, free_dimensions={"batch": 1}).plan.coverage == 1
    with pytest.raises(ovpart.PlanError):
        ovpart.Session(path, plan=saved)


@pytest.mark.parametrize("size", [0, -1, 1.5, "many", True])
def test_a_size_is_a_whole_number_from_one_up(size):
    with pytest.raises(ovpart.OptionError, match="free_dimensions"):
        ovpart.plan(dynamic(), free_dimensions={"batch": size})
