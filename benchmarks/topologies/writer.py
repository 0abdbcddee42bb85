"""Writes a network node by node: for the old ones whose operators no exporter of today writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.topologies.topology import Array
from benchmarks.topologies.zoo import random_weights


class Writer:
    """A graph on its way: each method adds a node on top of what the last one made, and returns its output's name.

    Parameters
    ----------
    opset : int
        Version of onnx's operators.
    name, shape
        The input, float32.
    """

    def __init__(self, opset: int, name: str, shape: tuple[int, ...]) -> None:
        self.opset = opset
        self.input = (name, shape)
        self.top = name
        self.nodes: list[Any] = []
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._constants: dict[str, Array] = {}

    def node(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Add a node; without `inputs` it reads the top."""
        from onnx import helper

        name = f"{kind.lower()}_{len(self.nodes)}"
        names = [name, *(f"{name}_{extra}" for extra in range(1, outputs))]
        self.nodes.append(helper.make_node(kind, list(inputs) or [self.top], names, name=name, **attributes))
        self.top = name
        return name

    def weight(self, *shape: int) -> str:
        """Return the name of a new weight, drawn when the model is written."""
        name = f"weight_{len(self._shapes)}"
        self._shapes[name] = shape
        return name

    def constant(self, value: Array) -> str:
        """Return the name of a new constant."""
        name = f"constant_{len(self._constants)}"
        self._constants[name] = value
        return name

    def conv(self, inputs: int, outputs: int, size: int, stride: int = 1, pad: int = 0, group: int = 1) -> str:
        """Add a convolution with a bias."""
        weight, bias = self.weight(outputs, inputs // group, size, size), self.weight(outputs)
        return self.node(
            "Conv", self.top, weight, bias, kernel_shape=[size] * 2, strides=[stride] * 2, pads=[pad] * 4, group=group
        )

    def relu(self) -> str:
        """Add a ReLU."""
        return self.node("Relu")

    def norm(self, alpha: float = 1e-4, bias: float = 1.0) -> str:
        """Add the normalisation across five channels."""
        return self.node("LRN", size=5, alpha=alpha, beta=0.75, bias=bias)

    def pool(self, size: int, stride: int, pads: Sequence[int] = (0, 0, 0, 0)) -> str:
        """Add a max pool."""
        return self.node("MaxPool", kernel_shape=[size] * 2, strides=[stride] * 2, pads=list(pads))

    def dropout(self, ratio: float = 0.5) -> str:
        """Add a Dropout with its mask as second output, as caffe's exports have it."""
        if self.opset >= 12:
            return self.node("Dropout", self.top, self.constant(np.array(ratio, np.float32)), outputs=2)
        return self.node("Dropout", outputs=2, ratio=ratio)

    def reshape(self, *shape: int) -> str:
        """Add a Reshape."""
        return self.node("Reshape", self.top, self.constant(np.array(shape, np.int64)))

    def dense(self, inputs: int, outputs: int) -> str:
        """Add a fully connected layer."""
        return self.node("Gemm", self.top, self.weight(outputs, inputs), self.weight(outputs), transB=1)

    def softmax(self) -> str:
        """Add a Softmax over the classes."""
        return self.node("Softmax", axis=1)

    def write(self, path: Path, shape: tuple[int, ...], seed: int) -> None:
        """Write the model whose output, of `shape`, is the top. Below opset 9, weights are inputs too, as they were."""
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        arrays = self._constants | random_weights(self.nodes, self._shapes, seed)
        inputs = [helper.make_tensor_value_info(self.input[0], TensorProto.FLOAT, self.input[1])]
        is_old = self.opset < 9
        if is_old:
            inputs += [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
                for name, array in arrays.items()
            ]
        graph = helper.make_graph(
            self.nodes, path.parent.name, inputs,
            [helper.make_tensor_value_info(self.top, TensorProto.FLOAT, shape)],
            [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
        )  # fmt: skip
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=3 if is_old else 7
        )
        onnx.save(model, path)
