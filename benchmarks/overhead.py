"""What a run through a schedule costs over the bare engine, on models so small that nothing else counts.

    python benchmarks/overhead.py [--rounds 200] [--json]

Each round times every way in turn, some dozens of calls each, so that a busy machine slows all of them alike; the ratio
to the engine's own way is taken within a round, and its median over the rounds is shown with the quartiles. Every call
has other arrays than the one before, as in a program.

Ways: ``bare`` is how a program calls the engine (``InferenceSession.run``, ``CompiledModel(...)``); ``schedule`` is
``Schedule.run``; ``checked`` is that with the check of the feed before it, as a session does it; ``walked`` goes
through slots and clocks each step.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from time import perf_counter_ns
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper

from ovpart.backend.base import Cut, Executable, Port
from ovpart.runtime.feed import FeedCheck
from ovpart.runtime.schedule import bind_schedule

CALLS = 50
"""Calls of one way in a round: some hundred µs, shorter than a slice of the scheduler."""


ELEMENTS = 64
"""Floats in each input and output."""

Call: TypeAlias = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One way of calling one engine."""

    engine: str
    ports: int
    way: str
    best_us: float
    ratio: float
    low: float
    high: float


def small_cut(ports: int) -> Cut:
    """Return a model of `ports` inputs and as many outputs, one Relu each."""
    inputs = tuple(Port(f"x{i}", "f32", (1, ELEMENTS)) for i in range(ports))
    outputs = tuple(Port(f"y{i}", "f32", (1, ELEMENTS)) for i in range(ports))

    def infos(ends: tuple[Port, ...]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(end.name, TensorProto.FLOAT, end.shape) for end in ends]

    nodes = [helper.make_node("Relu", [f"x{i}"], [f"y{i}"], name=f"relu_{i}") for i in range(ports)]
    graph = helper.make_graph(nodes, "small", infos(inputs), infos(outputs))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return Cut(model, inputs, outputs, {}, tuple(f"y{i}" for i in range(ports)))


def backends() -> dict[str, Any]:
    """Return the engines that are measured, by name."""
    from ovpart.backend.onnxruntime import OnnxRuntimeBackend
    from ovpart.backend.openvino import OpenVINOBackend

    return {"onnxruntime": OnnxRuntimeBackend(), "openvino": OpenVINOBackend()}


def bare(engine: str, cut: Cut) -> Call:
    """Return how a program calls the engine itself, with one thread, as the schedule's executable has."""
    if engine == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            cut.proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return lambda feed: session.run(None, feed)
    from ovpart.backend.openvino_devices import import_openvino

    core = import_openvino().Core()
    config = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(cut.proto.SerializeToString()), "CPU", config)
    return lambda feed: compiled(feed)


def ways(engine: str, backend: Any, ports: int) -> dict[str, Call]:
    """Return the ways to run one small model: the engine itself, the schedule, with checks, step by step."""
    cut = small_cut(ports)
    executable: Executable = backend.compile(cut, "CPU", {"num_threads": 1})
    names = [port.name for port in cut.outputs]
    direct = bind_schedule(cut.inputs, names, [("S", executable)])
    check = FeedCheck(cut.inputs)
    # Timed schedules take no short way through the engine; a constant output keeps this one off the direct way too.
    constant = {"k": np.zeros(1, np.float32)}
    walked = bind_schedule(cut.inputs, [*names, "k"], [("S", executable)], constant, timed=True)
    return {
        "bare": bare(engine, cut),
        "schedule": direct.run,
        "checked": lambda feed: direct.run(check(feed)),
        "walked": walked.run,
    }


def measure(engine: str, backend: Any, ports: int, rounds: int) -> list[Row]:
    """Time every way in turn, `rounds` times, and hold each round against the engine itself in it."""
    calls = ways(engine, backend, ports)
    rng = np.random.default_rng(0)
    feeds = [{f"x{i}": rng.standard_normal((1, ELEMENTS), np.float32) for i in range(ports)} for _ in range(CALLS)]
    times: dict[str, list[float]] = {way: [] for way in calls}
    for turn in range(rounds + 5):
        for way, call in calls.items():
            start = perf_counter_ns()
            for feed in feeds:
                call(feed)
            if turn >= 5:  # the first rounds warm up
                times[way].append((perf_counter_ns() - start) / CALLS / 1000)
    rows = []
    for way, found in times.items():
        ratios = [mine / theirs for mine, theirs in zip(found, times["bare"], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        rows.append(Row(engine, ports, way, min(found), middle, low, high))
    return rows


def main() -> int:
    """Measure all and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [
        row
        for engine, backend in backends().items()
        for ports in (1, 4, 16)
        for row in measure(engine, backend, ports, options.rounds)
    ]
    if options.json:
        json.dump([asdict(row) for row in rows], sys.stdout, indent=1)
        print()
        return 0
    print(f"{'engine':12} {'in+out':>6} {'way':9} {'best us':>8}   ratio to bare (quartiles)")
    for row in rows:
        ends = f"{row.ports}+{row.ports}"
        print(
            f"{row.engine:12} {ends:>6} {row.way:9} {row.best_us:8.2f}   {row.ratio:.2f} ({row.low:.2f}-{row.high:.2f})"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
