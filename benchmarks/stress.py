"""Ten thousand runs with changing shapes from eight threads on three models, every answer checked, memory watched.

    python benchmarks/stress.py [--runs 10000] [--threads 8]

Prints the resident memory at each tenth of the runs; fails where an answer is wrong, or where memory after the second
tenth grows by more than 5 % and 20 MB.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto
from onnx import helper as h
from onnx import numpy_helper as nh

import ovpart

RTOL, ATOL = 1e-4, 1e-5
Case = tuple[str, ovpart.Session, Callable[[np.random.Generator], dict[str, np.ndarray]], Callable[..., np.ndarray]]


def _model(nodes: list[Any], inputs: list[Any], outputs: list[Any], initializers: list[Any]) -> onnx.ModelProto:
    graph = h.make_graph(nodes, "stress", inputs, outputs, initializers)
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)


def split() -> Case:
    """Return a model in three clusters: the square root in float64 stays on onnxruntime."""
    nodes = [
        h.make_node("Exp", ["x"], ["a"]),
        h.make_node("Cast", ["a"], ["b"], to=TensorProto.DOUBLE),
        h.make_node("Sqrt", ["b"], ["c"]),
        h.make_node("Cast", ["c"], ["d"], to=TensorProto.FLOAT),
        h.make_node("Tanh", ["d"], ["y"]),
    ]
    x, y = (h.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 16]) for name in "xy")
    session = ovpart.Session(_model(nodes, [x], [y], []), min_gain=0)
    return (
        "split",
        session,
        lambda rng: {"x": rng.normal(size=(int(rng.integers(1, 200)), 16)).astype(np.float32)},
        lambda x: np.tanh(np.sqrt(np.exp(x.astype(np.float64)))),
    )


def ids() -> Case:
    """Return an embedding with int64 ids under a guard."""
    table = np.random.default_rng(0).normal(size=(1000, 32)).astype(np.float32)
    nodes = [h.make_node("Gather", ["w", "i"], ["e"]), h.make_node("ReduceMean", ["e"], ["y"], axes=[1], keepdims=0)]
    i = h.make_tensor_value_info("i", TensorProto.INT64, ["n", "t"])
    y = h.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 32])
    session = ovpart.Session(_model(nodes, [i], [y], [nh.from_array(table, "w")]), min_gain=0)
    return (
        "ids",
        session,
        lambda rng: {"i": rng.integers(0, 1000, (int(rng.integers(1, 9)), int(rng.integers(1, 65))))},
        lambda i: table[i].mean(axis=1),
    )


def product() -> Case:
    """Return a matrix product with a bias."""
    weight = np.random.default_rng(1).normal(size=(64, 48)).astype(np.float32)
    nodes = [h.make_node("MatMul", ["x", "w"], ["m"]), h.make_node("Relu", ["m"], ["y"])]
    x = h.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])
    y = h.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 48])
    session = ovpart.Session(_model(nodes, [x], [y], [nh.from_array(weight, "w")]), min_gain=0)
    return (
        "product",
        session,
        lambda rng: {"x": rng.normal(size=(int(rng.integers(1, 300)), 64)).astype(np.float32)},
        lambda x: np.maximum(x @ weight, 0),
    )


def resident_mb() -> float:
    """Return the resident memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


def burst(cases: list[Case], runs: int, threads: int, seed: int) -> list[str]:
    """Run and check; return what was wrong."""
    wrong: list[str] = []

    def work(number: int) -> None:
        rng = np.random.default_rng([seed, number])
        for k in range(runs // threads):
            name, session, make, expected = cases[k % len(cases)]
            feed = make(rng)
            got = session.run(None, feed)[0]
            if not np.allclose(got, expected(*feed.values()), rtol=RTOL, atol=ATOL):
                wrong.append(f"{name} {[a.shape for a in feed.values()]}")

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return wrong


def main() -> int:
    """Run the stress and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=8)
    args = parser.parse_args()
    cases = [split(), ids(), product()]
    print("clusters:", {name: session.report.cluster_count for name, session, *_ in cases})
    memory, wrong = [], []
    for tenth in range(10):
        wrong += burst(cases, args.runs // 10, args.threads, tenth)
        memory.append(resident_mb())
        print(f"{(tenth + 1) * args.runs // 10:6} runs  {memory[-1]:7.1f} MB  {len(wrong)} wrong", flush=True)
    grown = memory[-1] - memory[1]
    flat = grown <= max(20.0, 0.05 * memory[1])
    answers = f"WRONG: {'; '.join(wrong[:5])}" if wrong else "right"
    print(f"{answers}, memory {'flat' if flat else 'GROWS'} ({grown:+.1f} MB)")
    return int(bool(wrong) or not flat)


if __name__ == "__main__":
    sys.exit(main())
