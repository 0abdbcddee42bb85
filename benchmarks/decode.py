"""A decode loop of 256 steps: what a step gives is the next one's input, its key/value cache growing by one each time.

    python benchmarks/decode.py [--steps 256] [--rounds 5] [--run ENGINE]

A decoder of four layers with key/value inputs and outputs runs from an empty cache. ovpart is called as anybody would,
the arrays of one step given to the next; onnxruntime binds OrtValues (IO binding), openvino reuses one request and
shares its inputs, without snippets, with which its answers are wrong. Each engine has a process of its own that waits
for its turn, so that none's threads slow another; rounds are paired, the order drawn anew. Prints the time of a token,
the ratio, and how the memory grew.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import onnx

LAYERS, HEADS, HEAD, VOCABULARY = 4, 8, 64, 1000
WIDTH = HEADS * HEAD
ENGINES = ("ovpart", "onnxruntime", "openvino", "control")
"""``control`` is a second onnxruntime: how far two equals come out apart."""

Step = Callable[["np.ndarray"], "np.ndarray"]


def decoder(layers: int = LAYERS) -> onnx.ModelProto:
    """Return a decoder: token ids and a cache in, logits and the cache with one position more out."""
    import numpy as np
    import onnx.parser
    from onnx import numpy_helper

    rng = np.random.default_rng(0)
    past = ", ".join(f"float[1,{HEADS},past,{HEAD}] {kind}{i}" for i in range(layers) for kind in "kv")
    grown = ", ".join(f"float[1,{HEADS},total,{HEAD}] {kind}{i}_out" for i in range(layers) for kind in "kv")
    lines = ["h0 = Gather(embedding, ids)"]
    weights = {"embedding": (VOCABULARY, WIDTH), "head": (WIDTH, VOCABULARY)}
    for i in range(layers):
        weights[f"qkv{i}"], weights[f"o{i}"] = (WIDTH, 3 * WIDTH), (WIDTH, WIDTH)
        weights[f"up{i}"], weights[f"down{i}"] = (WIDTH, 4 * WIDTH), (4 * WIDTH, WIDTH)
        lines += [
            f"n{i} = LayerNormalization <axis = -1> (h{i}, gain)",
            f"p{i} = MatMul(n{i}, qkv{i})",
            f"q{i}, a{i}, b{i} = Split <axis = -1, num_outputs = 3> (p{i})",
            *(f"{x}r{i} = Reshape({x}{i}, heads)\n{x}h{i} = Transpose <perm = [0, 2, 1, 3]> ({x}r{i})" for x in "qab"),
            f"k{i}_out = Concat <axis = 2> (k{i}, ah{i})",
            f"v{i}_out = Concat <axis = 2> (v{i}, bh{i})",
            f"kt{i} = Transpose <perm = [0, 1, 3, 2]> (k{i}_out)",
            f"s{i} = MatMul(qh{i}, kt{i})\nss{i} = Mul(s{i}, scale)\nw{i} = Softmax <axis = -1> (ss{i})",
            f"c{i} = MatMul(w{i}, v{i}_out)",
            f"ct{i} = Transpose <perm = [0, 2, 1, 3]> (c{i})\ncr{i} = Reshape(ct{i}, flat)",
            f"m{i} = MatMul(cr{i}, o{i})\nr{i} = Add(h{i}, m{i})",
            f"f{i} = LayerNormalization <axis = -1> (r{i}, gain)\nu{i} = MatMul(f{i}, up{i})",
            f"g{i} = Gelu(u{i})\nd{i} = MatMul(g{i}, down{i})\nh{i + 1} = Add(r{i}, d{i})",
        ]
    lines.append(f"logits = MatMul(h{layers}, head)")
    text = f'<ir_version: 9, opset_import: ["": 20]> decoder (int64[1,1] ids, {past}) => '
    text += f"(float[1,1,{VOCABULARY}] logits, {grown}) {{ {chr(10).join(lines)} }}"
    proto = onnx.parser.parse_model(text)
    for name, shape in weights.items():
        data = (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(data, name))
    for name, data in (
        ("gain", np.ones(WIDTH, np.float32)),
        ("scale", np.array(HEAD**-0.5, np.float32)),
        ("heads", np.array([1, 1, HEADS, HEAD], np.int64)),
        ("flat", np.array([1, 1, WIDTH], np.int64)),
    ):
        proto.graph.initializer.append(numpy_helper.from_array(data, name))
    return proto


def empty_cache() -> dict[str, np.ndarray]:
    """Return the cache before the first step."""
    import numpy as np

    return {f"{kind}{i}": np.zeros((1, HEADS, 0, HEAD), np.float32) for i in range(LAYERS) for kind in "kv"}


def start_of(engine: str, path: str) -> Callable[[], Step]:
    """Return what begins a sequence with an engine; a step takes ids [1, 1] and gives logits."""
    caches = [f"{kind}{i}" for i in range(LAYERS) for kind in "kv"]
    if engine == "ovpart":
        import ovpart

        mine = ovpart.Session(path, num_threads=2)

        def begin_ours() -> Step:
            cache = empty_cache()

            def step(ids: np.ndarray) -> np.ndarray:
                logits: np.ndarray
                logits, *grown = mine.run(None, {"ids": ids, **cache})
                cache.update(zip(caches, grown, strict=True))
                return logits

            return step

        return begin_ours
    if engine == "openvino":
        return _openvino(path, caches)
    return _onnxruntime(path, caches)


def _openvino(path: str, caches: list[str]) -> Callable[[], Step]:
    import openvino

    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 2, "SNIPPETS_MODE": "DISABLE"}
    compiled = openvino.Core().compile_model(path, "CPU", options)
    request = compiled.create_infer_request()

    def begin() -> Step:
        cache = empty_cache()

        def step(ids: np.ndarray) -> np.ndarray:
            result = request.infer({"ids": ids, **cache}, share_inputs=True)
            for name in caches:
                cache[name] = result[f"{name}_out"]
            logits: np.ndarray = result["logits"]
            return logits

        return step

    return begin


def _onnxruntime(path: str, caches: list[str]) -> Callable[[], Step]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def begin() -> Step:
        values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in empty_cache().items()}

        def step(ids: np.ndarray) -> np.ndarray:
            binding = session.io_binding()
            binding.bind_cpu_input("ids", ids)
            for name, value in values.items():
                binding.bind_ortvalue_input(name, value)
            for output in ("logits", *(f"{name}_out" for name in caches)):
                binding.bind_output(output, "cpu")
            session.run_with_iobinding(binding)
            logits, *grown = binding.get_outputs()
            values.update(zip(caches, grown, strict=True))
            taken: np.ndarray = logits.numpy()
            return taken

        return step

    return begin


def serve(engine: str, path: str) -> None:
    """Answer each line on stdin, a number of steps, with seconds a token, memory and tokens, as JSON."""
    import numpy as np

    begin = start_of(engine, path)
    for line in sys.stdin:
        step, ids, tokens = begin(), np.zeros((1, 1), np.int64), []
        start = time.perf_counter()
        for _ in range(int(line)):
            ids = step(ids).argmax(-1).astype(np.int64)
            tokens.append(int(ids[0, 0]))
        seconds = (time.perf_counter() - start) / int(line)
        held = int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
        print(json.dumps({"seconds": seconds, "mb": held, "tokens": tokens}), flush=True)


def main() -> int:
    """Measure all engines in paired rounds; 1 if their tokens differ."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--steps", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--run", nargs=2, metavar=("ENGINE", "PATH"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        serve(*given.run)
        return 0
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "decoder.onnx"))
        onnx.save(decoder(), path)
        workers = {
            engine: subprocess.Popen(
                [sys.executable, __file__, "--run", engine, path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for engine in ENGINES
        }
        found = _rounds(workers, given.steps, given.rounds)
    return _told(found)


def _rounds(workers: dict[str, subprocess.Popen[str]], steps: int, rounds: int) -> dict[str, list[dict[str, object]]]:
    """Let the engines take turns; the first round warms up and is dropped."""
    found: dict[str, list[dict[str, object]]] = {engine: [] for engine in workers}
    for _ in range(rounds + 1):
        for engine in random.sample(list(workers), len(workers)):
            worker = workers[engine]
            if worker.stdin is None or worker.stdout is None:
                raise RuntimeError("a worker without pipes")
            print(steps, file=worker.stdin, flush=True)
            found[engine].append(json.loads(worker.stdout.readline()))
            time.sleep(0.2)
    for worker in workers.values():
        worker.communicate()
    return {engine: told[1:] for engine, told in found.items()}


def _told(found: dict[str, list[dict[str, object]]]) -> int:
    """Print what was measured; return 1 where tokens differ."""
    ours = [float(str(told["seconds"])) for told in found["ovpart"]]
    for engine, rounds in found.items():
        seconds = [float(str(told["seconds"])) for told in rounds]
        held = [float(str(told["mb"])) for told in rounds]
        ratio = statistics.median(a / b for a, b in zip(ours, seconds, strict=True))
        print(
            f"{engine:12} {1e3 * statistics.median(seconds):7.3f} ms a token   ovpart takes {ratio:5.3f} of it   "
            f"{held[-1]:6.0f} MB, {held[-1] - held[0]:+.1f} since the first round"
        )
    same = all(told["tokens"] == found["onnxruntime"][0]["tokens"] for rounds in found.values() for told in rounds)
    print("same tokens" if same else "TOKENS DIFFER")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
