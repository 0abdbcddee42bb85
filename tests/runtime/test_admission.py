from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from ovpart.errors import OptionError, RunError
from ovpart.runtime.admission import PATIENCE, Admission
from ovpart.runtime.control import RunControl

SECONDS = 60  # what a busy machine may take for what takes no time


def started(target):
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


def until(condition):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.001)


def line_of(admission):
    return len(admission._line)


class Queue:
    """Threads that wait one behind the other, in an order that is known, and note when they are let in."""

    def __init__(self, threads=1, reserve=0):
        self.admission = Admission(threads, reserve)
        self.order = []
        self.errors = []
        self._threads = []

    def add(self, name, priority, threads=1, control=None):
        share = self.admission.share(threads, priority)
        before = line_of(self.admission)

        def wait():
            try:
                share.enter(control)
            except RunError as error:
                self.errors.append(str(error))
                return
            self.order.append(name)
            share.leave()

        self._threads.append(started(wait))
        until(lambda: line_of(self.admission) == before + 1)
        return share

    def join(self):
        for thread in self._threads:
            thread.join(SECONDS)
            assert not thread.is_alive()


def test_higher_priorities_go_first_and_equals_as_they_came():
    queue = Queue()
    holder = queue.admission.share(1, "LOW")
    holder.enter()
    for name, priority in (("l1", "LOW"), ("m1", "MEDIUM"), ("h1", "HIGH"), ("m2", "DEFAULT"), ("h2", "HIGH")):
        queue.add(name, priority)
    holder.leave()
    queue.join()
    assert queue.order == ["h1", "h2", "m1", "m2", "l1"]


def test_nothing_is_overtaken_more_often_than_its_patience_says():
    queue = Queue()
    holder = queue.admission.share(1, "HIGH")
    holder.enter()
    queue.add("medium", "MEDIUM")
    for number in range(PATIENCE["MEDIUM"] + 5):
        queue.add(number, "HIGH")
    holder.leave()
    queue.join()
    assert queue.order.index("medium") == PATIENCE["MEDIUM"] - 1


def test_no_more_threads_are_out_than_there_are():
    admission = Admission(3)
    out, most = [0], [0]
    lock = threading.Lock()

    def work(share):
        for _ in range(200):
            share.enter()
            with lock:
                out[0] += share.threads
                most[0] = max(most[0], out[0])
            time.sleep(0)
            with lock:
                out[0] -= share.threads
            share.leave()

    shares = [admission.share(threads, name) for threads, name in ((1, "LOW"), (2, "HIGH"), (3, "MEDIUM"), (1, "HIGH"))]
    threads = [started(lambda share=share: work(share)) for share in shares]
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    assert most[0] <= 3
    assert [share.fact().runs for share in shares] == [200] * 4
    for share in shares:
        fact = share.fact()
        assert (fact.waited == 0) == (fact.waited_ms == 0)
        assert fact.longest_ms <= fact.waited_ms


def test_a_run_that_needs_many_threads_is_not_passed_by_ones_that_need_few():
    queue = Queue(threads=2)
    holder = queue.admission.share(1, "HIGH")
    holder.enter()
    queue.add("wide", "HIGH", threads=2)
    queue.add("narrow", "HIGH", threads=1)  # there is a thread for it, but it came later
    assert queue.order == []
    holder.leave()
    queue.join()
    assert queue.order == ["wide", "narrow"]


class Holder:
    """A run of another thread that goes on until it is told to end."""

    def __init__(self, share):
        entered, self._over = threading.Event(), threading.Event()

        def hold():
            share.enter()
            entered.set()
            self._over.wait(SECONDS)
            share.leave()

        self._thread = started(hold)
        assert entered.wait(SECONDS)

    def end(self):
        self._over.set()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()


def test_threads_that_are_kept_are_for_high_alone():
    queue = Queue(threads=2, reserve=1)
    low, high = queue.admission.share(1, "LOW"), queue.admission.share(1, "HIGH")
    of_low = Holder(low)
    queue.add("low", "LOW")  # one thread is free, and kept
    of_high = Holder(high)  # waits for nobody
    assert high.fact().waited == 0
    queue.add("high", "HIGH")
    of_high.end()  # gives back what is kept, not what the others wait for
    until(lambda: queue.order == ["high"])
    of_low.end()
    queue.join()
    assert queue.order == ["high", "low"]
    with pytest.raises(OptionError, match="1 of its 2 threads"):
        queue.admission.share(2, "MEDIUM")


def test_a_run_that_is_ended_leaves_the_line_and_what_it_had():
    queue = Queue()
    holder = queue.admission.share(1, "HIGH")
    holder.enter()
    options = SimpleNamespace(terminate=False)
    queue.add("ended", "HIGH", control=RunControl(options))
    queue.add("other", "LOW")
    options.terminate = True
    until(lambda: queue.errors)
    assert "terminate" in queue.errors[0]
    holder.leave()
    queue.join()
    assert queue.order == ["other"]
    holder.enter()  # nothing is lost
    holder.leave()


def test_closing_tells_who_waits_and_lets_nobody_in():
    queue = Queue()
    holder = queue.admission.share(1, "HIGH")
    holder.enter()
    queue.add("a", "HIGH")
    queue.add("b", "LOW")
    queue.admission.close()
    queue.join()
    assert len(queue.errors) == 2
    assert all("pool is closed" in error for error in queue.errors)
    holder.leave()
    with pytest.raises(RunError, match="pool is closed"):
        holder.enter()


def test_a_run_within_a_run_waits_for_nobody():
    admission = Admission(1)
    outer, inner = admission.share(1, "LOW"), admission.share(1, "LOW")
    outer.enter()
    inner.enter()
    inner.leave()
    outer.leave()
    outer.enter()
    outer.leave()


def test_what_needs_more_than_there_is_is_refused():
    with pytest.raises(OptionError, match="the pool has 2 threads"):
        Admission(2).share(3, "HIGH")


def test_a_share_tells_what_became_of_its_runs():
    admission = Admission(4)
    share = admission.share(2, "DEFAULT")
    assert str(share.fact()) == "2 of 4 threads a run, priority MEDIUM; 0 runs, none waited"
    share.enter()
    share.leave()
    assert share.fact().runs == 1
    share.count(0.25)
    assert str(share.fact()).endswith("2 runs, 1 waited, 250.0 ms in the mean, 250.0 ms at most")
