"""Refuse a model with an operator that no engine on this machine knows, before anything else is compiled."""

from __future__ import annotations

from ovpart.backend.cut import make_cut
from ovpart.errors import CompileError, ModelError
from ovpart.model.graph import Model, Node
from ovpart.partition.boundary import boundary
from ovpart.partition.plan import Plan
from ovpart.placement.engines import Engines
from ovpart.planning import FALLBACK

NO_ENGINE = "no engine known"
"""Rule of a verdict on an operator that neither onnx nor the table has heard of."""


def refuse_unknown_operators(model: Model, plan: Plan, engines: Engines) -> None:
    """Ask onnxruntime for each operator that planning could not place, one node a kind.

    onnxruntime has operators that are written down nowhere else, so only the engine itself can tell.

    Raises
    ------
    ModelError
        Naming the operator, the node and the domain.
    """
    tried: set[tuple[str, str]] = set()
    for node, verdict in zip(model.graph.nodes, plan.verdicts, strict=True):
        kind = (node.domain, node.op_type)
        if verdict.rule != NO_ENGINE or kind in tried:
            continue
        tried.add(kind)
        try:
            inputs, outputs = boundary(model.graph, (node.index,))
            engines.compile(make_cut(model, (node.index,), inputs, outputs), FALLBACK)
        except CompileError as refusal:
            raise ModelError(_no_engine(node, model)) from refusal


def _no_engine(node: Node, model: Model) -> str:
    domain = f"domain {node.domain!r}" if node.domain else "the default domain"
    return (
        f"no engine on this machine knows the operator {node.op_type!r} of {domain}, which node {node.label!r} of "
        f"{model.name} uses. Check the name and the opset, or export the model with operators of ONNX."
    )
