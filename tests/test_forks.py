"""Processes that are forked from one that has loaded engines: nothing hangs, and the parent is none the worse."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

COMMON = """
import gc, os, signal, sys, threading, time, traceback, warnings
import numpy as np
import ovpart
from ovpart.errors import EngineForked, OvpartError, OvpartWarning, RunError
from tests.traps.trial import model

x = np.linspace(-2, 2, 4096, dtype=np.float32).reshape(64, 64)
right = np.tanh(x @ x)
proto = model("g (float[64, 64] x) => (float[64, 64] y) { m = MatMul(x, x)  y = Tanh(m) }")
split = dict(min_gain=0, exclude=["Tanh"])  # MatMul on openvino, Tanh on onnxruntime

def is_right(session):
    return np.allclose(session.run(None, {"x": x})[0], right, atol=1e-4)

def in_child(work):
    '''Fork, do the work there, end as Python programs end, and return the exit code: -14 where it hung.'''
    pid = os.fork()
    if not pid:
        signal.alarm(40)
        try:
            work()
        except BaseException:
            traceback.print_exc()
            sys.exit(1)
        sys.exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def refuses(use):
    try:
        use()
    except RunError as error:
        words = str(error)
        return f"process {os.getppid()} " in words and f"process {os.getpid()}," in words and "spawn" in words
    return False
"""


def run(program: str) -> str:
    """Run a program in a process group of its own, which is ended where it gives no answer."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMMON + textwrap.dedent(program)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OVPART_CACHE_DIR": os.devnull},
    )  # fmt: skip
    try:
        told, _ = process.communicate(timeout=200)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        told, _ = process.communicate()
        pytest.fail(f"the program hangs; it said: {told}")
    assert process.returncode == 0, told
    return told


def test_an_inherited_session_refuses_names_both_processes_and_harms_nobody() -> None:
    run("""
    session = ovpart.Session(proto, **split)
    assert is_right(session)
    def child():
        assert refuses(lambda: session.run(None, {"x": x}))
        assert refuses(lambda: session({"x": x}))
        assert refuses(lambda: session.verify({"x": x}))
        assert refuses(lambda: session.save_context("/nowhere/m.onnx"))
        assert "openvino" in str(session.report)
        assert session.plan.delegated
    assert in_child(child) == 0
    assert is_right(session)
    """)


def test_a_child_closes_drops_or_just_ends_while_the_parent_runs() -> None:
    run("""
    kinds = (split, {"exclude": ["MatMul", "Tanh"]}, {"min_gain": 0})  # both engines, onnxruntime, openvino
    sessions = [ovpart.Session(proto, **options) for options in kinds]
    stop = threading.Event()
    wrong = []
    def work(index):
        while not stop.is_set():
            if not is_right(sessions[index]):
                wrong.append(index)
    threads = [threading.Thread(target=work, args=(index,), daemon=True) for index in range(3)]
    for thread in threads: thread.start()
    def closes():
        for session in sessions: session.close()
    def drops():
        sessions.clear()
        gc.collect()
    for child in (closes, drops, lambda: None) * 2:
        assert in_child(child) == 0
        time.sleep(0.01)
    stop.set()
    for thread in threads: thread.join()
    assert not wrong and all(map(is_right, sessions))
    """)


def test_another_session_in_the_child_runs_on_onnxruntime_and_says_why() -> None:
    run("""
    session = ovpart.Session(proto, **split)
    assert is_right(session)
    def child():
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            another = ovpart.Session(proto, min_gain=0)
        (warning,) = [str(w.message) for w in told if w.category is OvpartWarning]
        assert f"process {os.getppid()} " in warning and "onnxruntime runs the whole model" in warning, warning
        assert is_right(another) and is_right(another)
        assert another.report.coverage == 0
        (why,) = another.report.fallbacks
        assert (why.reason, why.rule) == ("openvino was loaded before the fork", "fork")
        for options in ({"strict": True}, {"device": "GPU", "emulate": True}, {"device": "GPU"}):
            try:
                ovpart.Session(proto, **options)
            except EngineForked as error:
                assert f"process {os.getppid()} " in str(error) and "spawn" in str(error)
            else:
                raise AssertionError(options)
        another.close()
    assert in_child(child) == 0
    assert is_right(session) and ovpart.Session(proto, min_gain=0).report.coverage == 1
    """)


def test_children_of_a_process_without_engines_just_work() -> None:
    run("""
    def child():
        session = ovpart.Session(proto, **split)
        assert session.report.coverage == 0.5 and is_right(session)
    assert in_child(child) == 0
    assert ovpart.plan(proto, min_gain=0).coverage == 1
    assert in_child(child) == 0
    assert ovpart.devices()  # looks at the devices, starts nothing
    assert in_child(child) == 0
    alone = ovpart.Session(proto, exclude=["MatMul", "Tanh"])  # onnxruntime alone, in the parent
    assert is_right(alone)
    child()
    """)


def test_pools_of_processes_that_fork() -> None:
    run("""
    import multiprocessing
    session = ovpart.Session(proto, **split)
    assert is_right(session)
    def inherited(_):
        return refuses(lambda: session.run(None, {"x": x}))
    def own(_):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return is_right(ovpart.Session(proto, min_gain=0))
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(inherited, range(4)) == [True] * 4
        assert pool.map(own, range(2)) == [True] * 2
    assert is_right(session)
    """)


def test_the_face_of_onnxruntime() -> None:
    run("""
    from ovpart.compat.onnxruntime import InferenceSession, OrtValue
    session = InferenceSession(proto.SerializeToString())
    done = threading.Event()
    session.run_async(None, {"x": x}, lambda results, data, error: done.set(), None)  # starts its threads
    assert done.wait(60)
    binding = session.io_binding()
    binding.bind_cpu_input("x", x)
    binding.bind_output("y")
    session.run_with_iobinding(binding)
    sequence = session.run_with_ort_values(["y"], {"x": OrtValue.ortvalue_from_numpy(x)})
    def child():
        assert refuses(lambda: session.run(None, {"x": x}))
        assert refuses(lambda: session.run_with_iobinding(binding))
        assert refuses(lambda: session.run_with_ort_values(["y"], {"x": sequence[0]}))
        assert refuses(lambda: session.run_async(None, {"x": x}, print, None))
        assert np.allclose(sequence[0].numpy(), right, atol=1e-4)
        alone = InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        assert is_right(alone)
    assert in_child(child) == 0
    assert is_right(session)
    """)


def test_clusters_on_trial_and_branches_stay_with_the_parent() -> None:
    run("""
    from pathlib import Path
    body = "g (bool c, float[64, 64] x) => (float[64, 64] y) { y = If (c) <then_branch = t () => (float[64, 64] a)"
    body += " { a = MatMul(x, x) }, else_branch = e () => (float[64, 64] b) { b = Tanh(x) }> }"
    branches = ovpart.Session(model(body), min_gain=0)
    feed = {"c": np.array(True), "x": x}
    assert np.allclose(branches.run(None, feed)[0], x @ x, atol=1e-4)
    trial = ovpart.Session(proto, min_gain=0, isolate=True)
    folder = trial._engines.trials._folder.path
    def child():
        assert refuses(lambda: trial.run(None, {"x": x}))
        assert refuses(lambda: branches.run(None, {**feed, "c": np.array(False)}))
        trial.close()
        branches.close()
    assert in_child(child) == 0
    assert in_child(lambda: None) == 0
    assert folder.is_dir()
    assert is_right(trial) and trial.report.demotions == ()
    assert np.allclose(branches.run(None, {**feed, "c": np.array(False)})[0], np.tanh(x), atol=1e-4)
    """)


def test_exit_codes_and_output_of_children_are_their_own() -> None:
    told = run("""
    import atexit, ctypes
    session = ovpart.Session(proto, **split)
    assert is_right(session)
    pid = os.fork()
    if not pid:
        signal.alarm(40)
        atexit.register(print, "from Python")
        ctypes.CDLL(None).printf(b"from C\\n")
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    """)
    assert sorted(told.split("\n")) == ["", "from C", "from Python"]


def test_a_sender_of_usage_data_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    package = tmp_path / "openvino_telemetry"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import multiprocessing, time\n"
        "class Telemetry:\n"
        "    def __init__(self, *a, **k):\n"
        "        multiprocessing.get_context('fork').Process(target=time.sleep, args=(600,)).start()\n"
        "    def __getattr__(self, name): return lambda *a, **k: None\n"
    )
    run(f"""
    sys.path.insert(0, {str(tmp_path)!r})
    session = ovpart.Session(proto, **split)
    assert is_right(session) and "openvino_telemetry" not in sys.modules
    """)
