"""Planned memory between steps: which values get a place, who shares one, and that no run sees another's."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovpart.errors import RunError
from ovpart.runtime.buffers import copied, plan_memory
from ovpart.runtime.schedule import Schedule, bind_schedule
from tests.runtime.numpy_step import NumpyStep, PlannedStep, port

F = np.float32


def step(reads: list[str], writes: list[str], *shapes: tuple[int, ...] | None) -> PlannedStep:
    def compute(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        total = sum(array.sum() for array in arrays)
        return tuple(np.full(shape or (2,), total + i, F) for i, shape in enumerate(shapes))

    return PlannedStep(compute, reads, writes, shapes=shapes)


def chain(sizes: list[int]) -> tuple[Schedule, list[PlannedStep]]:
    # x -> v0 -> v1 -> ... each of a size of its own; the last is the output
    names = ["x", *(f"v{i}" for i in range(len(sizes)))]
    steps = [step([names[i]], [names[i + 1]], (size,)) for i, size in enumerate(sizes)]
    return bind_schedule([port("x")], [names[-1]], [(f"S{i}", s) for i, s in enumerate(steps)]), steps


def test_a_chain_needs_two_blocks() -> None:
    schedule, _ = chain([8] * 9)
    memory = schedule._wiring.memory
    assert memory.blocks == (32, 32)
    assert len(memory.places) == 8  # all but the output
    assert schedule.run({"x": np.ones(1, F)})[0].tolist() == [8.0**8] * 8


def test_a_block_is_used_again_by_what_fits_best() -> None:
    schedule, _ = chain([100, 10, 90, 9, 1])
    memory = schedule._wiring.memory
    assert memory.blocks == (400, 40)
    assert [place.block for place in memory.places.values()] == [0, 1, 0, 1]


def test_a_planned_value_is_bound_once_and_handed_over_by_nobody() -> None:
    calls: list[str] = []

    class Counting(PlannedStep):
        def bind(self) -> Any:
            request = super().bind()
            keep = request.set_input

            def set_input(index: int, array: Any) -> None:
                calls.append(self.inputs[index].name)
                keep(index, array)

            request.set_input = set_input  # type: ignore[method-assign]
            return request

    first = Counting(lambda x: x + 1, ["x"], ["a"], shapes=[(3,)])
    second = Counting(lambda a, x: a * x, ["a", "x"], ["y"], shapes=[(3,)])
    schedule = bind_schedule([port("x")], ["y"], [("A", first), ("B", second)])
    for value in (1, 2, 3):
        assert schedule.run({"x": np.full(3, value, F)})[0].tolist() == [(value + 1) * value] * 3
    assert calls == ["a", "x", "x", "x", "x", "x", "x"]


def test_outputs_inputs_and_what_nobody_reads_have_no_place() -> None:
    steps = [("A", step(["x"], ["a", "b", "unread"], (4,), (4,), (4,))), ("B", step(["a", "b"], ["y"], (4,)))]
    schedule = bind_schedule([port("x")], ["b", "y"], steps)
    (place,) = schedule._wiring.memory.places.values()
    assert place.shape == (4,)
    b, y = schedule.run({"x": np.ones(2, F)})
    assert (b.tolist(), y.tolist()) == ([3.0] * 4, [20.0] * 4)


def test_dynamic_empty_and_other_values_have_no_place() -> None:
    names = ["dynamic", "empty", "words", "bf16", "sequence"]
    maker = PlannedStep(lambda x: (x,) * 5, ["x"], names, shapes=[None, (0, 3), (2,), (2,), (2,)])
    dtypes = ["f32", "f32", "string", "bf16", None]
    maker.outputs = tuple(port(name, dtype) for name, dtype in zip(names, dtypes, strict=True))
    assert (
        plan_memory(
            [maker, NumpyStep(list, names, ["y"])], [(0,), (1, 2, 3, 4, 5)], [(1, 2, 3, 4, 5), (6,)], frozenset([6])
        ).blocks
        == ()
    )


def test_an_executable_that_passes_on_planned_memory_is_caught() -> None:
    for function in (lambda a: a, lambda a: a[:2]):
        passing = NumpyStep(function, ["a"], ["y"])
        schedule = bind_schedule([port("x")], ["y"], [("A", step(["x"], ["a"], (4,))), ("B", passing)])
        first = schedule.run({"x": np.ones(1, F)})[0]
        schedule.run({"x": np.full(1, 50, F)})
        assert set(first.tolist()) == {1.0}


def test_each_run_under_way_has_memory_of_its_own() -> None:
    schedule, _ = chain([3, 4, 5, 6])

    def work(seed: int) -> None:
        for value in range(seed, seed + 200):
            assert schedule.run({"x": np.full(1, value, F)})[0].tolist() == [value * 60.0] * 6

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))


def test_memory_that_a_request_does_not_take_is_a_failure_of_its_cluster() -> None:
    class Refusing(PlannedStep):
        def bind(self) -> Any:
            request = super().bind()

            def refuse(index: int, array: Any) -> None:
                raise RunError("not this memory")

            request.bind_output = refuse  # type: ignore[method-assign]
            return request

    bad = Refusing(lambda x: x, ["x"], ["a"], shapes=[(1,)])
    schedule = bind_schedule([port("x")], ["y"], [("A", bad), ("B", step(["a"], ["y"], (1,)))])
    with pytest.raises(RunError, match="not this memory"):
        schedule.run({"x": np.ones(1, F)})


@given(st.data())
def test_values_that_live_at_the_same_time_never_share_a_block(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 8))
    reads: list[tuple[int, ...]] = []
    writes: list[tuple[int, ...]] = []
    executables, slots = [], 1
    for number in range(count):
        made = data.draw(st.integers(1, 3))
        reads.append(tuple(data.draw(st.lists(st.integers(0, slots - 1), min_size=1, max_size=3))))
        writes.append(tuple(range(slots, slots + made)))
        slots += made
        shapes = [data.draw(st.sampled_from([None, (1,), (4,), (2, 3)])) for _ in range(made)]
        executables.append(PlannedStep(max, [f"i{number}"], [f"o{k}" for k in range(made)], shapes=shapes))
    kept = frozenset(data.draw(st.lists(st.integers(0, slots - 1), max_size=2)))
    memory = plan_memory(executables, reads, writes, kept)
    made_at = {slot: position for position, made in enumerate(writes) for slot in made}
    read_at = {slot: position for position, found in enumerate(reads) for slot in found}
    for a, b in itertools.combinations(memory.places, 2):
        if memory.places[a].block == memory.places[b].block:
            assert read_at[a] < made_at[b] or read_at[b] < made_at[a]
    for slot, place in memory.places.items():
        assert slot not in kept
        assert memory.blocks[place.block] >= int(np.prod(place.shape)) * 4
    arrays = memory.arrays()
    assert {slot: array.shape for slot, array in arrays.items()} == {s: p.shape for s, p in memory.places.items()}


def test_copied_goes_into_lists_and_dicts() -> None:
    array = np.zeros(2)
    found = copied([array, {"k": array}, (array, None), "word"])
    assert found[3] == "word"
    assert not any(np.shares_memory(array, value) for value in (found[0], found[1]["k"], found[2][0]))
