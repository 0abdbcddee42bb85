"""What one run at a time holds: a request of each executable, bound to planned memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import perf_counter_ns
from typing import TYPE_CHECKING, TypeAlias, cast

from ovpart.errors import InputError, OvpartError, RunError
from ovpart.runtime.pool import CLOSED
from ovpart.runtime.profile import Profile, Stopwatch
from ovpart.runtime.wiring import Wiring

if TYPE_CHECKING:
    from ovpart.backend.base import Array, Executable, Request
    from ovpart.runtime.buffers import PlannedRequest
    from ovpart.runtime.control import RunControl

Calls: TypeAlias = "tuple[Callable[[int, Array], None], Callable[[], None], Callable[[int], Array]]"


class Lease:
    """The requests of one run at a time, one a step.

    Attributes
    ----------
    calls : list of (set_input, run, take_output)
        The bound methods that a run calls: looking them up costs as much as calling them.
    outputs : tuple of int
        Output indices of the first executable, for the run of a schedule that has no other.
    tail : list of array
        What lies in the slots after the inputs when a run begins: constants, planned memory, ``None``.
    watch : Stopwatch or None
        Where the schedule is timed.
    requests : list of Request
        The same, whole.
    position : int
        The executable that a failed run stood at.
    """

    __slots__ = ("calls", "outputs", "position", "requests", "tail", "watch")

    def __init__(self, outputs: tuple[int, ...], tail: list[Array], watch: Stopwatch | None) -> None:
        self.calls: list[Calls] = []
        self.requests: list[Request] = []
        self.outputs = outputs
        self.tail = tail
        self.watch = watch
        self.position = 0

    def controlled(self, control: RunControl) -> list[Calls]:
        """Return the calls of a run that another thread can end."""
        return [(r.set_input, partial(control.run, r), r.take_output) for r in self.requests]


class Binder:
    """Makes leases. Apart from the schedule, so that no cycle keeps engines alive when a schedule is dropped."""

    __slots__ = ("_outputs", "_wiring", "clusters", "executables", "profile")

    def __init__(self, steps: Sequence[tuple[str, Executable]], wiring: Wiring, timed: bool) -> None:
        self._wiring = wiring
        self.clusters = tuple(cluster for cluster, _ in steps)
        self.profile = Profile(self.clusters) if timed else None
        self.executables = tuple(executable for _, executable in steps)
        self._outputs = tuple(range(len(self.executables[0].outputs))) if steps else ()

    def __call__(self) -> Lease:
        """Make a lease.

        Raises
        ------
        BindFailed
            If an executable cannot make a request, or the request does not take planned memory.
        RunError
            If the schedule is closed.
        """
        executables = self.executables
        if len(executables) != len(self.clusters):
            raise RunError(CLOSED)
        wiring = self._wiring
        planned = wiring.memory.arrays()
        tail = [*wiring.constants, *map(planned.get, range(wiring.given + len(wiring.constants), wiring.slots))]
        requests = []
        for position, executable in enumerate(executables):
            try:
                request = executable.bind()
                _bind_planned(request, wiring.reads[position], wiring.writes[position], planned)
            except (RunError, InputError) as error:
                raise BindFailed(position, error) from error
            requests.append(request)
        lease = Lease(self._outputs, tail, self.profile.stopwatch() if self.profile else None)
        lease.requests = requests
        for position, request in enumerate(requests):
            run = request.run if lease.watch is None else _timed(request, lease.watch, position)
            lease.calls.append((request.set_input, run, request.take_output))
        return lease

    def retire(self, lease: Lease) -> None:
        """Keep the times of a lease that is not used again."""
        if self.profile is not None and lease.watch is not None:
            self.profile.retire(lease.watch)

    def close(self) -> None:
        """Let go of the executables."""
        self.executables = ()


class BindFailed(Exception):  # noqa: N818  (not an error of its own)
    """Carries the error of an executable to where it is answered, with its position."""

    def __init__(self, position: int, error: OvpartError) -> None:
        super().__init__(str(error))
        self.position = position
        self.error = error


def _bind_planned(request: Request, reads: Sequence[int], writes: Sequence[int], planned: Mapping[int, Array]) -> None:
    """Bind what lies in planned memory, once for all runs: a request keeps an input until another is set."""
    for index, slot in enumerate(reads):
        if slot in planned:
            request.set_input(index, planned[slot])
    for slot in dict.fromkeys(writes):
        if slot in planned:
            cast("PlannedRequest", request).bind_output(writes.index(slot), planned[slot])


def _timed(request: Request, watch: Stopwatch, position: int) -> Callable[[], None]:
    run = request.run

    def timed_run() -> None:
        start = perf_counter_ns()
        run()
        watch.totals_ns[position] += perf_counter_ns() - start
        watch.counts[position] += 1

    return timed_run
