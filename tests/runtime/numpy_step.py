"""An executable that computes with numpy: what the runtime sees of an engine, without one."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ovpart.backend.base import Port
from ovpart.errors import RunError


def port(name: str, dtype: str | None = "f32", shape: tuple[Any, ...] | None = ("N",)) -> Port:
    return Port(name, dtype, shape)


class NumpyStep:
    """Calls `function` with the inputs, in order; it gives one array, or a tuple of them.

    `reuse=True` gives outputs in buffers that the next run of the same request overwrites, taken out as copies, as an
    engine with its own memory does. `fail_on` says at which runs (counted over all requests) a RunError comes.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        inputs: Sequence[str],
        outputs: Sequence[str],
        *,
        reuse: bool = False,
        fail_on: Callable[[int], bool] = lambda run: False,
        error: BaseException | None = None,
    ) -> None:
        self.function = function
        self.inputs = tuple(port(name) for name in inputs)
        self.outputs = tuple(port(name) for name in outputs)
        self.reuse = reuse
        self.fail_on = fail_on
        self.error = error or RunError("the step was told to fail")
        self.runs = 0
        self.bound: list[weakref.ref[NumpyRequest]] = []
        self.lock = threading.Lock()

    def bind(self) -> NumpyRequest:
        request = NumpyRequest(self)
        with self.lock:
            self.bound.append(weakref.ref(request))
        return request

    def export(self) -> bytes | None:
        return None


class PlannedStep(NumpyStep):
    """Writes outputs of the shapes it is told into memory that it is given, as an engine does for static shapes."""

    def __init__(self, *arguments: Any, shapes: Sequence[tuple[int, ...] | None], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.shapes = shapes

    def static_shape(self, index: int) -> tuple[int, ...] | None:
        return self.shapes[index]


class NumpyRequest:
    def __init__(self, step: NumpyStep) -> None:
        self.step = step
        self.values: list[Any] = [None] * len(step.inputs)
        self.results: list[Any] = [None] * len(step.outputs)
        self.places: dict[int, Any] = {}
        self.busy = threading.Lock()

    def set_input(self, index: int, array: Any) -> None:
        self.values[index] = array

    def bind_output(self, index: int, array: Any) -> None:
        assert array.shape == self.step.shapes[index]  # type: ignore[attr-defined]
        self.places[index] = array

    def run(self) -> None:
        assert self.busy.acquire(blocking=False), "two runs at a time in one request"
        try:
            with self.step.lock:
                self.step.runs += 1
                run = self.step.runs
            if self.step.fail_on(run):
                self.results = ["torn"] * len(self.results)
                raise self.step.error
            for place in self.places.values():
                place[...] = -77  # an engine may write before it has read all
            found = self.step.function(*self.values)
            found = found if isinstance(found, tuple) else (found,)
            for index, value in enumerate(found):
                if index in self.places:
                    self.places[index][...] = value
                    continue
                kept = self.results[index]
                if self.step.reuse and isinstance(kept, np.ndarray) and kept.shape == value.shape:
                    kept[...] = value
                else:
                    self.results[index] = np.array(value) if self.step.reuse else value
        finally:
            self.busy.release()

    def start(self) -> None:
        self.run()

    def wait(self) -> None:
        return None

    def cancel(self) -> None:
        return None

    def take_output(self, index: int) -> Any:
        assert index not in self.places, "planned outputs are not taken"
        return self.results[index].copy() if self.step.reuse else self.results[index]
