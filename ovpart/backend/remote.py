"""Memory of a device, handed in and out without a copy through this process.

The seam: a backend that can reach into a device's memory has ``memory(device, config)`` (:class:`HasMemory`); an
executable that computes there has ``takes(tensor)``, and its requests have ``set_remote(index, tensor)`` and
``bind_remote(index, tensor)`` beside ``set_input`` and ``bind_output``. Whoever has none of these gets arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ovpart.errors import InputError
from ovpart.model.types import dtype_of_array, numpy_dtype

if TYPE_CHECKING:
    import numpy as np

    from ovpart.backend.base import Array

BUFFER = "OCL_BUFFER"
USM = "USM_USER_BUFFER"


@dataclass(frozen=True, slots=True)
class RemoteTensor:
    """A tensor in a device's memory that the caller owns, and keeps until no run reads or writes it.

    Attributes
    ----------
    device : str
        ``"GPU"``, ``"GPU.1"``.
    dtype : str
        Short dtype name (``"f32"``), or any name of numpy's (``"float32"``).
    shape : tuple of int
        Its sizes.
    handle : int
        The address of the ``cl_mem``, or of unified shared memory: pyopencl's ``buffer.int_ptr``.
    kind : str
        ``"OCL_BUFFER"``, or ``"USM_USER_BUFFER"``.
    owner : object
        What keeps the memory; kept as long as this.
    """

    device: str
    dtype: str
    shape: tuple[int, ...]
    handle: int
    kind: str = BUFFER
    owner: object = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", _short(self.dtype))
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        if self.kind not in (BUFFER, USM):
            raise InputError(f"kind={self.kind!r}: a remote tensor is {BUFFER!r} or {USM!r}")
        if self.handle <= 0:
            raise InputError(f"handle={self.handle!r}: give the address of the device's memory")

    @property
    def numpy_dtype(self) -> np.dtype:
        """The dtype of an array with its contents."""
        return numpy_dtype(self.dtype)

    def lies_on(self, device: str) -> bool:
        """Whether its device is the one named: ``GPU`` and ``GPU.0`` are one."""
        return _full(self.device) == _full(device)


class RemoteMemory(Protocol):
    """The memory of a device."""

    def read(self, tensor: RemoteTensor) -> Array:
        """Return the contents of a tensor, copied; raises :class:`ovpart.errors.RunError`."""

    def write(self, tensor: RemoteTensor, array: Array) -> None:
        """Copy an array into a tensor of its dtype and shape; raises :class:`ovpart.errors.RunError`."""


@runtime_checkable
class HasMemory(Protocol):
    """A backend that can reach into the memory of its devices."""

    def memory(self, device: str, config: Mapping[str, object]) -> RemoteMemory:
        """Return the memory of a device, in the context that `config` names.

        Raises
        ------
        DeviceNotFound
            If there is no such device.
        InputError
            If it has no memory of its own.
        """


def _short(name: str) -> str:
    import numpy as np

    try:
        return dtype_of_array(np.empty(0, numpy_dtype(name)))
    except (KeyError, ValueError, TypeError):
        pass
    try:
        return dtype_of_array(np.empty(0, np.dtype(name)))
    except (TypeError, ValueError) as error:
        raise InputError(f"dtype={name!r}: a remote tensor has a dtype such as 'f32' or 'float32'") from error


def _full(device: str) -> str:
    return device if "." in device else f"{device}.0"
