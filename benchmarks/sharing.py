"""Memory of two sessions that share and of two that do not, beside onnxruntime and openvino twice; and of processes.

    python -m benchmarks.sharing [--layers 12] [--processes 3]

A decoder with a key/value cache, its weights in one external file, as two models: prefill (16 tokens) and decode (one).
Each row is a process of its own that makes two sessions and runs both; its memory is told above that of one that has
the engine imported and a model of one node run. *private* is memory that no other process could share (anonymous);
*RSS* holds the pages of mapped files too, each map of a file counted. Then several processes with a session each on
the same file (``ovpart compiled``: on its compiled form): RSS summed counts shared pages for each, PSS once.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import onnx

TOKENS = 16
ENGINES = ("ovpart sharing", "ovpart", "onnxruntime", "openvino")
COMPILED = "ovpart compiled"
"""A session on a model with its clusters compiled, their blobs in a file beside it."""
CASES = {"the same model twice": ("decode", "decode"), "prefill and decode": ("prefill", "decode")}
_TOLERANCE = 1e-3
_SETTLED = 3  # runs before memory is read
_EXTERNAL_BYTES = 64 * 1024

Run = Callable[[dict[str, "np.ndarray"]], "np.ndarray"]


def prefill_of(decoder: onnx.ModelProto) -> onnx.ModelProto:
    """Return a decoder that takes several tokens at once, over the same weights: each sees those before it."""
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    made = onnx.ModelProto()
    made.CopyFrom(decoder)
    graph = made.graph
    for value in (graph.input[0], graph.output[0]):
        value.type.tensor_type.shape.dim[1].dim_value = TOKENS
    for tensor in graph.initializer:
        if tensor.name in ("heads", "flat"):
            shape = numpy_helper.to_array(tensor).copy()
            shape[1] = TOKENS
            tensor.CopyFrom(numpy_helper.from_array(shape, tensor.name))
    mask = np.triu(np.full((TOKENS, TOKENS), -1e9, np.float32), 1)
    graph.initializer.append(numpy_helper.from_array(mask, "mask"))
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        if node.op_type == "Softmax":
            masked = f"{node.input[0]}_masked"
            graph.node.append(helper.make_node("Add", [node.input[0], "mask"], [masked]))
            node.input[0] = masked
        graph.node.append(node)
    return made


def write_models(folder: Path, layers: int) -> None:
    """Write ``prefill.onnx`` and ``decode.onnx`` over one ``weights.bin``."""
    import onnx

    from benchmarks.decode import decoder

    proto = decoder(layers)
    for name, model in (("prefill", prefill_of(proto)), ("decode", proto)):
        # Large initializers come first and in one order, so that both models have them at the same places.
        (folder / "weights.bin").unlink(missing_ok=True)
        onnx.save_model(
            model,
            folder / f"{name}.onnx",
            save_as_external_data=True,
            location="weights.bin",
            size_threshold=_EXTERNAL_BYTES,
        )


def write_compiled(folder: str) -> None:
    """Write ``decode_ctx.onnx`` and its file of blobs."""
    import ovpart

    with ovpart.Session(str(Path(folder, "decode.onnx")), min_gain=0, evidence="off", num_threads=2) as session:
        session.save_context(str(Path(folder, "decode_ctx.onnx")), embed=False)


def feed_of(inputs: list[str], tokens: int) -> dict[str, np.ndarray]:
    """Return ids and an empty cache."""
    import numpy as np

    from benchmarks.decode import HEAD, HEADS

    ids = (np.arange(tokens, dtype=np.int64) * 7 % 1000).reshape(1, tokens)
    return {name: ids if name == "ids" else np.zeros((1, HEADS, 0, HEAD), np.float32) for name in inputs}


def opened(engine: str, path: str) -> tuple[Any, Run, list[str]]:
    """Return what holds a session, what runs it for its logits, and the names of its inputs."""
    if engine.startswith("ovpart"):
        import ovpart

        if engine == COMPILED:
            loaded = ovpart.Session(path.replace(".onnx", "_ctx.onnx"), num_threads=2)
            return loaded, lambda feed: loaded.run(["logits"], feed)[0], [i.name for i in loaded.get_inputs()]
        session = ovpart.Session(
            path, num_threads=2, min_gain=0, evidence="off", share_ep_contexts=engine == "ovpart sharing"
        )
        return session, lambda feed: session.run(["logits"], feed)[0], [i.name for i in session.get_inputs()]
    if engine == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        theirs = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return theirs, lambda feed: theirs.run(["logits"], feed)[0], [i.name for i in theirs.get_inputs()]
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 2}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    request = compiled.create_infer_request()
    names = [value.get_any_name() for value in compiled.inputs]
    return compiled, lambda feed: request.infer(feed)["logits"].copy(), names


def small_model() -> onnx.ModelProto:
    """Return a model of one node: what an engine needs for itself is not counted."""
    import onnx.parser

    text = '<ir_version: 9, opset_import: ["": 20]> g (float[2] x) => (float[2] logits) { logits = Exp(x) }'
    return onnx.parser.parse_model(text)


def memory() -> dict[str, float]:
    """Return RSS, PSS and anonymous memory of this process in MB."""
    gc.collect()
    told = dict(line.split(":", 1) for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:])
    return {name: int(told[name].split()[0]) / 1024 for name in ("Rss", "Pss", "Anonymous")}


def child(engine: str, folder: str, names: list[str]) -> None:
    """Open models and run them, tell memory before and after, and wait for a line on stdin before leaving."""
    import numpy as np
    import onnx

    onnx.save(small_model(), Path(folder, f"small_{engine.replace(' ', '_')}.onnx"))
    small = opened(engine.partition(" ")[0], str(Path(folder, f"small_{engine.replace(' ', '_')}.onnx")))
    small[1]({"x": np.zeros(2, np.float32)})
    before, held, sums = memory(), [], []
    for name in names:
        held.append(opened(engine, str(Path(folder, f"{name}.onnx"))))
    for name, (_, run, inputs) in zip(names, held, strict=True):
        feed = feed_of(inputs, TOKENS if name == "prefill" else 1)
        for _ in range(_SETTLED):
            logits = run(feed)
        sums.append(float(np.abs(logits).sum()))
    print(json.dumps({"before": before, "ready": sums}), flush=True)
    sys.stdin.readline()
    print(json.dumps({"after": memory()}), flush=True)
    sys.stdin.readline()


def start(engine: str, folder: str, names: tuple[str, ...]) -> subprocess.Popen[str]:
    """Start a child."""
    call = [sys.executable, "-m", "benchmarks.sharing", "--child", engine, folder, *names]
    return subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def asked(process: subprocess.Popen[str], line: str = "") -> dict[str, Any]:
    """Send a child on, where it waits, and return what it tells next."""
    assert process.stdin is not None
    assert process.stdout is not None
    if line:
        process.stdin.write(line)
        process.stdin.flush()
    told: dict[str, Any] = json.loads(process.stdout.readline())
    return told


def above(told: dict[str, Any], after: dict[str, Any]) -> dict[str, float]:
    """Return memory above that of the engine alone."""
    return {name: after["after"][name] - told["before"][name] for name in told["before"]}


def measure_pairs(folder: str) -> bool:
    """Print a row for each engine and pair of models; return whether all agree."""
    agree = True
    for title, names in CASES.items():
        print(f"{title}\n{'':16}{'private MB':>12}{'RSS MB':>10}")
        answers = {}
        for engine in ENGINES:
            process = start(engine, folder, names)
            told = asked(process)
            held = above(told, asked(process, "\n"))
            process.communicate("\n")
            answers[engine] = told["ready"]
            print(f"{engine:16}{held['Anonymous']:12.0f}{held['Rss']:10.0f}")
        reference = answers["onnxruntime"]
        agree &= all(
            abs(a - b) <= 1e-3 * abs(b) for got in answers.values() for a, b in zip(got, reference, strict=True)
        )
    return agree


def measure_processes(folder: str, count: int) -> None:
    """Print what several processes with a session each on the same file take together."""
    print(f"{count} processes, decode\n{'':16}{'sum of RSS MB':>15}{'sum of PSS MB':>15}{'private MB':>12}")
    for engine in (*ENGINES[1:], COMPILED):
        processes = [start(engine, folder, ("decode",)) for _ in range(count)]
        told = [asked(process) for process in processes]
        # All are there before one of them is measured: PSS divides a page by those that have it.
        held = [above(before, asked(process, "\n")) for before, process in zip(told, processes, strict=True)]
        for process in processes:
            process.communicate("\n")
        rss, pss, private = (sum(one[name] for one in held) for name in ("Rss", "Pss", "Anonymous"))
        print(f"{engine:16}{rss:15.0f}{pss:15.0f}{private:12.0f}")


def main() -> int:
    """Measure; 1 if answers differ."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        engine, folder, *names = given.child
        child(engine, folder, names)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        write_models(Path(folder), given.layers)
        print(f"weights: {Path(folder, 'weights.bin').stat().st_size / 2**20:.0f} MB in one file")
        agree = measure_pairs(folder)
        write_compiled(folder)
        measure_processes(folder, given.processes)
    print("answers agree" if agree else "ANSWERS DIFFER")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
