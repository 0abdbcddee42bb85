"""Carried values lie in buffers of ours, and what is still to be read is never written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovpart.backend.base import Port
from ovpart.errors import RunError
from ovpart.runtime.control import RunControl
from ovpart.runtime.control_flow import ControlNode, HeldBody, Operand, Part
from ovpart.runtime.held import Holding
from ovpart.runtime.iterations import IN_PLACE_BYTES
from ovpart.runtime.loop import Loop
from ovpart.runtime.scan import Layout, Scan
from ovpart.runtime.schedule import Schedule, bind_schedule
from tests.runtime.numpy_step import NumpyStep, PlannedStep

F = np.float32
SHAPE = (3,)


class NumpyBody:
    """A body on a schedule of steps in numpy."""

    def __init__(self, inputs: Sequence[str], outputs: Sequence[str], *steps: NumpyStep, held: bool = True) -> None:
        self.names = tuple(outputs)
        self.outputs = tuple(Port(name, "f32", SHAPE) for name in outputs)
        ports = [Port(name, "f32", SHAPE) for name in inputs]
        constants = {"fixed": np.full(SHAPE, 5, F)} if "fixed" in outputs else {}
        self.schedule: Schedule = bind_schedule(ports, outputs, [(str(i), s) for i, s in enumerate(steps)], constants)
        self.inputs = tuple(inputs)
        self.held = held

    def run(
        self, values: Sequence[Any], wanted: Sequence[int] | None = None, control: RunControl | None = None
    ) -> list[Any]:
        wanted = range(len(self.names)) if wanted is None else wanted
        whole = self.schedule.run(dict(zip(self.inputs, values, strict=True)))
        return [whole[index] for index in wanted]

    def hold(self, wanted: tuple[int, ...], control: RunControl | None = None) -> HeldBody:
        return Holding(self.schedule, wanted) if self.held else Freely(self, wanted)

    def close(self) -> None:
        self.schedule.close()


class Freely:
    """Runs a body each time as if it were the first."""

    shared: frozenset[int] = frozenset()

    def __init__(self, body: NumpyBody, wanted: tuple[int, ...]) -> None:
        self.body, self.wanted = body, wanted

    def binds(self, output: int) -> bool:
        return False

    def run(self, values: Sequence[Any], into: Mapping[int, Any]) -> list[Any]:
        return self.body.run(values, self.wanted)

    def release(self) -> None:
        return None


def loop_over(body: NumpyBody, carried: int, stacked: int = 0, *, endures: bool = True) -> Loop:
    ports = tuple(Port(f"y{i}", "f32", None) for i in range(carried + stacked))
    operands = (Operand(0), Operand(-1), *(Operand(1 + i) for i in range(carried)))
    inputs = (Port("m", "i64", ()), *(Port(f"x{i}", "f32", SHAPE) for i in range(carried)))
    node = ControlNode("Loop", inputs, ports, operands, (Part(body, (), (0, 0)),), tuple(range(carried + stacked)))
    return Loop(node, endures=endures)


def run(loop: Any, *values: Any) -> list[Any]:
    request = loop.bind()
    for index, value in enumerate(values):
        request.set_input(index, value)
    request.run()
    return [request.take_output(index) for index in range(len(loop.outputs))]


def step(function: Callable[..., Any], inputs: str, outputs: str, shape: tuple[int, ...] = SHAPE) -> PlannedStep:
    names = outputs.split()
    return PlannedStep(function, inputs.split(), names, shapes=[shape] * len(names))


def row(*numbers: float) -> np.ndarray:
    return np.array(numbers, F)


def test_a_carried_value_is_written_where_it_was_not_read():
    # v -> f -> w: an engine that writes before it has read all must not find its input under its output
    bound: list[int] = []

    class Noting(PlannedStep):
        def bind(self) -> Any:
            request = super().bind()
            plain = request.bind_output
            request.bind_output = lambda index, array: (bound.append(id(array)), plain(index, array))  # type: ignore[method-assign]
            return request

    noting = Noting(lambda v: v * 2 + 1, ["v"], ["w"], shapes=[SHAPE])
    loop = loop_over(NumpyBody(["i", "go", "v"], ["go", "w"], noting), 1)
    x = row(1, 2, 3)
    (got,) = run(loop, np.array(6), x)
    assert np.array_equal(got, (x + 1) * 64 - 1)
    assert np.array_equal(x, row(1, 2, 3))
    assert len(set(bound)) <= 3, "the first iteration's own, and two that take turns"
    (again,) = run(loop, np.array(6), got)
    assert np.array_equal(got, (x + 1) * 64 - 1), "what was given is not written by a later run"
    assert np.array_equal(again, (got + 1) * 64 - 1)


@pytest.mark.parametrize("held", [True, False])
def test_a_value_handed_on_survives_the_next_iterations(held):
    # (a, b) -> (a + b, a): Fibonacci; the second output is an input handed through
    body = NumpyBody(["i", "go", "a", "b"], ["go", "c", "a"], step(lambda a, b: a + b, "a b", "c"), held=held)
    a, b = run(loop_over(body, 2), np.array(30), row(1, 0, 1), row(0, 1, 1))
    assert np.array_equal(a, row(1346269, 832040, 2178309))
    assert np.array_equal(b, row(832040, 514229, 1346269))
    assert not np.may_share_memory(a, b)


@pytest.mark.parametrize("times", [0, 1, 2, 5, 12])
def test_exchanged_values_are_exchanged(times):
    body = NumpyBody(["i", "go", "a", "b"], ["go", "b", "a"], step(lambda a: a, "a", "unread"))
    x, y = row(1, 2, 3), row(4, 5, 6)
    a, b = run(loop_over(body, 2), np.array(times), x, y)
    assert np.array_equal(a, y if times % 2 else x)
    assert np.array_equal(b, x if times % 2 else y)
    a[...] = b[...] = 0
    assert np.array_equal(x, row(1, 2, 3))
    assert np.array_equal(y, row(4, 5, 6))


def test_a_value_in_two_outputs_is_two_values():
    # w is carried twice, and stacked twice
    body = NumpyBody(["i", "go", "a", "b"], ["go", "w", "w", "w", "w"], step(lambda a, b: a + 2 * b, "a b", "w"))
    a, b, s, t = run(loop_over(body, 2, 2), np.array(4), row(1, 0, 2), row(1, 0, 2))
    assert np.array_equal(a, row(81, 0, 162))
    assert np.array_equal(b, a)
    assert np.array_equal(s[:, 0], [3, 9, 27, 81])
    assert np.array_equal(t, s)
    a[...] = 0
    s[...] = 0
    assert b[0] == 81
    assert t[3, 0] == 81


@pytest.mark.parametrize("endures", [True, False], ids=["count known", "count unknown"])
@pytest.mark.parametrize("size", [3, IN_PLACE_BYTES // 4], ids=["small", "large"])
def test_stacks_hold_each_iterations_value(endures, size):
    # what is carried is stacked as it was handed in, as it is handed on, and as something else
    shape = (size,)
    steps = step(lambda v: v + 1, "v", "w", shape), step(lambda v: v * 10, "v", "t", shape)
    one = NumpyStep(lambda go: np.array(True), ["go"], ["again"])
    body = NumpyBody(["i", "go", "v"], ["again", "w", "v", "w", "t"], *steps, one)
    w, before, after, tens = run(loop_over(body, 1, 3, endures=endures), np.array(9), np.zeros(shape, F))
    assert np.array_equal(w, np.full(shape, 9, F))
    assert np.array_equal(before[:, -1], np.arange(9))
    assert np.array_equal(after[:, 0], np.arange(1, 10))
    assert np.array_equal(tens[:, 0], np.arange(9) * 10)


def test_a_constant_of_the_body_stays_its_own():
    body = NumpyBody(["i", "go", "v"], ["go", "fixed", "w"], step(lambda v: v, "v", "w"))
    loop = loop_over(body, 1, 1)
    for _ in range(2):
        (carried, stacked) = run(loop, np.array(3), row(1, 2, 3))
        assert np.array_equal(carried, row(5, 5, 5))
        assert np.array_equal(stacked, [[1, 2, 3], [5, 5, 5], [5, 5, 5]])
        carried[...] = 0


def test_a_constant_outside_that_no_iteration_replaced_stays_its_own():
    constant = row(1, 2, 3)
    body = NumpyBody(["i", "go", "v"], ["go", "w"], step(lambda v: v, "v", "w"))
    operands = (Operand(0), Operand(-1), Operand(-1, constant))
    node = ControlNode(
        "Loop", (Port("m", "i64", ()),), (Port("y", "f32", SHAPE),), operands, (Part(body, (), (0, 0)),), (0,)
    )
    (got,) = run(Loop(node, endures=True), np.array(0))
    got[...] = 0
    assert np.array_equal(constant, row(1, 2, 3))


def test_the_counter_is_a_value_of_its_iteration():
    # i is carried, and stacked, as it is
    body = NumpyBody(["i", "go", "v"], ["go", "i", "i", "old"], step(lambda v: v, "v", "old", ()))
    carried, counts, before = run(loop_over(body, 1, 2), np.array(12), np.array(-1, np.int64))
    assert carried == 11
    assert counts.tolist() == list(range(12))
    assert before.tolist() == list(range(-1, 11))


def test_a_condition_that_is_carried_too_is_not_overwritten():
    # again is the condition and a state; the state of the iteration before is stacked
    def function(v: Any, i: Any) -> Any:
        return np.array(i < 6), np.array(bool(v))

    body = NumpyBody(["i", "go", "v"], ["again", "again", "old"], step(function, "v i", "again old", ()))
    loop = loop_over(body, 1, 1, endures=False)
    carried, before = run(loop, np.array(50), np.array(False))
    assert not carried
    assert before.astype(bool).tolist() == [False, True, True, True, True, True, True]


def test_an_iteration_that_fails_ends_the_loop_and_the_next_run_is_right():
    failing = step(lambda v: v + 1, "v", "w")
    failing.fail_on = lambda count: count == 5
    loop = loop_over(NumpyBody(["i", "go", "v"], ["go", "w"], failing), 1)
    with pytest.raises(RunError, match="told to fail"):
        run(loop, np.array(9), row(0, 0, 0))
    assert np.array_equal(run(loop, np.array(9), row(0, 1, 2))[0], row(9, 10, 11))


def test_a_scan_carries_and_stacks_in_both_directions():
    steps = step(lambda h, s: h + s, "h s", "k"), step(lambda s: -s, "s", "t")
    body = NumpyBody(["h", "g", "s"], ["k", "h", "t", "k"], *steps)
    ports = (Port("h", "f32", SHAPE), Port("g", "f32", SHAPE), Port("xs", "f32", None))
    outs = tuple(Port(f"y{i}", "f32", None) for i in range(4))
    node = ControlNode("Scan", ports, outs, tuple(map(Operand, range(3))), (Part(body, ()),), (0, 1, 2, 3))
    scan = Scan(node, Layout((0,), (False,), (0, 0), (True, False)))
    xs = np.arange(30, dtype=F).reshape(10, 3)
    sums = np.cumsum(xs, 0)
    k, h, t, ks = run(scan, row(0, 0, 0), row(7, 7, 7), xs)
    assert np.array_equal(k, sums[-1])
    assert np.array_equal(h, sums[-2])
    assert np.array_equal(t, -xs[::-1])
    assert np.array_equal(ks, sums)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_body_gives_what_it_gives_without_bound_buffers(data):
    # each carried value is made of some of those before it, handed through, or exchanged; some are stacked
    count = data.draw(st.integers(1, 4))
    names = [f"v{i}" for i in range(count)]
    made, steps = [], []
    for index in range(data.draw(st.integers(0, 3))):
        one, other = data.draw(st.sampled_from(names)), data.draw(st.sampled_from([*names, *made]))
        planned = data.draw(st.booleans())
        kind = step if planned else (lambda f, reads, writes: NumpyStep(f, reads.split(), [writes], reuse=True))
        steps.append(kind(lambda a, b: (a + 2 * b) % 1009, f"{one} {other}", f"w{index}"))
        made.append(f"w{index}")
    outputs = data.draw(st.lists(st.sampled_from([*names, *made]), min_size=count, max_size=count))
    stacked = data.draw(st.lists(st.sampled_from([*names, *made]), max_size=3))
    times = data.draw(st.integers(0, 20))
    given_values = [np.arange(3, dtype=F) + 10 * i for i in range(count)]
    endures = data.draw(st.booleans())
    again = [] if endures else [NumpyStep(lambda i: np.array(i < 11), ["i"], ["again"])]
    results = []
    for held in (True, False):
        body = NumpyBody(
            ["i", "go", *names], ["go" if endures else "again", *outputs, *stacked], *steps, *again, held=held
        )
        loop = loop_over(body, count, len(stacked), endures=endures)
        values = [value.copy() for value in given_values]
        first = run(loop, np.array(times), *values)
        kept = [value.copy() for value in first]
        run(loop, np.array(times), *[value + 1 for value in values])
        assert all(map(np.array_equal, values, given_values))
        assert all(map(np.array_equal, kept, first)), "a later run wrote into what an earlier one gave"
        memory = [value for value in (*first, *values) if value.size]
        assert not any(np.may_share_memory(a, b) for i, a in enumerate(memory) for b in memory[:i])
        results.append(first)
    assert all(map(np.array_equal, *results))
