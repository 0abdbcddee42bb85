"""openvino's low-precision passes, kept off where a cut is quantised.

They move quantisation across operators and compute in other scales than the model says. On AVX2 without VNNI their
8-bit products saturate at 16 bits as well: a convolution of u8 by i8 was 15 steps off the ONNX definition with them and
exact without (openvino 2026.4.1 and 2025.4.1, CPU). See docs/decisions, "Quantised cuts without low-precision passes".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

LOW_PRECISION = "LP_TRANSFORMS_MODE"
"""A property of the CPU plugin; one of :data:`ovpart.backend.openvino_unlisted.UNLISTED`."""

_QUANTISED = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"})


def exact_options(
    graph: onnx.GraphProto, device: str, options: Mapping[str, object], config: Mapping[str, object]
) -> dict[str, object]:
    """Return openvino's properties for a graph, with low-precision passes off where they would change it.

    Parameters
    ----------
    graph : onnx.GraphProto
        What is to be compiled.
    device : str
        The device: only the CPU plugin has the property.
    options : mapping
        What is set already.
    config : mapping
        What the user has set: goes over this.
    """
    if device != "CPU" or LOW_PRECISION in config or not is_quantised(graph):
        return dict(options)
    return {**options, LOW_PRECISION: "NO"}


def is_quantised(graph: onnx.GraphProto) -> bool:
    """Whether a node of a graph, or of a body in it, computes with quantised numbers."""
    return any(
        node.op_type in _QUANTISED
        or node.op_type.startswith("QLinear")
        or any(is_quantised(attribute.g) for attribute in node.attribute if attribute.HasField("g"))
        for node in graph.node
    )
