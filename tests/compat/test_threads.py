"""Many threads on many sessions, and sessions that end while they run."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import ovpart
import ovpart.compat.onnxruntime as ort
from tests.compat.stress_program import cases, opened, run_once
from tests.runtime.slow import rows, slow_model

ROOT = Path(__file__).resolve().parent.parent.parent


def stressed(runs: int) -> None:
    """Run the program; fail where an answer is wrong, memory grows, threads stay, or the process ends badly."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", "tests.compat.stress_program", str(runs)],
        capture_output=True, text=True, timeout=3600, check=False, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    early, late, threads = (int(word) for word in done.stdout.split())
    assert threads == 1
    assert late <= early * 1.1 + 40, f"{early} MB after a fifth of the runs, {late} MB at the end"


@pytest.mark.long
def test_eight_threads_on_four_sessions_two_thousand_runs_each():
    stressed(2000)


def test_eight_threads_on_four_sessions_a_few_runs_each():
    stressed(10)


@pytest.mark.parametrize("case", range(4))
def test_closing_a_session_while_threads_run_it_is_safe(case):
    made = cases()[case]
    session = opened(made)
    stop = threading.Event()
    wrong: list[BaseException] = []
    closed: list[str] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        while not stop.is_set():
            x = rng.normal(size=(int(rng.integers(1, 64)), 16)).astype(np.float32)
            try:
                np.testing.assert_allclose(run_once(session, x, seed % 4), made[2](x), rtol=1e-4, atol=1e-5)
            except ovpart.RunError as error:
                closed.append(str(error))
                return
            except BaseException as error:
                wrong.append(error)
                return

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    stop.wait(0.3)
    session.close()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong
    assert len(closed) == 4
    assert all("closed" in words for words in closed)
    session.close()


def test_ending_some_of_many_runs_ends_those_alone():
    session = ort.InferenceSession(
        slow_model(rows=500), providers=[("OpenVINOExecutionProvider", {"min_gain": 0, "num_threads": 1})]
    )
    x = rows(500)
    told: dict[str, list[object]] = {"ended": [], "done": [], "wrong": []}
    finished = threading.Semaphore(0)

    def callback(results: list[np.ndarray], doomed: bool, error: str) -> None:
        if error:
            told["ended" if doomed and "terminate" in error else "wrong"].append(error)
        elif np.array_equal(results[0], x):
            told["done"].append(doomed)
        else:
            told["wrong"].append(results)
        finished.release()

    doomed, spared = ort.RunOptions(), ort.RunOptions()
    for number in range(20):
        session.run_async(None, {"x": x}, callback, number % 2 == 0, doomed if number % 2 == 0 else spared)
    doomed.terminate = True
    for _ in range(20):
        assert finished.acquire(timeout=120)
    assert not told["wrong"]
    assert told["done"].count(False) == 10
    assert told["ended"]
    assert not session.report.demotions
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], x)


def test_the_interpreter_waits_for_what_runs_and_ends_cleanly():
    program = (
        "import sys; import ovpart.compat.onnxruntime as ort\n"
        "from tests.runtime.slow import rows, slow_model\n"
        "session = ort.InferenceSession(slow_model(rows=500))\n"
        "session.run_async(None, {'x': rows(500)}, lambda r, d, e: print(r[0].shape, repr(e)), None)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "(500, 400) ''\n", "")
