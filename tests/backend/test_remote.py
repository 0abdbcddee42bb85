"""The memory of a GPU, to the edge of the device: what the plugin is told, in the form that it takes."""

from __future__ import annotations

import numpy as np
import pytest

from ovpart.backend.openvino import OpenVINOBackend
from ovpart.backend.remote import RemoteTensor
from ovpart.errors import DeviceNotFound, InputError, RunError


class Core:
    """Stands for a Core with a GPU, and notes what it is asked for."""

    available_devices = ("CPU", "GPU")

    def __init__(self):
        self.contexts = []

    def create_context(self, device, told):
        self.contexts.append((device, told))
        return Context(told)

    def get_default_context(self, device):
        return Context("default")


class Context:
    def __init__(self, told):
        self.told = told
        self.tensors = []

    def create_tensor(self, kind, shape, told):
        if told["MEM_HANDLE"] == "0xbad":
            raise RuntimeError("[GPU] no such memory")
        self.tensors.append((kind.get_type_name(), tuple(shape), told))
        return self.tensors[-1]


def test_an_opencl_context_reaches_the_plugin_as_text_in_hexadecimal_and_is_made_once():
    core = Core()
    backend = OpenVINOBackend(core)
    first = backend.context("GPU", 0x7F001234)
    assert backend.context("GPU", 0x7F001234) is first
    assert core.contexts == [("GPU", {"CONTEXT_TYPE": "OCL", "OCL_CONTEXT": "0x7f001234"})]
    assert backend.context("GPU", 0x7F005678) is not first
    assert backend.context("GPU", None).told == "default"


def test_memory_is_wrapped_in_the_context_that_clusters_are_compiled_in():
    backend = OpenVINOBackend(Core())
    memory = backend.memory("GPU", {"context": 0x10})
    context = backend.context("GPU", 0x10)
    memory.wrapped(RemoteTensor("GPU", "int64", (2, 3), 0xABC))
    memory.wrapped(RemoteTensor("GPU", "f16", (), 0xDEF, kind="USM_USER_BUFFER"))
    assert context.tensors == [
        ("i64", (2, 3), {"SHARED_MEM_TYPE": "OCL_BUFFER", "MEM_HANDLE": "0xabc"}),
        ("f16", (), {"SHARED_MEM_TYPE": "USM_USER_BUFFER", "MEM_HANDLE": "0xdef"}),
    ]
    with pytest.raises(RunError, match="OCL_BUFFER 0xbad on GPU.*no such memory"):
        memory.wrapped(RemoteTensor("GPU", "f32", (1,), 0xBAD))


def test_who_has_no_memory_says_so():
    with pytest.raises(DeviceNotFound, match="no device 'GPU.1'"):
        OpenVINOBackend(Core()).memory("GPU.1", {})
    real = OpenVINOBackend()
    with pytest.raises(InputError, match="GPUs only"):
        real.memory("CPU", {})
    if not any(device.name.startswith("GPU") for device in real.devices()):
        with pytest.raises(DeviceNotFound, match="no device 'GPU'"):
            real.memory("GPU", {})


def test_a_remote_tensor_knows_its_dtype_and_device():
    tensor = RemoteTensor("GPU", "float32", [2, np.int64(3)], 16)
    assert (tensor.dtype, tensor.shape, tensor.numpy_dtype) == ("f32", (2, 3), np.float32)
    assert tensor.lies_on("GPU.0")
    assert not tensor.lies_on("GPU.1")
    assert not tensor.lies_on("CPU")


@pytest.mark.parametrize(
    "wrong", [{"dtype": "float99"}, {"handle": 0}, {"kind": "VA_SURFACE"}, {"dtype": "datetime64[s]"}]
)
def test_what_is_no_remote_tensor_is_refused(wrong):
    good = {"device": "GPU", "dtype": "f32", "shape": (1,), "handle": 16}
    with pytest.raises(InputError):
        RemoteTensor(**{**good, **wrong})
