"""onnx's reference evaluator as a backend: slow, in plain numpy, for what no engine takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ovpart.backend.base import Array, Cut, Device, Port
from ovpart.backend.cut import make_cut
from ovpart.backend.threaded import ThreadedRequest
from ovpart.errors import CompileError, InputError, RunError

if TYPE_CHECKING:
    from ovpart.model.graph import Model


class ReferenceBackend:
    """``onnx.reference``, on the CPU. Takes no configuration and has no compiled blobs."""

    name = "reference"

    def devices(self) -> Sequence[Device]:
        """Return the one device: the CPU, through numpy."""
        return (Device("CPU", "numpy"),)

    def fingerprint(self, device: str) -> str:
        """Return the versions of onnx and numpy."""
        import numpy as np
        import onnx

        return f"onnx.reference {onnx.__version__} numpy {np.__version__}"

    def compile(self, cut: Cut, device: str, config: Mapping[str, object]) -> ReferenceExecutable:
        """Look up the numpy form of every node.

        Raises
        ------
        CompileError
            If an operator has none.
        """
        from onnx.reference import ReferenceEvaluator

        try:
            evaluator = ReferenceEvaluator(cut.proto)
        except Exception as error:  # onnx.reference raises whatever the operator's class does
            raise CompileError(
                f"onnx.reference refuses a cluster of {len(cut.node_names)} nodes: {error}", stage="convert"
            ) from error
        return ReferenceExecutable(evaluator, cut)

    def compile_whole(self, model: Model, device: str, config: Mapping[str, object]) -> ReferenceExecutable:
        """Compile all nodes that outputs depend on as one cut."""
        graph = model.graph
        used = [node.index for node in graph.nodes if node.index not in graph.constant and node.index not in graph.dead]
        return self.compile(make_cut(model, used, graph.inputs, graph.outputs), device, config)

    def load(
        self, blob: bytes | memoryview, cut: Cut, device: str, config: Mapping[str, object]
    ) -> ReferenceExecutable:
        """Refuse: there are no blobs."""
        raise CompileError("onnx.reference has no compiled blobs: compile the cut instead", stage="load")


class ReferenceExecutable:
    """A reference evaluator with the cut's large constants among its inputs."""

    def __init__(self, evaluator: Any, cut: Cut) -> None:
        self.inputs: Sequence[Port] = cut.inputs
        self.outputs: Sequence[Port] = cut.outputs
        self.cut = cut
        self.evaluator = evaluator

    def bind(self) -> ReferenceRequest:
        """Make a request."""
        return ReferenceRequest(self)

    def export(self) -> bytes | None:
        """Return ``None``: there are no blobs."""
        return None


class ReferenceRequest(ThreadedRequest):
    """One run at a time."""

    __slots__ = ("_executable", "_feed", "_results")

    thread_name = "ovpart-reference"

    def __init__(self, executable: ReferenceExecutable) -> None:
        super().__init__()
        self._executable = executable
        self._feed: dict[str, Array] = dict(executable.cut.weights)
        self._results: list[Array] = []

    def set_input(self, index: int, array: Array) -> None:
        """Bind an input; raises :class:`ovpart.errors.InputError` where the dtype is not the port's."""
        import numpy as np

        from ovpart.model.types import numpy_dtype

        end = self._executable.inputs[index]
        if end.dtype is not None and end.dtype != "string":
            array, expected = np.asarray(array), numpy_dtype(end.dtype)
            if array.dtype != expected:
                if array.dtype.newbyteorder("=") != expected:
                    raise InputError(f"input {end.name!r}: expected {expected}, got {array.dtype}")
                array = array.astype(expected)
        self._feed[end.name] = array

    def run(self) -> None:
        """Compute."""
        try:
            results = self._executable.evaluator.run(None, self._feed)
        except Exception as error:  # numpy forms of operators raise whatever they like
            raise RunError(f"onnx.reference failed: {type(error).__name__}: {error}") from error
        self._results = [self._own(result) for result in results]

    def cancel(self) -> None:
        """Wait for a run under way: numpy cannot be stopped."""
        self.come_to_rest()

    def take_output(self, index: int) -> Array:
        """Return an output of the last run."""
        return self._results[index]

    def _own(self, result: Array) -> Array:
        """Return a result that is nobody else's: operators such as Identity and Reshape give back their input."""
        import numpy as np

        if isinstance(result, list | dict) or result is None:
            return result
        array = np.asarray(result)
        shared = array.base is not None or any(array is fed for fed in self._feed.values())
        return array.copy() if shared else array
