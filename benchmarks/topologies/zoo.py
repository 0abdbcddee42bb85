"""Graphs of onnx's model zoo as the onnx package carries them for its own tests, without weights: weights are put in.

They are files of the first years: caffe2's export, weights that are inputs too, pads on one side only, Dropout, LRN,
and norms whose scale is an Unsqueeze, a Mul and an Add.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.topologies.topology import Array


def light(name: str) -> Any:
    """Return the ModelProto of a graph that the onnx package has, its weights still ones of a shape."""
    import onnx

    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    return onnx.load(folder / f"light_{name}.onnx")


def weighted(model: Any, seed: int, narrowed: Mapping[str, int] | None = None) -> Any:
    """Put random weights in the place of each ConstantOfShape and of each float initializer; return the model.

    Parameters
    ----------
    model : onnx.ModelProto
        Changed in place.
    seed : int
        Of the weights.
    narrowed : mapping, optional
        Name of a fully connected weight → rows that it keeps. Its bias and the columns of the next follow.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    shapes = {
        node.output[0]: tuple(int(size) for size in stored[node.input[0]])
        for node in graph.node
        if node.op_type == "ConstantOfShape"
    }
    gone = {node.input[0] for node in graph.node if node.op_type == "ConstantOfShape"}
    kept = [node for node in graph.node if node.op_type != "ConstantOfShape"]
    shapes |= {name: array.shape for name, array in stored.items() if array.dtype == np.float32}
    if narrowed:
        _narrow(kept, shapes, narrowed)
    drawn = random_weights(kept, shapes, seed)
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    inputs = [value for value in graph.input if value.name not in gone | set(shapes)]
    read = {name for node in kept for name in node.input}
    for name, array in stored.items():
        if name not in gone | set(shapes) and name in read:
            graph.initializer.append(numpy_helper.from_array(array, name))
    for name, array in drawn.items():
        graph.initializer.append(numpy_helper.from_array(array, name))
        inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape))
    del graph.input[:]
    graph.input.extend(value for value in inputs if value.name in read)
    return model


def _narrow(nodes: list[Any], shapes: dict[str, tuple[int, ...]], narrowed: Mapping[str, int]) -> None:
    before = None
    for node in nodes:
        if node.op_type != "Gemm":
            continue
        rows, columns = shapes[node.input[1]]
        if before is not None:
            columns = before
        rows = narrowed.get(node.input[1], rows)
        shapes[node.input[1]] = (rows, columns)
        shapes[node.input[2]] = (rows,)
        before = rows


def random_weights(nodes: list[Any], shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Array]:
    """Return a random array for each name of `shapes` that a node reads, drawn by the part that it plays there.

    Weights keep the variance of what passes a ReLU; the last layer's are smaller, so that a softmax is not all one
    class; norms have random statistics near those of a unit normal, and take a third of what a residual sum reads.
    """
    generator = np.random.default_rng(seed)
    summed = {name for node in nodes if node.op_type == "Sum" for name in node.input}
    last = next((node for node in reversed(nodes) if node.op_type in ("Gemm", "Conv", "MatMul")), None)
    used_as = {name: (node, position) for node in reversed(nodes) for position, name in enumerate(node.input)}
    found = {}
    for name, shape in shapes.items():
        if name in used_as:
            node, position = used_as[name]
            if node.op_type == "Reshape":  # a weight on its way to the layer
                node, position = used_as[node.output[0]]
            gain = 0.5 if node is last else 2.0
            drawn = _drawn(generator, node, position, shape, gain, node.output[0] in summed, used_as)
            found[name] = drawn.astype(np.float32)
    return found


def _drawn(
    generator: np.random.Generator,
    node: Any,
    position: int,
    shape: tuple[int, ...],
    gain: float,
    is_summed: bool,
    used_as: Mapping[str, tuple[Any, int]],
) -> Array:
    kind = node.op_type
    if kind in ("Conv", "Gemm", "MatMul") and position == 1:
        columns = shape[-1] if kind != "MatMul" else shape[0]
        fan_in = int(np.prod(shape[1:])) if kind == "Conv" else columns
        return generator.standard_normal(shape) * float(np.sqrt(gain / fan_in))
    if kind == "BatchNormalization" and position == 1:
        return generator.uniform(0.7, 1.1, shape) * (0.35 if is_summed else 1.0)
    if kind == "BatchNormalization" and position == 4:
        return generator.uniform(0.7, 1.5, shape)
    if kind == "Unsqueeze" and used_as[node.output[0]][0].op_type == "Mul":
        return generator.uniform(0.8, 1.1, shape)
    return (0.1 if kind == "BatchNormalization" else 0.05) * generator.standard_normal(shape)


def raised(model: Any, opset: int) -> Any:
    """Return the model in a later opset, as the zoo's later files are: converted, weights no longer inputs."""
    from onnx import version_converter

    model.ir_version = 7
    names = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in names]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    convert: Any = version_converter.convert_version
    return convert(model, opset)
