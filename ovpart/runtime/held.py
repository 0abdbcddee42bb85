"""A schedule that one thread runs again and again: values by position, outputs into memory of the caller's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING, cast

from ovpart.errors import InputError, RunError
from ovpart.runtime.buffers import Plannable, copied, part, place_of

if TYPE_CHECKING:
    import numpy as np

    from ovpart.backend.base import Array, Executable
    from ovpart.runtime.buffers import PlannedRequest
    from ovpart.runtime.lease import Lease
    from ovpart.runtime.schedule import Schedule
    from ovpart.runtime.wiring import Route, Step, Wiring

RUNS_BEFORE_SECOND = 8
"""Runs after which a holding looks whether a second lease would pay."""
SHORT_NS = 200_000
"""A run shorter than this gets a second lease. Two that take turns find in their requests what they had two runs ago,
so that the buffers of a loop, which take turns as well, are bound once: that spares 3 µs an input and 3 an output. A
run so short cannot fill much memory that the second lease would need as well."""


@dataclass(frozen=True, slots=True)
class Bound:
    """An output that is written where the caller wants it.

    Attributes
    ----------
    output : int
        Position among the outputs wanted.
    index : int
        Of the output in its executable.
    slot : int
        Where later steps find it.
    shape : tuple of int
        In every run.
    dtype : numpy.dtype
        Of its elements.
    """

    output: int
    index: int
    slot: int
    shape: tuple[int, ...]
    dtype: np.dtype


@dataclass(frozen=True, slots=True)
class HeldRoute:
    """A route with the outputs that can be bound.

    Attributes
    ----------
    route : Route
        The way to the outputs wanted.
    steps : tuple of (Step, tuple of Bound)
        Each step, and those of its outputs that are bound: the step neither takes nor parts them.
    bound : frozenset of int
        Outputs wanted that are bound.
    constants : tuple of int
        Outputs wanted that are constants.
    shared : frozenset of int
        Outputs wanted that are inputs, or stand there twice.
    """

    route: Route
    steps: tuple[tuple[Step, tuple[Bound, ...]], ...]
    bound: frozenset[int]
    constants: tuple[int, ...]
    shared: frozenset[int]


def held_route(wiring: Wiring, route: Route, executables: Sequence[Executable]) -> HeldRoute:
    """Return a route prepared for runs of a holding."""
    position_of = {slot: output for output, slot in reversed(list(enumerate(route.outputs)))}
    steps = []
    for step in route.steps:
        executable = executables[step.position]
        found = []
        if isinstance(executable, Plannable):
            for index, slot in step.outputs:
                output = position_of.get(slot)
                place = None if output is None else place_of(executable, index)
                if output is not None and place is not None:
                    found.append(Bound(output, index, slot, place.shape, place.dtype))
        there = {one.slot for one in found}
        left = step._replace(
            outputs=tuple(pair for pair in step.outputs if pair[1] not in there),
            results=tuple(slot for slot in step.results if slot not in there),
        )
        steps.append((left, tuple(found)))
    first_made = wiring.given + len(wiring.constants)
    constants = tuple(i for i in route.copies if wiring.given <= route.outputs[i] < first_made)
    bound = frozenset(one.output for _, found in steps for one in found)
    return HeldRoute(route, tuple(steps), bound, constants, frozenset(route.copies).difference(constants))


class Holding:
    """Runs a schedule for one thread.

    Parameters
    ----------
    schedule : Schedule
        What it runs.
    wanted : tuple of int
        Positions of the outputs to compute.
    """

    def __init__(self, schedule: Schedule, wanted: tuple[int, ...]) -> None:
        self.schedule = schedule
        self._wanted = wanted
        self._held = schedule.held_route(wanted)
        self._leases: list[Lease] = []
        self._runs = 0

    @property
    def shared(self) -> frozenset[int]:
        """See :class:`ovpart.runtime.control_flow.HeldBody`."""
        return self._held.shared

    def binds(self, output: int) -> bool:
        """Whether an output can be written where the caller wants it."""
        return output in self._held.bound

    def run(self, given: Sequence[Array], into: Mapping[int, Array]) -> list[Array]:
        """Compute; see :class:`ovpart.runtime.control_flow.HeldBody`.

        Raises
        ------
        RunError
            As :meth:`ovpart.runtime.schedule.Schedule.run`.
        """
        self._runs += 1
        leases = self._leases
        if not leases:
            leases.append(self.schedule.borrow())
        lease = leases[self._runs % len(leases)]
        looks = self._runs == RUNS_BEFORE_SECOND and bool(self._held.bound)
        begin = perf_counter_ns() if looks else 0
        try:
            values = self._walk(lease, list(given), into)
        except (RunError, InputError) as error:
            leases.remove(lease)
            feed = dict(zip(self.schedule.input_names, given, strict=True))
            return self.schedule.answer_failure(lease, error, feed, self._wanted)
        if looks and perf_counter_ns() - begin < SHORT_NS:
            leases.append(self.schedule.borrow())
        return values

    def release(self) -> None:
        """Give the leases back: what they are bound to is written into no more, since each run binds anew."""
        for lease in self._leases:
            self.schedule.bring_back(lease)
        self._leases.clear()

    def _walk(self, lease: Lease, given: list[Array], into: Mapping[int, Array]) -> list[Array]:
        import numpy as np

        slots = given + lease.tail
        for (position, inputs, outputs, release, results, reads), bound in self._held.steps:
            lease.position = position
            set_input, run, take_output = lease.calls[position]
            for slot, index in inputs:
                set_input(index, slots[slot])
            for one in bound:
                array = into.get(one.output)
                if array is None or array.shape != one.shape:
                    array = np.empty(one.shape, one.dtype)
                cast("PlannedRequest", lease.requests[position]).bind_output(one.index, array)
                slots[one.slot] = array
            run()
            for index, slot in outputs:
                slots[slot] = take_output(index)
            if results:
                made = part([slots[slot] for slot in results], [slots[slot] for slot in reads])
                for slot, value in zip(results, made, strict=True):
                    slots[slot] = value
            for slot in release:
                slots[slot] = None
        values = [slots[slot] for slot in self._held.route.outputs]
        for output in self._held.constants:
            values[output] = copied(values[output])
        return values
