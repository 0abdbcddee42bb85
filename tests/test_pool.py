from __future__ import annotations

import gc
import threading
import time
import warnings
import weakref

import jsonschema
import numpy as np
import pytest

import ovpart
from ovpart.compat.onnxruntime import InferenceSession, RunOptions, SessionOptions
from ovpart.errors import OptionError, RunError
from ovpart.report.json import as_data, schema
from tests.traps.trial import model

X = np.linspace(-1, 1, 4096, dtype=np.float32).reshape(64, 64)
ALL = {"min_gain": 0}


def proto():
    return model("g (float[64, 64] x) => (float[64, 64] y) { m = MatMul(x, x)  y = Tanh(m) }")


def is_right(session):
    return np.allclose(session.run(None, {"x": X})[0], np.tanh(X @ X), atol=1e-4)


@pytest.mark.parametrize("options", [ALL, {"exclude": ["Tanh"], **ALL}, {"exclude": ["Tanh", "MatMul"]}])
def test_sessions_of_a_pool_answer_from_many_threads(options):
    with ovpart.Pool(threads=2, streams=2) as pool:
        sessions = [pool.open(proto(), priority=name, **options) for name in ("HIGH", "LOW", None)]
        wrong = []

        def work(session):
            wrong.extend(1 for _ in range(30) if not is_right(session))

        threads = [threading.Thread(target=work, args=(session,)) for session in sessions * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert [fact.runs for _, fact in pool.shares] == [60] * 3
        assert [fact.priority for _, fact in pool.shares] == ["HIGH", "MEDIUM", "LOW"]
        assert str(pool).startswith("pool of 2 threads\n  ")


def test_the_report_shows_the_share_and_where_its_settings_come_from():
    with ovpart.Pool(threads=3, streams=3) as pool:
        session = pool.open(proto(), priority="LOW", exclude=["Tanh"], **ALL)
        assert is_right(session)
        report = session.report
        assert "pool: 1 of 3 threads a run, priority LOW; 1 runs" in str(report)
        options = {option.name: (option.value, option.origin) for option in report.options}
        assert options["num_threads"] == (1, "pool")
        assert options["model_priority"] == ("LOW", "given")
        data = as_data(report)
        jsonschema.validate(data, schema())
        assert data["pool"]["threads"] == 3
        assert data["pool"]["runs"] == 1
    assert ovpart.Session(proto()).report.pool is None


def of_engine(session, engine):
    return next(
        executables[0]
        for (_, label), executables in session._form.realised.executables.items()
        if label.engine == engine
    )


def test_engines_keep_to_the_share():
    with ovpart.Pool(threads=4, streams=2) as pool:
        session = pool.open(proto(), exclude=["Tanh"], **ALL)
        compiled = of_engine(session, "openvino").compiled
        assert (compiled.get_property("NUM_STREAMS"), compiled.get_property("ENABLE_CPU_PINNING")) == (2, False)
        island = of_engine(session, "onnxruntime").session.get_session_options()
        assert island.intra_op_num_threads == 2
        assert island.get_session_config_entry("session.intra_op.allow_spinning") == "0"
        alone = pool.open(proto(), exclude=["Tanh", "MatMul"], num_threads=1)
        told = of_engine(alone, "onnxruntime").session.get_session_options()
        assert told.intra_op_num_threads == 1
        assert told.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_a_priority_in_a_pool_is_no_option_without_effect():
    with warnings.catch_warnings(), ovpart.Pool(threads=1) as pool:
        warnings.simplefilter("error")
        assert is_right(pool.open(proto(), priority="HIGH", **ALL))
        assert is_right(pool.open(proto(), model_priority="high".upper(), **ALL))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda pool: ovpart.Pool(threads=0), "threads=0"),
        (lambda pool: ovpart.Pool(threads=2, streams=3), "streams=3"),
        (lambda pool: ovpart.Pool(threads=2.5), "threads=2.5"),
        (lambda pool: pool.open(proto(), num_threads=5), "the pool has 2 threads"),
        (lambda pool: pool.open(proto(), priority="HIGHEST"), "model_priority"),
        (lambda pool: pool.open(proto(), num_threads="many"), "num_threads"),
        (lambda pool: pool.open(proto(), priority="LOW", model_priority="LOW"), "one and the same"),
    ],
)
def test_what_cannot_be_says_so(make, words):
    with pytest.raises(OptionError, match=words):
        make(ovpart.Pool(threads=2))


class Slow:
    """An input that takes as long as it is told: a run that is under way, and holds its threads, until released."""

    def __init__(self, pool):
        self.share, _ = pool.share({"num_threads": pool.threads, "model_priority": "LOW"})
        self.share.enter()

    def release(self):
        self.share.leave()


def waiting(pool, count):
    end = time.monotonic() + 60
    while len(pool._admission._line) != count:
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_waiting_run_can_be_ended_and_the_session_goes_on():
    with ovpart.Pool(threads=1) as pool:
        session = InferenceSession(proto().SerializeToString(), pool=pool)
        slow, options, told = Slow(pool), RunOptions(), []
        done = threading.Event()

        def callback(results, data, error):
            told.append(error)
            done.set()

        session.run_async(None, {"x": X}, callback, None, options)
        waiting(pool, 1)
        options.terminate = True
        assert done.wait(60)
        assert "terminate" in told[0]
        slow.release()
        assert is_right(session)


@pytest.mark.parametrize("close", ["pool", "session"])
def test_closing_while_runs_wait(close):
    pool = ovpart.Pool(threads=1)
    session = pool.open(proto(), **ALL)
    slow, errors = Slow(pool), []

    def run():
        try:
            session.run(None, {"x": X})
        except RunError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    waiting(pool, 3)
    (pool if close == "pool" else session).close()
    if close == "session":
        slow.release()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert len(errors) == 3
    assert all(f"The {close} is closed" in error for error in errors)
    if close == "pool":
        with pytest.raises(RunError, match="pool is closed"):
            pool.open(proto())
    else:
        assert is_right(pool.open(proto(), **ALL))


def test_the_face_of_onnxruntime_takes_part():
    with ovpart.Pool(threads=2) as pool:
        options = SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry("ovpart.model_priority", "high")
        session = InferenceSession(proto().SerializeToString(), options, pool=pool)
        by_provider = InferenceSession(
            proto().SerializeToString(), pool=pool,
            providers=[("OpenVINOExecutionProvider", {"model_priority": "LOW"})],
        )  # fmt: skip
        assert is_right(session)
        binding = by_provider.io_binding()
        binding.bind_cpu_input("x", X)
        binding.bind_output("y")
        by_provider.run_with_iobinding(binding)
        assert [(f.priority, f.threads_a_run, f.runs) for _, f in pool.shares] == [("HIGH", 1, 1), ("LOW", 2, 1)]


def test_sessions_that_are_dropped_leave_the_pool():
    pool = ovpart.Pool(threads=1)
    session = pool.open(proto(), **ALL)
    assert is_right(session)
    gone = weakref.ref(session)
    del session
    gc.collect()
    assert gone() is None
    assert pool.shares == ()


def test_a_failed_run_gives_its_threads_back():
    with ovpart.Pool(threads=1) as pool:
        session = pool.open(proto(), **ALL)
        for _ in range(3):
            with pytest.raises(ovpart.InputError):
                session.run(["nothing"], {"x": X})
        assert is_right(session)
