"""Models drawn node by node, for files that no exporter writes (any more): a graph that grows, with seeded weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.topologies.topology import Array

if TYPE_CHECKING:
    import onnx

GAIN = {"LeakyRelu": 1.41, "Relu": 1.41, "silu": 1.7, "mish": 1.5, "": 1.0}
"""Activation → by how much weights must be larger so that the signal keeps its spread."""


class Sketch:
    """A graph in the making: methods add nodes and return the names of their outputs."""

    def __init__(self, opset: int, seed: int = 0, **domains: int) -> None:
        self.opset = opset
        self.domains = domains
        self.random = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.channels: dict[str, int] = {}

    def name(self, kind: str) -> str:
        """Return a new name."""
        return f"{kind}_{len(self.nodes) + len(self.initializers)}"

    def constant(self, value: Any, dtype: Any = None, name: str = "") -> str:
        """Add an initializer; Python's integers become int64, its floats float32."""
        from onnx import numpy_helper

        array = np.asarray(value, dtype)
        if dtype is None and array.dtype == np.float64:
            array = array.astype(np.float32)
        name = name or self.name("const")
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def add(self, op: str, *inputs: str, domain: str = "", output: str = "", **attributes: Any) -> str:
        """Add a node with one output."""
        return self.many(op, *inputs, outputs=[output or self.name(op)], domain=domain, **attributes)[0]

    def many(
        self, op: str, *inputs: str, outputs: Sequence[str] | int, domain: str = "", **attributes: Any
    ) -> list[str]:
        """Add a node with several outputs, of given names or so many."""
        from onnx import helper

        names = (
            [f"{self.name(op)}_{i}" for i in range(outputs)] if isinstance(outputs, int) else [str(o) for o in outputs]
        )
        node = helper.make_node(op, inputs, names, name=f"node_{len(self.nodes)}", domain=domain, **attributes)
        self.nodes.append(node)
        return names

    def weights(self, *shape: int, std: float) -> Array:
        """Return random float32 weights."""
        return (self.random.standard_normal(shape) * std).astype(np.float32)

    def conv(
        self,
        x: str,
        outward: int,
        size: int,
        stride: int = 1,
        *,
        act: str = "LeakyRelu",
        norm: bool = True,
        damped: float = 1.0,
        same: bool = False,
        pads: Sequence[int] | None = None,
    ) -> str:
        """Add a convolution, with batch norm or a bias, and an activation.

        `damped` scales what comes out (branches that are added to their input), `same` pads as SAME_UPPER.
        """
        inward = self.channels[x]
        std = GAIN[act] / np.sqrt(inward * size * size)
        inputs = [x, self.constant(self.weights(outward, inward, size, size, std=std))]
        if not norm:
            inputs.append(self.constant(self.weights(outward, std=0.1)))
        padding: dict[str, Any] = {"pads": list(pads) if pads else [size // 2] * 4}
        if same:
            padding = {"auto_pad": "SAME_UPPER"}
        y = self.add("Conv", *inputs, kernel_shape=[size, size], strides=[stride, stride], **padding)
        if norm:
            scale = self.random.uniform(0.8, 1.1, outward) * damped
            var = self.random.uniform(0.8, 1.2, outward)
            parts = (scale, self.random.normal(0, 0.1, outward), self.random.normal(0, 0.1, outward), var)
            y = self.add("BatchNormalization", y, *(self.constant(part) for part in parts), epsilon=1e-5)
        y = self.activated(y, act)
        self.channels[y] = outward
        return y

    def activated(self, x: str, act: str) -> str:
        """Add an activation as exporters write it."""
        if act == "LeakyRelu":
            return self.add("LeakyRelu", x, alpha=0.1)
        if act == "silu":
            return self.add("Mul", x, self.add("Sigmoid", x))
        if act == "mish":
            return self.add("Mul", x, self.add("Tanh", self.add("Softplus", x)))
        return self.add(act, x) if act else x

    def pool(self, x: str, size: int, stride: int, *, same: bool = False) -> str:
        """Add a max pool that keeps the size at stride 1, or halves it."""
        keep = {"auto_pad": "SAME_UPPER"} if same else {"pads": [size // 2 if stride == 1 else 0] * 4}
        y = self.add("MaxPool", x, kernel_shape=[size, size], strides=[stride, stride], **keep)
        self.channels[y] = self.channels[x]
        return y

    def joined(self, *parts: str, axis: int = 1) -> str:
        """Add a Concat of feature maps."""
        y = self.add("Concat", *parts, axis=axis)
        self.channels[y] = sum(self.channels.get(part, 0) for part in parts)
        return y

    def summed(self, a: str, b: str) -> str:
        """Add an Add of feature maps."""
        y = self.add("Add", a, b)
        self.channels[y] = self.channels[a]
        return y

    def level(
        self, maps: Sequence[str], inputs: Sequence[onnx.ValueInfoProto], feeds: dict[str, Array], spread: float = 1.5
    ) -> None:
        """Scale the convolutions that make `maps` so that these have that spread: heads neither vanish nor saturate."""
        import onnxruntime
        from onnx import numpy_helper

        model = self.model(inputs, [info(name, [None] * 4) for name in maps])
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        weights = {weight.name: weight for weight in self.initializers}
        makers = {output: node for node in self.nodes for output in node.output}
        for name, found in zip(maps, session.run(list(maps), feeds), strict=True):
            for weight in makers[name].input[1:]:
                scaled = numpy_helper.to_array(weights[weight]) * np.float32(spread / found.std())
                weights[weight].CopyFrom(numpy_helper.from_array(scaled, weight))

    def model(
        self,
        inputs: Sequence[onnx.ValueInfoProto],
        outputs: Sequence[onnx.ValueInfoProto],
        functions: Any = (),
        *,
        checked: bool = True,
    ) -> onnx.ModelProto:
        """Return the model, checked unless it has what the checker does not know.

        In the files of old, before opset 9, each initializer is an input as well.
        """
        import onnx
        from onnx import helper

        if self.opset < 9:
            weights = [helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in self.initializers]
            inputs = [*inputs, *weights]
        graph = helper.make_graph(self.nodes, "drawn", inputs, outputs, self.initializers)
        imports = {"": self.opset, **{name.replace("_", "."): version for name, version in self.domains.items()}}
        opsets = [helper.make_opsetid(domain, version) for domain, version in imports.items()]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets, True), functions=functions
        )
        if checked:
            onnx.checker.check_model(model)
        return model

    def save(self, path: Path, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]) -> None:
        """Write the model."""
        import onnx

        onnx.save(self.model(inputs, outputs), path)


def info(name: str, shape: Sequence[int | str | None] | None, dtype: str = "FLOAT") -> onnx.ValueInfoProto:
    """Return the type of an input or output; `dtype` as TensorProto names it."""
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.DataType.Value(dtype), shape)
