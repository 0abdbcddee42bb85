"""Runs suites in worker processes that may crash or hang: what kills one is written down, and the rest goes on."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 1200.0
"""Loading the suites computes all expected outputs: 10 s of processor time, many times that on a busy machine."""
TEST_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Run:
    """What to run: an engine, the form of the tests, and for ovpart the options of its sessions.

    Attributes
    ----------
    name : str
        Of the engine and its options, as pages call it.
    engine : str
        One of :data:`benchmarks.conformance.engines.NAMES`.
    form : str
        One of :data:`benchmarks.conformance.forms.FORMS`.
    options : dict
        For ovpart.
    python : str
        The interpreter whose environment has the engine.
    """

    name: str
    engine: str
    form: str
    options: dict[str, Any] = field(default_factory=dict)
    python: str = sys.executable


def run_all(run: Run, jobs: int, keep: Callable[[str], bool], told: Callable[[int, int], None]) -> dict[str, Any]:
    """Run every test that `keep` keeps.

    Returns
    -------
    dict
        ``versions`` of the engine, and ``rows``: one outcome a test.
    """
    first = _Worker(run)
    names = [name for name in first.names if keep(name)]
    rows: list[dict[str, Any]] = []
    slices = [names[start::jobs] for start in range(jobs)]
    lock = threading.Lock()

    def note(row: dict[str, Any]) -> None:
        with lock:
            rows.append(row)
            told(len(rows), len(names))

    with ThreadPoolExecutor(jobs) as pool:
        workers: list[_Worker | None] = [first, *[None] * (jobs - 1)]
        served = [pool.submit(_serve, run, part, one, note) for part, one in zip(slices, workers, strict=True)]
        for future in served:
            future.result()
    order = {name: position for position, name in enumerate(names)}
    return {"versions": first.versions, "rows": sorted(rows, key=lambda row: order[row["test"]])}


def _serve(run: Run, names: Sequence[str], worker: _Worker | None, note: Callable[[dict[str, Any]], None]) -> None:
    """Run tests one after the other; a worker that died is replaced."""
    for name in names:
        if worker is None:
            worker = _Worker(run)
        row = worker.ask(name)
        if row["verdict"] in ("crash", "hang"):
            worker.end()
            worker = None
        note(row)
    if worker is not None:
        worker.end()


class _Worker:
    """One process that runs tests."""

    def __init__(self, run: Run) -> None:
        command = [run.python, "-m", "benchmarks.conformance.worker", run.engine, run.form, json.dumps(run.options)]
        environment = {**os.environ, "OPENVINO_TELEMETRY_OPT_OUT": "1", "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
            env=environment,
        )  # fmt: skip
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._last_words: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._listen, daemon=True).start()
        line = self._line(START_SECONDS)
        if line is None:
            self.end()
            raise RuntimeError(f"{' '.join(command[:5])} does not start: {' '.join(self._last_words[-20:])}")
        told = json.loads(line)
        self.versions: str = told["versions"]
        self.names: list[str] = told["tests"]

    def ask(self, name: str) -> dict[str, Any]:
        """Run one test and return its outcome; ``crash`` or ``hang`` where there is none."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{name}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return self._lost(name, "crash")
        while True:
            try:
                line = self._line(TEST_SECONDS)
            except TimeoutError:
                return self._lost(name, "hang")
            if line is None:
                return self._lost(name, "crash")
            row: dict[str, Any] = json.loads(line)
            if "verdict" in row:
                return row

    def end(self) -> None:
        """Let it go, and its process with it."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _lost(self, name: str, verdict: str) -> dict[str, Any]:
        words = "".join(self._last_words[-3:]).strip()[:300]
        code = self._process.wait() if verdict == "crash" else None  # its output has ended, and so will it
        return {"test": name, "verdict": verdict, "words": f"exit code {code}: {words}", "random": False,
                "nodes_elsewhere": None}  # fmt: skip

    def _line(self, seconds: float) -> str | None:
        try:
            return self._lines.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._last_words.append(line)
            del self._last_words[:-50]
