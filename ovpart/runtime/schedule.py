"""A plan's executables, bound once into a flat list over numbered slots, and the walk along it.

A run puts the inputs into their slots and walks the steps: arrays out of slots into a request, compute, arrays into
slots, empty the slots that no later step reads. Nothing is looked up by name but the feed, and nothing is copied unless
the user would otherwise share memory with somebody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns
from typing import TYPE_CHECKING, TypeAlias

from ovpart.errors import InputError, OvpartError, RunError
from ovpart.runtime.buffers import copied, part
from ovpart.runtime.feed import check_outputs, require
from ovpart.runtime.pool import CLOSED, Pool
from ovpart.runtime.profile import Profile, StepTime, Stopwatch
from ovpart.runtime.wiring import Route, Wiring

if TYPE_CHECKING:
    from ovpart.backend.base import Array, Executable, Port, Request

OnFailure: TypeAlias = "Callable[[str, OvpartError, Mapping[str, Array]], Sequence[Array]]"
"""``on_failure(cluster_id, error, feed)``: gives all outputs of the graph, in its order, or raises.

The error is a RunError, or an InputError where the engine does not take what a checked feed, or a step before it, has
given.
"""

_Calls: TypeAlias = "tuple[Callable[[int, Array], None], Callable[[], None], Callable[[int], Array]]"

# Routes kept for different choices of outputs. A program has a few; one that asks for ever new ones must not grow.
_ROUTES_KEPT = 32


def bind_schedule(
    inputs: Sequence[Port],
    outputs: Sequence[str],
    steps: Sequence[tuple[str, Executable]],
    constants: Mapping[str, Array] | None = None,
    *,
    on_failure: OnFailure | None = None,
    timed: bool = False,
) -> Schedule:
    """Bind executables into a schedule.

    Parameters
    ----------
    inputs : sequence of Port
        The graph's inputs. Those that no step reads are taken and left.
    outputs : sequence of str
        The graph's outputs: made by steps, or inputs, or constants; a name may stand there twice.
    steps : sequence of (str, Executable)
        Cluster id and executable, in topological order. The parts of a cluster are several steps with one id.
    constants : mapping of str to array, optional
        Values of outputs that are initializers or come from constant nodes.
    on_failure : callable, optional
        ``on_failure(cluster_id, error, feed)`` is called when a step fails, and gives all outputs of the graph,
        computed elsewhere, which the run then returns; or raises. Without it the error itself is raised.
    timed : bool
        Measure each step (:meth:`Schedule.times`). Off costs nothing.

    Raises
    ------
    PlanError
        If the steps do not fit together.
    """
    names = tuple(port.name for port in inputs)
    wiring = Wiring(names, tuple(outputs), constants or {}, steps)
    return Schedule(names, tuple(outputs), steps, wiring, on_failure, timed)


class Schedule:
    """Runs executables in order; made by :func:`bind_schedule`. Any number of threads may call :meth:`run` at a time.

    Attributes
    ----------
    input_names, output_names : tuple of str
        Of the graph.
    """

    __slots__ = (
        "_binder",
        "_on_failure",
        "_pool",
        "_routes",
        "_tail",
        "_whole",
        "_wiring",
        "input_names",
        "output_names",
    )

    def __init__(
        self,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        steps: Sequence[tuple[str, Executable]],
        wiring: Wiring,
        on_failure: OnFailure | None,
        timed: bool,
    ) -> None:
        self.input_names = inputs
        self.output_names = outputs
        self._wiring = wiring
        self._tail = [*wiring.constants, *([None] * (wiring.slots - wiring.given - len(wiring.constants)))]
        self._whole = wiring.route(range(len(outputs)))
        self._routes: dict[tuple[str, ...], Route] = {}
        self._on_failure = on_failure
        self._binder = _Binder(steps, timed)
        self._pool: Pool[Lease] = Pool(self._binder)

    def run(self, feed: Mapping[str, Array], wanted: Sequence[str] | None = None) -> list[Array]:
        """Compute.

        Parameters
        ----------
        feed : mapping of str to array
            The graph's inputs, checked (:class:`ovpart.runtime.feed.FeedCheck`); read, never written.
        wanted : sequence of str, optional
            Names of outputs. ``None``, or none at all, means all of them, as with onnxruntime. Steps that no output
            asked for depends on are not run.

        Returns
        -------
        list of array
            One an output asked for, and the caller's alone: no input, no other output, no later run shares its memory.

        Raises
        ------
        InputError
            If an input is missing, or an output asked for does not exist.
        RunError
            If a step failed and `on_failure` had no answer, or the schedule is closed.
        """
        route = self._route(wanted) if wanted else self._whole
        try:
            given = [feed[name] for name in self.input_names]
        except KeyError:
            require(self.input_names, feed)
            raise
        try:
            lease = self._pool.take()
        except _BindFailed as failure:
            return self._failed(failure.position, failure.error, feed, wanted)
        # A lease is given back only after a good run: what a failure left in the engine's requests is not looked into.
        try:
            values = _run_one(lease, given) if route.direct else _walk(route, lease, given, self._tail)
        except (RunError, InputError) as error:
            self._binder.retire(lease)
            return self._failed(lease.position, error, feed, wanted)
        except BaseException:
            self._binder.retire(lease)
            raise
        self._pool.give(lease)
        return part(values, given)

    def times(self) -> dict[str, StepTime]:
        """Return cluster id → what it took so far; empty unless the schedule was bound with ``timed=True``."""
        profile = self._binder.profile
        return {} if profile is None else profile.times()

    def close(self) -> None:
        """Let go of requests and executables. Runs under way come to their end; later ones raise RunError."""
        self._pool.close()
        self._binder.close()

    def _route(self, wanted: Sequence[str]) -> Route:
        key = tuple(wanted)
        route = self._routes.get(key)
        if route is None:
            check_outputs(key, self.output_names)
            route = self._wiring.route([self.output_names.index(name) for name in key])
            if len(self._routes) >= _ROUTES_KEPT:
                self._routes.clear()
            self._routes[key] = route
        return route

    def _failed(
        self, position: int, error: OvpartError, feed: Mapping[str, Array], wanted: Sequence[str] | None
    ) -> list[Array]:
        if self._on_failure is None:
            raise error
        answers = self._on_failure(self._binder.clusters[position], error, feed)
        values = [answers[self.output_names.index(name)] for name in wanted or self.output_names]
        return part(values, list(feed.values()))


class Lease:
    """The requests of one run at a time, one a step.

    Attributes
    ----------
    calls : list of (set_input, run, take_output)
        The bound methods that a run calls: looking them up costs as much as calling them.
    outputs : tuple of int
        Output indices of the first executable, for the run of a schedule that has no other.
    watch : Stopwatch or None
        Where the schedule is timed.
    position : int
        The executable that a failed run stood at.
    """

    __slots__ = ("calls", "outputs", "position", "watch")

    def __init__(self, outputs: tuple[int, ...], watch: Stopwatch | None) -> None:
        self.calls: list[_Calls] = []
        self.outputs = outputs
        self.watch = watch
        self.position = 0


class _Binder:
    """Makes leases. Apart from the schedule, so that no cycle keeps engines alive when a schedule is dropped."""

    __slots__ = ("_executables", "_outputs", "clusters", "profile")

    def __init__(self, steps: Sequence[tuple[str, Executable]], timed: bool) -> None:
        self.clusters = tuple(cluster for cluster, _ in steps)
        self.profile = Profile(self.clusters) if timed else None
        self._executables = tuple(executable for _, executable in steps)
        self._outputs = tuple(range(len(self._executables[0].outputs))) if steps else ()

    def __call__(self) -> Lease:
        executables = self._executables
        if len(executables) != len(self.clusters):
            raise RunError(CLOSED)
        lease = Lease(self._outputs, self.profile.stopwatch() if self.profile else None)
        for position, executable in enumerate(executables):
            try:
                request = executable.bind()
            except RunError as error:
                raise _BindFailed(position, error) from error
            run = request.run if lease.watch is None else _timed(request, lease.watch, position)
            lease.calls.append((request.set_input, run, request.take_output))
        return lease

    def retire(self, lease: Lease) -> None:
        """Keep the times of a lease that is not used again."""
        if self.profile is not None and lease.watch is not None:
            self.profile.retire(lease.watch)

    def close(self) -> None:
        self._executables = ()


class _BindFailed(Exception):  # noqa: N818  (not an error of its own: carries one to where it is answered)
    def __init__(self, position: int, error: RunError) -> None:
        super().__init__(str(error))
        self.position = position
        self.error = error


def _timed(request: Request, watch: Stopwatch, position: int) -> Callable[[], None]:
    run = request.run

    def timed_run() -> None:
        start = perf_counter_ns()
        run()
        watch.totals_ns[position] += perf_counter_ns() - start
        watch.counts[position] += 1

    return timed_run


def _run_one(lease: Lease, given: list[Array]) -> list[Array]:
    """Run the only executable there is: it has the graph's inputs and outputs, in their order."""
    set_input, run, take_output = lease.calls[0]
    for index, array in enumerate(given):
        set_input(index, array)
    run()
    return list(map(take_output, lease.outputs))


def _walk(route: Route, lease: Lease, given: list[Array], tail: list[Array]) -> list[Array]:
    slots = given + tail
    position = 0
    try:
        for position, inputs, outputs, release in route.steps:
            set_input, run, take_output = lease.calls[position]
            for slot, index in inputs:
                set_input(index, slots[slot])
            run()
            for index, slot in outputs:
                slots[slot] = take_output(index)
            for slot in release:
                slots[slot] = None
    except (RunError, InputError):
        lease.position = position
        raise
    values = [slots[slot] for slot in route.outputs]
    for output in route.copies:
        values[output] = copied(values[output])
    return values
