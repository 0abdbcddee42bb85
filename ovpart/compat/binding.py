"""IO binding: inputs and outputs bound once, read and written at every run, in the memory of the CPU or of a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ovpart.backend.base import Array
from ovpart.backend.remote import RemoteTensor
from ovpart.compat.values import buffer_as_array, from_array, to_array
from ovpart.errors import InputError, OptionError
from ovpart.model.types import dtype_name

if TYPE_CHECKING:
    from ovpart.compat.inference_session import InferenceSession


class IOBinding:
    """What :meth:`InferenceSession.run_with_iobinding` reads and writes.

    Parameters
    ----------
    session : InferenceSession
        That it is for.
    """

    def __init__(self, session: InferenceSession) -> None:
        self._session = session
        self._inputs: dict[str, Any] = {}  # arrays, or OrtValues, whose contents count at the time of a run
        # Memory of the caller's; None where a run makes its own.
        self._targets: dict[str, np.ndarray | RemoteTensor | None] = {}
        self._keep: dict[str, Any] = {}
        self._results: list[Array] = []

    def bind_cpu_input(self, name: str, arr_on_cpu: Array) -> None:
        """Bind an input to an array; what it holds when a run begins is read."""
        self._inputs[self._input(name)] = arr_on_cpu

    def bind_input(
        self, name: str, device_type: str, device_id: int, element_type: Any, shape: Sequence[int], buffer_ptr: int
    ) -> None:
        """Bind an input to memory of the caller's.

        Parameters
        ----------
        name : str
            Of the input.
        device_type : str
            ``"cpu"``, or ``"gpu"`` (``"OpenVINO_GPU"``), of which `device_id` says which one.
        device_id : int
            0 for the only one.
        element_type : numpy dtype or int
            A number is one of ``onnx.TensorProto.DataType``.
        shape : sequence of int
            Dims.
        buffer_ptr : int
            Where the memory begins; on a GPU the ``cl_mem``.

        Raises
        ------
        OptionError
            If the memory is of another kind of device.
        """
        _require_known(device_type, device_id)
        if _is_gpu(device_type):
            self._inputs[self._input(name)] = _remote(device_id, element_type, shape, buffer_ptr)
        else:
            self._inputs[self._input(name)] = buffer_as_array(element_type, shape, buffer_ptr)

    def bind_ortvalue_input(self, name: str, ortvalue: Any) -> None:
        """Bind an input to an ``OrtValue``."""
        self._inputs[self._input(name)] = ortvalue

    def bind_output(
        self,
        name: str,
        device_type: str = "cpu",
        device_id: int = 0,
        element_type: Any = None,
        shape: Sequence[int] | None = None,
        buffer_ptr: int | None = None,
    ) -> None:
        """Ask for an output: in memory that each run makes, or in memory of the caller's, as :meth:`bind_input`.

        Raises
        ------
        OptionError
            If the memory is of another kind of device, is given without its element type and shape, or is not given
            where it is a GPU's.
        """
        _require_known(device_type, device_id)
        if _is_gpu(device_type) and buffer_ptr is None:
            message = f"device_type={device_type!r}: give the cl_mem as buffer_ptr, with element_type and shape"
            raise OptionError(message)
        target: np.ndarray | RemoteTensor | None = None
        if buffer_ptr is not None:
            if element_type is None or shape is None:
                message = "`element_type` and `shape` are to be provided if pre-allocated memory is provided"
                raise OptionError(message)
            make = partial(_remote, device_id) if _is_gpu(device_type) else buffer_as_array
            target = make(element_type, shape, buffer_ptr)
        self._bind_target(name, target, None)

    def bind_ortvalue_output(self, name: str, ortvalue: Any) -> None:
        """Ask for an output in the memory of an ``OrtValue``, which every run then writes."""
        if ortvalue.device_name().lower() != "cpu":
            raise OptionError(f"the OrtValue lies on {ortvalue.device_name()!r}: bind its memory with bind_output")
        target = buffer_as_array(ortvalue.element_type(), ortvalue.shape(), ortvalue.data_ptr())
        self._bind_target(name, target, ortvalue)

    def synchronize_inputs(self) -> None:
        """Return at once: nothing copies in the background on the CPU."""

    def synchronize_outputs(self) -> None:
        """Return at once: a run is over when it returns."""

    def get_outputs(self) -> list[Any]:
        """Return the outputs of the last run as ``OrtValue``s, in the order in which they were bound.

        What lies on a GPU is an :class:`ovpart.RemoteTensor`: onnxruntime's values have no such memory.
        """
        types = {value.name: value.type for value in self._session.get_outputs()}
        return [
            self._keep[name]
            if name in self._keep
            else (array if isinstance(array, RemoteTensor) else from_array(array, types[name]))
            for name, array in zip(self._targets, self._results, strict=False)
        ]

    def get_outputs_as_ortvaluevector(self) -> Any:
        """Return the outputs of the last run as onnxruntime's ``OrtValueVector``."""
        from onnxruntime.capi import onnxruntime_pybind11_state as binding

        vector = binding.OrtValueVector()
        for value in self.get_outputs():
            vector.push_back(value._ortvalue)
        return vector

    def copy_outputs_to_cpu(self) -> list[Array]:
        """Return the outputs of the last run; no later run overwrites them."""
        here = [self._session.read(array) if isinstance(array, RemoteTensor) else array for array in self._results]
        bound = self._targets.values()
        return [
            array.copy() if isinstance(target, np.ndarray) else array
            for target, array in zip(bound, here, strict=False)
        ]

    def clear_binding_inputs(self) -> None:
        """Forget all inputs."""
        self._inputs.clear()

    def clear_binding_outputs(self) -> None:
        """Forget all outputs."""
        self._targets.clear()
        self._keep.clear()
        self._results = []

    def feed(self) -> dict[str, Array]:
        """Return the inputs as they are now."""
        return {name: to_array(value) if hasattr(value, "_ortvalue") else value for name, value in self._inputs.items()}

    def outputs(self) -> list[str]:
        """Return the names of the outputs that were asked for."""
        return list(self._targets)

    def remote(self) -> dict[str, RemoteTensor] | None:
        """Return the outputs that are bound to memory of a GPU; ``None`` where no input and no output is."""
        found = {name: target for name, target in self._targets.items() if isinstance(target, RemoteTensor)}
        return found if found or any(isinstance(value, RemoteTensor) for value in self._inputs.values()) else None

    def take(self, arrays: Sequence[Array]) -> None:
        """Keep what a run gave, in the memory that was bound for it.

        Raises
        ------
        InputError
            If an output does not have the type and shape of that memory.
        """
        results: list[Array] = []
        for (name, target), array in zip(self._targets.items(), arrays, strict=True):
            if target is None or isinstance(target, RemoteTensor):
                results.append(array)
                continue
            if target.shape != array.shape or target.dtype != array.dtype:
                raise InputError(
                    f"output {name!r} is {array.dtype}{list(array.shape)}, the memory bound for it is "
                    f"{target.dtype}{list(target.shape)}: bind memory of that type and shape, or none"
                )
            np.copyto(target, array)
            results.append(target)
        self._results = results

    @property
    def session(self) -> InferenceSession:
        """The session that it is for."""
        return self._session

    def _bind_target(self, name: str, target: np.ndarray | RemoteTensor | None, owner: Any) -> None:
        known = [value.name for value in self._session.get_outputs()]
        if name not in known:
            raise InputError(f"Failed to find NodeArg for output: {name}. The outputs of the model are {known}.")
        self._targets[name] = target
        self._keep.pop(name, None)
        if owner is not None:
            self._keep[name] = owner

    def _input(self, name: str) -> str:
        inputs = (*self._session.get_inputs(), *self._session.get_overridable_initializers())
        known = [value.name for value in inputs]
        if name not in known:
            raise InputError(f"Failed to find NodeArg for input: {name}. The inputs of the model are {known}.")
        return name


def _is_gpu(device_type: str) -> bool:
    return str(device_type).lower() in ("gpu", "openvino_gpu")


def _require_known(device_type: str, device_id: int) -> None:
    if str(device_type).lower() != "cpu" and not _is_gpu(device_type):
        raise OptionError(
            f"device_type={device_type!r} (device_id={device_id}): inputs and outputs are bound in the CPU's memory, "
            "or in a GPU's; pass 'cpu' or 'gpu'"
        )


def _remote(device_id: int, element_type: Any, shape: Sequence[int], buffer_ptr: int) -> RemoteTensor:
    known = isinstance(element_type, int)
    dtype = dtype_name(element_type) or "" if known else str(np.dtype(element_type))
    return RemoteTensor(f"GPU.{device_id}" if device_id else "GPU", dtype, tuple(shape), buffer_ptr)
