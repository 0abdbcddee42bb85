"""A backend for tests: takes the operators it is told to, fails where it is told to, counts what it is asked.

It computes through ``onnx.reference``, so that its answers are right.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ovpart.backend.base import Cut, Device, Port
from ovpart.backend.cut import make_cut
from ovpart.backend.reference import ReferenceBackend, ReferenceExecutable, ReferenceRequest
from ovpart.backend.remote import RemoteTensor
from ovpart.errors import CompileError, DeviceNotFound, OptionError, RunError

if TYPE_CHECKING:
    from ovpart.backend.base import Array
    from ovpart.model.graph import Model

STAGES = ("read", "convert", "compile", "load", "bind", "run")
"""Where a fake can fail."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure that a fake backend is told to have.

    Attributes
    ----------
    stage : str
        ``"read"``, ``"convert"``, ``"compile"``, ``"load"``, ``"bind"`` or ``"run"``.
    words : str
        What the engine says.
    operator : str
        Only for cuts that hold this operator (``"Relu"``, ``"com.microsoft.Gelu"``); empty: for all.
    at : int
        From the how-manieth time on at which that stage is reached, counted over all cuts; 1 is the first.
    times : int
        How many times; 0: from then on always.
    names_node : bool
        Whether the error names the (first) node with `operator`.
    crashes : bool
        Whether it takes the process down (SIGSEGV) instead of raising. For processes that may be lost.
    hangs_s : float
        Seconds that it gives no sign of life before it raises.
    """

    stage: str
    words: str = "the fake was told to fail"
    operator: str = ""
    at: int = 1
    times: int = 0
    names_node: bool = False
    crashes: bool = False
    hangs_s: float = 0.0

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise OptionError(f"stage={self.stage!r}: a fake can fail at {', '.join(STAGES)}")

    def due(self, count: int) -> bool:
        """Whether the failure comes at the `count`-th time."""
        return count >= self.at and (not self.times or count < self.at + self.times)


class FakeMemory:
    """The memory of a fake device: arrays by their handles.

    Attributes
    ----------
    store : dict of int to numpy.ndarray
        What lies there.
    reads, writes : int
        Copies out of it and into it.
    """

    def __init__(self) -> None:
        self.store: dict[int, Array] = {}
        self.reads = 0
        self.writes = 0

    def put(self, array: Array, device: str = "GPU") -> RemoteTensor:
        """Put an array there as if it had always been, and return its tensor."""
        handle = 4096 + len(self.store)
        self.store[handle] = array
        return RemoteTensor(device, str(array.dtype), array.shape, handle)

    def read(self, tensor: RemoteTensor) -> Array:
        """Copy a tensor out."""
        self.reads += 1
        return self.store[tensor.handle].copy()

    def write(self, tensor: RemoteTensor, array: Array) -> None:
        """Copy an array in."""
        self.writes += 1
        self.store[tensor.handle][...] = array


class FakeBackend:
    """A backend that fails on demand.

    Parameters
    ----------
    operators : iterable of str, optional
        Operators that it takes (``"Relu"``, ``"com.microsoft.Gelu"``); by default all. Others it refuses.
    devices : sequence of str
        Names of its devices.
    failures : iterable of Failure
        When to fail.
    wrong : mapping of str to float
        Operators that it computes wrongly: the figure is added to their first output. ``"Exp+Tanh"`` is wrong only in
        cuts that hold both, as a broken fusion would be; the figure is added to the last one's output.

    Attributes
    ----------
    calls : collections.Counter
        How often each stage was reached, and ``"export"``.
    cuts : list of Cut
        Every cut that it was given to compile, in order.
    remote : FakeMemory
        Of its devices beside the CPU.
    """

    name = "fake"

    def __init__(
        self,
        operators: Iterable[str] | None = None,
        *,
        devices: Sequence[str] = ("CPU",),
        failures: Iterable[Failure] = (),
        wrong: Mapping[str, float] | None = None,
    ) -> None:
        self.operators = None if operators is None else frozenset(operators)
        self.failures = tuple(failures)
        self.wrong = dict(wrong or {})
        self.calls: Counter[str] = Counter()
        self.cuts: list[Cut] = []
        self.remote = FakeMemory()
        self._devices = tuple(Device(name, "a device for tests") for name in devices)
        self._reference = ReferenceBackend()

    def devices(self) -> Sequence[Device]:
        """Return the devices that it was told to have."""
        return self._devices

    def memory(self, device: str, config: Mapping[str, object]) -> FakeMemory:
        """Return the memory of its devices."""
        if device not in {one.name for one in self._devices} or device == "CPU":
            raise DeviceNotFound(f"the fake has no memory on {device}")
        return self.remote

    def fingerprint(self, device: str) -> str:
        """Return one line that never changes."""
        return "fake 1"

    def compile(self, cut: Cut, device: str, config: Mapping[str, object]) -> FakeExecutable:
        """Compile a cut, or fail as told."""
        self.cuts.append(cut)
        self.reach("read", cut)
        self.reach("convert", cut)
        for node, key in zip(cut.proto.graph.node, cut.node_names, strict=True):
            operator = _operator(node.domain, node.op_type)
            if key and self.operators is not None and operator not in self.operators:
                raise CompileError(f"the fake does not take {operator}", stage="convert", node=key)
        self.reach("compile", cut)
        return FakeExecutable(self, self._reference.compile(self._spoilt(cut), "CPU", {}), device)

    def compile_whole(self, model: Model, device: str, config: Mapping[str, object]) -> FakeExecutable:
        """Compile all nodes that outputs depend on as one cut."""
        graph = model.graph
        used = [node.index for node in graph.nodes if node.index not in graph.constant and node.index not in graph.dead]
        return self.compile(make_cut(model, used, graph.inputs, graph.outputs), device, config)

    def load(self, blob: bytes | memoryview, cut: Cut, device: str, config: Mapping[str, object]) -> FakeExecutable:
        """Take up a blob of the same cut."""
        self.reach("load", cut)
        if bytes(blob) != blob_of(cut):
            raise CompileError("the blob is not of this cut", stage="load")
        return FakeExecutable(self, self._reference.compile(self._spoilt(cut), "CPU", {}), device)

    def _spoilt(self, cut: Cut) -> Cut:
        """Return a cut that computes what the fake was told to compute wrongly."""
        import onnx
        from onnx import helper

        present = {_operator(node.domain, node.op_type) for node in cut.proto.graph.node}
        offsets = {names.split("+")[-1]: by for names, by in self.wrong.items() if present.issuperset(names.split("+"))}
        if not offsets:
            return cut
        proto = onnx.ModelProto()
        proto.CopyFrom(cut.proto)
        nodes: list[onnx.NodeProto] = []
        for node in cut.proto.graph.node:
            by = offsets.get(_operator(node.domain, node.op_type))
            nodes.append(node)
            if by is not None:
                made = node.output[0]
                spoilt = onnx.NodeProto()
                spoilt.CopyFrom(node)
                spoilt.output[0] = f"{made}__right"
                constant = helper.make_node("Constant", [], [f"{made}__off"], value_float=by)
                added = helper.make_node("Add", [spoilt.output[0], constant.output[0]], [made])
                nodes[-1:] = [spoilt, constant, added]
        del proto.graph.node[:]
        proto.graph.node.extend(nodes)
        return replace(cut, proto=proto)

    def reach(self, stage: str, cut: Cut) -> None:
        """Count a stage; fail where that is due."""
        self.calls[stage] += 1
        for failure in self.failures:
            if failure.stage != stage or not failure.due(self.calls[stage]):
                continue
            node = _node_with(cut, failure.operator)
            if failure.operator and node is None:
                continue
            time.sleep(failure.hangs_s)
            if failure.crashes:
                os.kill(os.getpid(), signal.SIGSEGV)
            if stage in ("bind", "run"):
                raise RunError(failure.words)
            raise CompileError(failure.words, stage=stage, node=node if failure.names_node else None)


class FakeExecutable:
    """What a fake backend compiles."""

    def __init__(self, backend: FakeBackend, reference: ReferenceExecutable, device: str = "CPU") -> None:
        self.inputs: Sequence[Port] = reference.inputs
        self.outputs: Sequence[Port] = reference.outputs
        self.backend = backend
        self.reference = reference
        self.device = device

    def takes(self, tensor: RemoteTensor) -> bool:
        """Whether a tensor lies in the memory of its device."""
        return self.device != "CPU" and tensor.lies_on(self.device)

    def bind(self) -> FakeRequest:
        """Make a request, or fail as told."""
        self.backend.reach("bind", self.reference.cut)
        return FakeRequest(self)

    def export(self) -> bytes | None:
        """Return a blob that only the same cut takes up."""
        self.backend.calls["export"] += 1
        return blob_of(self.reference.cut)


class FakeRequest(ReferenceRequest):
    """A run that fails where its backend was told to."""

    __slots__ = ("_fake", "_remote")

    def __init__(self, executable: FakeExecutable) -> None:
        super().__init__(executable.reference)
        self._fake = executable
        self._remote: dict[int, RemoteTensor] = {}

    def set_remote(self, index: int, tensor: RemoteTensor) -> None:
        """Read an input where it lies."""
        self.set_input(index, self._fake.backend.remote.store[tensor.handle])

    def bind_remote(self, index: int, tensor: RemoteTensor) -> None:
        """Leave an output there in every run from now on."""
        self._remote[index] = tensor

    def run(self) -> None:
        """Compute, or fail as told."""
        self._fake.backend.reach("run", self._fake.reference.cut)
        super().run()
        for index, tensor in self._remote.items():
            self._fake.backend.remote.store[tensor.handle][...] = self.take_output(index)


def blob_of(cut: Cut) -> bytes:
    """Return the blob of a fake executable: a hash of the cut's skeleton."""
    return b"fake " + hashlib.sha256(cut.proto.SerializeToString(deterministic=True)).digest()


def _operator(domain: str, op_type: str) -> str:
    return f"{domain}.{op_type}" if domain not in ("", "ai.onnx") else op_type


def _node_with(cut: Cut, operator: str) -> str | None:
    for node, key in zip(cut.proto.graph.node, cut.node_names, strict=True):
        if _operator(node.domain, node.op_type) == operator:
            return key
    return None
