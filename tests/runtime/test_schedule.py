"""The walk: order, outputs, threads, times."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovpart.errors import InputError, PlanError
from tests.runtime.numpy_step import NumpyStep, PlannedStep
from tests.runtime.small_schedules import F, bind, diamond, diamond_value


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


def test_a_graph_without_steps_gives_inputs_and_constants() -> None:
    schedule = bind("x", "k x", constants={"k": np.ones(2, F)})
    assert [v.tolist() for v in schedule.run({"x": np.zeros(1, F)})] == [[1, 1], [0]]


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
