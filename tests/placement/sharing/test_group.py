"""Sessions that share: what is the same is mapped and compiled once, what is not is told, and nothing outlives them."""

from __future__ import annotations

import gc
import os
import threading
import warnings
import weakref

import numpy as np
import onnx
import pytest

import ovpart
from ovpart.errors import OvpartWarning
from ovpart.placement.sharing.content import Content, place_of
from ovpart.placement.sharing.group import Group, Sharing
from tests.placement.files.test_contexts import X, partitioned

SHARE = {"min_gain": 0, "evidence": "off", "share_ep_contexts": True}


@pytest.fixture(autouse=True)
def _alone():
    """Let no session of another test be there."""
    gc.collect()
    yield
    gc.collect()


def saved(path, scale=1.0, external=""):
    """Write the model, its weights scaled, inside or in an external file."""
    proto = partitioned()
    for tensor in proto.graph.initializer:
        tensor.CopyFrom(
            onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) * np.float32(scale), tensor.name)
        )
    onnx.save_model(
        proto, path, save_as_external_data=bool(external), location=external or None, size_threshold=1024,
        convert_attribute=False,
    )  # fmt: skip
    return path


def decoder_pair(folder):
    """Write a prefill and a decode model over the same weights in one external file."""
    paths = []
    for name, rows in (("prefill", 8), ("decode", 1)):
        proto = partitioned()
        for value in (*proto.graph.input, *proto.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = rows
        # The file is appended to where it is there: each model of its own, both with the bytes at the same places.
        (folder / "weights.bin").unlink(missing_ok=True)
        onnx.save_model(
            proto, folder / f"{name}.onnx", save_as_external_data=True, location="weights.bin", size_threshold=1024,
            convert_attribute=False,
        )  # fmt: skip
        paths.append(folder / f"{name}.onnx")
    return paths


def compiled(session, how="compiled"):
    return sum(counts.get(how, 0) for counts in session.report.compiles.values())


def mapped_at(session, name="large"):
    return session.model.weights.array(name).ctypes.data


def test_the_same_model_twice_is_mapped_and_compiled_once(tmp_path):
    path = saved(tmp_path / "m.onnx")
    alone = ovpart.Session(path, min_gain=0, evidence="off").run(None, {"x": X})
    first, second = ovpart.Session(path, **SHARE), ovpart.Session(path, **SHARE)
    assert (compiled(first), compiled(first, "shared")) == (3, 0)
    assert (compiled(second), compiled(second, "shared")) == (0, 3)
    assert mapped_at(first) == mapped_at(second)
    found = second.report.sharing
    assert (found.sessions, found.clusters, found.of_clusters, found.files) == (1, 3, 3, 1)
    assert "shared with 1 other session: 3 of 3 compiled clusters" in str(second.report)
    for session in (first, second):
        for got, wanted in zip(session.run(None, {"x": X}), alone, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_without_the_option_nothing_is_shared(tmp_path):
    path = saved(tmp_path / "m.onnx")
    first, second = (ovpart.Session(path, min_gain=0, evidence="off") for _ in range(2))
    assert compiled(second) == 3
    assert mapped_at(first) != mapped_at(second)
    assert second.report.sharing is None


def test_one_goes_on_when_the_other_is_closed(tmp_path):
    path = saved(tmp_path / "m.onnx")
    first, second = ovpart.Session(path, **SHARE), ovpart.Session(path, **SHARE)
    expected = first.run(None, {"x": X})
    first.close()
    for got, wanted in zip(second.run(None, {"x": X[:2]}), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
    with pytest.raises(ovpart.RunError, match="closed"):
        first.run(None, {"x": X})


def test_closed_sessions_hold_nothing_though_they_are_still_referred_to(tmp_path):
    path = saved(tmp_path / "m.onnx")
    first, second = ovpart.Session(path, **SHARE), ovpart.Session(path, **SHARE)
    executables = [weakref.ref(e) for parts in second._form.realised.executables.values() for e in parts]
    group = weakref.ref(second._engines.sharing.group)
    first.close()
    gc.collect()
    assert all(executable() is not None for executable in executables)
    second.close()
    gc.collect()
    assert not any(executable() for executable in executables)
    assert group() is None
    third = ovpart.Session(path, **SHARE)
    assert (third.report.sharing.sessions, compiled(third)) == (0, 3)
    assert second.report.sharing.clusters == 3  # what was found is told after the end, too


def test_prefill_and_decode_share_the_map_of_their_weights(tmp_path):
    prefill, decode = (ovpart.Session(path, **SHARE) for path in decoder_pair(tmp_path))
    assert mapped_at(prefill) == mapped_at(decode)
    assert decode.report.sharing.files == 1
    rows = np.random.default_rng(3).random((8, 4), np.float32)
    expected = prefill.run(["y"], {"x": rows})[0]
    got = np.concatenate([decode.run(["y"], {"x": row[None]})[0] for row in rows])
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_a_copy_of_the_model_elsewhere_is_the_same_to_the_bit(tmp_path):
    first = ovpart.Session(saved(tmp_path / "m.onnx"), **SHARE)
    second = ovpart.Session(saved(tmp_path / "copy.onnx"), **SHARE)
    third = ovpart.Session(partitioned().SerializeToString(), **SHARE)
    assert compiled(first) == 3
    assert (compiled(second, "shared"), compiled(third, "shared")) == (3, 3)


def test_other_weights_are_another_cluster(tmp_path):
    first = ovpart.Session(saved(tmp_path / "m.onnx", external="m.bin"), **SHARE)
    second = ovpart.Session(saved(tmp_path / "n.onnx", scale=2, external="n.bin"), **SHARE)
    assert compiled(second, "shared") < 3
    assert second.report.sharing.why_not == "clusters of the same form have other weights"
    a, b = (session.run(["y"], {"x": X})[0] for session in (first, second))
    assert not np.allclose(a, b)


def test_a_file_that_was_changed_in_place_is_not_the_one_that_was_compiled(tmp_path):
    path = saved(tmp_path / "m.onnx", external="m.bin")
    first = ovpart.Session(path, **SHARE)
    before = first.run(["y"], {"x": X})[0]
    # The same file, inode and size, other values: a map of it shows them at once, what was compiled does not.
    with open(tmp_path / "m.bin", "r+b") as file:
        values = np.frombuffer(file.read(), np.float32) * np.float32(2)
        file.seek(0)
        file.write(values.tobytes())
    os.utime(tmp_path / "m.bin", ns=(1, 1))
    second = ovpart.Session(path, **SHARE)
    after = second.run(["y"], {"x": X})[0]
    np.testing.assert_allclose(after, 2 * before, rtol=1e-5)


def test_other_settings_are_said_to_be_why_nothing_is_shared(tmp_path):
    path = saved(tmp_path / "m.onnx")
    first = ovpart.Session(path, **SHARE)
    with pytest.warns(OvpartWarning, match=r"share_ep_contexts=True has no effect.* other settings \(num_threads\)"):
        second = ovpart.Session(path, num_threads=1, **SHARE)
    assert compiled(second) == 3
    assert "other settings (num_threads)" in str(second.report)
    assert compiled(first) == 3


def test_another_model_is_said_to_have_nothing_in_common(tmp_path):
    first = ovpart.Session(saved(tmp_path / "m.onnx"), **SHARE)
    other = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> g (float[2] x) => (float[2] y) { y = Exp(x) }'
    )
    with pytest.warns(OvpartWarning, match="no cluster of another session is the same"):
        ovpart.Session(other, **SHARE)
    assert first.report.sharing.sessions == 0


def test_the_first_one_is_not_warned_of_being_alone(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session = ovpart.Session(saved(tmp_path / "m.onnx"), **SHARE)
    assert "shares with sessions to come" in str(session.report)


def test_who_stops_sharing_is_the_last_one(tmp_path):
    path = saved(tmp_path / "m.onnx")
    first = ovpart.Session(path, **SHARE)
    last = ovpart.Session(path, stop_share_ep_contexts=True, **SHARE)
    after = ovpart.Session(path, **SHARE)
    assert compiled(last, "shared") == 3
    assert (compiled(after, "shared"), after.report.sharing.sessions) == (0, 0)
    assert compiled(ovpart.Session(path, **SHARE), "shared") == 3  # with `after`
    assert first.run(None, {"x": X})


def test_stopping_what_was_not_begun_is_said_to_have_no_effect(tmp_path):
    with pytest.warns(OvpartWarning, match="stop_share_ep_contexts=True has no effect without"):
        ovpart.Session(saved(tmp_path / "m.onnx"), stop_share_ep_contexts=True)


def test_many_sessions_at_once_compile_once_and_answer_right(tmp_path):
    path = saved(tmp_path / "m.onnx")
    expected = {
        rows: ovpart.Session(path, min_gain=0, evidence="off").run(["y"], {"x": X[:rows]})[0] for rows in (1, 2)
    }
    sessions, wrong = [], []
    begin = threading.Barrier(6)

    def work(number):
        begin.wait()
        session = ovpart.Session(path, **SHARE)
        sessions.append(session)
        for turn in range(60):
            rows = 1 + (number + turn) % 2
            got = session.run(["y"], {"x": X[:rows]})[0]
            if not np.array_equal(got, expected[rows]):
                wrong.append((number, turn))
        if number % 2:
            session.close()  # while the others run

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert sum(map(compiled, sessions)) == 3
    assert sum(compiled(session, "shared") for session in sessions) == 15


def test_fixed_forms_are_shared_too(tmp_path):
    path = saved(tmp_path / "m.onnx")
    first, second = (ovpart.Session(path, disable_dynamic_shapes=True, **SHARE) for _ in range(2))
    for session in (first, second):
        session.run(None, {"x": X})
    assert compiled(second) == 0


class Slotted:
    """An executable that no weak reference can be made to."""

    __slots__ = ()


def test_what_cannot_be_referred_to_weakly_is_not_shared_and_says_so():
    group = Group()
    sharing = [Sharing(group) for _ in range(2)]
    content, place = Content("form", {}), place_of("third", object(), "CPU", {})
    made = [one.executable(content, place, Slotted) for one in sharing]
    assert [there for _, there in made] == [False, False]
    assert sharing[1].facts().why_not == "executables of third cannot be shared"


def test_who_fails_to_compile_leaves_the_next_one_to_try():
    sharing = Sharing(Group())
    content, place = Content("form", {}), place_of("third", object(), "CPU", {})
    with pytest.raises(ovpart.CompileError):
        sharing.executable(content, place, lambda: (_ for _ in ()).throw(ovpart.CompileError("no")))

    class Made:
        pass

    made, there = sharing.executable(content, place, Made)
    assert not there
    assert sharing.executable(content, place, Made) == (made, True)
