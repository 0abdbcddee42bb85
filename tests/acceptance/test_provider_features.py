"""Features of the documents of onnxruntime's OpenVINO provider that no other test runs, each for real on a CPU."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto
from onnx import helper as h
from onnx import numpy_helper as nh

import ovpart
from ovpart.compat import onnxruntime as ort
from ovpart.placement.files.convert import convert
from tests.placement.test_static_forms import dynamic_model


def image_model() -> onnx.ModelProto:
    """Image [1,3,8,8] -> Conv -> Relu -> GlobalAveragePool -> Flatten -> Gemm -> scores."""
    rng = np.random.default_rng(0)
    weights = [
        nh.from_array(rng.normal(size=(4, 3, 3, 3)).astype(np.float32), "k"),
        nh.from_array(rng.normal(size=(4, 5)).astype(np.float32), "w"),
    ]
    nodes = [
        h.make_node("Conv", ["image", "k"], ["a"], pads=[1, 1, 1, 1]),
        h.make_node("Relu", ["a"], ["b"]),
        h.make_node("GlobalAveragePool", ["b"], ["c"]),
        h.make_node("Flatten", ["c"], ["d"]),
        h.make_node("Gemm", ["d", "w"], ["scores"]),
    ]
    ends = [
        h.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8]),
        h.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 5]),
    ]
    graph = h.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)


def quantised_model() -> onnx.ModelProto:
    """X -> Q -> DQ -> Conv with a quantised kernel -> Q -> DQ -> y, as quantisers write it."""
    rng = np.random.default_rng(1)
    constants = [
        nh.from_array(np.float32(0.02), "s"), nh.from_array(np.uint8(128), "z"),
        nh.from_array(np.float32(0.01), "ws"), nh.from_array(np.int8(0), "wz"),
        nh.from_array(rng.integers(-127, 127, (4, 3, 3, 3)).astype(np.int8), "kq"),
        nh.from_array(np.float32(0.1), "ys"),
    ]  # fmt: skip
    nodes = [
        h.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        h.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        h.make_node("DequantizeLinear", ["kq", "ws", "wz"], ["k"]),
        h.make_node("Conv", ["xd", "k"], ["c"]),
        h.make_node("QuantizeLinear", ["c", "ys", "z"], ["yq"]),
        h.make_node("DequantizeLinear", ["yq", "ys", "z"], ["y"]),
    ]
    ends = [
        h.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8]),
        h.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 6, 6]),
    ]
    graph = h.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)


def theirs(proto: onnx.ModelProto, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(proto.SerializeToString(), options).run(None, feed)


def test_int8_models_are_delegated_and_right_to_a_step():
    feed = {"x": np.random.default_rng(2).normal(size=(1, 3, 8, 8)).astype(np.float32)}
    session = ovpart.Session(quantised_model(), min_gain=0)
    assert session.report.coverage == 1
    np.testing.assert_allclose(session.run(None, feed)[0], theirs(quantised_model(), feed)[0], atol=0.1001)


def with_external_weights(folder):
    """Save a model as the documents show it, its weights in a file of a folder beside it."""
    (folder / "data").mkdir()
    onnx.save_model(
        image_model(), folder / "saved_model.onnx", save_as_external_data=True, all_tensors_to_one_file=True,
        location="data/weights_data", size_threshold=64, convert_attribute=False,
    )  # fmt: skip
    assert (folder / "data" / "weights_data").exists()


def test_weights_saved_in_external_files_as_the_documents_show(tmp_path):
    with_external_weights(tmp_path)
    feed = {"image": np.ones((1, 3, 8, 8), np.float32)}
    session = ort.InferenceSession(str(tmp_path / "saved_model.onnx"))
    np.testing.assert_allclose(session.run(None, feed)[0], theirs(image_model(), feed)[0], rtol=1e-5)


def test_a_session_from_an_array_in_memory():
    feed = {"image": np.ones((1, 3, 8, 8), np.float32)}
    for session in (ort.InferenceSession(image_model().SerializeToString()), ovpart.Session(image_model())):
        np.testing.assert_allclose(session.run(None, feed)[0], theirs(image_model(), feed)[0], rtol=1e-5)


def test_a_session_from_an_array_finds_its_external_weights_in_the_folder_that_is_given(tmp_path):
    with_external_weights(tmp_path)
    data = (tmp_path / "saved_model.onnx").read_bytes()
    feed = {"image": np.ones((1, 3, 8, 8), np.float32)}
    expected = theirs(image_model(), feed)[0]
    options = ort.SessionOptions()
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(tmp_path))
    for session in (ort.InferenceSession(data, options), ovpart.Session(data, data_folder=tmp_path)):
        np.testing.assert_allclose(session.run(None, feed)[0], expected, rtol=1e-5)


def test_every_option_of_the_documents_at_once_as_text(tmp_path):
    (tmp_path / "config.json").write_text('{"CPU": {"PERF_COUNT": "NO"}}')
    given = {
        "device_type": "CPU", "precision": "FP32", "num_of_threads": "2", "num_streams": "1",
        "cache_dir": str(tmp_path / "cache"), "context": "", "enable_opencl_throttling": "False",
        "enable_qdq_optimizer": "False",
        "load_config": str(tmp_path / "config.json"), "disable_dynamic_shapes": "True",
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session = ort.InferenceSession(
            dynamic_model().SerializeToString(), providers=["OpenVINOExecutionProvider"], provider_options=[given]
        )
    given_x = np.ones((2, 3), np.float32)
    assert session.run(None, {"x": given_x})[0].tolist() == [[3, 3], [3, 3]]
    options = {option.name: option.value for option in session.report.options}
    assert (options["num_threads"], options["precision"], options["disable_dynamic_shapes"]) == (2, "FP32", True)


def test_onnxruntimes_optimisations_are_turned_off_as_the_documents_advise():
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    feed = {"image": np.ones((1, 3, 8, 8), np.float32)}
    session = ort.InferenceSession(image_model().SerializeToString(), options)
    np.testing.assert_allclose(session.run(None, feed)[0], theirs(image_model(), feed)[0], rtol=1e-5)


def test_several_models_run_at_once():
    sessions = [ovpart.Session(image_model(), num_streams=2, min_gain=0), ovpart.Session(dynamic_model(), min_gain=0)]
    feeds = [{"image": np.ones((1, 3, 8, 8), np.float32)}, {"x": np.ones((2, 3), np.float32)}]
    expected = [session.run(None, feed)[0] for session, feed in zip(sessions, feeds, strict=True)]
    wrong: list[int] = []

    def work(which: int) -> None:
        for _ in range(50):
            if not np.allclose(sessions[which].run(None, feeds[which])[0], expected[which], rtol=1e-5):
                wrong.append(which)

    threads = [threading.Thread(target=work, args=(number % 2,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_classifier_is_converted_loaded_and_run_on_a_picture(tmp_path):
    """The walk-through of the page on what OpenVINO is: convert, load, preprocess, run, take the best class."""
    onnx.save(image_model(), tmp_path / "classifier.onnx")
    convert(tmp_path / "classifier.onnx", "whole")
    picture = np.random.default_rng(3).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = (picture.astype(np.float32) / 255).transpose(2, 0, 1)[None]
    best = [
        int(np.argmax(ovpart.Session(tmp_path / name, device="CPU").run(None, {"image": image})[0]))
        for name in ("classifier.xml", "classifier.onnx")
    ]
    assert best[0] == best[1] == int(np.argmax(theirs(image_model(), {"image": image})[0]))


@pytest.mark.parametrize("order", [("OpenVINOExecutionProvider", "CPUExecutionProvider"), ("CPUExecutionProvider",)])
def test_nodes_go_to_the_providers_in_the_order_in_which_they_are_named(order):
    providers = [(name, {"min_gain": "0"}) if name.startswith("Open") else name for name in order]
    session = ort.InferenceSession(image_model().SerializeToString(), providers=providers)
    assert session.get_providers() == list(order)
    assert session.report.coverage == (1 if order[0].startswith("Open") else 0)
    session.set_providers(["CPUExecutionProvider"])
    assert session.report.coverage == 0
    assert list(session.get_provider_options()) == ["CPUExecutionProvider"]
