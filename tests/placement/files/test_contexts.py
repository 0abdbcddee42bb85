"""Models with compiled clusters: loaded without a compile, with the same answers; refused where they do not fit."""

from __future__ import annotations

import hashlib
import hmac
import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx import helper as h
from onnx import numpy_helper as nh

import ovpart
from ovpart.errors import CompileError, InputError, ModelError, OptionError, OvpartWarning

X = np.linspace(-1, 2, 8, dtype=np.float32).reshape(2, 4)


def partitioned():
    """X -> MatMul -> Relu -> Sqrt in f64 (an island) -> MatMul -> y, and z that an island hands out."""
    weight = nh.from_array(np.random.default_rng(0).random((4, 4), np.float32), "w")
    large = nh.from_array(np.random.default_rng(1).random((4, 900), np.float32), "large")
    nodes = [
        h.make_node("MatMul", ["x", "w"], ["a"], name="first"),
        h.make_node("Relu", ["a"], ["b"], name="relu"),
        h.make_node("Cast", ["b"], ["c"], name="up", to=TensorProto.DOUBLE),
        h.make_node("Sqrt", ["c"], ["z"], name="root"),
        h.make_node("Cast", ["z"], ["e"], name="down", to=TensorProto.FLOAT),
        h.make_node("MatMul", ["e", "large"], ["y"], name="last"),
    ]
    ends = [h.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4]),
            h.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 900]),
            h.make_tensor_value_info("z", TensorProto.DOUBLE, ["n", 4])]  # fmt: skip
    graph = h.make_graph(nodes, "g", ends[:1], ends[1:], [weight, large])
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)


def compiled(tmp_path, *, embed=True, sign=None):
    """Write the model and its compiled form; return the latter's path and the answers of the former."""
    onnx.save(partitioned(), tmp_path / "model.onnx")
    session = ovpart.Session(tmp_path / "model.onnx", min_gain=0)
    assert [cluster.is_island for cluster in session.plan.clusters] == [False, True, False]
    session.save_context(tmp_path / "ctx.onnx", embed=embed, sign=sign)
    return tmp_path / "ctx.onnx", session.run(None, {"x": X})


def edited(path, change):
    """Change the first EPContext node of a file."""
    proto = onnx.load(path)
    node = next(node for node in proto.graph.node if node.op_type == "EPContext")
    attributes = {attribute.name: attribute for attribute in node.attribute}
    notes = json.loads(attributes["notes"].s)
    change(attributes, notes["ovpart"])
    attributes["notes"].s = json.dumps(notes).encode()
    onnx.save(proto, path)


@pytest.mark.parametrize("embed", [True, False])
def test_a_partitioned_model_is_loaded_without_a_compile_and_answers_the_same(tmp_path, embed):
    path, expected = compiled(tmp_path, embed=embed)
    (tmp_path / "model.onnx").unlink()
    assert (tmp_path / "ctx_OpenVINOExecutionProvider.bin").exists() is not embed
    session = ovpart.Session(path)
    for got, wanted in zip(session.run(None, {"x": X}), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert session.report.compiles["openvino"] == {"compiled": 0, "cached": 0, "loaded": 2}
    assert "2 loaded as compiled before" in str(session.report)
    other = X[:1]
    assert session.run(["y"], {"x": other})[0].shape == (1, 900)


def test_the_file_is_laid_out_as_the_provider_does(tmp_path):
    path, _ = compiled(tmp_path)
    proto = onnx.load(path)
    onnx.checker.check_model(proto)
    nodes = [node for node in proto.graph.node if node.op_type == "EPContext"]
    assert [node.op_type for node in proto.graph.node] == ["EPContext", "Cast", "Sqrt", "Cast", "EPContext"]
    first, second = ({a.name: h.get_attribute_value(a) for a in node.attribute} for node in nodes)
    assert {node.domain for node in nodes} == {"com.microsoft"}
    assert (first["embed_mode"], first["main_context"], second["main_context"]) == (1, 1, 0)
    assert first["source"] == b"OpenVINOExecutionProvider"
    assert first["ep_cache_context"].startswith(b"OVEP_BIN")
    assert second["ep_cache_context"] == b""
    assert first["hardware_architecture"] == b"CPU"
    assert first["onnx_model_filename"] == b"model.onnx"
    assert first["ep_sdk_version"].decode() == ".".join(ovpart_version().split(".")[:2])
    assert {v.name for v in proto.graph.value_info} == {"b", "e"}


def ovpart_version():
    from ovpart.backend.openvino import import_openvino

    return import_openvino().get_version()


def older(attributes, notes):
    notes["openvino"] = "2024.0.0"


def elsewhere(attributes, notes):
    notes["fingerprint"] = "another machine"


def providers_older(attributes, notes):
    attributes["ep_sdk_version"].s = b"2024.0"
    del notes["openvino"]


@pytest.mark.parametrize(
    ("change", "words"),
    [(older, "compiled by openvino 2024.0.0, here is"), (elsewhere, "compiled for 'another machine', here CPU is"),
     (providers_older, "compiled by openvino 2024.0, here is")],
)  # fmt: skip
def test_what_does_not_fit_here_is_refused_or_compiled_anew_from_the_original(tmp_path, change, words):
    path, expected = compiled(tmp_path)
    edited(path, change)
    with pytest.warns(OvpartWarning, match=rf"{words}.*original model.onnx is compiled anew"):
        session = ovpart.Session(path, min_gain=0)
    np.testing.assert_array_equal(session.run(["y"], {"x": X})[0], expected[0])
    assert session.report.compiles["openvino"]["compiled"] == 2
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(CompileError, match=rf"{words}.*ovpart compile"):
        ovpart.Session(path)


def test_an_original_that_has_changed_is_not_taken_for_it(tmp_path):
    path, _ = compiled(tmp_path)
    edited(path, older)
    other = partitioned()
    other.graph.node[1].op_type = "Abs"
    onnx.save(other, tmp_path / "model.onnx")
    with pytest.raises(CompileError, match="Compile the model again"):
        ovpart.Session(path)


def test_changed_blobs_are_refused(tmp_path):
    path, _ = compiled(tmp_path, embed=False)
    blobs = tmp_path / "ctx_OpenVINOExecutionProvider.bin"
    data = bytearray(blobs.read_bytes())
    data[65536 + 100] ^= 1
    blobs.write_bytes(data)
    with pytest.raises(CompileError, match="its hash differs"):
        ovpart.Session(path)
    blobs.write_bytes(b"")
    with pytest.raises(CompileError, match="is empty"):
        ovpart.Session(path)
    blobs.unlink()
    with pytest.raises(CompileError, match="not beside the model"):
        ovpart.Session(path)


def test_a_blob_that_openvino_cannot_read_is_an_error_that_names_the_stage(tmp_path):
    path, _ = compiled(tmp_path)

    def forge(attributes, notes):
        from ovpart.backend.context import digest, pack

        forged = b"no blob at all" * 100
        attributes["ep_cache_context"].s = pack({attributes["partition_name"].s.decode(): forged})
        notes["sha256"], notes["size"] = digest(forged), len(forged)

    edited(path, forge)
    with pytest.raises(CompileError, match="no blob for cluster|load"):
        ovpart.Session(path)


def test_signatures_are_kept_and_asked_for_before_a_blob_is_read(tmp_path):
    key = b"secret"

    def sign(name, blob):
        return hmac.new(key, name.encode() + blob, hashlib.sha256).hexdigest()

    def check(name, blob, signature):
        seen.append(name)
        if not hmac.compare_digest(signature, sign(name, bytes(blob))):
            raise CompileError(f"{name} is not signed by us", stage="load")

    seen = []
    path, expected = compiled(tmp_path, sign=sign)
    session = ovpart.Session(path, context_check=check)
    np.testing.assert_array_equal(session.run(["y"], {"x": X})[0], expected[0])
    assert len(seen) == 2
    edited(path, lambda attributes, notes: notes.update(signature="00"))
    with pytest.raises(CompileError, match="not signed by us"):
        ovpart.Session(path, context_check=check)


def test_inputs_beyond_a_guard_need_the_original_and_say_so(tmp_path):
    nodes = [h.make_node("Add", ["i", "i"], ["a"]), h.make_node("Add", ["a", "i"], ["y"])]
    ends = [h.make_tensor_value_info(name, TensorProto.INT64, [3]) for name in ("i", "y")]
    graph = h.make_graph(nodes, "g", ends[:1], ends[1:])
    proto = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    session = ovpart.Session(proto, min_gain=0)
    session.save_context(tmp_path / "ctx.onnx")
    again = ovpart.Session(tmp_path / "ctx.onnx")
    assert again.plan.guards == session.plan.guards
    assert session.plan.guards[0].inputs == ("i",)
    assert again.run(None, {"i": np.array([1, 2, 3])})[0].tolist() == [3, 6, 9]
    with pytest.raises(InputError, match="run the original model"):
        again.run(None, {"i": np.array([2**40, 0, 0])})


def test_options_that_would_place_nodes_have_no_effect_and_say_so(tmp_path):
    path, _ = compiled(tmp_path)
    with pytest.warns(OvpartWarning, match=r"exclude=\('MatMul',\) has no effect: the clusters of ctx.onnx"):
        ovpart.Session(path, exclude="MatMul")
    with pytest.raises(OptionError, match="cannot be emulated"):
        ovpart.Session(path, device="GPU", emulate=True)


def test_what_cannot_be_written_says_why(tmp_path):
    emulated = ovpart.Session(partitioned(), device="GPU", emulate=True, min_gain=0)
    with pytest.raises(OptionError, match="'GPU' is emulated"):
        emulated.save_context(tmp_path / "ctx.onnx")
    chooser = ovpart.Session(partitioned(), device="AUTO", min_gain=0)
    with pytest.raises(CompileError, match="AUTO:CPU cannot give its compiled clusters"):
        chooser.save_context(tmp_path / "ctx.onnx")
    alone = ovpart.Session(partitioned(), exclude="*")
    with pytest.warns(OvpartWarning, match="nothing is delegated"):
        alone.save_context(tmp_path / "ctx.onnx")
    expected = alone.run(None, {"x": X})
    for got, wanted in zip(ovpart.Session(tmp_path / "ctx.onnx").run(None, {"x": X}), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6)


def test_an_output_that_the_original_declares_wrongly_is_declared_rightly(tmp_path):
    ends = [
        h.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3]),
        h.make_tensor_value_info("y", TensorProto.FLOAT, [6]),
    ]
    graph = h.make_graph([h.make_node("Relu", ["x"], ["y"])], "g", ends[:1], ends[1:])
    proto = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    ovpart.Session(proto, min_gain=0).save_context(tmp_path / "ctx.onnx")
    session = ovpart.Session(tmp_path / "ctx.onnx")
    assert session.run(None, {"x": np.ones((2, 3), np.float32)})[0].shape == (2, 3)


def test_a_cache_folder_does_not_give_old_weights_for_new_ones(tmp_path):
    """Openvino's own cache does, where a model is compiled from its path and only its external file has changed."""
    onnx.save_model(
        partitioned(), tmp_path / "model.onnx", save_as_external_data=True, location="weights", size_threshold=0
    )
    answers = []
    for factor in (1, 2):
        data = np.fromfile(tmp_path / "weights", np.float32) * factor
        data.tofile(tmp_path / "weights")
        session = ovpart.Session(tmp_path / "model.onnx", cache_dir=tmp_path / "cache", min_gain=0)
        answers.append(session.run(["z"], {"x": X})[0])
        session.close()
    np.testing.assert_allclose(answers[1], answers[0] * np.sqrt(2), rtol=1e-6)


def test_a_compiled_model_is_written_again_with_the_blobs_that_it_came_with(tmp_path):
    path, expected = compiled(tmp_path)
    ovpart.Session(path).save_context(tmp_path / "again.onnx", embed=False)
    again = ovpart.Session(tmp_path / "again.onnx")
    np.testing.assert_array_equal(again.run(["y"], {"x": X})[0], expected[0])
    assert again.report.compiles["openvino"]["compiled"] == 0


def test_what_cannot_be_done_with_compiled_clusters_is_refused_in_words(tmp_path):
    path, _ = compiled(tmp_path)
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(CompileError, match="compiled for device 'CPU', asked for is 'AUTO:CPU'"):
        ovpart.Session(path, device="AUTO")
    with pytest.raises(OptionError, match="verify the original"):
        ovpart.Session(path).verify({"x": X})

    def foreign(attributes, notes):
        attributes["source"].s = b"QNNExecutionProvider"

    edited(path, foreign)
    with pytest.raises(ModelError, match="compiled for 'QNNExecutionProvider', which nobody else can run"):
        ovpart.Session(path)
