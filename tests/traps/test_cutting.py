"""Traps 9 to 16: pieces cut out of a model, and what engines make of models as they are. See docs/traps.md."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnx.helper
import pytest

import ovpart
from ovpart.backend.cut import make_cut
from ovpart.backend.fold import fold_constants
from ovpart.backend.onnxruntime import OnnxRuntimeBackend
from ovpart.backend.openvino import OpenVINOBackend
from ovpart.model.read import read_model
from ovpart.partition.boundary import boundary
from ovpart.testing.cuts import compute
from tests.traps.trial import alike, engine_of, hold, model, reference, specified, with_constants, wrong

X = np.arange(12, dtype=np.float32).reshape(3, 4) / 7 - 0.5


def whole_cut(proto):
    """Return the cut of all nodes that run, and the model it is of."""
    read = fold_constants(read_model(proto))
    idle = read.graph.constant | read.graph.dead
    nodes = [node.index for node in read.graph.nodes if node.index not in idle]
    inputs, outputs = boundary(read.graph, nodes)
    return make_cut(read, nodes, inputs, outputs)


# -- 9: ranks ------------------------------------------------------------------------------------------------------


def test_trap_09_a_rank_that_only_a_run_shows():
    """The branches have ranks 1 and 2: nobody knows the rank of r before it runs, nor of what follows."""
    proto = model(
        """g (float[n,4] x, bool c) => (float y) {
            r = If (c) <then_branch = t () => (float[k] a) { a = Reshape(x, flat) },
                        else_branch = e () => (float[n,4] b) { b = Neg(x) }>
            s = Exp(r)
            y = Tanh(s)
        }"""
    )
    with_constants(proto, flat=np.array([-1]))
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    plan = ovpart.plan(proto, min_gain=0)
    assert [verdict.deferred for verdict in plan.verdicts] == [False, True, True]
    assert [engine_of(plan, value) for value in "rsy"] == ["runtime", "onnxruntime", "onnxruntime"]
    session = hold(proto, *({"x": X, "c": np.array(which)} for which in (False, True, False)))
    assert not any(verdict.deferred for verdict in session.plan.verdicts)


def test_trap_09_a_scalar_is_not_an_unknown_rank():
    """To onnxruntime both are []."""
    proto = model("g (float[n,4] x, float t) => (float[n,4] y) { s = Exp(t)  y = Mul(x, s) }")
    session = hold(proto, {"x": X, "t": np.array(0.5, np.float32)})
    assert session.report.coverage == 1


def test_trap_09_ranks_behind_ai_onnx_ml_are_known_or_learnt():
    proto = model(
        """g (float[n,4] x) => (float[n,4] y) {
            a = Exp(x)
            b = ai.onnx.ml.Scaler <offset = [0.5], scale = [2.0]> (a)
            c = ai.onnx.ml.Binarizer <threshold = 0.25> (b)
            d = Add(c, x)
            y = Tanh(d)
        }""",
        ai_onnx_ml=3,
    )
    session = hold(proto, {"x": X}, {"x": X[:1]})
    assert engine_of(session, "y") == engine_of(session, "a") == "openvino"
    assert engine_of(session, "b") == "onnxruntime"


def test_trap_09_ranks_behind_com_microsoft_are_known_or_learnt():
    proto = model(
        """g (float[n,4] x) => (float[n,4] y) {
            a = com.microsoft.QuickGelu(x)
            turned = Transpose <perm = [1, 0]> (a)
            gram = MatMul(turned, a)
            regular = Add(gram, eye)
            inverse = com.microsoft.Inverse(regular)
            product = MatMul(a, inverse)
            y = Tanh(product)
        }""",
        com_microsoft=1,
    )
    with_constants(proto, eye=np.eye(4, dtype=np.float32))
    session = hold(proto, {"x": X}, {"x": X[:2]})
    assert engine_of(session, "inverse") == "onnxruntime"
    assert engine_of(session, "y") == "openvino"


def test_trap_09_a_cut_declares_the_rank_of_every_input():
    proto = model("g (float[n,4] x) => (float[n,4] y) { a = Exp(x)  b = CumSum(a, one)  y = Tanh(b) }")
    with_constants(proto, one=np.array(1))
    read = read_model(proto)
    for index in range(3):
        inputs, outputs = boundary(read.graph, [index])
        cut = make_cut(read, [index], inputs, outputs)
        assert all(port.shape is not None and len(port.shape) == 2 for port in cut.inputs)
        assert all(info.type.tensor_type.HasField("shape") for info in cut.proto.graph.input)


# -- 10: ports -----------------------------------------------------------------------------------------------------


def test_trap_10_unused_inputs_and_names_that_change():
    """The engine drops what nobody reads, and calls the input of a Dropout by its output's name."""
    proto = model(
        """g (float[n,4] unused, float[n,4] x, float[n,4] z, float[2] idle)
        => (float[n,4] y, float[n,4] d, float[n,4] w)
        { d = Dropout(z)  y = Sub(d, x)  w = Dropout(x) }"""
    )
    feed = {"unused": 9 * X, "x": X, "z": 2 * X, "idle": np.zeros(2, np.float32)}
    session = hold(proto, feed)
    assert session.report.coverage == 1
    assert sorted(value.name for value in session.get_inputs()) == sorted(feed)


def test_trap_10_a_graph_that_does_nothing():
    for body in ("y = Dropout(x)", "y = Identity(x)", "a = Transpose <perm = [0,1]> (x)  y = Reshape(a, same)"):
        proto = model(f"g (float[3,4] x) => (float[3,4] y) <int64[2] same = {{3, 4}}> {{ {body} }}")
        assert wrong(proto, {"x": X}, {"x": X + 1}) == []


def test_trap_10_one_value_as_several_outputs():
    proto = model(
        "g (float[n,4] x) => (float[n,4] a, float[n,4] b, float[n,4] c, float[n,4] x) "
        "{ a = Exp(x)  b = Identity(a)  c = Exp(x) }"
    )
    session = hold(proto, {"x": X})
    outputs = session.run(None, {"x": X})
    assert not any(np.shares_memory(one, other) for i, one in enumerate(outputs) for other in [X, *outputs[:i]])


def test_trap_10_ports_are_bound_by_index_and_checked():
    cut = whole_cut(
        model("g (float[n] unused, float[n] x, float[n] z) => (float[n] y) { d = Dropout(z)  y = Sub(x, d) }")
    )
    executable = OpenVINOBackend().compile(cut, "CPU", {})
    assert [port.name for port in executable.inputs] == [port.name for port in cut.inputs]
    arrays = {"x": np.array([5, 7], np.float32), "z": np.array([1, 2], np.float32)}
    found = compute(executable.bind(), *(arrays[port.name] for port in cut.inputs))
    assert found[0].tolist() == [4, 5]


# -- 11: what a piece needs from outside ---------------------------------------------------------------------------


def test_trap_11_values_that_bodies_capture_are_inputs_of_the_cut():
    proto = model(
        """g (float[n,4] x, bool c, int64 trips) => (float[n,4] y) {
            a = Exp(x)
            b = Neg(x)
            r = If (c) <then_branch = t () => (float[n,4] p) { p = Add(a, big) },
                        else_branch = e () => (float[n,4] q) { q = Mul(b, x) }>
            l = Loop (trips, c, r) <body = l (int64 i, bool k, float[n,4] carried) => (bool k2, float[n,4] next)
                { k2 = Identity(k)  next = Add(carried, b) }>
            y = Tanh(l)
        }"""
    )
    with_constants(proto, big=np.full((1, 4), 3, np.float32))
    feeds = [{"x": X, "c": np.array(c), "trips": np.array(n)} for c, n in ((True, 3), (False, 2), (True, 0))]
    assert wrong(proto, *feeds) == []
    graph = read_model(proto).graph
    assert set(graph.nodes[graph.producer["r"]].captures) == {"a", "b", "x", "big"}
    inputs, _ = boundary(graph, [graph.producer["r"]])
    assert set(inputs) == {"c", "a", "b", "x"}


def test_trap_11_constant_nodes_are_copied_and_join_nothing():
    """The same scale is read on both sides of a node that stays behind: it must not make the two sides one."""
    proto = model(
        """g (float[n,4] x) => (float[n,4] y) {
            one = Constant <value_float = 2.0> ()
            two = Mul(one, one)
            scale = ConstantOfShape <value = float[1] {0.5}> (four)
            shift = Add(scale, two)
            a = Exp(x)
            b = Add(a, shift)
            up = Cast <to = 11> (b)
            root = Sqrt(up)
            down = Cast <to = 1> (root)
            c = Mul(down, shift)
            y = Tanh(c)
        }"""
    )
    with_constants(proto, four=np.array([4]))
    session = hold(proto, {"x": X})
    plan = session.plan
    assert [engine_of(session, value) for value in ("two", "scale", "shift")] == ["constant"] * 3
    assert engine_of(session, "b") == engine_of(session, "c") == "openvino"
    assert engine_of(session, "root") == "onnxruntime"
    assert len(plan.clusters) == plan.lower_bound == 3
    crossing = {value for cluster in plan.clusters for value in cluster.inputs}
    assert crossing.isdisjoint({"two", "scale", "shift", "four"})


# -- 12: local functions -------------------------------------------------------------------------------------------

SOFT = """
<domain: "local.test", opset_import: ["" : 11, "local.deep" : 1]>
soft (x) => (y) { s = Softmax <axis = 1> (x)  y = local.deep.twice(s) }
<domain: "local.deep", opset_import: ["" : 13]>
twice (x) => (y) { y = Add(x, x) }
"""


def test_trap_12_a_function_of_an_older_opset_keeps_its_meaning():
    """Softmax-11 flattens to two dimensions; onnxruntime takes the body for one of the model's opset."""
    proto = model(
        "g (float[2,3,4] x) => (float[2,3,4] y) { a = Neg(x)  b = local.test.soft(a)  y = Exp(b) }",
        functions=SOFT, local_test=1, local_deep=1,
    )  # fmt: skip
    x = np.random.default_rng(3).standard_normal((2, 3, 4)).astype(np.float32)
    flat = np.exp(-x.astype(np.float64)).reshape(2, 12)
    right = np.exp(2 * flat / flat.sum(1, keepdims=True)).reshape(2, 3, 4).astype(np.float32)
    assert wrong(proto, {"x": x}, expected=[[right]]) == []
    graph = read_model(proto).graph
    assert {node.domain for node in graph.nodes} == {""}, "no call of a function is left"
    assert not alike(reference(proto, {"x": x})[0], right), "onnxruntime gives functions their opset now"


def test_trap_12_a_function_that_cannot_be_converted_keeps_its_meaning():
    """The newest opset with Upsample is 9: nothing converts the body to the model's."""
    proto = model(
        "g (float[1,1,2,2] x) => (float[1,1,4,4] y) { a = Exp(x)  b = local.test.grow(a)  y = Tanh(b) }",
        functions="""<domain: "local.test", opset_import: ["" : 9]>
        grow (x) => (y) { s = Constant <value = float[4] {1, 1, 2, 2}> ()  y = Upsample <mode = "nearest"> (x, s) }""",
        local_test=1,
    )
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2) / 4
    assert wrong(proto, {"x": x}, expected=[[np.tanh(np.exp(x)).repeat(2, 2).repeat(2, 3)]]) == []


# -- 13: versions and names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("opset", "ir"), [(17, 14), (27, 14), (28, 14), (26, 13), (13, 3)])
def test_trap_13_newest_versions_run_on_islands(opset, ir):
    if opset > onnx.defs.onnx_opset_version():
        pytest.skip(f"the installed onnx has no opset {opset}")
    proto = model(
        """g (float[n,4] x) => (float[n,4] y)
        { a = Cast <to = 11> (x)  b = CumSum(a, one)  c = Sqrt(b)  d = Cast <to = 1> (c)  y = Tanh(d) }""",
        opset=opset, ir=ir,
    )  # fmt: skip
    with_constants(proto, one=np.array(1))
    if ir < 4:
        proto.graph.input.append(onnx.helper.make_tensor_value_info("one", 7, []))
    feed = {"x": np.abs(X)}
    right = specified(proto, {**feed, "one": np.array(1)} if ir < 4 else feed)
    for options in ({}, {"min_gain": 0}):
        session = hold(proto, feed, expected=[right], **options)
        assert engine_of(session, "c") == "onnxruntime"


@pytest.mark.skipif(onnx.defs.onnx_opset_version() < 28, reason="the installed onnx has no opset 28")
def test_trap_13_islands_bear_the_lowest_versions_that_serve():
    from ovpart.backend.onnxruntime_stamp import highest_opset, lowest

    proto = model("g (float[n] x) => (float[n] y) { y = Tanh(x) }", opset=28, ir=14)
    stamped = lowest(proto)
    assert stamped.opset_import[0].version == 13
    assert stamped.ir_version < 14
    assert highest_opset() < 28, "onnxruntime takes opset 28 now: nothing is left of this trap"
    OnnxRuntimeBackend().compile(whole_cut(proto), "CPU", {})


@pytest.mark.parametrize("names", [("twin", "twin", "twin"), ("", "", ""), ("y", "a", "a")])
@pytest.mark.parametrize("options", [{}, {"min_gain": 0}, {"exclude": ["*"], "min_gain": 0}])
def test_trap_13_node_names_need_not_be_unique(names, options):
    proto = model("g (float[n,4] x) => (float[n,4] y) { a = Exp(x)  b = Neg(a)  y = Tanh(b) }")
    for node, name in zip(proto.graph.node, names, strict=True):
        node.name = name
    expected = np.tanh(-np.exp(X))
    assert wrong(proto, {"x": X}, expected=[[expected]], **options) == []


# -- 14: quantised units -------------------------------------------------------------------------------------------


def quantised_conv():
    proto = model(
        """g (float[1,3,8,8] x) => (float[1,4,6,6] y) {
            qx = QuantizeLinear(x, sx, zx)
            dx = DequantizeLinear(qx, sx, zx)
            dw = DequantizeLinear <axis = 0> (w, sw)
            c = Conv(dx, dw)
            r = Relu(c)
            qy = QuantizeLinear(r, sx, zx)
            dy = DequantizeLinear(qy, sx, zx)
            y = Tanh(dy)
        }""",
    )
    rng = np.random.default_rng(4)
    return with_constants(
        proto,
        sx=np.array(0.03, np.float32),
        zx=np.array(12, np.uint8),
        w=rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8),
        sw=np.full(4, 0.01, np.float32),
    )


def test_trap_14_quantised_units_are_not_cut_apart():
    session = hold(quantised_conv(), {"x": np.random.default_rng(5).random((1, 3, 8, 8)).astype(np.float32)}, rtol=0.04)
    plan = session.plan
    places = {plan.places[plan.graph.producer[value]] for value in ("dx", "c", "r", "qy")}
    assert len(places) == 1


@pytest.mark.parametrize("member", ["Relu", "qy", "dx"])
def test_trap_14_a_member_that_stays_behind_keeps_its_unit(member):
    """int8 falls to f32 where a unit is cut: with one member on onnxruntime, all of them are."""
    proto = quantised_conv()
    for node in proto.graph.node:
        node.name = node.output[0]
    overlay = {"schema": 1, "ops": {"Relu": {"CPU": [{"state": "unsupported", "reason": "for this test"}]}}}
    options = {"table": overlay} if member == "Relu" else {"exclude": [member]}
    plan = ovpart.plan(proto, min_gain=0, **options)
    engines = {engine_of(plan, value) for value in ("dx", "c", "r", "qy")}
    assert engines == {"onnxruntime"}
    assert engine_of(plan, "y") == "openvino"


# -- 15: initializers that are inputs ------------------------------------------------------------------------------


def overridable():
    proto = model("g (float[n,4] x, float[4] w) => (float[n,4] y) { a = Mul(x, w)  y = Tanh(a) }")
    return with_constants(proto, w=np.full(4, 2, np.float32))


@pytest.mark.parametrize("options", [{}, {"min_gain": 0}])
def test_trap_15_initializers_that_are_inputs_hold_both_ways(options):
    other = np.array([1, -1, 0, 5], np.float32)
    feeds = [{"x": X}, {"x": X, "w": other}, {"x": X}, {"x": 2 * X, "w": -other}]
    expected = [[np.tanh(feed["x"] * feed.get("w", np.float32(2)))] for feed in feeds]
    assert wrong(overridable(), *feeds, expected=expected, **options) == []


def test_trap_15_without_an_override_they_are_constants():
    """What a caller might give anew, onnxruntime neither folds nor packs: up to seven times slower."""
    read = read_model(overridable())
    executable = OnnxRuntimeBackend().compile_whole(read, "CPU", {})
    assert [value.name for value in executable.session.get_inputs()] == ["x"]
    assert [value.name for value in executable.session.get_overridable_initializers()] == []


# -- 16: what files say of values ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [[1, 3], [3], ["n", 5], []])
@pytest.mark.parametrize("options", [{}, {"min_gain": 0}, {"min_gain": 0, "exclude": ["Neg"]}])
def test_trap_16_a_wrong_value_info_does_no_harm(shape, options):
    proto = model("g (float[n,4] x) => (float[n,4] y) { a = Exp(x)  b = Neg(a)  y = Tanh(b) }")
    right = [[np.tanh(-np.exp(x))] for x in (X, X[:1])]
    for name in "ab":
        proto.graph.value_info.append(onnx.helper.make_tensor_value_info(name, 1, shape))
    assert wrong(proto, {"x": X}, {"x": X[:1]}, expected=right, **options) == []
    read = read_model(proto)
    assert len(read.graph.type_of("a").shape) == 2
    assert read.graph.type_of("a").shape[1] == 4


def test_trap_16_cuts_repeat_no_value_info():
    proto = model("g (float[n,4] x) => (float[n,4] y) { a = Exp(x)  b = Neg(a)  y = Tanh(b) }")
    proto.graph.value_info.append(onnx.helper.make_tensor_value_info("a", 1, [1, 3]))
    cut = whole_cut(proto)
    assert not cut.proto.graph.value_info
    assert Counter(node.op_type for node in cut.proto.graph.node) == {"Exp": 1, "Neg": 1, "Tanh": 1}
