"""A step that fails: what is answered, and that the next run is right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ovpart.errors import RunError
from tests.runtime.numpy_step import NumpyStep
from tests.runtime.small_schedules import F, bind


def test_a_failing_step_leaves_the_schedule_usable() -> None:
    bad = NumpyStep(lambda x: x + 1, ["a"], ["y"], fail_on=lambda run: run == 2)
    schedule = bind("x", "y", ("A", NumpyStep(lambda x: x * 2, ["x"], ["a"])), ("B", bad))
    x = np.ones(2, F)
    assert schedule.run({"x": x})[0].tolist() == [3, 3]
    with pytest.raises(RunError, match="told to fail"):
        schedule.run({"x": x})
    assert schedule.run({"x": x})[0].tolist() == [3, 3]
    assert len(bad.bound) == 2  # the requests of the failed run are not used again


def test_an_exception_that_is_no_engine_error_passes_and_drops_the_requests() -> None:
    bad = NumpyStep(lambda x: x, ["x"], ["y"], fail_on=lambda run: run == 1, error=KeyboardInterrupt())
    schedule = bind("x", "y", ("A", bad), on_failure=lambda *_: pytest.fail("an interrupt is no engine error"))
    with pytest.raises(KeyboardInterrupt):
        schedule.run({"x": np.ones(2, F)})
    assert schedule.run({"x": np.ones(2, F)})[0].tolist() == [1, 1]
    assert len(bad.bound) == 2


@pytest.mark.parametrize("steps", [1, 3])
def test_on_failure_answers_for_the_run(steps: int) -> None:
    told: list[tuple[str, str, list[str]]] = []

    def elsewhere(cluster: str, error: RunError, feed: Any) -> list[np.ndarray]:
        told.append((cluster, str(error), list(feed)))
        return [feed["x"] + 10, feed["x"] + 20]

    chain = [(f"S{i}", NumpyStep(lambda v: v + 1, [f"v{i}" if i else "x"], [f"v{i + 1}"])) for i in range(steps - 1)]
    bad = NumpyStep(lambda v: (v, v), [f"v{steps - 1}" if chain else "x"], ["y", "z"], fail_on=lambda run: True)
    schedule = bind("x", "y z", *chain, ("bad", bad), on_failure=elsewhere)
    x = np.zeros(1, F)
    assert [v.tolist() for v in schedule.run({"x": x})] == [[10], [20]]
    assert [v.tolist() for v in schedule.run({"x": x}, ["z"])] == [[20]]
    a, b = schedule.run({"x": x}, ["z", "z"])
    assert not np.shares_memory(a, b)
    assert told == [("bad", "the step was told to fail", ["x"])] * 3


def test_on_failure_may_raise() -> None:
    def refuse(cluster: str, error: RunError, feed: Any) -> list[Any]:
        raise error

    bad = NumpyStep(lambda x: x, ["x"], ["y"], fail_on=lambda run: True)
    with pytest.raises(RunError, match="told to fail"):
        bind("x", "y", ("S", bad), on_failure=refuse).run({"x": np.zeros(1, F)})


def test_requests_that_cannot_be_made_are_a_failure_of_their_cluster() -> None:
    class Unbindable(NumpyStep):
        def bind(self) -> Any:
            raise RunError("no memory for requests")

    told: list[str] = []

    def elsewhere(cluster: str, error: RunError, feed: Any) -> list[Any]:
        told.append(f"{cluster}: {error}")
        return [feed["x"]]

    steps = (("A", NumpyStep(lambda x: x, ["x"], ["a"])), ("B", Unbindable(lambda a: a, ["a"], ["y"])))
    bind("x", "y", *steps, on_failure=elsewhere).run({"x": np.zeros(1, F)})
    assert told == ["B: no memory for requests"]
    with pytest.raises(RunError, match="no memory for requests"):
        bind("x", "y", *steps).run({"x": np.zeros(1, F)})
