"""Runs over the memory of a device that a fake stands for: what is copied, and what is not."""

from __future__ import annotations

import numpy as np
import pytest

import ovpart
from ovpart.backend.fake import Failure, FakeBackend
from ovpart.backend.registry import backend
from ovpart.compat.onnxruntime import InferenceSession, RunOptions
from ovpart.errors import DeviceNotFound, InputError, OptionError, RunError
from tests.traps.trial import model

X = np.array([[-1.5, 0.25, 2.0]], np.float32)
CHAIN = "g (float[n, 3] x) => (float[n, 3] y, float[n, 3] z) { a = Tanh(x)  y = Exp(a)  z = Abs(y) }"
Y = np.exp(np.tanh(X))


@pytest.fixture
def fake(monkeypatch):
    """Give a GPU that is none."""
    made = FakeBackend(devices=("CPU", "GPU"))
    monkeypatch.setattr("ovpart.placement.engines.backend", lambda name: made if name == "openvino" else backend(name))
    return made


def session(**options):
    options = {"device": "GPU", "min_gain": 0, "pin": ["Tanh", "Exp", "Abs"], "evidence": "off", **options}
    return ovpart.Session(model(CHAIN), **options)


def bound(fake):
    memory = fake.remote
    return memory.put(X.copy()), memory.put(np.zeros_like(X)), memory.put(np.zeros_like(X), "GPU.0")


def contents(fake, tensor):
    return fake.remote.store[tensor.handle]


def copies(fake):
    return fake.remote.reads, fake.remote.writes


def test_nothing_is_copied_where_a_cluster_of_the_device_reads_and_writes(fake):
    made = session()
    assert made.report.coverage == 1
    x, y, z = bound(fake)
    for _ in range(3):
        assert made.run_bound({"x": x}, {"y": y, "z": z}) == [y, z]
        np.testing.assert_allclose(contents(fake, y), Y, 1e-6)
        np.testing.assert_allclose(contents(fake, z), Y, 1e-6)
        contents(fake, y)[...] = contents(fake, z)[...] = 0
    assert copies(fake) == (0, 0)


def test_outputs_without_a_target_are_arrays_and_arrays_are_inputs_still(fake):
    made = session()
    x, y, _ = bound(fake)
    got = made.run(["y"], {"x": x})
    np.testing.assert_allclose(got[0], Y, 1e-6)
    assert made.run_bound({"x": X}, {"y": y}, ["y"]) == [y]
    assert copies(fake) == (0, 0)
    np.testing.assert_allclose(made.run(None, {"x": 2 * X})[1], np.exp(np.tanh(2 * X)), 1e-6)  # a run on arrays alone
    np.testing.assert_allclose(contents(fake, y), Y, 1e-6)  # leaves what was bound alone


@pytest.mark.parametrize(
    ("elsewhere", "read", "written"),
    [(["Tanh"], 1, 0), (["Exp"], 0, 1), (["Abs"], 1, 1), (["Tanh", "Exp", "Abs"], 1, 2)],
)
def test_islands_get_copies_and_their_outputs_are_copied(fake, elsewhere, read, written):
    made = session(pin=[op for op in ("Tanh", "Exp", "Abs") if op not in elsewhere], exclude=elsewhere)
    x, y, z = bound(fake)
    if made.report.coverage == 0:
        made.run(None, {"x": X})
    assert made.run_bound({"x": x}, {"y": y, "z": z}) == [y, z]
    np.testing.assert_allclose(contents(fake, y), Y, 1e-6)
    np.testing.assert_allclose(contents(fake, z), Y, 1e-6)
    assert copies(fake) == (read, written)


def test_a_cluster_that_fails_is_answered_for_over_copies(fake):
    fake.failures = (Failure("run"),)
    made = session()
    x, y, z = bound(fake)
    assert made.run_bound({"x": x}, {"y": y, "z": z}) == [y, z]
    np.testing.assert_allclose(contents(fake, z), Y, 1e-6)
    assert made.report.demotions


def test_an_input_that_is_an_output_is_copied(fake):
    made = ovpart.Session(
        model("g (float[1, 3] x) => (float[1, 3] y, float[1, 3] x) { y = Tanh(x) }"),
        device="GPU", min_gain=0, pin=["Tanh"], evidence="off",
    )  # fmt: skip
    x, y, z = bound(fake)
    answers = made.run_bound({"x": x}, {"y": y})
    assert answers[0] is y
    np.testing.assert_array_equal(answers[1], X)
    assert made.run_bound({"x": x}, {"x": z}, ["x"]) == [z]
    np.testing.assert_array_equal(contents(fake, z), X)


@pytest.mark.parametrize(
    ("feed", "targets", "error", "words"),
    [
        ({"x": ("GPU.1", "f32", (1, 3))}, {}, DeviceNotFound, "GPU.1"),
        ({"x": ("GPU", "f16", (1, 3))}, {}, InputError, "input data type"),
        ({"x": ("GPU", "f32", (1, 4))}, {}, InputError, "Expected: 3"),
        ({}, {"y": ("GPU", "f32", (1, 4))}, InputError, "output 'y' is"),
        ({}, {"y": ("GPU", "f32", (3,))}, InputError, "output 'y' is"),
        ({}, {"y": ("GPU", "i32", (1, 3))}, InputError, "output 'y' is"),
        ({}, {"w": ("GPU", "f32", (1, 3))}, InputError, "w"),
        ({}, {"y": ("GPU.3", "f32", (1, 3))}, DeviceNotFound, "GPU.3"),
    ],
)
def test_what_does_not_fit_says_so(fake, feed, targets, error, words):
    remote = [{name: ovpart.RemoteTensor(*told, 9) for name, told in one.items()} for one in (feed, targets)]
    with pytest.raises(error, match=words):
        session().run_bound({"x": X, **remote[0]}, remote[1])
    assert copies(fake) == (0, 0)


def test_a_run_can_be_ended_and_a_pool_counts_it(fake):
    options = RunOptions()
    options.terminate = True
    with ovpart.Pool(threads=1) as pool:
        made = session(pool=pool)
        x, y, _ = bound(fake)
        with pytest.raises(RunError, match="terminate"):
            made.run_bound({"x": x}, {"y": y}, run_options=options)
        assert made.run_bound({"x": x}, {"y": y}, ["y"], RunOptions()) == [y]
        assert made.share.runs == 2


def test_io_binding_takes_memory_of_a_gpu(fake):
    made = InferenceSession(
        model(CHAIN).SerializeToString(), providers=[("OpenVINOExecutionProvider", {"device_type": "GPU"})]
    )
    for _ in range(8):  # the plan is measured on the first runs
        made.run(None, {"x": X})
    before = copies(fake)
    x, y, _ = bound(fake)
    binding = made.io_binding()
    binding.bind_input("x", "gpu", 0, np.float32, X.shape, x.handle)
    binding.bind_output("y", "OpenVINO_GPU", 0, np.float32, X.shape, y.handle)
    binding.bind_output("z")
    made.run_with_iobinding(binding)
    np.testing.assert_allclose(contents(fake, y), Y, 1e-6)
    if made.report.coverage == 1:
        assert copies(fake) == before
    remote, array = binding.get_outputs()
    assert (remote.device, remote.handle) == ("GPU", y.handle)
    np.testing.assert_allclose(array.numpy(), Y, 1e-6)
    for value in binding.copy_outputs_to_cpu():
        np.testing.assert_allclose(value, Y, 1e-6)
    with pytest.raises(OptionError, match="cl_mem"):
        binding.bind_output("y", "gpu")
    with pytest.raises(OptionError, match="'cpu' or 'gpu'"):
        binding.bind_output("y", "cuda", 0)


def test_without_a_gpu_its_memory_is_refused():
    made = ovpart.Session(model(CHAIN))
    tensor = ovpart.RemoteTensor("GPU", "f32", (1, 3), 4096)
    if any(device.name.startswith("GPU") for device in ovpart.devices()):
        pytest.skip("this machine has a GPU")
    with pytest.raises(DeviceNotFound, match="no device 'GPU'"):
        made.run(None, {"x": tensor})
    with pytest.raises(DeviceNotFound, match="no device 'GPU'"):
        made.run_bound({"x": X}, {"y": tensor})
    emulated = ovpart.Session(model(CHAIN), device="GPU", emulate=True)
    with pytest.raises(InputError, match="emulated"):
        emulated.run(None, {"x": tensor})
