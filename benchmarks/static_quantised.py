"""Make the statically quantised (QDQ) form of a dynamically quantised model, and hold it against onnxruntime.

    python benchmarks/static_quantised.py [--id minilm_l6_int8] [--per-channel] [--keep FILE]

The int8 weights of the fetched model are turned into floats, and onnxruntime's quantiser makes of that a model with
QuantizeLinear and DequantizeLinear around each operator, calibrated on the model's own inputs. Printed is, for each
output, the signal to noise ratio against the definition, and that of onnxruntime's own optimisation levels: the answer
must lie within their spread. Exit status: 0 right, 1 not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import ovpart
from benchmarks.fetch_models import load_manifest, model_path
from benchmarks.model_inputs import inputs

MIN_GAIN = 0.0
"""All that may be delegated is: what is to be found out is whether it is right."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the model, verify it, and return 1 where it is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--id", default="minilm_l6_int8")
    parser.add_argument("--per-channel", action="store_true")
    parser.add_argument("--keep", type=Path, help="where to keep the quantised model")
    chosen = parser.parse_args(arguments)
    entry = next(model for model in load_manifest() if model["id"] == chosen.id)
    feeds = [inputs(entry, "a"), inputs(entry, "b")]
    with tempfile.TemporaryDirectory() as folder:
        plain, static = Path(folder) / "float.onnx", Path(folder) / "static.onnx"
        in_floats(model_path(chosen.id), plain)
        quantise(plain, static, feeds, per_channel=chosen.per_channel)
        if chosen.keep is not None:
            chosen.keep.write_bytes(static.read_bytes())
        with ovpart.Session(static, min_gain=MIN_GAIN, evidence="off") as session:
            found = session.verify(feeds)
            print(
                f"{chosen.id}, static QDQ: {session.plan.coverage:.0%} delegated, {len(session.plan.clusters)} clusters"
            )
    for checked in found.outputs:
        spread = "-" if checked.spread is None else f"{checked.spread.sqnr_db:.1f}"
        print(f"  {checked.name}: {checked.status}, {checked.found.sqnr_db:.1f} dB, onnxruntime's levels {spread} dB")
    apart = [f"{c.id} ({c.nodes} nodes)" for c in found.clusters if c.status != "right"]
    print(f"  clusters further from onnxruntime than its levels are, on its own inputs: {', '.join(apart) or 'none'}")
    return int(any(checked.status != "right" for checked in found.outputs))


def in_floats(source: Path, target: Path) -> None:
    """Write a dynamically quantised model with float products in place of integer ones."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(source)
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    made = {name: node for node in graph.node for name in node.output}
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    dropped: set[int] = set()
    added = []
    for node in graph.node:
        if node.op_type != "MatMulInteger":
            continue
        (cast,) = readers[node.output[0]]
        (scaled,) = readers[cast.output[0]]
        factors = made[next(name for name in scaled.input if name != cast.output[0])]
        scale = next(constants[name] for name in factors.input if name in constants)
        point = constants[node.input[3]] if len(node.input) > 3 else np.int8(0)
        weight = (constants[node.input[1]].astype(np.float32) - point.astype(np.float32)) * scale
        name = f"{node.input[1]}_float"
        graph.initializer.append(numpy_helper.from_array(weight.astype(np.float32), name))
        source_value = made[node.input[0]].input[0]
        added.append((node, helper.make_node("MatMul", [source_value, name], [scaled.output[0]], name=node.name)))
        dropped |= {id(other) for other in (node, cast, scaled, factors)}
    for node in graph.node:  # embeddings: 8-bit constants times a scale a row
        if node.op_type in ("Cast", "Mul") and all(name in constants for name in node.input):
            values = [constants[name].astype(np.float32) for name in node.input]
            constants[node.output[0]] = values[0] if node.op_type == "Cast" else values[0] * values[1]
            graph.initializer.append(numpy_helper.from_array(constants[node.output[0]], node.output[0]))
            dropped.add(id(node))
    replaced = {id(old): new for old, new in added}
    nodes = [replaced.get(id(node), node) for node in graph.node if id(node) in replaced or id(node) not in dropped]
    kept = onnx.GraphProto(node=_needed(nodes, [value.name for value in graph.output]))
    del graph.node[:]
    graph.node.extend(kept.node)
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
    onnx.save(model, target)


def _needed(nodes: Sequence[Any], outputs: Sequence[str]) -> list[Any]:
    """Return the nodes that some output depends on."""
    needed = set(outputs)
    kept = []
    for node in reversed(nodes):
        if not needed.isdisjoint(node.output):
            needed.update(node.input)
            kept.append(node)
    return kept[::-1]


def quantise(source: Path, target: Path, feeds: Sequence[Mapping[str, Any]], *, per_channel: bool) -> None:
    """Write a float model's QDQ form: activations u8, weights i8, ranges from the feeds."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.feeds = iter(feeds)

        def get_next(self) -> Any:
            return next(self.feeds, None)

    quantize_static(
        str(source), str(target), Reader(), quant_format=QuantFormat.QDQ, per_channel=per_channel,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
