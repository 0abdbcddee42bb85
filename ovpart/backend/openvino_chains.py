"""Long elementwise chains, which openvino's CPU plugin compiles quicker where it generates no kernels for them.

Connected elementwise operators become one generated kernel ("snippet"), in time that grows worse than quadratically
with their number. Without snippets 200 of them compile in 0.06 to 0.15 s instead of 0.2 to 0.7, or of 2 where all read
one value besides, and run in about the same time; from 400 on the difference is one of seconds (openvino 2026.4.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ovpart.backend.openvino_attention import SNIPPETS
from ovpart.partition.parts import ELEMENTWISE

if TYPE_CHECKING:
    import onnx

LONG = 100
"""Connected elementwise nodes above which snippets are off: so few compile in 0.1 s with them."""


def quick_options(graph: onnx.GraphProto, device: str, options: Mapping[str, object]) -> dict[str, object]:
    """Return openvino's properties for a cut, with snippets off where it has long elementwise chains.

    Parameters
    ----------
    graph : onnx.GraphProto
        The cut's, nodes in topological order.
    device : str
        The device: only the CPU plugin has the property.
    options : mapping
        What is set already; goes over this.
    """
    if device != "CPU" or SNIPPETS in options or largest_group(graph) <= LONG:
        return dict(options)
    return {**options, SNIPPETS: "DISABLE"}


def largest_group(graph: onnx.GraphProto) -> int:
    """Return how many elementwise nodes are connected with each other, at most, by values that they make."""
    if len(graph.node) <= LONG:
        return len(graph.node)
    head: list[int] = []
    size: list[int] = []
    group: dict[str, int] = {}
    for node in graph.node:
        if node.op_type not in ELEMENTWISE:
            continue
        here = len(head)
        head.append(here)
        size.append(1)
        for name in node.input:
            if name in group:
                other = group[name]
                while head[other] != other:
                    head[other] = other = head[head[other]]
                if other != here:
                    head[other] = here
                    size[here] += size[other]
        group.update(dict.fromkeys(node.output, here))
    return max(size, default=0)
