"""The memory of openvino's devices: contexts of OpenCL, and tensors in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovpart.backend.openvino_types import OPENVINO_NAMES, THROWN
from ovpart.backend.words import shortened
from ovpart.errors import RunError

if TYPE_CHECKING:
    import numpy as np

    from ovpart.backend.remote import RemoteTensor


def opencl_context(address: int) -> dict[str, str]:
    """Return what ``Core.create_context`` takes for a ``cl_context``.

    The plugin wants a pointer, which Python has not; a text it reads as C++'s streams read one, in hexadecimal. An int
    it refuses (openvino 2026.4).
    """
    return {"CONTEXT_TYPE": "OCL", "OCL_CONTEXT": hex(address)}


class OpenVINOMemory:
    """The memory of one device, in one context.

    Parameters
    ----------
    context : openvino.RemoteContext
        The one that models are compiled in: memory of another is refused by the plugin.
    """

    def __init__(self, context: Any) -> None:
        self._context = context

    def wrapped(self, tensor: RemoteTensor) -> Any:
        """Return openvino's tensor over the same memory.

        Raises
        ------
        RunError
            With openvino's words, where it does not take that memory.
        """
        import openvino

        kind = getattr(openvino.Type, OPENVINO_NAMES[tensor.dtype])
        told = {"SHARED_MEM_TYPE": tensor.kind, "MEM_HANDLE": hex(tensor.handle)}
        try:
            return self._context.create_tensor(kind, openvino.Shape(list(tensor.shape)), told)
        except THROWN as error:
            raise _failed(tensor, error) from error

    def read(self, tensor: RemoteTensor) -> np.ndarray:
        """Return the contents of a tensor, copied; raises :class:`ovpart.errors.RunError`."""
        import numpy as np
        import openvino

        array = np.empty(tensor.shape, tensor.numpy_dtype)
        try:
            self.wrapped(tensor).copy_to(openvino.Tensor(array, shared_memory=True))
        except THROWN as error:
            raise _failed(tensor, error) from error
        return array

    def write(self, tensor: RemoteTensor, array: np.ndarray) -> None:
        """Copy an array into a tensor; raises :class:`ovpart.errors.RunError`."""
        import numpy as np
        import openvino

        source = np.require(array, requirements=["C", "W"])
        try:
            self.wrapped(tensor).copy_from(openvino.Tensor(source, shared_memory=True))
        except THROWN as error:
            raise _failed(tensor, error) from error


def _failed(tensor: RemoteTensor, error: Exception) -> RunError:
    return RunError(f"openvino does not take {tensor.kind} {tensor.handle:#x} on {tensor.device}: {shortened(error)}")
