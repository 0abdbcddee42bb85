from __future__ import annotations

import io
import json
import time

import numpy as np
import pytest

import ovpart
from ovpart.compat.run_options import RunOptions
from ovpart.runtime.oversight import Oversight, Trace
from tests.runtime.slow import rows, slow_model


def events_of(trace: Trace) -> list[dict[str, object]]:
    file = io.StringIO()
    trace.write(file)
    return json.loads(file.getvalue())


def test_an_empty_trace_is_an_empty_list():
    assert events_of(Trace()) == []


def test_events_stand_in_the_order_of_their_beginnings_the_longer_first():
    trace = Trace()
    begin_ns = time.monotonic_ns()
    time.sleep(0.002)
    trace.add("inner", "b", time.monotonic_ns(), {"n": 1})
    trace.add("outer", "a", begin_ns, {})
    first, second = events_of(trace)
    assert (first["name"], second["name"], second["args"]) == ("a", "b", {"n": 1})
    assert int(str(first["dur"])) >= 2000


@pytest.mark.parametrize("options", [{"min_gain": 0}, {"exclude": "*"}, {"min_gain": 0, "exclude": "y"}])
@pytest.mark.parametrize("run_options", [None, RunOptions()])
def test_every_run_of_every_cluster_is_noted_and_the_answers_stay(options, run_options):
    trace = Trace()
    session = ovpart.Session(slow_model(rows=2, steps=3), oversight=Oversight(trace), **options)
    for value in (1.0, 2.0):
        np.testing.assert_array_equal(session.run(None, {"x": rows(2, value)}, run_options)[0], rows(2, value))
    noted = events_of(trace)
    clusters = session.plan.clusters
    assert len(noted) == 2 * len(clusters)
    assert {event["args"]["cluster"] for event in noted} == {cluster.id for cluster in clusters}
    assert sum(event["args"]["nodes"] for event in noted) == 2 * 3
