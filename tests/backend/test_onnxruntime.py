"""onnxruntime: forms that it takes, options, the untouched model, feeds."""

from __future__ import annotations

import os
import threading

import numpy as np
import onnx
import onnx.helper
import onnx.parser
import onnxruntime
import pytest

from ovpart.backend.cut import make_cut
from ovpart.backend.onnxruntime import OnnxRuntimeBackend, session_options
from ovpart.backend.onnxruntime_stamp import alternatives, highest_opset, knows, lowest
from ovpart.errors import CompileError, OptionError, RunError
from ovpart.model.read import read_model
from ovpart.testing.cuts import compute, cut_of, dense, relu


@pytest.fixture
def backend():
    return OnnxRuntimeBackend()


def stamped(cut, opset, ir=None):
    proto = onnx.ModelProto()
    proto.CopyFrom(cut.proto)
    proto.opset_import[0].version = opset
    if ir is not None:
        proto.ir_version = ir
    return type(cut)(proto, cut.inputs, cut.outputs, cut.weights, cut.node_names)


def model_of(text):
    return read_model(onnx.parser.parse_model(text))


# -- stamps --------------------------------------------------------------------------------------------------------


def test_trap_13_newest_opset_and_ir_are_stamped_down(backend):
    newest = onnx.defs.onnx_opset_version()
    cut = stamped(dense(np.eye(3, dtype=np.float32)), newest, onnx.IR_VERSION)
    assert newest >= highest_opset()
    assert compute(backend.compile(cut, "CPU", {}).bind(), np.float32([[1, -2, 3]]))[0].tolist() == [[1, 0, 3]]


def test_operator_of_an_unreleased_opset(backend):
    """What came with an opset newer than onnxruntime takes by itself, but that it has a kernel for."""
    if onnx.defs.onnx_opset_version() == highest_opset():
        pytest.skip("onnxruntime takes every opset that the installed onnx has")
    newest = onnx.defs.onnx_opset_version()
    half = np.float16([0, 1.5, 0.5])
    nodes = [onnx.helper.make_node("Range", ["a", "b", "c"], ["y"])]
    ends = dict.fromkeys("abc", ("f16", ()))
    cut = cut_of(nodes, ends, {"y": ("f16", ("N",))}, opset=newest)
    before = dict(os.environ)
    try:
        request = backend.compile(cut, "CPU", {}).bind()
    except CompileError as error:
        pytest.skip(f"this build has no kernel for it: {error}")
    assert compute(request, *map(np.array, half))[0].tolist() == [0, 0.5, 1]
    assert dict(os.environ) == before


def test_scan_with_a_batch_is_not_converted():
    # onnx's converter would make one without a batch of it.
    text = "b (float[2] s, float[2] n) => (float[2] t, float[2] o) { t = Add(s, n) o = Neg(t) }"
    body = onnx.parser.parse_graph(text)
    node = onnx.helper.make_node("Scan", ["", "i", "x"], ["y", "z"], body=body, num_scan_inputs=1)
    ends = {"i": ("f32", (1, 2)), "x": ("f32", (1, 3, 2))}
    cut = cut_of([node], ends, {"y": ("f32", None), "z": ("f32", None)}, opset=8)
    assert {proto.opset_import[0].version for proto in alternatives(cut.proto)} == {8}


def test_ir_version_from_the_future_is_stamped_down(backend):
    cut = stamped(relu(), 17, 99)
    assert compute(backend.compile(cut, "CPU", {}).bind(), np.float32([-1, 1]))[0].tolist() == [0, 1]


def test_lowest_stamp_is_the_newest_form_in_the_model():
    nodes = [onnx.helper.make_node("Relu", ["x"], ["h"]), onnx.helper.make_node("Gelu", ["h"], ["y"])]
    cut = cut_of(nodes, {"x": ("f32", (2,))}, {"y": ("f32", (2,))}, opset=24)
    changed = lowest(cut.proto)
    assert changed.opset_import[0].version == 20  # Gelu came with 20; Relu-14 is older
    assert changed.graph == cut.proto.graph


def test_lowest_stamp_looks_into_bodies():
    def branch(op, opset_op):
        out = onnx.helper.make_tensor_value_info(op, 1, [2])
        return onnx.helper.make_graph([onnx.helper.make_node(opset_op, ["x"], [op])], op, [], [out])

    node = onnx.helper.make_node("If", ["c"], ["y"], then_branch=branch("a", "Gelu"), else_branch=branch("b", "Relu"))
    cut = cut_of([node], {"c": ("bool", ()), "x": ("f32", (2,))}, {"y": ("f32", (2,))}, opset=26)
    node.op_type = "If"
    # If itself has a form of opset 25, Gelu is of 20.
    assert lowest(cut.proto).opset_import[0].version == onnx.defs.get_schema("If", 26).since_version
    assert lowest(cut.proto).opset_import[0].version >= 20


def test_stamp_stays_where_an_operator_is_unknown():
    node = onnx.helper.make_node("Mystery", ["x"], ["y"])
    changed = lowest(cut_of([node], {"x": ("f32", (2,))}, {"y": ("f32", (2,))}).proto)
    assert changed.opset_import[0].version == 17


def test_stamp_never_falls_below_7():
    assert lowest(relu().proto).opset_import[0].version == onnx.defs.get_schema("Relu", 17).since_version
    node = onnx.helper.make_node("Sum", ["x", "x"], ["y"])
    assert (
        lowest(cut_of([node], {"x": ("f32", (2,))}, {"y": ("f32", (2,))}, opset=7).proto).opset_import[0].version == 7
    )


def test_first_form_is_the_model_as_it_is():
    proto = relu().proto
    assert next(alternatives(proto)) is proto


def test_refusal_repeats_the_first_words(backend):
    node = onnx.helper.make_node("Concat", ["x", "i"], ["y"], axis=0)
    cut = cut_of([node], {"x": ("f32", (2,)), "i": ("i64", (2,))}, {"y": ("f32", (4,))})
    with pytest.raises(CompileError, match="bound to different types") as caught:
        backend.compile(cut, "CPU", {})
    assert caught.value.node == "y"


# -- what it knows -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "domain", "since", "known"),
    [
        ("Relu", "", 14, True),
        ("Relu", "", 0, True),
        ("PRelu", "", 6, True),  # runs after conversion
        ("HardSwish", "", 14, True),
        ("GroupNormalization", "", 21, True),  # a function of onnx
        ("Gelu", "com.microsoft", 1, True),
        ("TreeEnsembleClassifier", "ai.onnx.ml", 3, True),
        ("NobodyKnowsThis", "", 0, False),
        ("Relu", "nobody", 0, False),
    ],
)
def test_knows(op, domain, since, known):
    assert knows(op, domain, since) is known


# -- options -------------------------------------------------------------------------------------------------------


def test_spinning_is_off_unless_asked_for():
    key = "session.intra_op.allow_spinning"
    assert session_options({}).get_session_config_entry(key) == "0"
    with pytest.raises(RuntimeError, match="does not have"):
        session_options({"spinning": True}).get_session_config_entry(key)


def test_products_with_dequantised_weights_are_calculated_in_floats(backend):
    """Fused by onnxruntime, they would round what comes in to 8 bits."""
    rng = np.random.default_rng(0)
    weights = [rng.integers(-127, 127, (64, 32)).astype(np.int8), np.full(32, 0.01, np.float32)]
    node = onnx.helper.make_node
    nodes = [node("DequantizeLinear", ["w", "s"], ["d"], axis=1), node("MatMul", ["x", "d"], ["y"])]
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes, "g", [value("x", 1, ["n", 64])], [value("y", 1, ["n", 32])],
        [onnx.numpy_helper.from_array(array, name) for name, array in zip("ws", weights, strict=True)],
    )  # fmt: skip
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    x = rng.standard_normal((5, 64)).astype(np.float32)
    (found,) = compute(backend.compile_whole(read_model(proto), "CPU", {}).bind(), x)
    np.testing.assert_allclose(found, x @ (weights[0] * weights[1]), atol=1e-4)


def test_options_reach_the_session():
    options = session_options({"num_threads": 3, "optimization": "basic", "session.disable_prepacking": 1})
    assert options.intra_op_num_threads == 3
    assert options.graph_optimization_level.name == "ORT_ENABLE_BASIC"
    assert options.get_session_config_entry("session.disable_prepacking") == "1"


@pytest.mark.parametrize(
    "config", [{"NUM_STREAMS": 1}, {"num_threads": -1}, {"num_threads": "2"}, {"optimization": "most"}, {"threads": 2}]
)
def test_unknown_options_are_refused(config):
    with pytest.raises(OptionError):
        session_options(config)


def test_free_dimensions_are_fixed(backend):
    executable = backend.compile(relu(("N", 3)), "CPU", {"free_dimensions": {"N": 2}})
    assert executable.session.get_inputs()[0].shape == [2, 3]


# -- the untouched model -------------------------------------------------------------------------------------------


def test_whole_model_from_bytes_and_from_a_path(backend, tmp_path):
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[N] x, float[N] unused) => (float[N] y) { y = Neg(x) }'
    proto = onnx.parser.parse_model(text)
    path = tmp_path / "model.onnx"
    onnx.save(proto, path)
    for source in (proto, proto.SerializeToString(), path, str(path)):
        executable = backend.compile_whole(read_model(source), "CPU", {})
        assert [port.name for port in executable.inputs] == ["x", "unused"]
        assert compute(executable.bind(), np.float32([1]), np.float32([1]))[0].tolist() == [-1]
        assert executable.run_feed(["y"], {"x": np.float32([2]), "unused": np.float32([0])})[0].tolist() == [-2]


def test_trap_15_overridable_initializers_are_constants(backend):
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) { h = Neg(w) y = Add(x, h) }'
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.float32([1, 2]), "w"))
    proto.graph.input.append(onnx.helper.make_tensor_value_info("w", 1, [2]))
    executable = backend.compile_whole(read_model(proto), "CPU", {})
    assert [value.name for value in executable.session.get_inputs()] == ["x"]
    assert not executable.session.get_overridable_initializers()
    assert compute(executable.bind(), np.float32([5, 5]))[0].tolist() == [4, 3]


def test_whole_model_that_is_stamped_too_new_runs_as_a_cut(backend):
    header = f'<ir_version: 8, opset_import: ["" : {onnx.defs.onnx_opset_version()}]>'
    text = f"{header} g (float[N] x) => (float[N] y) {{ y = Neg(x) }}"
    executable = backend.compile_whole(model_of(text), "CPU", {})
    assert compute(executable.bind(), np.float32([1]))[0].tolist() == [-1]


def test_refused_whole_model_says_so(backend):
    model = model_of(
        '<ir_version: 8, opset_import: ["" : 17, "me" : 1]> g (float[N] x) => (float[N] y) { y = me.Own(x) }'
    )
    with pytest.raises(CompileError, match="Own"):
        backend.compile_whole(model, "CPU", {})


def test_failing_feed_is_a_run_error(backend):
    executable = backend.compile(relu((3,)), "CPU", {})
    with pytest.raises(RunError, match="x"):
        executable.run_feed(["y"], {"x": np.zeros(4, np.float32)})


# -- runs ----------------------------------------------------------------------------------------------------------


def test_run_error_names_the_node(backend):
    text = """<ir_version: 8, opset_import: ["" : 17]>
        g (float[4] x, int64[N] i) => (float[N] y) { h = Neg(x) y = Gather(h, i) }"""
    model = model_of(text)
    request = backend.compile(make_cut(model, [0, 1], ["x", "i"], ["y"]), "CPU", {}).bind()
    with pytest.raises(RunError, match="at node 'y'.*out of data bounds"):
        compute(request, np.zeros(4, np.float32), np.array([99]))


def test_cancel_stops_a_run_under_way(backend):
    """A Loop of many small steps, cancelled from another thread; the next run is not touched."""
    body = onnx.parser.parse_graph(
        "b (int64 i, bool c, float[1] v) => (bool c2, float[1] v2) { c2 = Identity(c) v2 = Add(v, v) }"
    )
    node = onnx.helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)
    cut = cut_of([node], {"n": ("i64", ()), "x": ("f32", (1,))}, {"y": ("f32", (1,))})
    request = backend.compile(cut, "CPU", {"num_threads": 1}).bind()
    request.set_input(0, np.array(10**9))
    request.set_input(1, np.float32([1]))
    request.start()
    threading.Event().wait(0.1)
    request.cancel()
    with pytest.raises(RunError, match="terminate"):
        request.wait()
    assert compute(request, np.array(3), np.float32([1]))[0].tolist() == [8]


def test_optional_map_and_sequence_values_pass(backend):
    text = """<ir_version: 8, opset_import: ["" : 17, "ai.onnx.ml" : 3]>
        g (seq(float[N]) q, int64 i) => (float[N] y) { y = SequenceAt(q, i) }"""
    model = model_of(text)
    executable = backend.compile(make_cut(model, [0], ["q", "i"], ["y"]), "CPU", {})
    assert executable.inputs[0].dtype is None
    assert compute(executable.bind(), [np.float32([1]), np.float32([2])], np.array(1))[0].tolist() == [2]


def test_what_its_own_optimiser_makes_refusable_is_compiled_without_it():
    # a product of values quantised with a scale a row: fused to QLinearMul, which takes scalars only
    import onnx.parser

    proto = onnx.parser.parse_model("""
    <ir_version: 8, opset_import: ["" : 17]>
    g (float[2,8] x, float[2,1] k) => (float[2,8] y)
    <float[2] rows = {0.1, 0.2}, uint8[2] points = {1, 2}, float s = {0.05}, uint8 z = {128}> {
      q = QuantizeLinear<axis = 0>(x, rows, points)
      d = DequantizeLinear<axis = 0>(q, rows, points)
      kq = QuantizeLinear(k, s, z)
      kd = DequantizeLinear(kq, s, z)
      m = Mul(d, kd)
      mq = QuantizeLinear(m, s, z)
      y = DequantizeLinear(mq, s, z)
    }""")
    with pytest.raises(Exception, match="must be a scalar"):
        onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    model = read_model(proto)
    cut = make_cut(model, range(len(model.graph.nodes)), ["x", "k"], ["y"])
    made = OnnxRuntimeBackend().compile(cut, "CPU", {})
    feed = {"x": np.linspace(0, 3, 16, dtype=np.float32).reshape(2, 8), "k": np.ones((2, 1), np.float32)}
    request = made.bind()
    for index, end in enumerate(made.inputs):
        request.set_input(index, feed[end.name])
    request.run()
    assert np.allclose(request.take_output(0), feed["x"], atol=0.2)
