"""Executables and requests of openvino: numpy memory in and out, by index, with no copy that can be spared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ovpart.backend.base import Array, Cut, Port
from ovpart.backend.forks import Held
from ovpart.backend.openvino_types import THROWN, copied_out, is_plain, numpy_dtype_of, short_name, tensor_over
from ovpart.backend.words import node_in_words, shortened
from ovpart.errors import InputError, RunError
from ovpart.model.types import Dim

if TYPE_CHECKING:
    import numpy as np
    import openvino

    from ovpart.backend.openvino_remote import OpenVINOMemory
    from ovpart.backend.remote import RemoteTensor

COPIED_BYTES = 32 * 1024
"""Outputs of a static shape up to this size are copied out of one buffer that stays bound; larger ones are handed over
and a new buffer is bound before the next run, which costs about 6 us, as much as copying 32 KB."""
HANDED_OVER_BYTES = 2 * 1024 * 1024
"""Outputs of a dynamic shape from this size up are handed over in openvino's own memory, and openvino gets a new
tensor; below it copying is faster (95 us against 102 at 256 KB, 1.1 ms against 0.7 at 4 MB)."""
_MANY_OUTPUTS = 10
"""Above this number of outputs start_async and wait are faster than infer, which builds a dict of them (2 us each)."""


class OpenVINOExecutable:
    """A compiled model of openvino.

    Parameters
    ----------
    compiled : openvino.CompiledModel
        Its outputs stand in the order of the ports.
    inputs, outputs : sequence of Port
        Named as in the model.
    slots : sequence of int or None
        One an input: its index in openvino, ``None`` where openvino has dropped it.
    cut : Cut or None
        What it was compiled from, to translate error messages back.
    keep : object
        Whatever must live as long: constants lie in memory that openvino does not own.
    """

    def __init__(
        self,
        compiled: openvino.CompiledModel,
        inputs: Sequence[Port],
        outputs: Sequence[Port],
        slots: Sequence[int | None],
        *,
        cut: Cut | None = None,
        keep: object = None,
    ) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.slots = tuple(slots)
        self.compiled = compiled
        self._held = Held(compiled)
        self.device = ""
        self.memory: Callable[[], OpenVINOMemory] | None = None  # of the device, where it can be reached into
        self._cut = cut
        self._keep = keep

    def takes(self, tensor: RemoteTensor) -> bool:
        """Whether a tensor lies in the memory of the device that this computes on."""
        return self.memory is not None and tensor.lies_on(self.device)

    @property
    def loses_errors(self) -> bool:
        """Whether a synchronous infer would lose the errors of a run: one stream or more, of one thread each."""
        known = self.compiled.get_property("SUPPORTED_PROPERTIES")
        if "INFERENCE_NUM_THREADS" not in known or "NUM_STREAMS" not in known:
            return False
        threads, streams = (int(self.compiled.get_property(key)) for key in ("INFERENCE_NUM_THREADS", "NUM_STREAMS"))
        return streams > 0 and threads <= streams

    @property
    def from_cache(self) -> bool:
        """Whether openvino took it from its cache folder instead of compiling it."""
        try:
            return bool(self.compiled.get_property("LOADED_FROM_CACHE"))
        except THROWN:  # a chooser, or a device that does not say
            return False

    def static_shape(self, index: int) -> tuple[int, ...] | None:
        """Return the shape that an output has in every run, ``None`` where it may change or cannot be bound."""
        output = self.compiled.outputs[index]
        if output.partial_shape.is_dynamic or not is_plain(numpy_dtype_of(output.element_type)):
            return None
        return tuple(output.shape)

    @property
    def has_dynamic_shapes(self) -> bool:
        """Whether any value of the compiled model has a shape that is known at run time only.

        Ports are asked first: once there was a run, the runtime model has the shapes of that run (2026.4.1, CPU).
        Ports alone are not enough, since values between them may be of open shapes.
        """
        ports = (*self.compiled.inputs, *self.compiled.outputs)
        return any(port.partial_shape.is_dynamic for port in ports) or bool(
            self.compiled.get_runtime_model().is_dynamic()
        )

    def bind(self) -> OpenVINORequest:
        """Make a request; raises RunError where openvino has no memory, or no stream, for another one."""
        try:
            return OpenVINORequest(self)
        except THROWN as error:
            raise self.failed(error) from error

    def export(self) -> bytes | None:
        """Return the compiled blob: weights included, for the same build of openvino and the same device only.

        ``None`` where the device cannot export: some say so by an error only.
        """
        import io

        stream = io.BytesIO()
        try:
            self.compiled.export_model(stream)
        except THROWN:
            return None
        return stream.getvalue()

    def failed(self, error: Exception) -> RunError:
        """Return the error of a failed run, naming the node where openvino names one."""
        words = shortened(error)
        node = None if self._cut is None else node_in_words(str(error), self._cut)
        return RunError(f"openvino failed{'' if node is None else f' at node {node!r}'}: {words}")


class OpenVINORequest:
    """An infer request."""

    __slots__ = (
        "_arrays", "_buffers", "_copied", "_dtypes", "_executable", "_given", "_held", "_infer", "_ndarray",
        "_output_dtypes", "_plain", "_request", "_slots", "_tensor",
    )  # fmt: skip

    def __init__(self, executable: OpenVINOExecutable) -> None:
        import numpy as np
        import openvino

        compiled = executable.compiled
        # The request below openvino's Python class: the same, without its dispatch of arguments.
        binding: Any = openvino.CompiledModel.__base__
        self._request: Any = binding.create_infer_request(compiled)
        self._held = Held(self._request)
        self._executable = executable
        self._tensor = openvino.Tensor
        self._ndarray = np.ndarray
        self._slots = executable.slots
        kinds = [None if slot is None else compiled.inputs[slot].element_type for slot in self._slots]
        self._dtypes = [None if kind is None else numpy_dtype_of(kind) for kind in kinds]
        self._plain = [is_plain(dtype) for dtype in self._dtypes]
        # openvino keeps the address of an input, not the array: these references keep it alive.
        self._arrays: list[Array] = [None] * len(self._slots)
        self._copied = [False] * len(self._slots)
        self._output_dtypes = [numpy_dtype_of(output.element_type) for output in compiled.outputs]
        self._buffers: list[Array] = [None] * len(self._output_dtypes)
        self._given: dict[int, None] = {}
        for index in range(len(self._buffers)):
            shape = executable.static_shape(index)
            if shape is not None:
                self.bind_output(index, np.empty(shape, self._output_dtypes[index]))
        many = len(compiled.outputs) > _MANY_OUTPUTS
        self._infer = self._run_many if many or executable.loses_errors else self._run_few

    def set_input(self, index: int, array: Array) -> None:
        """Bind an input: writeable, native, C-contiguous arrays by address; read-only ones too; others are copied.

        Raises
        ------
        InputError
            If the dtype or the shape does not fit the port.
        """
        slot = self._slots[index]
        if slot is None:
            return
        if array is self._arrays[index] and not self._copied[index]:
            return
        shared = array
        if array.__class__ is not self._ndarray or array.dtype is not self._dtypes[index] or not array.flags.carray:
            shared = self._shareable(index, array)
        try:
            if self._plain[index]:
                tensor = self._tensor(shared, shared_memory=True)
            else:
                tensor, shared = tensor_over(shared)
            self._request.set_input_tensor(slot, tensor)
        except THROWN as error:
            raise InputError(f"input {self._executable.inputs[index].name!r}: {shortened(error)}") from error
        self._arrays[index] = shared
        self._copied[index] = shared is not array

    def bind_output(self, index: int, array: Array) -> None:
        """Write an output into `array` in every run from now on, until it is taken.

        Parameters
        ----------
        index : int
            An output that :meth:`OpenVINOExecutable.static_shape` gives a shape for.
        array : numpy.ndarray
            C-contiguous, writeable, of that shape and the port's dtype.

        Raises
        ------
        RunError
            If it is not of that shape or dtype.
        """
        if array is self._buffers[index] and index not in self._given:
            return
        try:
            self._request.set_output_tensor(index, self._tensor(array, shared_memory=True))
        except THROWN as error:
            raise self._executable.failed(error) from error
        self._buffers[index] = array
        self._given.pop(index, None)  # what was handed over before is not bound any more

    def set_remote(self, index: int, tensor: RemoteTensor) -> None:
        """Bind an input to memory of the device; raises RunError where openvino does not take it."""
        slot = self._slots[index]
        if slot is not None:
            self._bind_remote(self._executable.compiled.inputs[slot], tensor)
            self._arrays[index] = None

    def bind_remote(self, index: int, tensor: RemoteTensor) -> None:
        """Write an output into memory of the device in every run from now on; raises as :meth:`set_remote`."""
        self._bind_remote(self._executable.compiled.outputs[index], tensor)
        self._given.pop(index, None)
        self._buffers[index] = None

    def _bind_remote(self, port: Any, tensor: RemoteTensor) -> None:
        memory = self._executable.memory
        assert memory is not None
        try:
            # Of the binding's ways to set a tensor only the one by name takes remote ones (openvino 2026.4).
            self._request.set_tensor(port.any_name, memory().wrapped(tensor))
        except THROWN as error:
            raise self._executable.failed(error) from error

    def run(self) -> None:
        """Compute."""
        try:
            if self._given:
                self._renew_buffers()
            self._infer()
        except THROWN as error:
            raise self._executable.failed(error) from error

    def start(self) -> None:
        """Begin to compute."""
        try:
            if self._given:
                self._renew_buffers()
            self._request.start_async({}, None)
        except THROWN as error:
            raise self._executable.failed(error) from error

    def wait(self) -> None:
        """Wait for what `start` began."""
        try:
            self._request.wait()
        except THROWN as error:
            raise self._executable.failed(error) from error

    def cancel(self) -> None:
        """Ask a run under way to stop; one over dynamic shapes goes on to its end.

        What was cancelled halfway leaves shapes behind in the compiled model, which all its requests share: a run with
        the shapes of the run before that one gets the shape of the cancelled one, and noise (openvino 2026.4.1, CPU).
        """
        if not self._executable.has_dynamic_shapes:
            self._request.cancel()

    def take_output(self, index: int) -> Array:
        """Return an output of the last run: a small one as a copy, a large one in the memory that openvino filled."""
        buffer = self._buffers[index]
        if buffer is not None:
            if buffer.nbytes <= COPIED_BYTES:
                return buffer.copy()
            self._given[index] = None
            return buffer
        try:
            tensor = self._request.get_output_tensor(index)
            data = tensor.data
            small = data.nbytes < HANDED_OVER_BYTES
            if small or not is_plain(self._output_dtypes[index]) or self._is_an_inputs(data):
                return copied_out(tensor, self._output_dtypes[index])
        except THROWN as error:
            raise self._executable.failed(error) from error
        self._buffers[index] = data  # a view that keeps its tensor alive
        self._given[index] = None
        return data

    def _is_an_inputs(self, data: np.ndarray) -> bool:
        """Whether an output is the memory of an input: openvino's answer where a graph does nothing (Sum of one)."""
        import numpy as np

        return any(array is not None and np.may_share_memory(data, array) for array in self._arrays)

    def _run_few(self) -> None:
        self._request.infer({}, share_outputs=True, decode_strings=False)

    def _run_many(self) -> None:
        self._request.start_async({}, None)
        self._request.wait()

    def _renew_buffers(self) -> None:
        """Bind new memory for the outputs that were handed over, so that this run leaves those alone."""
        import numpy as np
        import openvino

        outputs = self._executable.compiled.outputs
        for index in tuple(self._given):
            output = outputs[index]
            if not output.partial_shape.is_dynamic:
                self.bind_output(index, np.empty(tuple(output.shape), self._output_dtypes[index]))
                continue
            rank = self._buffers[index].ndim
            empty = self._tensor(output.element_type, openvino.Shape([0] * rank))  # grows with what is computed
            self._request.set_output_tensor(index, empty)
            self._buffers[index] = None
        self._given.clear()

    def _shareable(self, index: int, array: Array) -> np.ndarray:
        """Return an array that openvino can read in place: the same one wherever possible."""
        import numpy as np

        expected = self._dtypes[index]
        if not isinstance(array, np.ndarray):
            array = np.asarray(array)
        dtype = array.dtype
        if dtype != expected:
            if not dtype.isnative and dtype.newbyteorder("=") == expected:
                array = array.astype(expected)
            else:
                raise InputError(f"input {self._executable.inputs[index].name!r}: expected {expected}, got {dtype}")
        elif dtype.char in "qQ":  # onnxruntime gives its int64 as long long, which openvino does not know
            array = array.view(expected)
        flags = array.flags
        if not flags.c_contiguous:
            array = array.copy(order="C")
        return array if flags.writeable else _writeable(array)


class _Alias:
    """The memory of a read-only array, described as writeable."""

    __slots__ = ("__array_interface__", "owner")

    def __init__(self, array: np.ndarray) -> None:
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface
        self.owner = array


def _writeable(array: np.ndarray) -> np.ndarray:
    """Return a view that openvino accepts: it refuses read-only arrays, though it never writes to an input."""
    import numpy as np

    if not is_plain(array.dtype):
        return array.copy()
    return np.asarray(_Alias(array))


def ports_of(model: openvino.Model) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Return the ports of a model of openvino's own format, named by the first of their names in the alphabet."""

    def one(value: Any, index: int) -> Port:
        names = sorted(value.names)
        rank = value.partial_shape.rank
        dims: tuple[Dim, ...] | None = None
        if rank.is_static:
            dims = tuple(d.get_length() if d.is_static else None for d in value.partial_shape)
        return Port(names[0] if names else f"port_{index}", short_name(value.element_type), dims)

    return (
        tuple(one(value, index) for index, value in enumerate(model.inputs)),
        tuple(one(value, index) for index, value in enumerate(model.outputs)),
    )
