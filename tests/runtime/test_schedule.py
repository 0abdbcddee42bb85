"""The walk: order, memory, threads, failures."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovpart.errors import InputError, PlanError, RunError
from ovpart.runtime.schedule import Schedule, bind_schedule
from tests.runtime.numpy_step import NumpyStep, PlannedStep, port

F = np.float32


def bind(inputs: str, outputs: str, *steps: tuple[str, NumpyStep], **options: Any) -> Schedule:
    return bind_schedule([port(name) for name in inputs.split()], outputs.split(), steps, **options)


def diamond(**options: Any) -> tuple[Schedule, dict[str, NumpyStep]]:
    # x -> a -> b -> y      a = x + 1, b = a * 2, c = a - 3, y = b + c
    #      a -> c -> y
    steps = {
        "A": NumpyStep(lambda x: x + 1, ["x"], ["a"]),
        "B": NumpyStep(lambda a: a * 2, ["a"], ["b"]),
        "C": NumpyStep(lambda a: a - 3, ["a"], ["c"]),
        "D": NumpyStep(lambda b, c: b + c, ["b", "c"], ["y"]),
    }
    return bind("x", "y", *steps.items(), **options), steps


def diamond_value(x: np.ndarray) -> np.ndarray:
    return (x + 1) * 2 + ((x + 1) - 3)


def test_steps_run_in_order_and_meet_again() -> None:
    schedule, _ = diamond()
    x = np.arange(5, dtype=F)
    (y,) = schedule.run({"x": x})
    np.testing.assert_array_equal(y, diamond_value(x))


def test_inputs_go_by_index_whatever_their_order_in_the_graph_or_the_feed() -> None:
    step = NumpyStep(lambda b, a: (a - b, a * b), ["b", "a"], ["difference", "product"])
    schedule = bind("a b", "product difference", ("S", step))
    product, difference = schedule.run({"b": np.full(2, 3, F), "a": np.full(2, 7, F)})
    assert product.tolist() == [21, 21]
    assert difference.tolist() == [4, 4]


def test_one_step_in_graph_order_goes_the_direct_way() -> None:
    step = NumpyStep(lambda a, b: (a - b, a * b), ["a", "b"], ["d", "p"])
    schedule = bind("a b", "d p", ("S", step))
    assert schedule._whole.direct
    assert [v.tolist() for v in schedule.run({"a": np.full(2, 7, F), "b": np.full(2, 3, F)})] == [[4, 4], [21, 21]]
    assert not bind("b a", "d p", ("S", step))._whole.direct
    assert not bind("a b", "p d", ("S", step))._whole.direct
    assert not bind("a b", "d", ("S", step))._whole.direct
    assert not bind("a b", "d p a", ("S", step))._whole.direct


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


def test_wanted_outputs_run_only_the_steps_they_need() -> None:
    steps = {
        "A": NumpyStep(lambda x: (x + 1, x + 2), ["x"], ["a", "b"]),
        "B": NumpyStep(lambda a: a * 2, ["a"], ["c"]),
    }
    schedule = bind("x", "b c", *steps.items())
    assert [v.tolist() for v in schedule.run({"x": np.zeros(1, F)}, ["b"])] == [[2]]
    assert steps["B"].runs == 0
    assert [v.tolist() for v in schedule.run({"x": np.zeros(1, F)}, ["c", "b", "c"])] == [[2], [2], [2]]
    assert [v.tolist() for v in schedule.run({"x": np.zeros(1, F)}, [])] == [[2], [2]]  # none named: all


def test_an_output_that_does_not_exist_is_refused_with_a_guess() -> None:
    schedule, _ = diamond()
    with pytest.raises(InputError, match=r"Invalid output name:yy. Did you mean 'y'\?"):
        schedule.run({"x": np.zeros(1, F)}, ["yy"])


def test_a_missing_input_is_refused_in_onnxruntimes_words() -> None:
    schedule, _ = diamond()
    with pytest.raises(InputError, match=r"Required inputs \(\['x'\]\) are missing from input feed \(\['z'\]\)."):
        schedule.run({"z": np.zeros(1, F)})


def test_many_choices_of_outputs_do_not_grow_the_schedule() -> None:
    names = [f"v{i}" for i in range(8)]
    step = NumpyStep(lambda x: tuple(x + i for i in range(8)), ["x"], names)
    schedule = bind("x", " ".join(names), ("S", step))
    for choice in range(1, 200):
        wanted = [name for bit, name in enumerate(names) if choice >> bit & 1]
        values = schedule.run({"x": np.zeros(1, F)}, wanted)
        assert [v[0] for v in values] == [float(name[1:]) for name in wanted]
    assert len(schedule._routes) <= 32


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


def test_a_graph_without_steps_gives_inputs_and_constants() -> None:
    schedule = bind("x", "k x", constants={"k": np.ones(2, F)})
    assert [v.tolist() for v in schedule.run({"x": np.zeros(1, F)})] == [[1, 1], [0]]


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


def test_two_outputs_of_the_same_value() -> None:
    schedule, _ = diamond()
    twice = bind("x", "y y", ("S", NumpyStep(lambda x: x + 1, ["x"], ["y"])))
    a, b = twice.run({"x": np.zeros(4, F)})
    assert a.tolist() == b.tolist() == [1, 1, 1, 1]
    assert not np.shares_memory(a, b)
    a, b = schedule.run({"x": np.zeros(4, F)}, ["y", "y"])
    assert not np.shares_memory(a, b)


def test_lists_and_dicts_stand_for_values_that_are_no_tensors() -> None:
    step = NumpyStep(lambda x: ([x], {"k": 1}, None), ["x"], ["sequence", "map", "nothing"])
    x = np.zeros(2, F)
    sequence, mapping, nothing = bind("x", "sequence map nothing", ("S", step)).run({"x": x})
    assert not np.shares_memory(sequence[0], x)
    assert mapping == {"k": 1}
    assert nothing is None


def test_threads_with_changing_shapes_each_get_their_own_answer() -> None:
    schedule, steps = diamond()

    def work(seed: int) -> int:
        rng = np.random.default_rng(seed)
        for _ in range(300):
            x = rng.random(int(rng.integers(0, 40)), F)
            (y,) = schedule.run({"x": x})
            np.testing.assert_array_equal(y, diamond_value(x))
        return seed

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(work, range(8))) == list(range(8))
    assert 1 <= len(steps["A"].bound) <= 8  # one set of requests for each run under way at the same time, at most


def test_a_run_does_not_wait_for_another() -> None:
    both = threading.Barrier(2, timeout=10)

    def meet(x: np.ndarray) -> np.ndarray:
        both.wait()
        return x + 1

    schedule = bind("x", "y", ("S", NumpyStep(meet, ["x"], ["y"])))
    with ThreadPoolExecutor(2) as threads:
        runs = [threads.submit(schedule.run, {"x": np.full(1, i, F)}) for i in range(2)]
        assert [run.result()[0][0] for run in runs] == [1, 2]


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


def test_times_add_up_over_parts_threads_and_failed_runs() -> None:
    bad = NumpyStep(lambda b: b, ["b"], ["y"], fail_on=lambda run: run == 3)
    schedule = bind(
        "x",
        "y",
        ("A", NumpyStep(lambda x: x, ["x"], ["a"])),
        ("A", NumpyStep(lambda a: a, ["a"], ["b"])),
        ("B", bad),
        on_failure=lambda cluster, error, feed: [feed["x"]],
        timed=True,
    )
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: schedule.run({"x": np.zeros(1, F)}), range(20)))
    times = schedule.times()
    assert list(times) == ["A", "B"]
    assert times["A"].count == 20
    assert times["B"].count == 19
    assert times["A"].total_us > 0
    assert times["A"].mean_us == pytest.approx(times["A"].total_us / 20)
    assert diamond()[0].times() == {}


@pytest.mark.parametrize(
    ("inputs", "outputs", "steps", "words"),
    [
        ("x", "y", [("B", ["a"], ["y"]), ("A", ["x"], ["a"])], r"Cluster B reads \['a'\]"),
        ("x", "y", [("A", ["x"], ["y"]), ("B", ["x"], ["y"])], r"Cluster B makes \['y'\]"),
        ("x", "y", [("A", ["x"], ["x"])], r"Cluster A makes \['x'\]"),
        ("x", "z", [("A", ["x"], ["y"])], r"provides the outputs \['z'\]"),
        ("x x", "x", [], "twice"),
    ],
)
def test_steps_that_do_not_fit_are_refused(inputs: str, outputs: str, steps: list[Any], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        bind(inputs, outputs, *((cluster, NumpyStep(lambda *a: a, i, o)) for cluster, i, o in steps))


@st.composite
def dags(draw: st.DrawFn) -> tuple[int, list[tuple[list[int], int]], list[int], list[int]]:
    # Inputs, steps (values read, outputs made), graph outputs, and a choice among them; values are numbered.
    inputs = draw(st.integers(1, 4))
    values, steps = inputs, []
    for _ in range(draw(st.integers(0, 12))):
        reads = draw(st.lists(st.integers(0, values - 1), min_size=0, max_size=4))
        made = draw(st.integers(1, 3))
        steps.append((reads, made))
        values += made
    outputs = draw(st.lists(st.integers(0, values - 1), min_size=1, max_size=6))
    return inputs, steps, outputs, draw(st.lists(st.sampled_from(outputs), max_size=4))


def numbered(step: int, output: int, reads: list[np.ndarray]) -> np.ndarray:
    # A value that tells where it comes from.
    return np.asarray(sum((i + 2) * value for i, value in enumerate(reads)) % 9973 + step * 31 + output, F)


@settings(max_examples=200, deadline=None)
@given(dags(), st.booleans(), st.integers(0, 2**36 - 1))
def test_random_graphs_equal_direct_evaluation(dag: Any, reuse: bool, planned: int) -> None:
    inputs, steps, outputs, wanted = dag  # and a bit a value: whether its shape is static for its engine
    feed = {f"v{i}": np.arange(3, dtype=F) * (i + 1) for i in range(inputs)}
    untouched = {name: array.copy() for name, array in feed.items()}
    values, bound = dict(feed), []
    for number, (reads, made) in enumerate(steps):
        names = [f"v{len(values) + k}" for k in range(made)]

        def compute(*arrays: np.ndarray, number: int = number, made: int = made) -> tuple[np.ndarray, ...]:
            return tuple(numbered(number, k, list(arrays)) for k in range(made))

        shapes = [(3,) if reads and planned >> int(name[1:]) & 1 else None for name in names]
        bound.append((f"S{number}", PlannedStep(compute, [f"v{i}" for i in reads], names, reuse=reuse, shapes=shapes)))
        values.update(zip(names, compute(*(values[f"v{i}"] for i in reads)), strict=True))
    schedule = bind(" ".join(feed), " ".join(f"v{i}" for i in outputs), *bound)
    for choice in (None, [f"v{i}" for i in wanted], None):
        found = schedule.run(feed, choice)  # the third in the memory of the first two
        expected = [values[name] for name in choice or [f"v{i}" for i in outputs]]
        assert len(found) == len(expected)
        for value, right in zip(found, expected, strict=True):
            np.testing.assert_array_equal(value, right)
        for i, value in enumerate(found):
            others = [*found[:i], *feed.values()]
            assert not any(np.shares_memory(value, other) for other in others)
            value[...] = -1  # the user's own: nothing that a later run gives may change by it
    for name, array in feed.items():
        np.testing.assert_array_equal(array, untouched[name])
