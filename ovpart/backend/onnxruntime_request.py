"""Executables and requests of onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ovpart.backend.base import Array, Cut, Port
from ovpart.backend.forks import Held
from ovpart.backend.threaded import ThreadedRequest
from ovpart.backend.words import node_in_words, shortened
from ovpart.errors import RunError
from ovpart.model.types import dtype_number, numpy_dtype, packed_nbytes
from ovpart.model.weights import SUB_BYTE

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime

# Element types that the binding takes and gives only as OrtValues: numpy has none of them (onnxruntime 1.31).
_BEYOND_NUMPY = SUB_BYTE | {"bf16", "f8e4m3fn", "f8e4m3fnuz", "f8e5m2", "f8e5m2fnuz", "f8e8m0"}


class OnnxRuntimeExecutable:
    """A session of onnxruntime.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        Over a cut or a whole model; its inputs and outputs stand in the order of the ports.
    inputs, outputs : sequence of Port
        Named as in the model.
    cut : Cut or None
        What the session is of, to translate error messages back.
    keep : object
        Whatever must live as long as the session: it reads weights from memory that it does not own.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        inputs: Sequence[Port],
        outputs: Sequence[Port],
        *,
        cut: Cut | None = None,
        keep: object = None,
    ) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.session = session
        self._held = Held(session, session._sess)
        self._cut = cut
        self._keep = keep
        self._binding = session._sess
        names = [value.name for value in session.get_outputs()]
        self._input_names = [value.name for value in session.get_inputs()]
        self._output_names = names
        ports = (*self.inputs, *self.outputs)
        self._typed = any(port.dtype in _BEYOND_NUMPY for port in ports)

    def bind(self) -> OnnxRuntimeRequest:
        """Make a request; sessions are thread-safe, so requests share this one."""
        kind = TypedRequest if self._typed else OnnxRuntimeRequest
        return kind(self)

    def export(self) -> bytes | None:
        """Return ``None``: onnxruntime has no compiled blobs."""
        return None

    def run_feed(self, output_names: Sequence[str], feed: Mapping[str, Array], options: Any = None) -> list[Array]:
        """Compute straight from a feed by name, as the session is: the shortest way through onnxruntime.

        Parameters
        ----------
        output_names : sequence of str
            Outputs of the session to compute, in the order wanted.
        feed : mapping of str to Array
            Native byte order; every input must be there: nothing is checked here.
        options : onnxruntime.RunOptions, optional
            Of this run.

        Raises
        ------
        RunError
            With onnxruntime's words.
        """
        try:
            result: list[Array] = self._binding.run(output_names, feed, options)
        except Exception as error:  # the binding's errors have no common base
            raise self.failed(error) from error
        return result

    def failed(self, error: Exception) -> RunError:
        """Return the error of a failed run, naming the node where onnxruntime names one."""
        words = shortened(error)
        node = None if self._cut is None else node_in_words(str(error), self._cut)
        return RunError(f"onnxruntime failed{'' if node is None else f' at node {node!r}'}: {words}")


class OnnxRuntimeRequest(ThreadedRequest):
    """One run at a time over a session."""

    __slots__ = ("_binding", "_executable", "_feed", "_names", "_options", "_outputs", "_results")

    thread_name = "ovpart-onnxruntime"

    def __init__(self, executable: OnnxRuntimeExecutable) -> None:
        import onnxruntime

        super().__init__()
        self._executable = executable
        self._binding = executable._binding
        self._names = executable._input_names
        self._outputs = executable._output_names
        self._feed: dict[str, Any] = {}
        self._results: list[Array] = []
        self._options = onnxruntime.RunOptions()

    def set_input(self, index: int, array: Array) -> None:
        """Bind an input: arrays by address (strided ones are copied by onnxruntime), other values as they are."""
        dtype = getattr(array, "dtype", None)
        if dtype is not None and not (dtype.isnative and array.__class__.__name__ == "ndarray"):
            array = _native(array)
        self._feed[self._names[index]] = array

    def run(self) -> None:
        """Compute."""
        self.run_with(self._options)

    def run_with(self, options: onnxruntime.RunOptions) -> None:
        """Compute under options of this run alone, its ``terminate`` among them."""
        try:
            self._results = self._binding.run(self._outputs, self._feed, options)
        except Exception as error:  # the binding's errors have no common base
            raise self._executable.failed(error) from error

    def cancel(self) -> None:
        """Ask a run under way to stop: it ends with a RunError after the node it is at; nothing happens without one."""
        import onnxruntime

        # The run under way holds the old options; later ones get new options, so that no flag need be taken back.
        options, self._options = self._options, onnxruntime.RunOptions()
        options.terminate = True

    def take_output(self, index: int) -> Array:
        """Return an output of the last run: fresh memory at every run, so that nothing overwrites it."""
        return self._results[index]


class TypedRequest(OnnxRuntimeRequest):
    """A request with ports of element types that numpy does not have (bfloat16, float8, 4 bits)."""

    __slots__ = ()

    def run_with(self, options: onnxruntime.RunOptions) -> None:
        """Compute over OrtValues."""
        executable = self._executable
        dtypes = {name: port.dtype for name, port in zip(self._names, executable.inputs, strict=True)}
        try:
            feed = {name: value_of_array(array, dtypes[name]) for name, array in self._feed.items()}
            values = self._binding.run_with_ort_values(feed, self._outputs, options)
        except Exception as error:  # the binding's errors have no common base
            raise executable.failed(error) from error
        self._results = [
            array_of_value(value, port.dtype) for value, port in zip(values, executable.outputs, strict=True)
        ]


def _native(array: Array) -> np.ndarray:
    """Return an array that onnxruntime reads rightly: it takes big-endian memory for little-endian without a word."""
    import numpy as np

    array = np.asarray(array)
    native: np.ndarray = array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    return native


def value_of_array(array: Array, dtype: str | None) -> Any:
    """Return a tensor of the binding: over the array's memory, or a packed copy for types below a byte."""
    import ctypes

    import numpy as np
    import onnxruntime
    from onnx import numpy_helper

    if dtype is None:
        raise TypeError("a sequence, map or optional cannot be passed beside an element type that numpy does not have")
    array, number = np.asarray(array), dtype_number(dtype)
    if array.dtype != numpy_dtype(dtype):
        raise TypeError(f"expected {numpy_dtype(dtype)}, got {array.dtype}")
    if dtype not in SUB_BYTE:
        array = array if array.flags.c_contiguous else array.copy(order="C")
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array, number)._ortvalue
    value = onnxruntime.OrtValue.ortvalue_from_shape_and_type(list(array.shape), number)._ortvalue
    packed = numpy_helper.from_array(array).raw_data
    ctypes.memmove(value.data_ptr(), packed, len(packed))
    return value


def array_of_value(value: Any, dtype: str | None) -> Array:
    """Return a tensor's values; a copy where numpy has no such type and the memory must be read as another."""
    if dtype not in _BEYOND_NUMPY or dtype is None:
        return value.numpy()
    import ctypes
    import math

    import numpy as np
    import onnx
    from onnx import numpy_helper

    shape = value.shape()
    size = packed_nbytes(dtype, math.prod(shape))
    memory = ctypes.string_at(value.data_ptr(), size) if size else b""
    if dtype in SUB_BYTE:
        tensor = onnx.TensorProto(data_type=dtype_number(dtype), dims=shape, raw_data=memory)
        return np.array(numpy_helper.to_array(tensor))
    return np.frombuffer(bytearray(memory), dtype=numpy_dtype(dtype)).reshape(shape)
