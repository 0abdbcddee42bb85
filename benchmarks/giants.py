"""Peak memory of a model with more than 4 GB of weights: ovpart beside openvino on the same file.

    python benchmarks/giants.py [--gigabytes 4.3] [--split] [--folder DIR] [--engine NAME ...]

The model is a row of products with residual sums, its weights in an external file, and, with ``--split``, an operator
in its middle that openvino does not take, so that ovpart has to cut it. Each engine compiles and runs it in a process
of its own, in which a thread samples the anonymous memory: what is mapped from the file counts for nobody. It prints a
line an engine, and the ratios; the answers have to agree.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

WIDTH = 4096
"""Rows and columns of a weight: 64 MiB in f32."""
ENGINES = ("openvino", "ovpart", "ovpart_all", "onnxruntime")
"""Who is measured; ``ovpart_all`` with ``min_gain=0``."""
SAMPLE_S = 0.005
"""Rest between two looks at the memory."""


def build(path: Path, gigabytes: float, *, split: bool) -> None:
    """Write the model and, beside it, its weights."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper

    layers = max(2, round(gigabytes * 2**30 / (WIDTH * WIDTH * 4)))
    data = path.with_suffix(".bin")
    rng = np.random.default_rng(3)
    nodes, weights, value = [], [], "x"
    with data.open("wb") as file:
        for layer in range(layers):
            name = f"w{layer}"
            scale = np.float32(1 / np.sqrt(WIDTH))
            file.write((rng.standard_normal((WIDTH, WIDTH), dtype=np.float32) * scale).tobytes())
            tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[WIDTH, WIDTH])
            tensor.data_location = TensorProto.EXTERNAL
            size = WIDTH * WIDTH * 4
            for key, said in (("location", data.name), ("offset", layer * size), ("length", size)):
                tensor.external_data.add(key=key, value=str(said))
            weights.append(tensor)
            nodes.append(helper.make_node("MatMul", [value, name], [f"m{layer}"]))
            nodes.append(helper.make_node("Tanh", [f"m{layer}"], [f"t{layer}"]))
            nodes.append(helper.make_node("Add", [f"t{layer}", value], [f"a{layer}"]))
            value = f"a{layer}"
            if split and layer == layers // 2:
                nodes.append(helper.make_node("Cast", [value], ["wide"], to=TensorProto.DOUBLE))
                nodes.append(helper.make_node("CumSum", ["wide", "axis"], ["summed"]))
                nodes.append(helper.make_node("Cast", ["summed"], ["narrow"], to=TensorProto.FLOAT))
                value = "narrow"
    weights.append(onnx.numpy_helper.from_array(np.array(0, np.int64), "axis"))
    nodes.append(helper.make_node("Identity", [value], ["y"]))
    shape: list[str | int | None] = ["n", WIDTH]
    graph = helper.make_graph(
        nodes,
        "giant",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        weights,
    )
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)]), path)


def anonymous_mb() -> float:
    """Return the anonymous memory that this process holds now, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this kernel does not tell anonymous memory apart (RssAnon in /proc/self/status)")


def run(engine: str, path: str) -> None:
    """Compile and run in this process, and print what it took as JSON."""
    import numpy as np

    peak, stop = [anonymous_mb()], threading.Event()

    def watch() -> None:
        while not stop.wait(SAMPLE_S):
            peak[0] = max(peak[0], anonymous_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    x = np.random.default_rng(5).standard_normal((4, WIDTH), dtype=np.float32)
    start, clusters = time.perf_counter(), 1
    if engine == "openvino":
        import openvino

        compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        made = time.perf_counter() - start
        answer = compiled([x])[0]
    elif engine == "onnxruntime":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        made = time.perf_counter() - start
        answer = session.run(None, {"x": x})[0]
    else:
        import ovpart

        mine = ovpart.Session(path, min_gain=0) if engine == "ovpart_all" else ovpart.Session(path)
        made = time.perf_counter() - start
        answer = mine.run(None, {"x": x})[0]
        for _ in range(4):  # a session may measure its plan on the first runs
            answer = mine.run(None, {"x": x})[0]
        clusters = mine.report.cluster_count
    stop.set()
    watcher.join()
    told = {"peak_mb": peak[0], "made_s": made, "clusters": clusters, "sum": float(np.abs(answer).sum())}
    print("RESULT " + json.dumps(told))


def measure(path: Path, engines: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Measure each engine in a process of its own."""
    found: dict[str, dict[str, float]] = {}
    for engine in engines:
        done = subprocess.run(
            [sys.executable, __file__, "--run", engine, str(path)], capture_output=True, text=True, check=False
        )
        line = next((x for x in done.stdout.splitlines() if x.startswith("RESULT ")), None)
        if line is None:
            print(f"{engine:12} failed: {done.stderr.strip()[-300:]}")
            continue
        found[engine] = json.loads(line.removeprefix("RESULT "))
        told = found[engine]
        print(
            f"{engine:12} {told['peak_mb']:8.0f} MB peak anonymous   made in {told['made_s']:6.1f} s   "
            f"{told['clusters']} clusters   sum {told['sum']:.3f}"
        )
    return found


def main() -> int:
    """Build the model, measure, and say whether memory and answers hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--gigabytes", type=float, default=4.3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--engine", action="append", choices=ENGINES)
    parser.add_argument("--split", action="store_true", help="with an operator in the middle that must fall back")
    parser.add_argument("--run", nargs=2, metavar=("ENGINE", "PATH"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        run(*given.run)
        return 0
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder, "giant.onnx")
        build(path, given.gigabytes, split=given.split)
        found = measure(path, tuple(given.engine or ENGINES))
    others = [engine for engine in found if engine.startswith("ovpart")]
    if "openvino" in found:
        for engine in others:
            print(f"{engine} / openvino: {found[engine]['peak_mb'] / found['openvino']['peak_mb']:.2f}")
    sums = [told["sum"] for told in found.values()]
    agree = max(sums) - min(sums) <= 1e-3 * max(sums)
    print("answers agree" if agree else "ANSWERS DIFFER")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
