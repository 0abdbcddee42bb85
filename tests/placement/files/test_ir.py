"""openvino's IR: models written in it run here again, whole; clusters of a plan are written each by itself."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

import ovpart
from ovpart.backend.openvino import import_openvino
from ovpart.errors import CompileError, ModelError, OptionError, OvpartWarning
from ovpart.placement.files.convert import convert
from tests.placement.files.test_contexts import X, partitioned
from tests.placement.test_static_forms import dynamic_model


@pytest.fixture
def dynamic(tmp_path):
    onnx.save(dynamic_model(), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


@pytest.fixture
def split(tmp_path):
    onnx.save(partitioned(), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_a_whole_model_is_written_as_ir_and_runs_from_it(dynamic, tmp_path):
    files = convert(dynamic, "whole")
    assert files == (tmp_path / "model.xml", tmp_path / "model.bin")
    assert all(file.exists() for file in files)
    given = {"x": np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)}
    expected = ovpart.Session(dynamic).run(None, given)[0]
    session = ovpart.Session(tmp_path / "model.xml", num_streams=1)
    np.testing.assert_allclose(session.run(None, given)[0], expected, rtol=1e-5)
    np.testing.assert_allclose(session({"x": given["x"][:1]})["y"], (expected)[:1, :1], rtol=1e-5)
    assert session.report.coverage == 1
    assert session.report.model == "model.xml"
    (argument,) = session.get_inputs()
    assert (argument.name, argument.type, len(argument.shape)) == ("x", "tensor(float)", 2)


@pytest.mark.parametrize("device", ["AUTO", "BATCH:CPU"])
def test_ir_runs_on_openvinos_choosers(dynamic, tmp_path, device):
    convert(dynamic, "whole")
    session = ovpart.Session(tmp_path / "model.xml", device=device)
    assert session.run(None, {"x": np.ones((2, 3), np.float32)})[0].tolist() == [[3, 3], [3, 3]]


def test_weights_in_f16_take_half_the_room_and_compute_in_f32(tmp_path):
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.random.default_rng(0).random((64, 64), np.float32), "w")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 64]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weight])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    full = convert(path, "whole", tmp_path / "full.xml")[1].stat().st_size
    half = convert(path, "whole", tmp_path / "half.xml", fp16=True)[1].stat().st_size
    assert half < 0.6 * full
    given = {"x": np.ones((1, 64), np.float32)}
    expected = ovpart.Session(path).run(None, given)[0]
    np.testing.assert_allclose(ovpart.Session(tmp_path / "half.xml").run(None, given)[0], expected, rtol=1e-3)


def test_clusters_are_written_one_by_one(split, tmp_path):
    files = convert(split, "clusters", min_gain=0)
    assert [file.name for file in files] == ["cluster_0.xml", "cluster_0.bin", "cluster_2.xml", "cluster_2.bin"]
    assert files[0].parent == tmp_path / "model_clusters"
    first = ovpart.Session(files[0]).run(None, {"x": X})[0]
    expected = onnxruntime.InferenceSession(split).run(["z"], {"x": X})[0]
    np.testing.assert_allclose(np.sqrt(first.astype(np.float64)), expected, rtol=1e-6)


def test_what_openvino_does_not_take_whole_points_to_its_clusters(tmp_path):
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("StringNormalizer", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.STRING, [2])],
        [helper.make_tensor_value_info("y", TensorProto.STRING, [2])],
    )
    path = tmp_path / "strings.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    with pytest.raises(CompileError, match="Write the clusters that it takes instead"):
        convert(path, "whole")
    assert convert(path, "clusters") == ()


def test_names_and_options_are_checked(dynamic, tmp_path):
    with pytest.raises(OptionError, match=r"ends in \.xml"):
        convert(dynamic, "whole", tmp_path / "model.ir")
    with pytest.warns(OvpartWarning, match=r"min_gain=0 has no effect"):
        convert(dynamic, "whole", min_gain=0)


def test_ir_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(ModelError, match="does not exist"):
        ovpart.Session(tmp_path / "missing.xml")
    (tmp_path / "broken.xml").write_text("<net>")
    with pytest.raises(ModelError, match="broken.xml cannot be read"):
        ovpart.Session(tmp_path / "broken.xml")
    with pytest.raises(ModelError, match="there is nothing to plan"):
        ovpart.plan(tmp_path / "broken.xml")


def test_ir_inside_of_an_onnx_model_runs_too(dynamic, tmp_path):
    """The provider's way to hand IR to onnxruntime: an EPContext node that names the file."""
    from ovpart.backend.context import Context, make_node

    convert(dynamic, "whole")
    proto = dynamic_model()
    del proto.graph.node[:]
    context = Context("model", embedded=False, main=True, data=b"model.xml", sdk="2024.0")
    proto.graph.node.append(make_node(context, ["x"], ["y"]))
    proto.opset_import.add(domain="com.microsoft", version=1)
    onnx.save(proto, tmp_path / "wrapped.onnx")
    session = ovpart.Session(tmp_path / "wrapped.onnx")
    assert session.run(None, {"x": np.ones((2, 3), np.float32)})[0].tolist() == [[3, 3], [3, 3]]


def test_an_annotated_model_says_where_each_node_runs_and_answers_the_same(split, tmp_path):
    (path,) = convert(split, "annotated", min_gain=0)
    assert path == tmp_path / "model_annotated.onnx"
    proto = onnx.load(path)
    onnx.checker.check_model(proto)
    facts = {node.name: {entry.key: entry.value for entry in node.metadata_props} for node in proto.graph.node}
    assert facts["relu"]["ovpart.place"] == "openvino CPU"
    assert facts["root"]["ovpart.place"] == "onnxruntime CPU"
    assert "f64" in facts["root"]["ovpart.reason"]
    assert facts["root"]["ovpart.rule"].startswith("op_support.yaml:")
    assert [facts[name]["ovpart.cluster"] for name in ("first", "root", "last")] == ["0", "1", "2"]
    told = {node.name: node.doc_string for node in proto.graph.node}
    assert told["root"].startswith("onnxruntime CPU, cluster 1: ")
    theirs, mine = (onnxruntime.InferenceSession(file).run(None, {"x": X}) for file in (split, path))
    for one, other in zip(theirs, mine, strict=True):
        np.testing.assert_array_equal(one, other)


def test_openvino_reads_what_is_written(dynamic):
    path, _ = convert(dynamic, "whole")
    read = import_openvino().Core().read_model(path)
    assert [next(iter(port.names)) for port in read.inputs] == ["x"]
