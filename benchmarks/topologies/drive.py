"""Runs a topology on every engine, each in a process of its own, and writes what came of it beside the model."""

from __future__ import annotations

import json
import math
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.topologies.engines import NAMES
from benchmarks.topologies.measure import error, sqnr
from benchmarks.topologies.topology import Topology, model_path
from benchmarks.topologies.worker import load, store

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS, RUN_SECONDS = 400.0, 200.0
TIMED = ("onnxruntime", "openvino", "provider", "ovpart")
ROUNDS_SECONDS = 4.0
"""For all rounds of all engines."""
MOST_ROUNDS, LEAST_ROUNDS = 21, 3
SEEDS = (0, 1)


class Worker:
    """A process with one model on one engine."""

    def __init__(self, engine: str, path: Path, python: str) -> None:
        environment = {**os.environ, "OPENVINO_TELEMETRY_OPT_OUT": "1", "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.topologies.worker", engine, str(path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
        )  # fmt: skip
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._last_words: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._listen, daemon=True).start()

    def answer(self, seconds: float) -> dict[str, Any]:
        """Return the next answer; ``{"failed": ...}`` where the process died or takes too long."""
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            self.end()
            return {"failed": f"no answer in {seconds:.0f} s"}
        if line is None:
            code = self._process.wait()
            return {"failed": f"exit code {code}: {''.join(self._last_words[-4:]).strip()[:400]}"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, **question: Any) -> dict[str, Any]:
        """Ask, and return the answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return self.answer(1.0)
        return self.answer(RUN_SECONDS)

    def end(self) -> None:
        """Let it go, and its process with it."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

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


def result_path(name: str) -> Path:
    """Return where the result of a topology lies."""
    return model_path(name).with_name("result.json")


def stored_result(name: str) -> dict[str, Any] | None:
    """Return the result of a topology, None where there is none or the model is another by now."""
    if not result_path(name).is_file() or not model_path(name).is_file():
        return None
    found: dict[str, Any] = json.loads(result_path(name).read_text(encoding="utf-8"))
    return found if found["model"] == _mark(model_path(name)) else None


def run(topology: Topology, pythons: Mapping[str, str], engines: tuple[str, ...] = NAMES) -> dict[str, Any]:
    """Run a topology on `engines`, write the result beside its model, and return it.

    Parameters
    ----------
    topology : Topology
        Built already.
    pythons : mapping
        Engine → interpreter that has it; others run on this one.
    engines : tuple of str
        ``plain`` among them, to compare with.
    """
    path = model_path(topology.name)
    with tempfile.TemporaryDirectory(prefix="ovpart-topology-") as name:
        scratch = Path(name)
        for seed in SEEDS:
            store(topology.inputs(seed), scratch / f"feeds{seed}.npz")
        wanted, failed = _plain(path, scratch)
        rows: dict[str, dict[str, Any]] = {"plain": {"failed": failed}}
        others = [engine for engine in engines if engine != "plain"]
        workers = {engine: Worker(engine, path, pythons.get(engine, sys.executable)) for engine in others}
        try:
            for engine, worker in workers.items():
                rows[engine] = _first_runs(worker, scratch, wanted)
            alive = {engine: worker for engine, worker in workers.items() if not rows[engine].get("failed")}
            timed = {engine: worker for engine, worker in alive.items() if engine in TIMED}
            for engine, taken in _timed(timed, scratch).items():
                rows[engine]["ns"] = taken
            for engine, worker in alive.items():
                _last_run(worker, rows[engine], scratch, wanted)
        finally:
            for worker in workers.values():
                worker.end()
    result = {"name": topology.name, "model": _mark(path), **_graph(path), "load": os.getloadavg()[1], "engines": rows}
    result_path(topology.name).write_text(json.dumps(result, indent=1), encoding="utf-8")
    return result


def _plain(path: Path, scratch: Path) -> tuple[dict[int, dict[str, Any]], str | None]:
    """Return what is right, by seed, and why nothing is known where it is not."""
    worker = Worker("plain", path, sys.executable)
    try:
        ready = worker.answer(READY_SECONDS)
        if "failed" in ready:
            return {}, ready["failed"]
        found = {}
        for seed in SEEDS:
            into = scratch / f"plain{seed}.npz"
            answer = worker.ask(run=str(scratch / f"feeds{seed}.npz"), into=str(into))
            if "failed" in answer:
                return {}, answer["failed"]
            found[seed] = load(into)
        return found, None
    finally:
        worker.end()


def _first_runs(worker: Worker, scratch: Path, wanted: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    ready = worker.answer(READY_SECONDS)
    row: dict[str, Any] = {"failed": ready.get("failed"), "versions": ready.get("versions"), "s": ready.get("ready")}
    if row["failed"] is None:
        row["error"] = None
        for seed in SEEDS:
            _compare(worker, row, scratch, seed, wanted)
    return row


def _last_run(worker: Worker, row: dict[str, Any], scratch: Path, wanted: Mapping[int, dict[str, Any]]) -> None:
    """Compare once more: a session that measured its first runs may have moved clusters since."""
    _compare(worker, row, scratch, SEEDS[0], wanted)
    if not row["failed"]:
        row["told"] = worker.ask(tell=True)


def _compare(
    worker: Worker, row: dict[str, Any], scratch: Path, seed: int, wanted: Mapping[int, dict[str, Any]]
) -> None:
    if row["failed"]:
        return
    into = scratch / "got.npz"
    answer = worker.ask(run=str(scratch / f"feeds{seed}.npz"), into=str(into))
    if "failed" in answer:
        row["failed"] = answer["failed"]
    elif seed in wanted:
        got = load(into)
        found, words = error(got, wanted[seed])
        row["sqnr"] = min(row.get("sqnr", math.inf), sqnr(got, wanted[seed]))
        if row["error"] is None or found > row["error"]:
            row["error"] = found
        if words:
            row["words"] = words


def _timed(workers: Mapping[str, Worker], scratch: Path) -> dict[str, list[float]]:
    """Return nanoseconds of a run by engine and round; the engines take turns, so that a busy machine slows all."""
    feeds = str(scratch / "feeds0.npz")
    inner: dict[str, int] = {}
    once: dict[str, float] = {}
    for engine, worker in workers.items():
        # Sessions of ovpart measure on their first runs: these, and those of the comparison, are not counted.
        answer = worker.ask(time=feeds, runs=1)
        if engine == "ovpart" and "failed" not in answer:
            worker.ask(settle=True)
            answer = worker.ask(time=feeds, runs=8)
        if "failed" not in answer and answer["ns"][-1] < 3e8:
            answer = worker.ask(time=feeds, runs=10)
        if "failed" not in answer:
            once[engine] = min(answer["ns"])
            inner[engine] = max(1, min(50, int(5e6 / max(1, once[engine]))))
    taken: dict[str, list[float]] = {engine: [] for engine in inner}
    start = time.monotonic()
    order = list(inner)
    for position in range(MOST_ROUNDS):
        for engine in order[position % len(order) :] + order[: position % len(order)] if order else ():
            first = int(once[engine] < 1e8)  # finds caches that another engine filled, which a long run does not feel
            answer = workers[engine].ask(time=feeds, runs=inner[engine] + first)
            if "failed" not in answer:
                taken[engine].append(statistics.median(answer["ns"][first:]))
        if position + 1 >= LEAST_ROUNDS and time.monotonic() - start > ROUNDS_SECONDS:
            break
    return taken


def _graph(path: Path) -> dict[str, Any]:
    import onnx

    model = onnx.load(path, load_external_data=False)
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    operators = {node.op_type for node in model.graph.node}
    return {
        "nodes": len(model.graph.node),
        "opset": opset,
        "quantised": any("Quantize" in kind or "Integer" in kind or kind.startswith("QLinear") for kind in operators),
        "bytes": sum(file.stat().st_size for file in path.parent.glob("model.onnx*")),
    }


def _mark(path: Path) -> list[int]:
    about = path.stat()
    return [about.st_size, about.st_mtime_ns]
