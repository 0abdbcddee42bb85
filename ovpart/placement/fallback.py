"""``disable_fallback``: raise where nodes would run elsewhere than on the devices asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovpart.capability.target import parse_target
from ovpart.errors import CompileError
from ovpart.partition.plan import RUNTIME, Cluster, Plan
from ovpart.planning import DEVICE_ENGINE

if TYPE_CHECKING:
    from ovpart.options import Options

MOST_NAMED = 8
"""How many nodes the error names."""


def refuse_fallback(plan: Plan, options: Options) -> None:
    """Raise if a plan has clusters on an engine that nodes must not fall back to.

    Parameters
    ----------
    plan : Plan
        What would run.
    options : Options
        ``disable_fallback``: ``"openvino"`` speaks of its CPU behind the device asked for (NPU), ``"onnxruntime"`` of
        that and of whatever stands behind it.

    Raises
    ------
    CompileError
        Names the nodes, and why they are not where they were asked to be.
    """
    if not options.disable_fallback:
        return
    asked = parse_target(plan.device)
    wanted = {str(asked), *asked.devices}
    found = [cluster for cluster in plan.clusters if _is_refused(cluster, wanted, options.disable_fallback)]
    nodes = [index for cluster in found for index in cluster.nodes]
    if not nodes:
        return
    named = [_told(plan, index) for index in nodes[:MOST_NAMED]]
    more = f" and {len(nodes) - MOST_NAMED} more" if len(nodes) > MOST_NAMED else ""
    engines = " and ".join(dict.fromkeys(f"{cluster.label.engine} on {cluster.label.device}" for cluster in found))
    raise CompileError(
        f"{len(nodes)} of {sum(len(c.nodes) for c in plan.clusters)} nodes would run on {engines}, which "
        f"disable_fallback={options.disable_fallback!r} forbids: {'; '.join(named)}{more}. Allow the fallback, or "
        "change these nodes",
        stage="read",
        node=plan.graph.nodes[nodes[0]].key,
    )


def _is_refused(cluster: Cluster, wanted: set[str], disabled: tuple[str, ...]) -> bool:
    if cluster.label.engine == DEVICE_ENGINE:
        return DEVICE_ENGINE in disabled and cluster.label.device not in wanted
    # What stands in bodies of control flow is refused where they are compiled.
    return cluster.is_island and cluster.label != RUNTIME and "onnxruntime" in disabled


def _told(plan: Plan, index: int) -> str:
    node = plan.graph.nodes[index]
    return f"{node.label} ({node.op_type}): {plan.overruled.get(index) or plan.verdicts[index].reason}"
