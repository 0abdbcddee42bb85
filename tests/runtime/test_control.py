from __future__ import annotations

import threading
import time

import numpy as np
import onnxruntime
import pytest

import ovpart
from ovpart.compat.run_options import RunOptions
from ovpart.errors import OptionError, RunError
from ovpart.runtime.control import TERMINATED, RunControl
from tests.runtime.slow import rows, slow_model


@pytest.mark.parametrize("kind", [RunOptions, onnxruntime.RunOptions])
@pytest.mark.parametrize("options", [{"min_gain": 0}, {"exclude": "*"}], ids=["openvino", "onnxruntime"])
def test_a_run_under_way_ends_when_it_is_told_to(kind, options):
    session = ovpart.Session(slow_model(rows=4000), num_threads=1, **options)
    x = rows(4000)
    start = time.perf_counter()
    session.run(None, {"x": x})
    whole_s = time.perf_counter() - start
    run_options = kind()
    threading.Timer(whole_s / 10, setattr, (run_options, "terminate", True)).start()
    with pytest.raises(RunError, match=TERMINATED):
        session.run(None, {"x": x}, run_options)
    with pytest.raises(RunError, match=TERMINATED):  # until it is taken back
        session.run(None, {"x": x}, run_options)
    run_options.terminate = False
    np.testing.assert_array_equal(session.run(None, {"x": x}, run_options)[0], x)
    assert not session.report.demotions


def test_options_of_another_kind_are_refused():
    with pytest.raises(OptionError, match="run_options=3"):
        RunControl(3)


class Slow:
    """A request that only a cancellation ends."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    def start(self) -> None:
        pass

    def wait(self) -> None:
        assert self.cancelled.wait(30)
        raise RunError("cancelled")

    def cancel(self) -> None:
        self.cancelled.set()


@pytest.mark.parametrize("kind", [RunOptions, onnxruntime.RunOptions])
def test_whoever_is_told_before_or_after_the_start_ends(kind):
    for delay_s in (0, 0.001, 0.02):
        options, request = kind(), Slow()
        thread = threading.Thread(target=lambda: (time.sleep(delay_s), setattr(options, "terminate", True)))  # noqa: B023
        thread.start()
        with pytest.raises(RunError, match=TERMINATED):
            RunControl(options).run(request)
        thread.join()


def test_nobody_is_told_who_has_taken_it_back():
    options, request = RunOptions(), Slow()
    take_back = options.on_terminate(request.cancel)
    take_back()
    options.terminate = True
    assert not request.cancelled.is_set()
