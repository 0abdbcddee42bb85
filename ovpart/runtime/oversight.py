"""Watching the runs of a session: what each step took and when, and whether a step that fails is answered for."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from ovpart.backend.base import Array, Executable, Port, Request


class Trace:
    """Events of a session, as the trace viewers of browsers read them (Trace Event Format, complete events ``X``).

    Attributes
    ----------
    start_ns : int
        Of :func:`time.monotonic_ns`, when the trace began: event times count from here.
    """

    def __init__(self) -> None:
        self.start_ns = time.monotonic_ns()
        self._events: list[dict[str, object]] = []
        self._lock = threading.Lock()

    def add(self, category: str, name: str, begin_ns: int, args: Mapping[str, object]) -> None:
        """Add what began at `begin_ns` of :func:`time.monotonic_ns` and ends now."""
        event = {
            "cat": category,
            "pid": os.getpid(),
            "tid": threading.get_ident(),
            "dur": (time.monotonic_ns() - begin_ns) // 1000,
            "ts": (begin_ns - self.start_ns) // 1000,
            "ph": "X",
            "name": name,
            "args": dict(args),
        }
        with self._lock:
            self._events.append(event)

    def write(self, file: TextIO) -> None:
        """Write all events as JSON, one a line between the lines of the brackets, in the order of their beginnings."""
        with self._lock:
            events = sorted(self._events, key=lambda event: (event["ts"], -int(str(event["dur"]))))
        file.write("[\n")
        file.write(",\n".join(json.dumps(event) for event in events))
        file.write("\n]\n")


class Oversight:
    """How the runs of a session are watched.

    Attributes
    ----------
    trace : Trace or None
        Where each step of each run is noted.
    raises_failures : bool
        Whether a cluster that fails while it runs is an error, where onnxruntime would answer for it otherwise.
    timed : bool
        Whether engines time their layers, and schedules their steps. Nothing is taken from caches then, or put there.
    """

    def __init__(self, trace: Trace | None = None, *, raises_failures: bool = False, timed: bool = False) -> None:
        self.trace = trace
        self.raises_failures = raises_failures
        self.timed = timed


class TracedExecutable:
    """An executable whose runs are noted; in all else the one that it is made of.

    Parameters
    ----------
    executable : Executable
        What computes.
    name : str
        Of its events.
    args : mapping
        What its events tell.
    trace : Trace
        Where they go.
    """

    def __init__(self, executable: Executable, name: str, args: Mapping[str, object], trace: Trace) -> None:
        self.inputs: Sequence[Port] = executable.inputs
        self.outputs: Sequence[Port] = executable.outputs
        self._executable = executable
        self._name = name
        self._args = args
        self._trace = trace

    def bind(self) -> Request:
        """Make a request whose runs are noted."""
        return TracedRequest(self._executable.bind(), self._note)

    def export(self) -> bytes | None:
        """Return the compiled blob."""
        return self._executable.export()

    def _note(self, begin_ns: int) -> None:
        self._trace.add("Cluster", self._name, begin_ns, self._args)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._executable, name)
        if name != "run_feed":
            return found

        def run_feed(*args: Any) -> list[Array]:
            begin_ns = time.monotonic_ns()
            results: list[Array] = found(*args)
            self._note(begin_ns)
            return results

        return run_feed


class TracedRequest:
    """A request whose runs are noted; in all else the one that it is made of."""

    def __init__(self, request: Request, note: Any) -> None:
        self._request = request
        self._note = note
        self._begin_ns = 0

    def run(self) -> None:
        """Compute."""
        begin_ns = time.monotonic_ns()
        self._request.run()
        self._note(begin_ns)

    def start(self) -> None:
        """Begin to compute."""
        self._begin_ns = time.monotonic_ns()
        self._request.start()

    def wait(self) -> None:
        """Wait for what `start` began."""
        self._request.wait()
        self._note(self._begin_ns)

    def set_input(self, index: int, array: Array) -> None:
        """Bind an input."""
        self._request.set_input(index, array)

    def cancel(self) -> None:
        """Ask a run under way to stop."""
        self._request.cancel()

    def take_output(self, index: int) -> Array:
        """Return an output of the last run."""
        return self._request.take_output(index)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._request, name)
        if name != "run_with":
            return found

        def run_with(options: object) -> None:
            begin_ns = time.monotonic_ns()
            found(options)
            self._note(begin_ns)

        return run_with
