"""Several models at once: in a pool, as sessions of their own, and on each engine as it comes.

Six models compute at the same time, each in a thread of its own: three on openvino and three on onnxruntime, of three
sizes. Two questions, each way in a process of its own, in an order drawn anew each round, medians over the rounds of
what is set against the pool of the same round:

- *all at once*: operations a second, and a second of processor time;
- *one in front*: how long one model takes that is asked every 30 ms while the other five compute without a pause; in
  pools it has priority HIGH, the others LOW.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

WAYS = ("pool", "pool, a thread a run", "the same, one kept for HIGH", "sessions", "engines")
"""A pool of its default form; of as many streams as threads; ``ovpart.Session`` each; openvino and onnxruntime."""
SIZES = (24, 48, 72)
LAYERS, CHANNELS = 4, 32
PAUSE_S = 0.03
Run = Callable[[], object]


def convolutions(size: int, layers: int = LAYERS, channels: int = CHANNELS) -> tuple[ModelProto, dict[str, np.ndarray]]:
    """Return a small convolutional network for pictures of `size` x `size`, and an input."""
    rng = np.random.default_rng(0)
    nodes, weights, shape = [], [], [1, channels, size, size]
    for layer in range(layers):
        kernel = (rng.standard_normal((channels, channels, 3, 3)) / 17).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel, f"w{layer}"))
        nodes.append(helper.make_node("Conv", [f"v{layer}", f"w{layer}"], [f"c{layer}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{layer}"], [f"v{layer + 1}"]))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("v0", f"v{layers}")]
    graph = helper.make_graph(nodes, f"conv{size}", ends[:1], ends[1:], weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return made, {"v0": rng.standard_normal(shape).astype(np.float32)}


def prepare(way: str, stack: ExitStack) -> list[Run]:
    """Open the six models one way; the first is the one in front."""
    if way == "engines":
        return [run for size in SIZES for run in (_openvino(size), _onnxruntime(size))]
    import ovpart

    pool = None
    if way != "sessions":
        streams = len(os.sched_getaffinity(0)) if "," in way else None
        pool = stack.enter_context(ovpart.Pool(streams=streams, reserve=int("kept" in way)))
    runs: list[Run] = []
    for size in SIZES:
        model, feed = convolutions(size)
        for keywords in ({"pin": ["Conv", "Relu"], "min_gain": 0}, {"exclude": ["Conv", "Relu"]}):
            options: dict[str, Any] = dict(keywords)
            if pool is not None:
                options |= {"pool": pool, "model_priority": "LOW" if runs else "HIGH"}
            session = stack.enter_context(ovpart.Session(model, **options))
            runs.append(lambda session=session, feed=feed: session.run(None, feed))  # type: ignore[misc]
    return runs


def _openvino(size: int) -> Run:
    from ovpart.backend.openvino_devices import import_openvino

    model, feed = convolutions(size)
    core = import_openvino().Core()
    request = core.compile_model(
        core.read_model(model.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    ).create_infer_request()
    return lambda: request.infer(feed)


def _onnxruntime(size: int) -> Run:
    import onnxruntime

    model, feed = convolutions(size)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda: session.run(None, feed)


def rates(runs: Sequence[Run], seconds: float) -> tuple[list[float], float]:
    """Run all at once; return the runs a second of each, and the processor seconds used in a second."""
    end = time.perf_counter() + seconds
    counts = [0] * len(runs)

    def work(index: int) -> None:
        while time.perf_counter() < end:
            runs[index]()
            counts[index] += 1

    busy, began = time.process_time(), time.perf_counter()
    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(runs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - began
    return [count / elapsed for count in counts], (time.process_time() - busy) / elapsed


def in_front(runs: Sequence[Run], seconds: float) -> list[float]:
    """Return how many ms the first takes each time while the others compute without a pause."""
    stop = threading.Event()

    def work(run: Run) -> None:
        while not stop.is_set():
            run()

    threads = [threading.Thread(target=work, args=(run,)) for run in runs[1:]]
    for thread in threads:
        thread.start()
    taken = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        time.sleep(PAUSE_S)
        began = time.perf_counter()
        runs[0]()
        taken.append(1e3 * (time.perf_counter() - began))
    stop.set()
    for thread in threads:
        thread.join()
    return taken


def measure(way: str, seconds: float) -> dict[str, float]:
    """Measure one way, in this process."""
    with ExitStack() as stack:
        runs = prepare(way, stack)
        for run in runs:
            for _ in range(8):  # sessions measure their plan on the first ones
                run()
        costs = [1e-9 * LAYERS * 2 * 9 * CHANNELS**2 * size**2 for size in SIZES for _ in range(2)]
        together, busy = rates(runs, seconds)
        taken = in_front(runs, seconds)
        return {
            "gflops": (done := sum(rate * gflop for rate, gflop in zip(together, costs, strict=True))),
            "gflops_cpu": done / busy,
            "cores": busy,
            "p50_ms": median(taken),
            "p99_ms": float(np.percentile(taken, 99)),
            "threads": len(os.listdir("/proc/self/task")) if Path("/proc/self/task").is_dir() else 0,
        }


def main() -> None:
    """Measure all ways and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each question")
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measure(asked.one, asked.seconds)))
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for number in range(asked.rounds):
        for way in random.sample(WAYS, len(WAYS)):
            command = [sys.executable, __file__, "--one", way, "--seconds", str(asked.seconds)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[way].append(json.loads(done.stdout.splitlines()[-1]))
        print(f"round {number + 1} of {asked.rounds}", file=sys.stderr)
    report(found)


def report(found: dict[str, list[dict[str, float]]]) -> None:
    """Print medians, and in brackets the median of the ratios to the pool of the same round."""
    print("| | GFLOP/s | GFLOP a CPU second | cores busy | in front: median | 99 % | OS threads |")
    print("|---|---|---|---|---|---|---|")
    for way, rounds in found.items():
        cells = [way]
        for key, form in (
            ("gflops", ".1f"),
            ("gflops_cpu", ".1f"),
            ("cores", ".2f"),
            ("p50_ms", ".1f"),
            ("p99_ms", ".1f"),
        ):
            ratio = median(mine[key] / pool[key] for mine, pool in zip(rounds, found[WAYS[0]], strict=True))
            unit = " ms" if key.endswith("ms") else ""
            cells.append(f"{median(one[key] for one in rounds):{form}}{unit} ({ratio:.2f})")
        cells.append(f"{median(one['threads'] for one in rounds):.0f}")
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
