"""Eight threads on four sessions, mixed shapes, every answer checked: run in a process of its own by test_threads.

    python -m tests.compat.stress_program RUNS

Each thread makes RUNS runs on each session, by the four ways in turn. Prints the resident memory (MB) after a fifth of
the runs and at the end. Whatever goes wrong ends it with an error.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import ovpart.compat.onnxruntime as ort
from tests.compat.small_models import model

THREADS = 8
Case = tuple[onnx.ModelProto, dict[str, object], Callable[[np.ndarray], np.ndarray]]


def cases() -> list[Case]:
    """Return models with the options of their session and what they compute."""
    weight = np.random.default_rng(0).normal(size=(16, 16)).astype(np.float32)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 16]) for name in "xy"]
    product = [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Tanh", ["p"], ["y"])]
    split = [
        helper.make_node("Exp", ["x"], ["a"]),
        helper.make_node("Cast", ["a"], ["b"], to=TensorProto.DOUBLE),
        helper.make_node("Sqrt", ["b"], ["c"]),
        helper.make_node("Cast", ["c"], ["d"], to=TensorProto.FLOAT),
        helper.make_node("Tanh", ["d"], ["y"]),
    ]
    through = [helper.make_node("Identity", ["x"], ["i"]), helper.make_node("Abs", ["i"], ["y"])]
    weights = [numpy_helper.from_array(weight, "w")]
    return [
        (model(product, ends[:1], ends[1:], weights), {"min_gain": 0}, lambda x: np.tanh(x @ weight)),
        (model(split, ends[:1], ends[1:]), {"min_gain": 0}, lambda x: np.tanh(np.sqrt(np.exp(x.astype(np.float64))))),
        (model(product, ends[:1], ends[1:], weights), {}, lambda x: np.tanh(x @ weight)),
        (model(through, ends[:1], [*ends[1:], ends[0]]), {"min_gain": 0}, np.abs),
    ]


def opened(case: Case) -> ort.InferenceSession:
    proto, options, _ = case
    options = {**options, "num_threads": 1}
    return ort.InferenceSession(proto.SerializeToString(), providers=[("OpenVINOExecutionProvider", options)])


def run_once(session: ort.InferenceSession, x: np.ndarray, way: int) -> np.ndarray:
    """Run by one of four ways."""
    if way == 0:
        return session.run(None, {"x": x})[0]
    if way == 1:
        return session.run(["y"], {"x": x}, ort.RunOptions())[0]
    if way == 2:
        return session.run_with_ort_values(["y"], {"x": ort.OrtValue.ortvalue_from_numpy(x)})[0].numpy()
    bound = session.io_binding()
    bound.bind_cpu_input("x", x)
    bound.bind_output("y")
    session.run_with_iobinding(bound)
    return bound.copy_outputs_to_cpu()[0]


def resident_mb() -> float:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


def stress(runs: int) -> None:
    """Run all threads to their end; raise what any of them raised."""
    made = cases()
    sessions = [opened(case) for case in made]
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        try:
            for run in range(runs):
                for session, (_, _, expected) in zip(sessions, made, strict=True):
                    x = rng.normal(size=(int(rng.integers(1, 64)), 16)).astype(np.float32)
                    y = run_once(session, x, run % 4)
                    np.testing.assert_allclose(y, expected(x), rtol=1e-4, atol=1e-5)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    for session in sessions:
        assert not session.report.demotions


def main() -> None:
    runs = int(sys.argv[1])
    stress(max(1, runs // 5))
    early = resident_mb()
    stress(runs - max(1, runs // 5))
    print(f"{early:.0f} {resident_mb():.0f} {threading.active_count()}")


if __name__ == "__main__":
    main()
