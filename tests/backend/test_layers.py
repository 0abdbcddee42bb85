"""Layers of engines and the nodes in them: whatever names a model has, and whatever engines make of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnx.parser
import pytest

from ovpart.backend.base import Profiles, TellsLayers
from ovpart.backend.cut import make_cut
from ovpart.backend.layers import keys_of, maker_in, position_in, tag, tagged
from ovpart.backend.onnxruntime import OnnxRuntimeBackend
from ovpart.backend.onnxruntime_layers import ProfiledOnnxRuntime
from ovpart.backend.openvino import OpenVINOBackend
from ovpart.backend.openvino_layers import ProfiledOpenVINO, with_counters
from ovpart.model.read import read_model

CHAIN = """
g (float[1,8,16,16] x) => (float[1,8,16,16] y) {
  w = ConstantOfShape <value = float[1] {0.1}> (shape)
  c = Conv <kernel_shape = [3,3], pads = [1,1,1,1]> (x, w)
  r = Relu (c)
  s = Softmax <axis = 1> (r)
  m = Mish (s)
  y = Add (m, x)
}"""
NAMES = ["a,b", "a", "<script>", "a_nchwc", "n3n"]
"""What a model may call its nodes: each of these would mislead who takes layers' names apart."""


@pytest.fixture
def cut():
    shape = onnx.helper.make_tensor("shape", onnx.TensorProto.INT64, [4], [8, 8, 3, 3])
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 18]>\n{CHAIN}')
    proto.graph.initializer.append(shape)
    renamed = {f"{value}": name for value, name in zip("crsm", NAMES, strict=False)}
    for node in proto.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    from ovpart.backend.fold import fold_constants

    model = fold_constants(read_model(proto))
    nodes = [node.index for node in model.graph.nodes if node.index not in model.graph.constant]
    return make_cut(model, nodes, ["x"], ["y"])


def ran(executable, times: int = 2):
    request = executable.bind()
    for _ in range(times):
        request.set_input(0, np.ones((1, 8, 16, 16), np.float32))
        request.run()
        request.take_output(0)
    return executable


@pytest.mark.parametrize("backend", [OpenVINOBackend(), OnnxRuntimeBackend()], ids=lambda b: b.name)
def test_each_node_is_found_in_the_layers_of_each_engine(backend, cut):
    assert isinstance(backend, Profiles)
    executable = ran(backend.compile_profiled(cut, "CPU", {}), 30)
    assert isinstance(executable, TellsLayers)
    layers = executable.layer_times()
    assert all(layer.us >= 0 for layer in layers)
    found = {key for layer in layers for key in layer.nodes}
    assert found <= set(cut.node_names)
    assert "<script>" in found
    assert {"a", "a,b"} & found, "the convolution, which is called by itself or by the function fused to it"
    (heaviest,) = {layer.nodes for layer in layers if "onv" in layer.kind and "eorder" not in layer.kind}
    assert set(heaviest) <= {"a", "a,b"}


@pytest.mark.parametrize("backend", [OpenVINOBackend(), OnnxRuntimeBackend()], ids=lambda b: b.name)
def test_answers_are_those_of_an_ordinary_run(backend, cut):
    x = np.random.default_rng(0).standard_normal((1, 8, 16, 16)).astype(np.float32)
    answers = []
    for compiled in (backend.compile(cut, "CPU", {}), backend.compile_profiled(cut, "CPU", {})):
        request = compiled.bind()
        request.set_input(0, x)
        request.start()
        request.wait()
        answers.append(request.take_output(0))
    np.testing.assert_allclose(answers[0], answers[1], rtol=1e-5)


@pytest.mark.parametrize("backend", [OpenVINOBackend(), OnnxRuntimeBackend()], ids=lambda b: b.name)
def test_ordinary_executables_keep_no_time(backend, cut):
    executable = backend.compile(cut, "CPU", {})
    assert not isinstance(executable, TellsLayers)
    if isinstance(backend, OpenVINOBackend):
        assert executable.compiled.get_property("PERF_COUNT") in (False, "NO")


def test_every_operation_of_openvino_is_named_after_a_node(cut):
    from ovpart.backend.openvino_layers import tag_operations

    model = OpenVINOBackend()._converted(tagged(cut))
    tag_operations(model, tagged(cut))
    kept = {"Parameter", "Constant", "Result"}
    names = [op.get_friendly_name() for op in model.get_ops() if op.get_type_name() not in kept]
    assert names
    assert [name for name in names if position_in(name) is None] == []


def test_means_of_the_cpu_plugin_become_sums(cut):
    executable = OpenVINOBackend().compile_profiled(cut, "CPU", {})
    assert isinstance(executable, ProfiledOpenVINO)

    def counters(us):
        return [SimpleNamespace(node_name=f"{tag(0)}_7", node_type="A", exec_type="jit",
                                real_time=SimpleNamespace(total_seconds=lambda: us / 1e6))]  # fmt: skip

    executable.note(counters(100))
    executable.forget_layer_times()
    executable.note(counters(60))
    executable.note(counters(40))
    (layer,) = executable.layer_times()
    assert layer.us == pytest.approx(40.5 * 3 - 100.5)
    assert (layer.kind, layer.nodes) == ("A jit", (cut.node_names[0],))


def test_one_stream_counts(cut):
    assert with_counters({"NUM_STREAMS": 4})["NUM_STREAMS"] == 1
    assert with_counters({"NUM_STREAMS": 0})["NUM_STREAMS"] == 0
    assert with_counters({})["PERF_COUNT"] is True


def test_runs_before_are_forgotten_and_the_profile_leaves_nothing_behind(cut):
    executable = OnnxRuntimeBackend().compile_profiled(cut, "CPU", {})
    assert isinstance(executable, ProfiledOnnxRuntime)
    folder = Path(executable._folder.name)
    ran(executable, 3)
    executable.forget_layer_times()
    assert folder.is_dir()
    assert executable.layer_times() == ()
    assert not folder.exists()


def test_the_body_of_a_loop_counts_within_the_loop():
    proto = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]>
    g (float[4] x, int64 m, bool go) => (float[4] y) {
      y = Loop (m, go, x) <body = b (int64 i, bool on, float[4] s) => (bool out, float[4] next) {
        out = Identity(on)  t = Exp(s)  next = Tanh(t) }>
    }""")
    model = read_model(proto)
    loop = make_cut(model, [0], ["x", "m", "go"], ["y"])
    executable = OnnxRuntimeBackend().compile_profiled(loop, "CPU", {})
    request = executable.bind()
    for index, value in enumerate((np.zeros(4, np.float32), np.array(50), np.array(True))):
        request.set_input(index, value)
    request.run()
    layers = executable.layer_times()
    assert [(layer.kind, layer.nodes) for layer in layers] == [("Loop", ("y",))]


def test_names_of_layers_are_taken_apart():
    made = {"r2": 0, "r2_1": 1, "a/b": 2}
    names = ("r2_nchwc", "r2_1_nchwc_token_3", "a/b/Fusion", "r22", "")
    assert [maker_in(name, made) for name in names] == [0, 1, 2, None, None]
    assert maker_in("r2_nchwc", {**made, "r2_nchwc": 3}) == 0
    assert [position_in(name) for name in ("n1n", "n12n_3", "n12n/x", "n1nx", "n1", "xn1n")] == [
        1, 12, 12, None, None, None,
    ]  # fmt: skip


def test_nodes_of_our_own_have_no_key(cut):
    assert keys_of([0, None, 0], cut) == cut.node_names[:1]
