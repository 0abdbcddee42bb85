"""The fake backend fails where it is told to, and is right elsewhere."""

from __future__ import annotations

import numpy as np
import onnx.helper
import pytest

from ovpart.backend.fake import Failure, FakeBackend
from ovpart.errors import CompileError, OptionError, RunError
from ovpart.testing.cuts import compute, cut_of, f32, relu


def two():
    nodes = [onnx.helper.make_node("Neg", ["x"], ["h"]), onnx.helper.make_node("Relu", ["h"], ["y"])]
    return cut_of(nodes, {"x": ("f32", (2,))}, {"y": ("f32", (2,))})


def test_operators_that_it_does_not_take():
    with pytest.raises(CompileError, match="does not take Relu") as caught:
        FakeBackend({"Neg"}).compile(two(), "CPU", {})
    assert (caught.value.stage, caught.value.node) == ("convert", "y")
    assert FakeBackend({"Neg", "Relu"}).compile(two(), "CPU", {})


@pytest.mark.parametrize("stage", ["read", "convert", "compile"])
def test_fails_at_each_stage_of_a_compilation(stage):
    backend = FakeBackend(failures=[Failure(stage, "no memory left", operator="Relu", names_node=True)])
    with pytest.raises(CompileError, match="no memory left") as caught:
        backend.compile(two(), "CPU", {})
    assert (caught.value.stage, caught.value.node) == (stage, "y")
    node = onnx.helper.make_node("Neg", ["x"], ["y"])
    assert backend.compile(cut_of([node], {"x": ("f32", (2,))}, {"y": ("f32", (2,))}), "CPU", {})


def test_fails_at_load():
    cut = two()
    blob = FakeBackend().compile(cut, "CPU", {}).export()
    with pytest.raises(CompileError, match="old driver") as caught:
        FakeBackend(failures=[Failure("load", "old driver")]).load(blob, cut, "CPU", {})
    assert caught.value.stage == "load"
    with pytest.raises(CompileError, match="not of this cut"):
        FakeBackend().load(blob, relu(), "CPU", {})


def test_fails_at_run_n_for_as_long_as_told():
    backend = FakeBackend(failures=[Failure("run", "device lost", at=2, times=1)])
    request = backend.compile(two(), "CPU", {}).bind()
    assert compute(request, f32([-1, 2]))[0].tolist() == [1, 0]
    with pytest.raises(RunError, match="device lost"):
        request.run()
    assert compute(request, f32([-3, 2]))[0].tolist() == [3, 0]
    assert backend.calls["run"] == 3


def test_counts_and_keeps_what_it_was_asked():
    backend = FakeBackend(devices=["GPU", "GPU.1"])
    cut = two()
    executable = backend.compile(cut, "GPU", {})
    executable.bind()
    executable.bind()
    assert backend.cuts == [cut]
    assert backend.calls == {"read": 1, "convert": 1, "compile": 1, "bind": 2}
    assert [device.name for device in backend.devices()] == ["GPU", "GPU.1"]


def test_stage_that_does_not_exist():
    with pytest.raises(OptionError, match="read, convert, compile, load, bind, run"):
        Failure("link")


def test_computes_rightly():
    x = np.float32([-1, 2])
    assert compute(FakeBackend().compile(two(), "CPU", {}).bind(), x)[0].tolist() == [1, 0]
