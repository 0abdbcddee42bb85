"""Runs over the memory of a device: what lies there is handed to the steps that compute there, and read for others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ovpart.backend.remote import RemoteMemory, RemoteTensor
from ovpart.errors import InputError, RunError
from ovpart.model.types import numpy_dtype
from ovpart.runtime.buffers import copied, part
from ovpart.runtime.feed import check_outputs, require
from ovpart.runtime.lease import BindFailed

if TYPE_CHECKING:
    from ovpart.backend.base import Array, Executable, Port
    from ovpart.runtime.control import RunControl
    from ovpart.runtime.lease import Lease
    from ovpart.runtime.schedule import Schedule
    from ovpart.runtime.wiring import Step

MemoryOf: TypeAlias = "Callable[[RemoteTensor], RemoteMemory]"


def check_targets(targets: Mapping[str, RemoteTensor], outputs: Mapping[str, Port]) -> None:
    """Raise InputError where a target is for no output, or not of its dtype and shape as far as those are known."""
    check_outputs(targets, outputs)
    for name, target in targets.items():
        port = outputs[name]
        wrong = port.dtype is None or numpy_dtype(port.dtype) != target.numpy_dtype
        if port.shape is not None and not wrong:
            pairs = zip(port.shape, target.shape, strict=False)
            fits = all(not isinstance(want, int) or want < 0 or want == got for want, got in pairs)
            wrong = len(port.shape) != len(target.shape) or not fits
        if wrong:
            raise InputError(
                f"output {name!r} is {port.dtype}{list(port.shape or ())}, the memory bound for it is "
                f"{target.dtype}{list(target.shape)}: bind memory of that type and shape, or none"
            )


def on_host(feed: Mapping[str, Array], memory_of: MemoryOf) -> dict[str, Array]:
    """Return a feed with what lies on a device read from there."""
    return {name: memory_of(v).read(v) if isinstance(v, RemoteTensor) else v for name, v in feed.items()}


def deliver(targets: Mapping[str, RemoteTensor], name: str, value: Array, memory_of: MemoryOf) -> Array:
    """Put an output where it is wanted, and return it: the target, which holds it now, or an array of its own."""
    target = targets.get(name)
    if target is value:
        return value
    if isinstance(value, RemoteTensor):  # an input that is an output as well
        value = memory_of(value).read(value)
    if target is None:
        return value
    if value.shape != target.shape or value.dtype != target.numpy_dtype:
        raise InputError(
            f"output {name!r} is {value.dtype}{list(value.shape)}, the memory bound for it is "
            f"{target.dtype}{list(target.shape)}: bind memory of that type and shape, or none"
        )
    memory_of(target).write(target, value)
    return target


def run_remote(
    schedule: Schedule,
    feed: Mapping[str, Array],
    targets: Mapping[str, RemoteTensor],
    wanted: Sequence[str],
    memory_of: MemoryOf,
    control: RunControl | None = None,
) -> list[Array]:
    """Compute over tensors of a device.

    Parameters
    ----------
    schedule : Schedule
        What computes.
    feed : mapping of str to array or RemoteTensor
        Checked. Tensors of a device are read where they lie by the steps that compute there.
    targets : mapping of str to RemoteTensor
        Outputs that are to be written there.
    wanted : sequence of str
        Outputs; those with targets are given back as these.
    memory_of : callable
        The memory that a tensor lies in, for steps that compute elsewhere.
    control : RunControl, optional
        What can end the run.

    Raises
    ------
    InputError, RunError
        As :meth:`ovpart.runtime.schedule.Schedule.run`.
    """
    require(schedule.input_names, feed)
    check_outputs(wanted, schedule.output_names)
    positions = tuple(schedule.output_names.index(name) for name in wanted)
    walk = _Walk(schedule, positions, dict(zip(positions, map(targets.get, wanted), strict=True)), memory_of)
    key = (frozenset(n for n, v in feed.items() if isinstance(v, RemoteTensor)), frozenset(targets), positions)
    pool = schedule.remote_pool(key)
    try:
        lease = pool.take()
    except BindFailed as failure:
        raise failure.error from failure
    try:
        values = walk.run(lease, [feed[name] for name in schedule.input_names], control)
    except (RunError, InputError) as error:
        if control is not None and control.is_terminated:
            raise
        values = schedule.answer_failure(lease, error, on_host(feed, memory_of), positions)
    else:
        if control is None or not control.is_terminated:
            pool.give(lease)
    return [deliver(targets, name, value, memory_of) for name, value in zip(wanted, values, strict=True)]


class _Walk:
    """The way of one run along the steps."""

    def __init__(
        self,
        schedule: Schedule,
        wanted: tuple[int, ...],
        targets: Mapping[int, RemoteTensor | None],
        memory_of: MemoryOf,
    ) -> None:
        self._route, self._executables, results = schedule.way(wanted)
        self._targets = {results[p]: target for p, target in targets.items() if target is not None}
        self._memory_of = memory_of
        self._read: dict[int, Array] = {}

    def run(self, lease: Lease, given: list[Array], control: RunControl | None) -> list[Array]:
        """Compute; the values of the outputs, remote where they lie there."""
        slots = given + lease.tail
        for step in self._route.steps:
            lease.position = step.position
            self._step(step, lease, slots, control)
        values = [slots[slot] for slot in self._route.outputs]
        for output in self._route.copies:
            if not isinstance(values[output], RemoteTensor):
                values[output] = copied(values[output])
        return values

    def _step(self, step: Step, lease: Lease, slots: list[Array], control: RunControl | None) -> None:
        request, executable = lease.requests[step.position], self._executables[step.position]
        for slot, index in step.inputs:
            value = slots[slot]
            if isinstance(value, RemoteTensor) and _takes(executable, value):
                request.set_remote(index, value)  # type: ignore[attr-defined]  # it has it where its executable takes
            else:
                request.set_input(index, self._here(slot, value))
        bound = {}
        for index, slot in step.outputs:
            target = self._targets.get(slot)
            if target is not None and _takes(executable, target):
                request.bind_remote(index, target)  # type: ignore[attr-defined]  # as above
                bound[slot] = target
        if control is None:
            request.run()
        else:
            control.run(request)
        for index, slot in step.outputs:
            slots[slot] = bound[slot] if slot in bound else request.take_output(index)
        made = [slot for slot in step.results if slot not in bound]
        read = [slots[slot] for slot in step.reads if not isinstance(slots[slot], RemoteTensor)]
        for slot, value in zip(made, part([slots[slot] for slot in made], read), strict=True):
            slots[slot] = value
        for slot in step.release:
            slots[slot] = None

    def _here(self, slot: int, value: Array) -> Array:
        """Return a value that an engine on the CPU can read."""
        if not isinstance(value, RemoteTensor):
            return value
        if slot not in self._read:
            self._read[slot] = self._memory_of(value).read(value)
        return self._read[slot]


def _takes(executable: Executable, tensor: RemoteTensor) -> bool:
    takes = getattr(executable, "takes", None)
    return takes is not None and bool(takes(tensor))
