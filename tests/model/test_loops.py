"""What a Loop carries from one iteration to the next."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from ovpart.model.read import read_model
from tests.model.protos import constant, graph, model, node, value


def loop(body_nodes, carried="s", made="s_out", scan=(), shape=("n", 4), extra=(), given=()):
    """Loop that carries one value of `shape` from x on, and collects `scan`."""
    body_inputs = [
        value("i", (), TensorProto.INT64),
        value("going", (), TensorProto.BOOL),
        onnx.helper.make_tensor_value_info(carried, TensorProto.FLOAT, None),
    ]
    outs = [onnx.ValueInfoProto(name=n) for n in ("again", made, *scan)]
    body = graph([node("Identity", "going", "again"), *body_nodes], body_inputs, outs)
    results = [onnx.ValueInfoProto(name=n) for n in ("y", *(f"y_{n}" for n in scan))]
    names = " ".join(r.name for r in results)
    return model(
        [node("Loop", "m c x", names, body=body)],
        [value("m", (), TensorProto.INT64), value("c", (), TensorProto.BOOL), value("x", shape), *extra],
        results,
        list(given),
    )


def types(proto):
    read = read_model(proto)
    return [str(read.graph.type_of(name)) for name in read.graph.outputs], read.graph.nodes[0].bodies["body"]


def test_a_shape_that_every_iteration_keeps_is_known():
    outputs, body = types(loop([node("Relu", "s", "s_out"), node("Neg", "s", "q")], scan=("q",)))
    assert outputs == ["f32[n,4]", "f32[?,n,4]"]
    assert str(body.type_of("s")) == "f32[n,4]"


def test_a_dimension_that_grows_is_left_open_and_the_rank_stays():
    outputs, body = types(loop([node("Concat", "s s", "s_out", axis=0)]))
    assert outputs == ["f32[?,4]"]
    assert str(body.type_of("s")) == "f32[?,4]"


def test_a_rank_that_grows_is_unknown():
    given = [constant("axis", np.array([0]))]
    outputs, body = types(loop([node("Unsqueeze", "s axis", "s_out")], given=given))
    assert outputs == ["f32[?]"]
    assert body.type_of("s").rank is None


def test_what_is_not_shown_is_not_assumed():
    """The body reshapes to a length that only the run knows: no rank."""
    extra = [value("k", ("z",), TensorProto.INT64)]
    outputs, _ = types(loop([node("Reshape", "s k", "s_out")], extra=extra))
    assert outputs == ["f32[?]"]


def test_captured_constants_take_part():
    given = [constant("to", np.array([0, 2, 2])), constant("back", np.array([0, 4]))]
    nodes = [node("Reshape", "s to", "r"), node("Relu", "r", "q"), node("Reshape", "q back", "s_out")]
    outputs, body = types(loop(nodes, given=given))
    assert outputs == ["f32[n,4]"]
    assert str(body.type_of("q")) == "f32[n,2,2]"


def test_a_value_that_is_handed_through_is_known():
    outputs, _ = types(loop([node("Relu", "s", "q")], made="s", scan=("q",)))
    assert outputs == ["f32[n,4]", "f32[?,n,4]"]
