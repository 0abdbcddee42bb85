"""A model as it is, with each node's place and reason written on it, for viewers such as Netron."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ovpart.errors import OptionError

if TYPE_CHECKING:
    import onnx

    from ovpart.model.graph import Model
    from ovpart.partition.plan import Plan

_NODE_METADATA_IR = 10  # the first IR version whose nodes have metadata_props (onnx/onnx.proto, enum Version)


def write_annotated(model: Model, plan: Plan, path: Path) -> Path:
    """Write a model with ``metadata_props`` on its nodes.

    Each node says where it runs (``ovpart.place``), in which cluster, and why; the ``doc_string`` says the same in one
    line. Nodes of local functions, which the plan has inlined, say nothing. Nothing else changes: the file runs, and
    gives the same answers.

    Parameters
    ----------
    model : Model
        The model.
    plan : Plan
        Of that model.
    path : Path
        The file to write. Weights outside of the model are taken in.

    Raises
    ------
    OptionError
        If the model has no file to be read from, or is too large for one file.
    """
    import onnx

    proto = _whole(model)
    labels = {cluster.id: cluster.label for cluster in plan.clusters}
    numbers = {cluster.id: str(number) for number, cluster in enumerate(plan.clusters)}
    by_output = {node.key: node.index for node in plan.graph.nodes}
    for node in proto.graph.node:
        index = by_output.get(next((name for name in node.output if name), ""))
        if index is None:
            continue
        place, verdict = plan.places[index], plan.verdicts[index]
        label = labels.get(place)
        where = f"{label.engine} {label.device}" if label else place
        reason = str(plan.overruled.get(index) or verdict.reason)
        facts = {"place": where, "cluster": numbers.get(place, place), "reason": reason, "rule": verdict.rule or ""}
        if verdict.hint:
            facts["hint"] = verdict.hint
        for name, value in facts.items():
            entry = node.metadata_props.add()
            entry.key, entry.value = f"ovpart.{name}", value
        node.doc_string = f"{where}, cluster {facts['cluster']}: {reason}" if label else f"{where}: {reason}"
    proto.ir_version = max(proto.ir_version, _NODE_METADATA_IR)
    try:
        onnx.save(proto, path)
    except ValueError as error:
        raise OptionError(f"{path.name}: the model is too large for one file ({error})") from error
    return path


def _whole(model: Model) -> onnx.ModelProto:
    """Return the model as the user gave it, weights included."""
    import onnx

    if isinstance(model.source, Path):
        return onnx.load(model.source)
    if isinstance(model.source, bytes):
        return onnx.load_from_string(model.source)
    copy = onnx.ModelProto()
    copy.CopyFrom(model.source)
    return copy
