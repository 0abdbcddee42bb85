"""Cuts made by hand, and requests used by hand: for tests of backends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper

from ovpart.backend.base import Array, Cut, Port, Request
from ovpart.model.types import Dim, dtype_number

Ends: TypeAlias = Mapping[str, tuple[str, tuple[Dim, ...] | None]]
"""Value name → short dtype name and shape."""


def cut_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Ends,
    outputs: Ends,
    *,
    weights: Mapping[str, Array] | None = None,
    constants: Mapping[str, Array] | None = None,
    opset: int = 17,
    domains: Mapping[str, int] | None = None,
) -> Cut:
    """Return a cut by hand, as :func:`ovpart.backend.cut.make_cut` would make it.

    Parameters
    ----------
    nodes : sequence of onnx.NodeProto
        In topological order; nodes without a name get their first output's.
    inputs, outputs : mapping of str to (dtype, shape)
        Short dtype names; shapes with numbers, symbols or ``None``.
    weights : mapping of str to array
        Large constants: beside the skeleton.
    constants : mapping of str to array
        Small constants: inside the skeleton.
    opset : int
        Of ai.onnx.
    domains : mapping of str to int
        Opsets of other domains.
    """
    named = []
    for node in nodes:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = node.name or node.output[0]
        named.append(copy)

    def infos(ends: Ends, with_shape: bool) -> list[onnx.ValueInfoProto]:
        return [
            onnx.helper.make_tensor_value_info(name, dtype_number(dtype), shape if with_shape else None)
            for name, (dtype, shape) in ends.items()
        ]

    beside = {
        name: onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in (weights or {}).items()
    }
    graph = onnx.helper.make_graph(
        named,
        "cut",
        [*infos(inputs, True), *beside.values()],
        infos(outputs, False),
        [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()],
    )
    opsets = [onnx.helper.make_opsetid("", opset)]
    opsets += [onnx.helper.make_opsetid(domain, version) for domain, version in (domains or {}).items()]
    return Cut(
        proto=onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10),
        inputs=tuple(Port(name, dtype, shape) for name, (dtype, shape) in inputs.items()),
        outputs=tuple(Port(name, dtype, shape) for name, (dtype, shape) in outputs.items()),
        weights=dict(weights or {}),
        node_names=tuple(node.output[0] for node in named),
    )


def compute(request: Request, *arrays: Array, outputs: int = 1) -> list[Array]:
    """Bind arrays to the inputs in order, run, take the outputs."""
    for index, array in enumerate(arrays):
        request.set_input(index, array)
    request.run()
    return [request.take_output(index) for index in range(outputs)]


def started_and_waited_for(request: Request) -> None:
    """Run in two steps."""
    request.start()
    request.wait()


def f32(values: Sequence[Any]) -> Array:
    """Return an array of float32."""
    return np.array(values, np.float32)


def relu(shape: tuple[Dim, ...] | None = ("N",), dtype: str = "f32") -> Cut:
    """Return a cut of one Relu, ``x`` → ``y``."""
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    return cut_of([node], {"x": (dtype, shape)}, {"y": (dtype, shape)})


def dense(weight: Array) -> Cut:
    """Return a cut of MatMul with a large constant and Relu, ``x`` → ``y``."""
    nodes = [onnx.helper.make_node("MatMul", ["x", "w"], ["m"]), onnx.helper.make_node("Relu", ["m"], ["y"])]
    rows, columns = weight.shape
    return cut_of(nodes, {"x": ("f32", ("N", rows))}, {"y": ("f32", ("N", columns))}, weights={"w": weight})
