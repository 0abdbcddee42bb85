"""The profile of a session: a trace file as onnxruntime writes it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ovpart.runtime.oversight import Trace


class Profile:
    """What ``SessionOptions.enable_profiling`` asks for.

    Parameters
    ----------
    options : SessionOptions
        Says whether to profile, and how the file's name begins.
    """

    def __init__(self, options: Any) -> None:
        self.trace = Trace() if options.enable_profiling else None
        self._prefix = options.profile_file_prefix

    @property
    def start_ns(self) -> int:
        """When it began, on the clock of :func:`time.monotonic_ns`; 0 where nothing is profiled."""
        return 0 if self.trace is None else self.trace.start_ns

    @contextmanager
    def noting(self, name: str, **told: object) -> Iterator[None]:
        """Note how long the body of a ``with`` takes."""
        trace = self.trace
        if trace is None:
            yield
            return
        begin_ns = time.monotonic_ns()
        try:
            yield
        finally:
            trace.add("Session", name, begin_ns, told)

    def end(self) -> str:
        """Write the file and stop; returns its name, empty where nothing is profiled."""
        trace, self.trace = self.trace, None
        if trace is None:
            return ""
        stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
        for attempt in range(1, 1000):
            name = f"{self._prefix}_{stamp}{'' if attempt == 1 else f'_{attempt}'}.json"
            try:
                with open(name, "x", encoding="utf-8") as file:
                    trace.write(file)
            except FileExistsError:
                continue
            return name
        raise FileExistsError(f"{self._prefix}_{stamp}.json, and a thousand names like it")
