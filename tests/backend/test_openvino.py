"""openvino: what must not reach it, what it is told, ports, errors."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import onnx.helper
import onnx.parser
import pytest

from ovpart.backend.cut import make_cut
from ovpart.backend.openvino import OpenVINOBackend, import_openvino
from ovpart.backend.openvino_model import crash_in, crash_in_graph
from ovpart.errors import CompileError, DeviceNotFound, InputError, OptionError, RunError
from ovpart.model.read import read_model
from ovpart.testing.cuts import compute, cut_of, dense, f32, relu


@pytest.fixture(scope="module")
def backend():
    return OpenVINOBackend()


def model_of(text):
    return read_model(onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]>\n{text}'))


# -- devices and settings ------------------------------------------------------------------------------------------


def test_absent_device_is_named_with_what_is_there(backend):
    with pytest.raises(DeviceNotFound, match=r"no device 'GPU.7'.*Available: .*CPU"):
        backend.compile(relu(), "GPU.7", {})
    with pytest.raises(DeviceNotFound, match="no device 'XPU'"):
        backend.compile(relu(), "HETERO:XPU,CPU", {})


@pytest.mark.parametrize("device", ["AUTO", "AUTO:CPU", "HETERO:CPU", "MULTI:CPU", "AUTO:-GPU"])
def test_openvinos_own_choosers_run(backend, device):
    executable = backend.compile(dense(np.eye(3, dtype=np.float32)), device, {})
    assert compute(executable.bind(), f32([[1, -2, 3]]))[0].tolist() == [[1, 0, 3]]


def test_trap_1_precision_and_dynamic_quantisation(backend):
    compiled = backend.compile(relu(), "CPU", {}).compiled
    assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
    assert compiled.get_property("DYNAMIC_QUANTIZATION_GROUP_SIZE") == 0
    assert compiled.get_property("PERFORMANCE_HINT") == "LATENCY"


def test_properties_of_the_user_go_over_the_defaults(backend):
    compiled = backend.compile(relu(), "CPU", {"DYNAMIC_QUANTIZATION_GROUP_SIZE": 32, "num_threads": 2}).compiled
    assert compiled.get_property("DYNAMIC_QUANTIZATION_GROUP_SIZE") == 32
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 2


def test_unknown_settings_are_refused(backend):
    with pytest.raises(OptionError, match="spinning"):
        backend.compile(relu(), "CPU", {"spinning": True})
    with pytest.raises(OptionError, match="NO_SUCH_PROPERTY"):
        backend.compile(relu(), "CPU", {"NO_SUCH_PROPERTY": 1})
    with pytest.raises(OptionError, match=r"INFERENCE_PRECISION_HINT.*'f7'.*bf16"):
        backend.compile(relu(), "CPU", {"INFERENCE_PRECISION_HINT": "f7"})


def test_one_thread_computes_in_the_thread_that_asks(backend):
    """One stream of one thread would lose the errors of runs (openvino 2026.4)."""
    executable = backend.compile(relu(), "CPU", {"num_threads": 1})
    assert executable.compiled.get_property("NUM_STREAMS") == 0
    assert not executable.loses_errors
    assert backend.compile(relu(), "CPU", {"num_threads": 1, "NUM_STREAMS": 1}).loses_errors


# -- what must not reach it ----------------------------------------------------------------------------------------


def test_trap_4_strings_are_refused(backend):
    nodes = [onnx.helper.make_node("Cast", ["x"], ["s"], to=8), onnx.helper.make_node("Cast", ["s"], ["y"], to=1)]
    cut = cut_of(nodes, {"x": ("f32", (2,))}, {"y": ("f32", (2,))})
    with pytest.raises(CompileError, match="strings"):
        backend.compile(cut, "CPU", {})
    with pytest.raises(CompileError, match="string"):
        backend.compile_whole(model_of("g (string[N] x) => (string[N] y) { y = Identity(x) }"), "CPU", {})


def test_strings_in_bodies_are_seen():
    text = """g (bool c, float[1] x) => (float[1] y) { y = If <
        then_branch = t () => (float[1] o) { s = Cast <to = 8> (x) o = Cast <to = 1> (s) },
        else_branch = e () => (float[1] p) { p = Neg(x) }> (c) }"""
    assert crash_in_graph(onnx.parser.parse_graph(text)) == ("it aborts the process on strings", None)


@pytest.mark.parametrize(
    ("node", "constants"),
    [
        (onnx.helper.make_node("Gather", ["x", "i"], ["y"]), {"i": np.zeros(0, np.int64)}),
        (onnx.helper.make_node("Conv", ["x"], ["y"]), {}),
    ],
)
def test_nodes_that_end_the_process_are_refused_by_name(backend, node, constants):
    cut = cut_of([node], {"x": ("f32", (1, 2, 3))}, {"y": ("f32", None)}, constants=constants)
    with pytest.raises(CompileError, match="was not asked") as caught:
        backend.compile(cut, "CPU", {})
    assert (caught.value.stage, caught.value.node) == ("read", "y")


def test_external_data_in_a_cut_is_refused():
    cut = relu()
    tensor = cut.proto.graph.initializer.add(name="w", data_type=1, dims=[1])
    tensor.external_data.add(key="location", value="*/_ORT_MEM_ADDR_/*")
    assert "external" in crash_in(cut)[0]


@pytest.mark.parametrize("dtype", ["u2", "string", "c64"])
def test_types_that_cannot_cross_ports(dtype):
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    assert crash_in(cut_of([node], {"x": (dtype, (2,))}, {"y": (dtype, (2,))})) is not None


# -- weights -------------------------------------------------------------------------------------------------------


def test_constants_share_the_memory_of_the_weights(backend):
    """A weight changed between conversion and compilation is seen: what openvino has is no copy."""
    from ovpart.backend.openvino_model import filled

    weight = np.ones((64, 64), np.float32)
    cut = dense(weight)
    model = filled(backend.core.read_model(cut.proto.SerializeToString()), cut)
    constants = [op for op in model.get_ops() if op.get_type_name() == "Constant" and op.shape == [64, 64]]
    assert len(constants) == 1
    assert np.shares_memory(constants[0].data, weight)


def test_operator_that_reads_weights_at_conversion(backend):
    """MatMulNBits wants its packed weight while it is converted: 4-bit values 8 + (-8..7), one block of 16 a row."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 16, size=(64, 32)).astype(np.uint8)  # N=64 rows of K=32
    packed = (values[:, 0::2] | values[:, 1::2] << 4).reshape(64, 2, 8)
    scales = rng.uniform(0.5, 1, size=(128,)).astype(np.float32)
    node = onnx.helper.make_node(
        "MatMulNBits", ["x", "b", "s"], ["y"], domain="com.microsoft", K=32, N=64, bits=4, block_size=16
    )
    cut = cut_of(
        [node],
        {"x": ("f32", ("M", 32))},
        {"y": ("f32", ("M", 64))},
        weights={"b": packed, "s": scales},
        domains={"com.microsoft": 1},
    )
    x = rng.normal(size=(3, 32)).astype(np.float32)
    weight = (values.astype(np.float32) - 8).reshape(64, 2, 16) * scales.reshape(64, 2, 1)
    (got,) = compute(backend.compile(cut, "CPU", {}).bind(), x)
    np.testing.assert_allclose(got, x @ weight.reshape(64, 32).T, rtol=1e-3, atol=1e-2)


# -- ports ---------------------------------------------------------------------------------------------------------


def test_trap_10_graph_that_is_nothing_but_a_renaming(backend):
    # openvino folds the whole away and calls the input by the output's name.
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    cut = cut_of([node], {"unused": ("f32", (2,)), "x": ("f32", (2,))}, {"y": ("f32", (2,))})
    assert compute(backend.compile(cut, "CPU", {}).bind(), f32([9, 9]), f32([1, 2]))[0].tolist() == [1, 2]


def test_input_that_openvino_ignores(backend):
    """Dropout's third input is read in the model and dropped by openvino."""
    node = onnx.helper.make_node("Dropout", ["x", "r", "t"], ["y"])
    neg = onnx.helper.make_node("Neg", ["z"], ["w"])
    ends = {"x": ("f32", (2,)), "r": ("f32", ()), "t": ("bool", ()), "z": ("f32", (2,))}
    cut = cut_of([node, neg], ends, {"y": ("f32", (2,)), "w": ("f32", (2,))})
    try:
        request = backend.compile(cut, "CPU", {}).bind()
    except CompileError:
        return  # openvino refuses a training mode that is computed at run time
    got = compute(request, f32([1, 2]), np.float32(0.5), np.array(False), f32([3, 4]), outputs=2)
    assert [array.tolist() for array in got] == [[1, 2], [-3, -4]]


def test_output_of_another_type_than_declared_is_refused(backend):
    node = onnx.helper.make_node("Shape", ["x"], ["y"])
    with pytest.raises(CompileError, match="output 'y' is i64 in openvino, i32 in the model"):
        backend.compile(cut_of([node], {"x": ("f32", (2,))}, {"y": ("i32", (1,))}), "CPU", {})


def test_trap_9_unknown_rank_is_a_compile_error(backend):
    with pytest.raises(CompileError, match="rank"):
        backend.compile(relu(None), "CPU", {})


@pytest.mark.parametrize("shape", [(3, 1), (4,)])
def test_wrong_shape_is_an_input_error(backend, shape):
    request = backend.compile(relu((3,)), "CPU", {}).bind()
    with pytest.raises(InputError, match="'x'"):
        request.set_input(0, np.zeros(shape, np.float32))


def test_large_dynamic_outputs_are_handed_over(backend):
    from ovpart.backend.openvino_request import HANDED_OVER_BYTES

    request = backend.compile(relu(), "CPU", {}).bind()
    count = HANDED_OVER_BYTES // 4
    arrays = []
    for value, size in ((1, count), (2, count + 1), (3, 10), (4, count)):
        arrays.append(compute(request, np.full(size, value, np.float32))[0])
        assert request.take_output(0) is arrays[-1] or size == 10
    assert [(array[0], array[-1], array.size) for array in arrays] == [
        (1, 1, count), (2, 2, count + 1), (3, 3, 10), (4, 4, count)
    ]  # fmt: skip


# -- errors --------------------------------------------------------------------------------------------------------


def test_refused_operator_is_named(backend):
    text = """<ir_version: 8, opset_import: ["" : 17, "ai.onnx.ml" : 3]> g (float[N,2] x) => (float[N,2] y) {
        h = Neg(x)  y = ai.onnx.ml.Scaler <offset = [0.0, 0.0], scale = [1.0, 1.0]> (h) }"""
    model = read_model(onnx.parser.parse_model(text))
    with pytest.raises(CompileError, match="Scaler") as caught:
        backend.compile(make_cut(model, [0, 1], ["x"], ["y"]), "CPU", {})
    assert (caught.value.stage, caught.value.node) == ("convert", "y")


def test_refusal_inside_a_body_names_the_node_that_has_it(backend):
    text = """g (bool c, float[1, 4, 2, 2] x) => (float[a, b, d, e] y) { h = Neg(x)  y = If <
        then_branch = t () => (float[a, b, d, e] o) { o = DepthToSpace <blocksize = 7> (h) },
        else_branch = e () => (float[a, b, d, e] p) { p = Neg(h) }> (c) }"""
    graph = onnx.parser.parse_graph(text)
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    from ovpart.backend.base import Cut, Port

    for node in proto.graph.node:
        node.name = node.output[0]
    ends = (Port("c", "bool", ()), Port("x", "f32", (1, 4, 2, 2)))
    cut = Cut(proto, ends, (Port("y", "f32", None),), {}, ("h", "y"))
    with pytest.raises(CompileError) as caught:
        backend.compile(cut, "CPU", {})
    assert caught.value.node == "y"


def test_run_error_names_the_node(backend):
    model = model_of("g (float[N] x, int64[2] s) => (float[a, b] y) { h = Neg(x)  y = Reshape(h, s) }")
    request = backend.compile(make_cut(model, [0, 1], ["x", "s"], ["y"]), "CPU", {}).bind()
    with pytest.raises(RunError, match="at node 'y'"):
        compute(request, np.zeros(6, np.float32), np.array([4, 2]))


# -- whole models --------------------------------------------------------------------------------------------------


def test_whole_model_from_bytes_and_from_a_path(backend, tmp_path):
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[N] unused, float[N] x) => (float[N] y) { y = Neg(x) }'
    proto = onnx.parser.parse_model(text)
    path = tmp_path / "model.onnx"
    onnx.save(proto, path)
    for source in (proto, proto.SerializeToString(), path):
        executable = backend.compile_whole(read_model(source), "CPU", {})
        assert [port.name for port in executable.inputs] == ["unused", "x"]
        assert compute(executable.bind(), f32([9]), f32([1]))[0].tolist() == [-1]


def test_openvinos_own_format(backend, tmp_path):
    openvino = import_openvino()
    path = tmp_path / "model.xml"
    openvino.save_model(backend.core.read_model(dense(np.eye(3, dtype=np.float32)).proto.SerializeToString()), path)
    executable = backend.compile_file(path, "CPU", {})
    assert [port.name for port in executable.inputs] == ["x", "w"]
    assert executable.inputs[0].shape == (None, 3)
    (got,) = compute(executable.bind(), f32([[1, -2, 3]]), np.eye(3, dtype=np.float32))
    assert got.tolist() == [[1, 0, 3]]


# -- the process ---------------------------------------------------------------------------------------------------


def test_trap_28_importing_sends_no_usage_data():
    # Its import starts a sender where openvino_telemetry is installed; here that must not be loaded at all.
    code = """
import sys
from ovpart.backend.openvino import OpenVINOBackend
print("openvino" in sys.modules)
OpenVINOBackend().devices()
print("openvino" in sys.modules)
print([name for name in sys.modules if name.startswith("openvino_telemetry")])
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["False", "True", "[]"]
