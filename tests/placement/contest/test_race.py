"""Races between schedules, with executables that wait for as long as they are told."""

from __future__ import annotations

import time

import numpy as np
import pytest

from ovpart.backend.base import Port
from ovpart.capability.verdict import Guard
from ovpart.errors import RunError
from ovpart.placement.contest import race as race_module
from ovpart.placement.contest.race import Race, Rival
from ovpart.runtime.schedule import bind_schedule

X = {"x": np.zeros(1, np.float32)}


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Take every machine for one that does nothing else."""
    monkeypatch.setattr("ovpart.placement.contest.race.STEADY", float("inf"))


class Slow:
    """Stands for an executable: waits, then gives a number that tells who computed."""

    def __init__(self, seconds, number, fails=False, first=0.0):
        self.seconds, self.number, self.fails, self.first = seconds, np.float32(number), fails, first
        self.inputs = (Port("x", "f32", (None,)),)
        self.outputs = (Port("y", "f32", (1,)),)
        self.shapes = set()
        self.runs = 0

    def bind(self):
        return self

    def set_input(self, index, array):
        self.given = array

    def run(self):
        self.runs += 1
        if self.fails:
            raise RunError("it fails")
        if self.given.shape not in self.shapes:
            self.shapes.add(self.given.shape)
            time.sleep(self.first)
        time.sleep(self.seconds)

    def take_output(self, index):
        return np.array([self.number])


def schedule(*args, **more):
    slow = Slow(*args, **more)
    return bind_schedule(inputs=slow.inputs, outputs=["y"], steps=[("only", slow)])


def run_out(race, feeds=None):
    """Run a race to its end; return how many calls that took."""
    for calls in range(1, 300):
        feed = X if feeds is None else feeds(calls)
        assert race.run(feed, None)[0] == 1, "the plan answers while it is measured"
        if race.is_over:
            return calls
    raise AssertionError("the race has no end")


@pytest.mark.parametrize(("planned", "rival"), [(0.001, 0.02), (0.02, 0.001)])
def test_the_faster_one_wins_and_the_plan_answers_meanwhile(planned, rival):
    race = Race(schedule(planned, 1), [Rival("delegated", schedule(rival, 1))])
    assert run_out(race) <= 4
    outcome = race.outcome()
    assert outcome.kept == ("plan" if planned < rival else "delegated")
    assert outcome.us["plan"] >= 1e6 * planned
    assert outcome.us["delegated"] >= 1e6 * rival


def test_the_fastest_of_several_wins():
    rivals = [Rival("onnxruntime", schedule(0.01, 1)), Rival("delegated", schedule(0.002, 1))]
    race = Race(schedule(0.03, 1), rivals)
    run_out(race)
    assert race.outcome().kept == "delegated"


def test_equals_are_measured_more_often_but_not_for_ever_and_the_plan_stays():
    race = Race(schedule(0.01, 1), [Rival("onnxruntime", schedule(0.01, 1))])
    assert run_out(race) >= race_module.MOST_ROUNDS


def test_a_rival_that_answers_otherwise_is_left_out_however_fast_it_is():
    race = Race(schedule(0.02, 1), [Rival("delegated", schedule(0.0, 2), compared=True)])
    assert run_out(race) == 1
    assert race.outcome().kept == "plan"


def test_a_rival_that_fails_decides_nothing():
    race = Race(schedule(0.001, 1), [Rival("delegated", schedule(0.0, 1, fails=True))])
    assert run_out(race) == 1
    assert race.outcome() is None


def test_inputs_outside_a_rivals_guard_do_not_reach_it():
    slow = Slow(0.0, 1)
    guarded = bind_schedule(inputs=slow.inputs, outputs=["y"], steps=[("only", slow)])
    race = Race(schedule(0.0, 1), [Rival("delegated", guarded, guards=(Guard("int32_range", ("x",), 10),))])
    race.run({"x": np.array([11])}, None)
    assert slow.runs == 0
    race.run({"x": np.array([9])}, None)
    assert slow.runs > 0


def test_inputs_of_ever_new_shapes_are_measured_by_first_runs():
    """The rival is faster once it has seen a shape, and much slower when it has not."""
    race = Race(schedule(0.01, 1), [Rival("delegated", schedule(0.001, 1, first=0.03))])
    run_out(race, lambda call: {"x": np.zeros(call, np.float32)})
    assert race.outcome().kept == "plan"
    again = Race(schedule(0.01, 1), [Rival("delegated", schedule(0.001, 1, first=0.03))])
    run_out(again)
    assert again.outcome().kept == "delegated"


def test_a_race_does_not_go_on_for_longer_than_its_budget(monkeypatch):
    monkeypatch.setattr(race_module, "BUDGET_S", 0.05)
    race = Race(schedule(0.03, 1), [Rival("delegated", schedule(0.03, 1))])
    assert run_out(race) <= 2
    assert race.outcome() is not None


def test_a_race_that_was_disturbed_is_held_again_after_a_rest(monkeypatch):
    monkeypatch.setattr(race_module, "REST_CALLS", 3)
    monkeypatch.setattr(race_module, "STEADY", 0.5)  # nothing is steady
    slow = Slow(0.002, 1)
    rival = bind_schedule(inputs=slow.inputs, outputs=["y"], steps=[("only", slow)])
    race = Race(schedule(0.02, 1), [Rival("delegated", rival)])
    for _ in range(3):
        race.run(X, None)
    assert not race.is_over
    runs = slow.runs
    for _ in range(3):
        race.run(X, None)
    assert slow.runs == runs + 3, "who is ahead answers, and nothing is measured"
    run_out(race)
    assert slow.runs > runs + 6
    assert race.outcome().kept == "delegated"


def test_what_a_busy_machine_has_measured_is_told_apart(monkeypatch):
    monkeypatch.setattr(race_module, "STEADY", 1.5)
    rival = Rival("delegated", schedule(0.0, 1))
    race = Race(schedule(0.0, 1), [rival])
    rival.rounds += [(0.010, 0.009)]
    assert not race.outcome().is_steady
    assert race.outcome().kept == "plan", "one round says little"
    rival.rounds += [(0.010, 0.009), (0.010, 0.009)]
    assert race.outcome().is_steady
    assert race.outcome().kept == "delegated"
    rival.rounds += [(0.010, 0.020)]
    assert not race.outcome().is_steady
