"""Who owns what a walk reads and writes, and when it is let go."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from ovpart.errors import RunError
from tests.runtime.numpy_step import NumpyStep
from tests.runtime.small_schedules import F, bind, diamond


def test_a_slot_is_released_after_its_last_reader() -> None:
    alive: list[weakref.ref[np.ndarray]] = []
    seen: list[int] = []

    def grow(x: np.ndarray) -> np.ndarray:
        gc.collect()
        seen.append(sum(ref() is not None for ref in alive))
        value = x + 1
        alive.append(weakref.ref(value))
        return value

    class Forgetful(NumpyStep):
        """Keeps nothing after a run, so that only the schedule's references are counted."""

        def bind(self) -> Any:
            request = super().bind()
            take = request.take_output

            def forget(index: int) -> Any:
                value, request.results[index], request.values = take(index), None, [None]
                return value

            request.take_output = forget  # type: ignore[method-assign]
            return request

    names = ["x", *(f"v{i}" for i in range(6))]
    steps = [(f"S{i}", Forgetful(grow, [names[i]], [names[i + 1]])) for i in range(6)]
    bind("x", "v5", *steps).run({"x": np.zeros(3, F)})
    assert seen == [0, 1, 1, 1, 1, 1]  # a step sees the value it reads, and none of those before

    alive.clear(), seen.clear()
    bind("x", "v0 v5", *steps).run({"x": np.zeros(3, F)})
    assert seen == [0, 1, 2, 2, 2, 2]  # v0 is an output: it stays


@pytest.mark.parametrize("reuse", [False, True])
def test_outputs_are_not_overwritten_by_later_runs(reuse: bool) -> None:
    schedule = bind("x", "y", ("S", NumpyStep(lambda x: x * 2, ["x"], ["y"], reuse=reuse)))
    first = schedule.run({"x": np.ones(4, F)})[0]
    schedule.run({"x": np.full(4, 9, F)})
    assert first.tolist() == [2, 2, 2, 2]


def test_an_input_that_is_an_output_is_copied() -> None:
    schedule = bind("x w", "x y x", ("S", NumpyStep(lambda x: x + 1, ["x"], ["y"])))
    x = np.zeros(2, F)
    values = schedule.run({"x": x, "w": x})
    assert not any(np.shares_memory(value, x) for value in values)
    values[0][:] = 5
    assert values[2].tolist() == [0, 0]
    assert x.tolist() == [0, 0]


def test_a_constant_that_is_an_output_cannot_be_spoilt_by_its_reader() -> None:
    schedule = bind("x", "k y", ("S", NumpyStep(lambda x: x, ["x"], ["y"])), constants={"k": np.ones(2, F)})
    schedule.run({"x": np.zeros(1, F)})[0][:] = 7
    assert schedule.run({"x": np.zeros(1, F)})[0].tolist() == [1, 1]


@pytest.mark.parametrize(
    "function",
    [lambda x: x, lambda x: x[:], lambda x: x.reshape(-1)[::-1]],
    ids=["the input", "a view", "a view of a view"],
)
def test_an_executable_that_hands_back_its_input_is_caught(function: Any) -> None:
    for outputs in ("y", "y z"):
        step = NumpyStep(lambda x: (function(x), x + 1), ["x"], ["y", "z"])
        x = np.arange(3, dtype=F)
        for value in bind("x", outputs, ("S", step)).run({"x": x}):
            assert not np.shares_memory(value, x)
    step = NumpyStep(function, ["x"], ["y"])
    assert not np.shares_memory(bind("x", "y", ("S", step)).run({"x": x})[0], x)


def test_outputs_that_share_memory_inside_an_executable_are_parted() -> None:
    def twice(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value = x + 1
        return value, value[:2]

    a, b = bind("x", "a b", ("S", NumpyStep(twice, ["x"], ["a", "b"]))).run({"x": np.zeros(4, F)})
    assert not np.shares_memory(a, b)
    same = NumpyStep(lambda x: (x + 1,) * 2, ["x"], ["a", "b"])
    a, b = bind("x", "a b", ("S", same)).run({"x": np.zeros(4, F)})
    assert not np.shares_memory(a, b)


def test_memory_is_flat_over_many_runs_with_changing_shapes() -> None:
    schedule, _ = diamond()
    feeds = [{"x": np.zeros(size, F)} for size in (0, 1, 700, 90, 4000, 30)]
    for feed in feeds:
        schedule.run(feed)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for run in range(10_000):
            schedule.run(feeds[run % len(feeds)])
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
    finally:
        tracemalloc.stop()


def test_close_lets_go_of_requests_and_refuses_later_runs() -> None:
    schedule, steps = diamond()
    schedule.run({"x": np.zeros(1, F)})
    (request,) = steps["A"].bound
    assert request() is not None
    schedule.close()
    assert request() is None
    with pytest.raises(RunError, match="closed"):
        schedule.run({"x": np.zeros(1, F)})
    schedule.close()


def test_close_during_a_run_lets_it_end_and_keeps_nothing() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait(x: np.ndarray) -> np.ndarray:
        begun.set()
        assert go_on.wait(10)
        return x + 1

    step = NumpyStep(wait, ["x"], ["y"])
    schedule = bind("x", "y", ("S", step))
    with ThreadPoolExecutor(1) as threads:
        run = threads.submit(schedule.run, {"x": np.zeros(1, F)})
        assert begun.wait(10)
        schedule.close()
        go_on.set()
        assert run.result()[0].tolist() == [1]
    assert len(schedule._pool) == 0


def test_dropping_a_schedule_frees_its_executables_at_once() -> None:
    schedule, steps = diamond()
    schedule.run({"x": np.zeros(1, F)})
    step = weakref.ref(steps.pop("A"))
    gc.disable()
    try:
        del schedule
        assert step() is None
    finally:
        gc.enable()
