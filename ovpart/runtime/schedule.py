"""A plan's executables, bound once into a flat list over numbered slots, and the walk along it.

A run puts the inputs into their slots and walks the steps: arrays out of slots into a request, compute, arrays into
slots, empty the slots that no later step reads. Nothing is looked up by name but the feed, and nothing is copied unless
the user would otherwise share memory with somebody.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ovpart.errors import InputError, OvpartError, RunError
from ovpart.model.types import numpy_dtype
from ovpart.runtime.buffers import copied, part
from ovpart.runtime.feed import check_outputs, require
from ovpart.runtime.held import HeldRoute, held_route
from ovpart.runtime.lease import Binder, BindFailed, Calls, Lease
from ovpart.runtime.pool import Pool
from ovpart.runtime.profile import StepTime
from ovpart.runtime.wiring import Route, Wiring

if TYPE_CHECKING:
    from ovpart.backend.base import Array, Executable, Port
    from ovpart.runtime.control import RunControl

OnFailure: TypeAlias = "Callable[[str, OvpartError, Mapping[str, Array]], Sequence[Array]]"
"""``on_failure(cluster_id, error, feed)``: gives all outputs of the graph, in its order, or raises.

The error is a RunError, or an InputError where the engine does not take what a checked feed, or a step before it, has
given.
"""

_RunFeed: TypeAlias = "Callable[..., list[Array]]"

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
        "_binder", "_held", "_held_routes", "_on_failure", "_pool", "_remote", "_routes", "_run_feed", "_whole",
        "_wiring", "input_names", "output_names",
    )  # fmt: skip

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
        self._whole = wiring.route(range(len(outputs)))
        self._routes: dict[tuple[str, ...], Route] = {}
        self._held_routes: dict[tuple[int, ...], HeldRoute] = {}
        self._on_failure = on_failure
        self._run_feed = None if timed else _feed_runner(inputs, steps)
        self._binder = Binder(steps, wiring, timed)
        self._pool: Pool[Lease] = Pool(self._binder)
        self._held: Pool[Lease] = Pool(self._binder)  # their requests write where somebody told them
        self._remote: dict[Hashable, Pool[Lease]] = {}

    def run(
        self, feed: Mapping[str, Array], wanted: Sequence[str] | None = None, control: RunControl | None = None
    ) -> list[Array]:
        """Compute.

        Parameters
        ----------
        feed : mapping of str to array
            The graph's inputs, checked (:class:`ovpart.runtime.feed.FeedCheck`); read, never written.
        wanted : sequence of str, optional
            Names of outputs. ``None``, or none at all, means all of them, as with onnxruntime. Steps that no output
            asked for depends on are not run.
        control : RunControl, optional
            What can end the run.

        Returns
        -------
        list of array
            One an output asked for, and the caller's alone: no input, no other output, no later run shares its memory.

        Raises
        ------
        InputError
            If an input is missing, or an output asked for does not exist.
        RunError
            If a step failed and `on_failure` had no answer, the run was ended, or the schedule is closed.
        """
        if control is not None:
            control.check()
        route = self._route(wanted) if wanted else self._whole
        run_feed = self._run_feed
        if run_feed is not None and route.single:
            if len(feed) != len(self.input_names):
                require(self.input_names, feed)
            try:
                # Bindings of engines (onnxruntime 1.20's) may take no mapping but a dict.
                plain = feed if isinstance(feed, dict) else dict(feed)
                if control is None:
                    return run_feed(route.single, plain)
                return run_feed(route.single, plain, control.options)
            except RunError as error:
                return self._failed(0, error, feed, wanted, control)
        return self._lease_and_run(route, feed, wanted, control)

    def times(self) -> dict[str, StepTime]:
        """Return cluster id → what it took so far; empty unless the schedule was bound with ``timed=True``."""
        profile = self._binder.profile
        return {} if profile is None else profile.times()

    def close(self) -> None:
        """Let go of requests and executables. Runs under way come to their end; later ones raise RunError."""
        self._run_feed = self._on_failure = None  # both may hold on to executables
        self._pool.close()
        self._held.close()
        for pool in self._remote.values():
            pool.close()
        self._binder.close()

    def held_route(self, wanted: tuple[int, ...]) -> HeldRoute:
        """Return the way to some of the outputs, by position, for one who runs it again and again."""
        found = self._held_routes.get(wanted)
        if found is None:
            found = held_route(self._wiring, self._wiring.route(wanted), self._binder.executables)
            self._held_routes[wanted] = found
        return found

    def way(self, wanted: tuple[int, ...]) -> tuple[Route, tuple[Executable, ...], tuple[int, ...]]:
        """Return the way to some of the outputs, by position; the executables; and the slot of every output."""
        return self._wiring.route(wanted), self._binder.executables, self._wiring.results

    def remote_pool(self, key: Hashable) -> Pool[Lease]:
        """Return the leases of runs that have the same inputs and outputs in the memory of a device."""
        found = self._remote.get(key)
        if found is None:
            if len(self._remote) >= _ROUTES_KEPT:
                self._remote.clear()
            found = self._remote[key] = Pool(self._binder)
        return found

    def borrow(self) -> Lease:
        """Return a lease for one who runs it himself; give it back with :meth:`bring_back`, unless a run failed.

        Raises
        ------
        RunError
            If the schedule is closed, or an engine cannot make another request.
        """
        try:
            return self._held.take()
        except BindFailed as failure:
            raise failure.error from failure

    def bring_back(self, lease: Lease) -> None:
        """Take back what :meth:`borrow` gave."""
        self._held.give(lease)

    def answer_failure(
        self, lease: Lease, error: OvpartError, feed: Mapping[str, Array], wanted: Sequence[int]
    ) -> list[Array]:
        """Return the outputs of a run that failed, computed elsewhere, or raise; the lease is not used again."""
        self._binder.retire(lease)
        return self._failed(lease.position, error, feed, [self.output_names[index] for index in wanted])

    def _lease_and_run(
        self, route: Route, feed: Mapping[str, Array], wanted: Sequence[str] | None, control: RunControl | None
    ) -> list[Array]:
        try:
            given = [feed[name] for name in self.input_names]
        except KeyError:
            require(self.input_names, feed)
            raise
        try:
            lease = self._pool.take()
        except BindFailed as failure:
            return self._failed(failure.position, failure.error, feed, wanted)
        # A lease is given back only after a good run: what a failure left in the engine's requests is not looked into.
        try:
            calls = lease.calls if control is None else lease.controlled(control)
            values = _run_one(lease, calls, given) if route.direct else _walk(route, lease, calls, given)
        except (RunError, InputError) as error:
            self._binder.retire(lease)
            return self._failed(lease.position, error, feed, wanted, control)
        except BaseException:
            self._binder.retire(lease)
            raise
        if control is not None and control.is_terminated:
            self._binder.retire(lease)  # its requests were told to stop, too late for this run, not to spoil the next
        else:
            self._pool.give(lease)
        return values

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
        self,
        position: int,
        error: OvpartError,
        feed: Mapping[str, Array],
        wanted: Sequence[str] | None,
        control: RunControl | None = None,
    ) -> list[Array]:
        if self._on_failure is None or (control is not None and control.is_terminated):
            raise error
        answers = self._on_failure(self._binder.clusters[position], error, feed)
        values = [answers[self.output_names.index(name)] for name in wanted or self.output_names]
        return part(values, list(feed.values()))


def _feed_runner(inputs: Sequence[str], steps: Sequence[tuple[str, Executable]]) -> _RunFeed | None:
    """Return ``run_feed(output_names, feed)`` of the only executable there is, if it has one that can be used.

    It is an engine's own way from a feed by name to fresh memory (onnxruntime's), thread-safe, without requests.
    """
    if len(steps) != 1:
        return None
    executable = steps[0][1]
    if {port.name for port in executable.inputs} != set(inputs):
        return None
    for port in (*executable.inputs, *executable.outputs):
        if port.dtype not in (None, "string") and numpy_dtype(str(port.dtype)).isbuiltin != 1:
            return None  # types of ml_dtypes cannot be passed so
    return getattr(executable, "run_feed", None)


def _run_one(lease: Lease, calls: Sequence[Calls], given: list[Array]) -> list[Array]:
    """Run the only executable there is: it has the graph's inputs and outputs, in their order."""
    set_input, run, take_output = calls[0]
    for index, array in enumerate(given):
        set_input(index, array)
    run()
    return part(list(map(take_output, lease.outputs)), given)


def _walk(route: Route, lease: Lease, calls: Sequence[Calls], given: list[Array]) -> list[Array]:
    slots = given + lease.tail
    position = 0
    try:
        for position, inputs, outputs, release, results, reads in route.steps:
            set_input, run, take_output = calls[position]
            for slot, index in inputs:
                set_input(index, slots[slot])
            run()
            for index, slot in outputs:
                slots[slot] = take_output(index)
            if results:
                made = part([slots[slot] for slot in results], [slots[slot] for slot in reads])
                for slot, value in zip(results, made, strict=True):
                    slots[slot] = value
            for slot in release:
                slots[slot] = None
    except (RunError, InputError):
        lease.position = position
        raise
    values = [slots[slot] for slot in route.outputs]
    for output in route.copies:
        values[output] = copied(values[output])
    return values
