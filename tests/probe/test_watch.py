"""Cases are measured in processes that may die: right, wrong, refused, crashed and hung are told apart."""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import replace
from functools import partial

import pytest

from ovpart.probe.cases import cases, trial_of
from ovpart.probe.judge import Trial
from ovpart.probe.measurement import Outcome
from ovpart.probe.watch import Watched, measure_all


def trial(op: str, dtype: str, tag: str = "plain", form: str = "static") -> Trial:
    (found,) = [c for c in cases([op], tags=[tag]) if c.key.dtype == dtype and c.key.form == form][-1:]
    return trial_of(found)


@pytest.fixture(scope="module")
def watched():
    one = Watched("CPU")
    yield one
    one.close()


def test_right_wrong_and_refused_are_told_apart(watched):
    assert watched.measure(trial("Relu", "f32")).outcome is Outcome.RIGHT
    doubles = watched.measure(trial("Sqrt", "f64"))
    assert (doubles.outcome, "differ" in doubles.words) == (Outcome.WRONG, True)
    strings = watched.measure(trial("Identity", "string"))
    assert (strings.outcome, "string" in strings.words) == (Outcome.REFUSED, True)


def test_a_wrong_answer_where_nan_is_right_is_marked(watched):
    assert watched.measure(trial("Relu", "f32", "nan")).kind == "nan"


def test_what_is_expected_beforehand_counts_before_engines(watched):
    one = trial("Relu", "f32")
    found = watched.measure(replace(one, expected=[one.feeds[0][0] + 7]))
    assert (found.outcome, "by onnx" in found.words) == (Outcome.WRONG, True)


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process by a signal")
def test_a_process_that_dies_is_an_outcome_and_the_next_case_has_another():
    one = Watched("CPU")
    try:
        assert one.measure(trial("Relu", "f32")).outcome is Outcome.RIGHT
        assert one.process_id is not None
        os.kill(one.process_id, signal.SIGSTOP)  # it cannot answer before it is killed
        threading.Timer(0.2, os.kill, (one.process_id, signal.SIGKILL)).start()
        assert one.measure(trial("Relu", "f32")).outcome is Outcome.CRASHED
        assert one.measure(trial("Relu", "f32")).outcome is Outcome.RIGHT
    finally:
        one.close()


@pytest.mark.skipif(sys.platform == "win32", reason="stops a process by a signal")
def test_a_process_that_hangs_is_killed():
    one = Watched("CPU", patience_s=3.0)
    try:
        assert one.measure(trial("Relu", "f32")).outcome is Outcome.RIGHT
        assert one.process_id is not None
        os.kill(one.process_id, signal.SIGSTOP)
        assert one.measure(trial("Relu", "f32")).outcome is Outcome.HUNG
        assert one.measure(trial("Relu", "f32")).outcome is Outcome.RIGHT
    finally:
        one.close()


def test_several_processes_measure_every_case_once():
    mine = [case for case in cases(["Sign"], tags=["plain", "0-d"]) if case.key.version == 13]
    found = list(measure_all([partial(trial_of, case) for case in mine], "CPU", workers=2))
    assert sorted(one.key for one in found) == sorted(case.key for case in mine)
