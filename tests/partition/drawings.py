"""Small graphs from drawings, as models, and plans for them with labels read off the drawing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ovpart.capability.verdict import State, Verdict
from ovpart.model.read import read_model
from ovpart.partition.build import make_plan
from ovpart.partition.plan import Label, Plan

if TYPE_CHECKING:
    import onnx

    from ovpart.model.graph import Model

DEVICE = Label("openvino", "GPU")
SECOND = Label("openvino", "CPU")
ISLAND = Label("onnxruntime", "CPU")
SIGNS = {"+": DEVICE, "-": ISLAND, "*": SECOND}
YES = Verdict(State.SUPPORTED, "measured right", "op_support.yaml:1", source="measured")
NO = Verdict(State.UNSUPPORTED, "no rule fits", "op_support.yaml:2", hint="none")


def edges_of(drawing: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Read ``"a+ -> b- -> d+; a -> c+ -> d"``: predecessors and sign of each node; a sign is needed once a node."""
    preds: dict[str, list[str]] = {}
    signs: dict[str, str] = {}
    for chain in drawing.split(";"):
        before = None
        for token in chain.split("->"):
            name, sign = re.findall(r"^\s*(\w+)([-+*]?)\s*$", token)[0]
            preds.setdefault(name, [])
            if sign:
                signs[name] = sign
            if before is not None and before not in preds[name]:
                preds[name].append(before)
            before = name
    return preds, signs


def model_of(preds: Mapping[str, Sequence[str]], **changes: Any) -> onnx.ModelProto:
    """Return a model of Sum nodes, each named after what it makes; sources read the input ``x``, sinks are outputs.

    ``order``: node names in the file's order; ``rename``: what nodes are called; ``outputs``: more outputs.
    """
    from onnx import TensorProto, helper

    rename = changes.get("rename", {})
    nodes = [
        helper.make_node("Sum", list(preds[name]) or ["x"], [name], name=rename.get(name, name))
        for name in changes.get("order", preds)
    ]
    read = {p for before in preds.values() for p in before}
    outputs = [name for name in preds if name not in read] + list(changes.get("outputs", ()))

    def typed(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, changes.get("shape", [2, 3]))

    inner = [typed(name) for name in preds if name not in outputs]
    ends = [typed(name) for name in sorted(outputs)]
    graph = helper.make_graph(nodes, "drawing", [typed("x")], ends, value_info=inner)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def plan_for(model: Model, signs: Mapping[str, str], **options: Any) -> Plan:
    """Plan a model whose nodes have the signs given by key; nodes without one are supported."""
    marks = [signs.get(node.key, "+") for node in model.graph.nodes]
    labels = [SIGNS[mark] for mark in marks]
    return make_plan(model, [NO if mark == "-" else YES for mark in marks], labels, device="GPU", **options)


def plan_of(drawing: str, **options: Any) -> Plan:
    """Plan a drawing."""
    preds, signs = edges_of(drawing)
    changes = {name: options.pop(name) for name in ("order", "rename", "outputs", "shape") if name in options}
    return plan_for(read_model(model_of(preds, **changes)), signs, **options)


def names(plan: Plan) -> list[str]:
    """Return the clusters in running order, each as the keys of its nodes: ``["a c", "b", "d"]``."""
    return [" ".join(sorted(plan.graph.nodes[i].key for i in cluster.nodes)) for cluster in plan.clusters]
