"""Small models and tables: what most tests of the room are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ovpart.capability.check import check
from ovpart.capability.table import Table, load_table
from ovpart.capability.verdict import Verdict
from ovpart.model.graph import Model
from ovpart.model.read import read_model

TYPES = {
    "f32": TensorProto.FLOAT, "f16": TensorProto.FLOAT16, "f64": TensorProto.DOUBLE, "i64": TensorProto.INT64,
    "i32": TensorProto.INT32, "u8": TensorProto.UINT8, "u32": TensorProto.UINT32, "u64": TensorProto.UINT64,
    "bool": TensorProto.BOOL, "string": TensorProto.STRING,
}  # fmt: skip


def value(name: str, dtype: str = "f32", shape: Sequence[int | str | None] | None = (2, 3)) -> onnx.ValueInfoProto:
    """Describe a tensor; ``shape=None`` leaves its rank open."""
    return helper.make_tensor_value_info(name, TYPES[dtype], shape)


def build(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[str | onnx.ValueInfoProto],
    constants: Mapping[str, np.ndarray] | None = None,
    opset: int = 17,
    **domains: int,
) -> Model:
    """Make and read a model; outputs given by name get their types from inference."""
    graph = helper.make_graph(
        nodes,
        "test",
        inputs,
        [onnx.ValueInfoProto(name=o) if isinstance(o, str) else o for o in outputs],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    imports = [
        helper.make_opsetid("", opset),
        *(helper.make_opsetid(d.replace("_", "."), v) for d, v in domains.items()),
    ]
    return read_model(helper.make_model(graph, ir_version=8, opset_imports=imports))


def table(ops: Mapping[str, Any], **more: Any) -> Table:
    """Make a table that knows nothing but `ops`: operator → entries on the CPU, or device → entries."""
    by_device = {op: {"CPU": rows} if isinstance(rows, list) else rows for op, rows in ops.items()}
    return load_table([{"schema": 1, "ops": by_device, **more}], shipped=False)


def ask(model: Model, ops: Mapping[str, Any], device: str = "CPU", **options: Any) -> dict[str, Verdict]:
    """Check a model against a small table: operator → verdict of its last node."""
    verdicts = check(model, device, table(ops), **options)
    return {node.op_type: verdict for node, verdict in zip(model.graph.nodes, verdicts, strict=True)}
