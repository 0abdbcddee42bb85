"""Ways to run the real models, beside each other: whether the one that a session settles on is the fastest.

    python benchmarks/ways.py [--only ID ...] [--ways WAY ...] [--seconds 4] [--threads 2]

Each way has a process of its own. In each round every way in turn runs a burst on the same input, in an order drawn
anew, after a rest in which the threads of the one before stop to spin; ratios are taken within a round, and their
median is shown. On a busy machine compare nothing but ``control`` (a second, equal onnxruntime) with ``onnxruntime``:
what these two differ by, any two may.

Ways: ``session`` (what a user gets, after the race of its first runs), ``plan`` (as predicted), ``delegated``
(``min_gain=0``), ``onnxruntime``, ``control``, ``openvino`` (both without ovpart); ``delegated-1`` and
``onnxruntime-1`` with one thread.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.fetch_models import load_manifest, model_path
from benchmarks.model_inputs import inputs

WAYS = ("session", "plan", "delegated", "onnxruntime", "control", "openvino")
BURST_S = 0.02
REST_S = 0.02
WARMING_RUNS = 20

Run = Callable[[Mapping[str, Any]], object]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a row a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], metavar="ID")
    parser.add_argument("--ways", nargs="*", default=list(WAYS), metavar="WAY")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--serve", nargs=2, metavar=("WAY", "ID"), help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.serve:
        way, identifier = chosen.serve
        serve(way, identifier, chosen.threads)
        return 0
    for model in load_manifest():
        wanted = not chosen.only or model["id"] in chosen.only
        if wanted and model_path(model["id"]).is_file():
            print(row(model["id"], chosen.ways, chosen.seconds, chosen.threads), flush=True)
    return 0


def row(identifier: str, ways: Sequence[str], seconds: float, threads: int) -> str:
    """Measure one model; return its line."""
    here = [sys.executable, "-m", "benchmarks.ways", "--threads", str(threads), "--serve"]
    processes = {
        way: subprocess.Popen([*here, way, identifier], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for way in ways
    }
    alive = {way: process for way, process in processes.items() if _line(process) is not None}
    counts = {way: max(1, int(BURST_S / max(_ask(process, 2), 1e-6))) for way, process in alive.items()}
    times: dict[str, list[float]] = {way: [] for way in alive}
    order, end = random.Random(0), time.perf_counter() + seconds
    while time.perf_counter() < end:
        for way in order.sample(sorted(alive), len(alive)):
            time.sleep(REST_S)
            times[way].append(_ask(alive[way], counts[way]))
    for process in processes.values():
        process.communicate()
    base = times.get("onnxruntime") or next(iter(times.values()))
    cells = [
        f"{way} {1e3 * median(mine):.3f} ms ({median(a / b for a, b in zip(mine, base, strict=False)):.2f})"
        for way, mine in times.items()
    ]
    return f"{identifier}: {', '.join(cells)}"


def _line(process: subprocess.Popen[str]) -> str | None:
    """Return what a process says next; ``None`` where it has ended."""
    assert process.stdout is not None
    return process.stdout.readline() or None


def _ask(process: subprocess.Popen[str], runs: int) -> float:
    assert process.stdin is not None
    process.stdin.write(f"{runs}\n")
    process.stdin.flush()
    return float(json.loads(_line(process) or "null"))


def serve(way: str, identifier: str, threads: int) -> None:
    """Run a model one way, in bursts as asked for on stdin; print the seconds of a run."""
    model = next(model for model in load_manifest() if model["id"] == identifier)
    feed = inputs(model, "a")
    run = runner(way, str(model_path(identifier)), threads, feed)
    print("ready", flush=True)
    for line in sys.stdin:
        runs = int(line)
        for _ in range(1 + runs // 10):
            run(feed)
        start = time.perf_counter()
        for _ in range(runs):
            run(feed)
        print(json.dumps((time.perf_counter() - start) / runs), flush=True)


def runner(way: str, path: str, threads: int, feed: Mapping[str, Any]) -> Run:
    """Return what runs a model one way, warmed up."""
    name, _, few = way.partition("-")
    threads = int(few or threads)
    run: Run
    if name in ("onnxruntime", "control"):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        plain = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        run = lambda feed: plain.run(None, feed)  # noqa: E731  (each way is one line)
    elif name == "openvino":
        import openvino

        hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        compiled = openvino.Core().compile_model(path, "CPU", hints)
        run = lambda feed: compiled(dict(feed), share_inputs=True)  # noqa: E731
    else:
        import ovpart

        least = {"session": None, "plan": 50, "delegated": 0}[name]
        session = ovpart.Session(path, num_threads=threads, evidence="off", min_gain=least)
        for _ in range(2):
            session.run(None, feed)
        session.settle(300)
        run = lambda feed: session.run(None, feed)  # noqa: E731
    for _ in range(WARMING_RUNS):
        run(feed)
    return run


if __name__ == "__main__":
    sys.exit(main())
