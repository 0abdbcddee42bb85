"""What onnxruntime promises of runs, asked of a session here.

The expectations are those of onnxruntime's own ``onnxruntime/test/python/onnxruntime_test_python.py`` (Copyright (c)
Microsoft Corporation, MIT License), as far as a session on the CPU can be asked; the models are made here.
"""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import ovpart.compat.onnxruntime as ort
from tests.compat import small_models as models
from tests.compat.small_models import SQUARES, X

PROVIDERS = [["OpenVINOExecutionProvider", "CPUExecutionProvider"], ["CPUExecutionProvider"]]
PRODUCT = np.array([[5.0], [11.0], [17.0]], dtype=np.float32)


@pytest.fixture(params=PROVIDERS, ids=["openvino", "cpu"])
def opened(request):
    def make(proto: onnx.ModelProto, *args, **kwargs) -> ort.InferenceSession:
        return ort.InferenceSession(proto.SerializeToString(), *args, providers=request.param, **kwargs)

    return make


def ends(session: ort.InferenceSession) -> list[tuple[str, str, list[object]]]:
    return [(value.name, value.type, value.shape) for value in (*session.get_inputs(), *session.get_outputs())]


def test_run_model(opened):
    session = opened(models.mul())
    assert ends(session) == [("X", "tensor(float)", [3, 2]), ("Y", "tensor(float)", [3, 2])]
    for infos in (session.get_input_memory_infos(), session.get_output_memory_infos()):
        assert [getattr(info, "name", "Cpu") for info in infos] == ["Cpu"]
    assert len(session.get_input_epdevices()) == 1
    np.testing.assert_allclose(session.run(["Y"], {"X": X})[0], SQUARES, rtol=1e-05)


def test_run_model2_and_symbolic_input(opened):
    for rows, shown in ((3, 3), ("None", "None"), (None, None)):
        session = opened(models.matmul(rows))
        assert ends(session) == [("X", "tensor(float)", [shown, 2]), ("Y", "tensor(float)", [shown, 1])]
        np.testing.assert_allclose(session.run(["Y"], {"X": X})[0], PRODUCT, rtol=1e-05)


def test_input_that_is_not_contiguous(opened):
    session = opened(models.matmul())
    swapped = X[:, [1, 0]].copy()[:, ::-1]
    assert not swapped.flags.c_contiguous
    np.testing.assert_allclose(session.run(["Y"], {"X": swapped})[0], PRODUCT, rtol=1e-05)
    fortran = np.asfortranarray(X)
    np.testing.assert_allclose(session.run(["Y"], {"X": fortran})[0], PRODUCT, rtol=1e-05)


def test_list_as_input(opened):
    np.testing.assert_allclose(opened(models.mul()).run([], {"X": X.tolist()})[0], SQUARES, rtol=1e-05)


def test_outputs_asked_for_as_none_or_empty_are_all(opened):
    session = opened(models.mul())
    for wanted in (None, [], ()):
        np.testing.assert_allclose(session.run(wanted, {"X": X})[0], SQUARES)


def test_two_threads_with_run_options(opened):
    options = ort.SessionOptions()
    options.log_verbosity_level = 1
    options.logid = "MultiThreadsTest"
    session = opened(models.mul(), options)
    found: list[np.ndarray] = []

    def run(name: str) -> None:
        run_options = ort.RunOptions()
        run_options.logid = name
        found.append(session.run([], {"X": X}, run_options=run_options)[0])

    threads = [threading.Thread(target=run, args=(name,)) for name in ("thread1", "thread2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    for result in found:
        np.testing.assert_allclose(result, SQUARES, rtol=1e-05)


def test_boolean_inputs_keep_their_declared_order(opened):
    session = opened(models.logical_and())
    assert ends(session) == [(name, "tensor(bool)", [2, 2]) for name in ("input1:0", "input:0", "output:0")]
    a = np.array([[True, True], [False, False]])
    b = np.array([[True, False], [True, False]])
    np.testing.assert_equal(session.run(["output:0"], {"input1:0": a, "input:0": b})[0], a & b)


@pytest.mark.parametrize(
    "given",
    [
        np.array(["this", "is", "identity", "test"], dtype=str).reshape((2, 2)),
        np.array(["Olá", "你好", "여보세요", "hello"], dtype=str).reshape((2, 2)),
        np.array(["this", "is", "identity", "test"], object).reshape((2, 2)),
    ],
    ids=["str", "unicode", "object"],
)
def test_strings(opened, given):
    session = opened(models.identity_string())
    assert ends(session) == [(name, "tensor(string)", [2, 2]) for name in ("input:0", "output:0")]
    np.testing.assert_equal(session.run(["output:0"], {"input:0": given})[0], given)
    np.testing.assert_equal(session.run([], {"input:0": given.tolist()})[0], given)


def test_bytes_and_void_are_read_as_strings(opened):
    session = opened(models.identity_string())
    given = np.array([b"this", b"is", b"identity", b"test"]).reshape((2, 2))
    np.testing.assert_equal(session.run(["output:0"], {"input:0": given})[0].astype("|S8"), given)
    void = np.array([b"must", b"have", b"same", b"size"], dtype=np.void).reshape((2, 2))
    expected = np.array([["must", "have"], ["same", "size"]], dtype=object)
    np.testing.assert_equal(session.run(["output:0"], {"input:0": void})[0], expected)


def test_wrong_number_of_inputs_is_a_value_error(opened):
    session = opened(models.logical_and())
    words = r"Required inputs \(\['input1:0'\]\) are missing from input feed \(\['input:0'\]\)"
    with pytest.raises(ValueError, match=words):
        session.run([], {"input:0": np.array([[True, True], [False, False]])})


def test_sequence_length(opened):
    session = opened(models.sequences("SequenceLength"))
    given = [np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)]
    assert session.get_inputs()[0].type == "seq(tensor(float))"
    assert session.get_outputs()[0].type == "tensor(int64)"
    assert session.run(["Y"], {"X": given})[0] == 2


def test_sequence_construct(opened):
    session = opened(models.sequences("SequenceConstruct"))
    assert [(v.name, v.type) for v in session.get_inputs()] == [
        ("tensor1", "tensor(int64)"),
        ("tensor2", "tensor(int64)"),
    ]
    assert session.get_outputs()[0].type == "seq(tensor(int64))"
    first = np.array([[1, 0, 3], [44, 23, 11]], dtype=np.int64)
    second = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.int64)
    (found,) = session.run(["output_sequence"], {"tensor1": first, "tensor2": second})
    np.testing.assert_array_equal(found, [first, second])


def test_sequence_insert_into_an_empty_sequence(opened):
    options = ort.SessionOptions()
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    session = opened(models.sequences("SequenceInsert"), options)
    assert [v.type for v in session.get_inputs()] == ["seq(tensor(int64))", "tensor(int64)"]
    inserted = np.array([[1, 0, 3], [44, 23, 11]], dtype=np.int64)
    (found,) = session.run(["output_sequence"], {"tensor": inserted, "input_seq": []})
    np.testing.assert_array_equal(found, [inserted])


def test_optional_sequence_input(opened):
    session = opened(models.optional_sequence())
    assert session.get_inputs()[0].type == "optional(seq(tensor(float)))"
    given = [np.array([1, 2, 3, 4, 5]).astype(np.float32)]
    np.testing.assert_allclose(session.run(["opt_out"], {"opt_in": given})[0], given)


def test_optional_inputs_may_be_none_or_left_out(opened):
    tensor = helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [2]))
    proto = models.model(
        [helper.make_node("OptionalHasElement", ["o"], ["has"])],
        [helper.make_value_info("o", tensor)],
        [models.tensor("has", TensorProto.BOOL, ())],
        opset=18,
    )
    session = opened(proto)
    assert bool(session.run(None, {"o": np.ones(2, np.float32)})[0]) is True
    assert bool(session.run(None, {"o": None})[0]) is False


def test_run_async(opened):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    session = opened(models.mul(), options)
    told: list[tuple[object, ...]] = []
    done = threading.Event()

    def callback(results: object, data: object, error: str) -> None:
        told.append((results, data, error))
        done.set()

    session.run_async(["Y"], {"X": X}, callback, 123456)
    assert done.wait(30)
    ((results, data, error),) = told
    assert (data, error, len(results)) == (123456, "", 1)
    np.testing.assert_allclose(results[0], SQUARES, rtol=1e-05)


def test_run_async_outlives_the_session_and_everything_it_was_given(opened):
    for _ in range(10):
        session = opened(models.matmul("n"))
        gone = weakref.ref(session)
        told: list[np.ndarray] = []
        done = threading.Event()

        def callback(results: list[np.ndarray], data: tuple[list[np.ndarray], threading.Event], error: str) -> None:
            data[0].extend(results)
            data[1].set()

        session.run_async(None, {"X": np.tile(X, (1000, 1))}, callback, (told, done))
        del session
        gc.collect()
        assert done.wait(30)
        np.testing.assert_allclose(told[0], np.tile(PRODUCT, (1000, 1)), rtol=1e-05)
    gc.collect()
    assert gone() is None or done.wait(1)


def test_output_that_is_an_input_does_not_alias_it(opened):
    shape = [1, 2, 2, 2]
    proto = models.model(
        [helper.make_node("Add", ["input_0", "ten_const"], ["plus_10"], name="Add0")],
        [models.tensor("input_0", shape=shape)],
        [models.tensor("plus_10", shape=shape), models.tensor("input_0", shape=shape)],
        [numpy_helper.from_array(np.array(10, np.float32), "ten_const")],
    )
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = opened(proto, options)
    kept = []
    for number in range(7):
        given = np.full(shape, float(number), np.float32)
        outputs = session.run(None, {"input_0": given})
        assert not np.shares_memory(outputs[1], given)
        given[:] = -1
        kept.append(outputs)
    for number, (plus_10, passed) in enumerate(kept):
        np.testing.assert_array_equal(plus_10, np.full(shape, number + 10.0, np.float32))
        np.testing.assert_array_equal(passed, np.full(shape, float(number), np.float32))


def test_output_that_onnxruntime_allocates_is_not_copied():
    session = ort.InferenceSession(models.mul().SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.run(None, {"X": X})[0].base is not None


def test_model_meta(opened):
    proto = models.mul()
    proto.producer_name, proto.domain, proto.doc_string, proto.model_version = "maker", "dom", "what", 7
    proto.graph.name, proto.graph.doc_string = "squeezenet_old", "graph doc"
    helper.set_model_props(proto, {"key": "value"})
    meta = opened(proto).get_modelmeta()
    assert (meta.producer_name, meta.graph_name, meta.domain) == ("maker", "squeezenet_old", "dom")
    assert (meta.description, meta.graph_description, meta.version) == ("what", "graph doc", 7)
    assert meta.custom_metadata_map == {"key": "value"}


def test_overridable_initializers(opened):
    proto = models.mul()
    proto.graph.input.append(models.tensor("W"))
    proto.graph.initializer[0].name = "W"
    session = opened(proto)
    assert [(v.name, v.type, v.shape) for v in session.get_overridable_initializers()] == [
        ("W", "tensor(float)", [3, 2])
    ]
    assert [v.name for v in session.get_inputs()] == ["X"]
    np.testing.assert_allclose(session.run(None, {"X": X})[0], SQUARES)
    np.testing.assert_allclose(session.run(None, {"X": X, "W": 2 * X})[0], 2 * SQUARES)


@pytest.mark.parametrize(
    ("attributes", "margin"),
    [
        (
            {
                "nodes_modes": ["BRANCH_LT", "LEAF", "LEAF"],
                "nodes_values": [0.5, 0.0, 0.0],
                "nodes_truenodeids": [1, 0, 0],
                "nodes_falsenodeids": [2, 0, 0],
                "class_nodeids": [1, 2],
                "class_weights": [0.3, -0.3],
            },
            -0.105,
        ),
        (
            {
                "nodes_modes": ["LEAF"],
                "nodes_values": [0.0],
                "nodes_truenodeids": [0],
                "nodes_falsenodeids": [0],
                "class_nodeids": [0],
                "class_weights": [0.0],
            },
            -0.405,
        ),
    ],
    ids=["split", "leaf"],
)
def test_tree_ensemble_logistic(opened, attributes, margin):
    proto, x = models.tree(**attributes), {"X": np.array([[0.1, 0.0, 0.0]], np.float32)}
    expected = 1 / (1 + np.exp(-margin))
    alone = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    if not np.isclose(alone.run(None, x)[1][0][1], expected, atol=1e-5):
        pytest.skip(f"onnxruntime {onnxruntime.__version__} itself does not apply post_transform to this tree")
    np.testing.assert_allclose(opened(proto).run(None, x)[1][0][1], expected, atol=1e-5)


def test_run_with_an_adapter_and_without(opened, tmp_path):
    path = str(tmp_path / "adapter.onnx_adapter")
    adapter_format = ort.AdapterFormat()
    adapter_format.set_adapter_version(1)
    adapter_format.set_model_version(1)
    a, b = np.ones((4, 2), np.float32), np.full((2, 4), 3, np.float32)
    adapter_format.set_parameters(
        {name: ort.OrtValue.ortvalue_from_numpy_with_onnx_type(value, 1) for name, value in (("A", a), ("B", b))}
    )
    adapter_format.export_adapter(path)
    read = ort.AdapterFormat.read_adapter(path)
    assert sorted(read.get_parameters()) == ["A", "B"]

    session = opened(models.lora())
    x, weight = np.ones((4, 4), np.float32), np.arange(16, dtype=np.float32).reshape(4, 4)
    np.testing.assert_allclose(session.run(None, {"X": x})[0], x @ weight)
    adapter = ort.LoraAdapter()
    adapter.Load(path)
    options = ort.RunOptions()
    options.add_active_adapter(adapter)
    np.testing.assert_allclose(session.run(None, {"X": x}, options)[0], x @ (weight + a @ b))
    np.testing.assert_allclose(session.run(None, {"X": x})[0], x @ weight)


def test_memory_arena_shrinkage(opened):
    options = ort.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    assert options.get_run_config_entry("memory.enable_memory_arena_shrinkage") == "cpu:0"
    np.testing.assert_allclose(opened(models.mul()).run([], {"X": X}, options)[0], SQUARES)
