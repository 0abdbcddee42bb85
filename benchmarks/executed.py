"""Models of very many nodes, planned, compiled and run: time to open, first run, later runs, memory, and the answer.

    python benchmarks/executed.py [--nodes 100000] [--kinds chain,diamonds,mixed] [--ways ...] [--timeout 900] [--json]

Each way of each model is a process of its own. Ways: ``ovpart`` as it comes; ``device``, with all on openvino that may
be (``min_gain=0``); ``onnxruntime`` and ``openvino`` alone, which may not come to an end within the time-out. Answers
are compared with onnxruntime's, or, where that took too long, with numpy's in double precision (onnx.reference).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import onnx

from benchmarks.large_graphs import MODELS, SHAPE

RUNS = 7
WAYS = ("ovpart", "device", "onnxruntime", "openvino")
BOUND = 1e-3
"""Of the largest value: what f32 rounds in 100,000 nodes, each of which keeps what it is given."""


@dataclass(frozen=True, slots=True)
class Row:
    """One way of running one model; seconds (on the clock, and of processors), milliseconds and MB."""

    kind: str
    nodes: int
    way: str
    open_s: float
    open_cpu_s: float
    first_ms: float
    run_ms: float
    peak_mb: float
    error: float
    told: str = ""


def given() -> np.ndarray:
    """Return the input."""
    return np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)


def by_ovpart(path: str, **options: Any) -> tuple[Callable[[], Any], str]:
    """Open a session; return a run, and what it consists of."""
    import ovpart

    session = ovpart.Session(path, **options)
    feed = {"x": given()}
    clusters = session.plan.clusters
    parts = sum(max(1, len(cluster.parts)) for cluster in clusters)
    return lambda: session.run(None, feed)[0], f"{len(clusters)} clusters, {parts} compiles"


def by_onnxruntime(path: str) -> tuple[Callable[[], Any], str]:
    """Open a session of onnxruntime; return a run."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feed = {"x": given()}
    return lambda: session.run(None, feed)[0], ""


def by_openvino(path: str) -> tuple[Callable[[], Any], str]:
    """Compile with openvino, in f32; return a run."""
    import openvino

    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    request, x = compiled.create_infer_request(), given()
    return lambda: request.infer({0: x})[0], ""


def measure(kind: str, nodes: int, way: str, path: str, answer: str) -> Row:
    """Measure one way in this process; its answer goes to a file."""
    begin, begin_cpu = perf_counter(), process_time()
    if way == "onnxruntime":
        run, told = by_onnxruntime(path)
    elif way == "openvino":
        run, told = by_openvino(path)
    else:
        run, told = by_ovpart(path, **({"min_gain": 0} if way == "device" else {}))
    opened, opened_cpu = perf_counter(), process_time()
    np.save(answer, run())
    first = perf_counter()
    times = []
    for _ in range(RUNS):
        start = perf_counter()
        run()
        times.append(perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    opening = opened - begin, opened_cpu - begin_cpu
    return Row(kind, nodes, way, *opening, 1e3 * (first - opened), 1e3 * min(times), peak, 0.0, told)


def in_a_process(arguments: list[str], timeout_s: float) -> dict[str, Any] | str:
    """Run this file as a process; return its row, or why there is none."""
    command = [sys.executable, "-m", "benchmarks.executed", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return f"more than {timeout_s:.0f} s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1][:80]
    row: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return row


def reference(path: str) -> np.ndarray:
    """Return what plain numpy computes."""
    from onnx.reference import ReferenceEvaluator

    (answer,) = ReferenceEvaluator(onnx.load(path)).run(None, {"x": given()})
    return np.asarray(answer)


def main() -> int:
    """Measure, and say whether every answer is right."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nodes", type=int, default=100_000)
    parser.add_argument("--kinds", default=",".join(MODELS))
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--timeout", type=float, default=900.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", nargs=4, metavar=("KIND", "WAY", "PATH", "ANSWER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        kind, way, path, answer = arguments.one
        print(json.dumps(asdict(measure(kind, arguments.nodes, way, path, answer))))
        return 0
    rows: list[dict[str, Any]] = []
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for kind in arguments.kinds.split(","):
            path = str(Path(folder, f"{kind}.onnx"))
            onnx.save(MODELS[kind](arguments.nodes), path)
            wanted = reference(path)
            for way in arguments.ways.split(","):
                answer = str(Path(folder, "answer.npy"))
                one = ["--nodes", str(arguments.nodes), "--one", kind, way, path, answer]
                row = in_a_process(one, arguments.timeout)
                if isinstance(row, str):
                    print(f"{kind:9} {way:12} {row}", flush=True)
                    rows.append({"kind": kind, "way": way, "told": row})
                    continue
                got = np.load(answer)
                row["error"] = float(np.abs(got - wanted).max() / np.abs(wanted).max())
                is_wrong = not row["error"] <= BOUND
                wrong += is_wrong and way in ("ovpart", "device")
                rows.append(row)
                print(
                    f"{kind:9} {way:12} open {row['open_s']:6.1f} s ({row['open_cpu_s']:.1f} of processors), "
                    f"first run {row['first_ms']:7.1f} ms, "
                    f"then {row['run_ms']:7.1f} ms, {row['peak_mb']:5.0f} MB, error {row['error']:.0e}"
                    f"{' WRONG' if is_wrong else ''}  {row['told']}",
                    flush=True,
                )
            os.remove(path)
    if arguments.json:
        print(json.dumps(rows, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
