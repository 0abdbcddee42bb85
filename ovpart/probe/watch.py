"""Keeps processes that measure: kills one that hangs, starts another for one that died, and says whose fault it was."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ovpart.errors import OvpartError
from ovpart.probe.judge import Trial
from ovpart.probe.measurement import Measurement, Outcome

PATIENCE_S = 60.0
"""A step of a case (one backend's answer) that takes longer is taken for hung; most take 20 ms."""
_START_S = 120.0
"""What a step of a process's first case may take: it imports three engines, on a machine that may be busy."""


class Watched:
    """One measuring process, started when it is first needed and again after it died.

    Parameters
    ----------
    device, engine : str
        What is measured, and the backend that has it.
    patience_s : float
        Seconds without a message after which the process is killed.
    """

    def __init__(self, device: str, engine: str = "openvino", patience_s: float = PATIENCE_S) -> None:
        self.device = device
        self.engine = engine
        self.patience_s = patience_s
        self._process: subprocess.Popen[bytes] | None = None
        self._messages: queue.SimpleQueue[tuple[str, object] | None] = queue.SimpleQueue()
        self._spoke = False
        self._warm = False

    @property
    def process_id(self) -> int | None:
        """Id of the process, ``None`` while there is none."""
        return self._process.pid if self._process is not None else None

    def measure(self, trial: Trial) -> Measurement:
        """Measure one case; a process that dies or hangs is an outcome, not an error."""
        outcome, asked = self._attempt(trial)
        if isinstance(outcome, Measurement):
            return outcome
        if asked and asked != self.engine:  # an oracle took the process down: it has no say on this case
            return self.measure(replace(trial, oracles=tuple(name for name in trial.oracles if name != asked)))
        words = f"no answer in {self.patience_s:.0f} s" if outcome is Outcome.HUNG else "the process died"
        return Measurement(trial.key, outcome, trial.kind, words)

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def _attempt(self, trial: Trial) -> tuple[Measurement | Outcome, str]:
        """Return the measurement, or how the process ended, and the backend that was being asked then."""
        asked = ""
        try:
            self._send(trial)
        except BrokenPipeError:  # it died while it waited: the case before left it damaged
            self.close()
            self._send(trial)
        while True:
            try:
                message = self._messages.get(timeout=self.patience_s if self._warm else max(self.patience_s, _START_S))
            except queue.Empty:
                self.close()
                return Outcome.HUNG, asked
            if message is None:
                self.close()
                if not self._spoke:
                    raise OvpartError(
                        "the process that measures ended before it began: `python -m ovpart.probe.worker` shows why"
                    )
                return Outcome.CRASHED, asked
            self._spoke = True
            what, content = message
            if what == "done" and isinstance(content, Measurement):
                self._warm = True
                return content, asked
            asked = str(content)

    def _send(self, trial: Trial) -> None:
        process = self._process or self._start()
        if process.stdin is None:
            raise OvpartError("the process that measures has no standard input")
        pickle.dump((trial, self.device, self.engine), process.stdin)
        process.stdin.flush()

    def _start(self) -> subprocess.Popen[bytes]:
        root = str(Path(__file__).resolve().parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        process = subprocess.Popen(
            [sys.executable, "-m", "ovpart.probe.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        messages: queue.SimpleQueue[tuple[str, object] | None] = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(process, messages), daemon=True).start()
        self._process, self._messages = process, messages
        self._spoke = self._warm = False
        return process


def _listen(process: subprocess.Popen[bytes], messages: queue.SimpleQueue[tuple[str, object] | None]) -> None:
    """Hand on what a process says, and ``None`` when it says no more."""
    # It may end in the middle of a message; who waits is told so.
    with contextlib.suppress(EOFError, OSError, ValueError, pickle.UnpicklingError):
        while process.stdout is not None:
            messages.put(pickle.load(process.stdout))
    messages.put(None)


def measure_all(
    trials: Iterable[Callable[[], Trial]], device: str, *, engine: str = "openvino", workers: int | None = None
) -> Iterator[Measurement]:
    """Measure cases in several processes at once, and yield measurements as they come.

    Parameters
    ----------
    trials : iterable of callable
        Each makes a trial when its turn has come: values take memory.
    device, engine : str
        What is measured, and the backend that has it.
    workers : int, optional
        Processes; by default one a processor, at most eight.
    """
    count = workers or min(os.cpu_count() or 1, 8)
    waiting = iter(trials)
    lock = threading.Lock()
    results: queue.SimpleQueue[Measurement | BaseException | None] = queue.SimpleQueue()
    stopped = threading.Event()

    def work(watched: Watched) -> None:
        try:
            while not stopped.is_set():
                with lock:
                    make = next(waiting, None)
                if make is None:
                    break
                results.put(watched.measure(make()))
        except BaseException as error:  # whatever it is belongs to who reads the results
            results.put(error)
        finally:
            watched.close()
            results.put(None)

    processes = [Watched(device, engine) for _ in range(count)]
    threads = [threading.Thread(target=work, args=(one,), daemon=True) for one in processes]
    for thread in threads:
        thread.start()
    try:
        while count:
            result = results.get()
            if result is None:
                count -= 1
            elif isinstance(result, BaseException):
                raise result
            else:
                yield result
    finally:
        stopped.set()
        for one in processes:
            one.close()
        for thread in threads:
            thread.join()
