"""Compiled models of sessions that share: one file of blobs in a folder, loadable together and alone."""

from __future__ import annotations

import gc
import threading

import numpy as np
import onnx
import pytest

import ovpart
from ovpart.backend import context as ep
from ovpart.compat import onnxruntime as ort
from tests.placement.files.test_contexts import X
from tests.placement.sharing.test_group import SHARE, compiled, decoder_pair, saved

BLOBS = "prefill_ctx_OpenVINOExecutionProvider.bin"


@pytest.fixture(autouse=True)
def _alone():
    gc.collect()
    yield
    gc.collect()


def names_in(path):
    return set(ep.unpack(path.read_bytes()))


def named_by(path):
    """Return the partition and the blobs' file of each compiled cluster of a model."""
    nodes = [node for node in onnx.load(path).graph.node if node.op_type == "EPContext"]
    return [
        {a.name: a.s.decode() for a in node.attribute if a.name in ("partition_name", "ep_cache_context")}
        for node in nodes
    ]


def test_two_sessions_write_one_file_of_blobs_and_both_models_load(tmp_path):
    answers = []
    for path in decoder_pair(tmp_path):
        session = ovpart.Session(path, **SHARE)
        written = session.save_context(tmp_path / f"{path.stem}_ctx.onnx", embed=False)
        assert written[1] == tmp_path / BLOBS
        answers.append((session, session.run(["y"], {"x": X.repeat(4, axis=0)[: 8 if path.stem == "prefill" else 1]})))
    assert sorted(path.name for path in tmp_path.glob("*.bin")) == [BLOBS, "weights.bin"]
    named = [{c["partition_name"] for c in named_by(tmp_path / f"{stem}_ctx.onnx")} for stem in ("prefill", "decode")]
    assert names_in(tmp_path / BLOBS) == named[0] | named[1]
    for (session, expected), stem in zip(answers, ("prefill", "decode"), strict=True):
        session.close()
        alone = ovpart.Session(tmp_path / f"{stem}_ctx.onnx")
        assert compiled(alone, "loaded") == 2
        feed = X.repeat(4, axis=0)[: 8 if stem == "prefill" else 1]
        np.testing.assert_array_equal(alone.run(["y"], {"x": feed})[0], expected[0])


def test_what_is_the_same_is_written_once_and_loaded_once(tmp_path):
    path = saved(tmp_path / "m.onnx")
    first, second = ovpart.Session(path, **SHARE), ovpart.Session(path, **SHARE)
    first.save_context(tmp_path / "a.onnx", embed=False)
    before = (tmp_path / "a_OpenVINOExecutionProvider.bin").read_bytes()
    second.save_context(tmp_path / "b.onnx", embed=False)
    assert (tmp_path / "a_OpenVINOExecutionProvider.bin").read_bytes() == before
    expected = first.run(["y"], {"x": X})[0]
    first.close(), second.close()
    loaded = [ovpart.Session(tmp_path / name, share_ep_contexts=True) for name in ("a.onnx", "b.onnx")]
    assert [(compiled(s, "loaded"), compiled(s, "shared")) for s in loaded] == [(2, 0), (0, 3)]
    assert loaded[1].report.sharing.files == 1
    for session in loaded:
        np.testing.assert_array_equal(session.run(["y"], {"x": X})[0], expected)


def test_models_of_one_form_with_other_weights_keep_their_own_blobs(tmp_path):
    one = ovpart.Session(saved(tmp_path / "one.onnx"), **SHARE)
    two = ovpart.Session(saved(tmp_path / "two.onnx", scale=2), **SHARE)
    one.save_context(tmp_path / "one_ctx.onnx", embed=False)
    two.save_context(tmp_path / "two_ctx.onnx", embed=False)
    assert len(names_in(tmp_path / "one_ctx_OpenVINOExecutionProvider.bin")) == 4
    for session, name in ((one, "one_ctx.onnx"), (two, "two_ctx.onnx")):
        got = ovpart.Session(tmp_path / name).run(["y"], {"x": X})[0]
        np.testing.assert_array_equal(got, session.run(["y"], {"x": X})[0])


def test_a_session_that_has_the_file_mapped_goes_on_while_others_add_to_it(tmp_path):
    prefill, decode = decoder_pair(tmp_path)
    first = ovpart.Session(prefill, **SHARE)
    first.save_context(tmp_path / "prefill_ctx.onnx", embed=False)
    loaded = ovpart.Session(tmp_path / "prefill_ctx.onnx")
    feed = {"x": X.repeat(4, axis=0)}
    expected = loaded.run(["y"], feed)[0]
    ovpart.Session(decode, **SHARE).save_context(tmp_path / "decode_ctx.onnx", embed=False)
    np.testing.assert_array_equal(loaded.run(["y"], feed)[0], expected)


def test_without_sharing_and_embedded_each_model_has_its_own(tmp_path):
    path = saved(tmp_path / "m.onnx")
    for name in ("a", "b"):
        ovpart.Session(path, min_gain=0).save_context(tmp_path / f"{name}.onnx", embed=False)
        ovpart.Session(path, **SHARE).save_context(tmp_path / f"{name}_inside.onnx", embed=True)
    assert {path.name for path in tmp_path.glob("*.bin")} == {f"{n}_OpenVINOExecutionProvider.bin" for n in "ab"}


def test_several_threads_write_at_once_and_nothing_is_lost(tmp_path):
    paths = [saved(tmp_path / f"m{i}.onnx", scale=i + 1) for i in range(4)]
    sessions = [ovpart.Session(path, **SHARE) for path in paths]
    threads = [
        threading.Thread(target=session.save_context, args=(tmp_path / f"c{i}.onnx",), kwargs={"embed": False})
        for i, session in enumerate(sessions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(tmp_path.glob("*.bin"))) == 1
    for i, session in enumerate(sessions):
        got = ovpart.Session(tmp_path / f"c{i}.onnx").run(["y"], {"x": X})[0]
        np.testing.assert_array_equal(got, session.run(["y"], {"x": X})[0])


def asked(**entries):
    made = ort.SessionOptions()
    for name, value in entries.items():
        made.add_session_config_entry(f"ep.{name}", value)
    return made


def test_a_program_written_for_onnxruntime_shares_by_its_entries(tmp_path):
    providers = [("OpenVINOExecutionProvider", {"device_type": "CPU", "min_gain": "0"})]
    prefill, decode = decoder_pair(tmp_path)
    enable = {"context_enable": "1", "context_embed_mode": "0", "share_ep_contexts": "1"}
    first = ort.InferenceSession(str(prefill), asked(**enable), providers=providers)
    last = ort.InferenceSession(str(decode), asked(**enable, stop_share_ep_contexts="1"), providers=providers)
    assert last.report.sharing.sessions == 1
    assert (tmp_path / BLOBS).is_file()
    assert {c["ep_cache_context"] for c in named_by(tmp_path / "decode_ctx.onnx")} == {BLOBS}
    after = ort.InferenceSession(str(prefill), asked(share_ep_contexts="1"), providers=providers)
    assert after.report.sharing.sessions == 0
    assert first.run(["y"], {"x": X.repeat(4, axis=0)})[0].shape == (8, 900)


def test_entries_are_0_or_1():
    with pytest.raises(ovpart.OptionError, match=r"ep\.share_ep_contexts' cannot be 'yes'"):
        ort.InferenceSession(b"", asked(share_ep_contexts="yes"), enable_fallback=0)
