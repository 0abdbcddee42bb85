"""Random small models whose answers any two right engines agree on, and arrays to feed them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import helper

from tests.acceptance.growing_arithmetic import ARITHMETIC
from tests.acceptance.growing_layout import LAYOUT
from tests.acceptance.growing_models import FLOATS, NUMBERS, ROUNDING, Growing, Value, array

VALUE_NAMES = ("v", "a/b:", "é ☃ ", "x.y|", "0", "%", "a;\n", "-", "output", "Add_", "🦆")
NODE_NAMES = ("", "n", "same", "a/b", "é", "x y", "/layer.0/attn:0")


@dataclass(frozen=True)
class Found:
    """A random model, what to exclude from delegation, and what its answers may differ by."""

    proto: onnx.ModelProto
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    exclude: tuple[str, ...]
    seed: int
    size: int | None
    overridable: tuple[Value, ...] = ()

    def feed(self, size: int, seed: int) -> dict[str, np.ndarray]:
        """Return arrays for every input, ``N`` taken as `size` where the model leaves it open."""
        rng = np.random.default_rng((self.seed, seed))
        return {value.name: array(rng, value, self.size or size) for value in self.inputs}

    def __repr__(self) -> str:
        return f"exclude={self.exclude} seed={self.seed}\n{onnx.printer.to_text(self.proto)}"


STEPS = (*ARITHMETIC, *LAYOUT)


@st.composite
def models(draw: st.DrawFn, *, steps: int = 14) -> Found:
    """Draw a model of about `steps` to twice as many nodes."""
    seed = draw(st.integers(0, 2**16))
    prefix = draw(st.lists(st.sampled_from(VALUE_NAMES), min_size=1, max_size=3, unique=True))
    node_names = draw(st.lists(st.sampled_from(NODE_NAMES), min_size=1, max_size=3, unique=True))
    g = Growing(draw, draw(st.sampled_from([13, 17, 18, 21])), np.random.default_rng(seed), prefix, node_names)
    g.input("f32", ("N", draw(st.integers(2, 6))), 2.0)
    for _ in range(draw(st.integers(0, 2))):
        dtype = draw(st.sampled_from(["f32", "f16", "i64", "i32"]))
        shape = draw(st.sampled_from([("N",), ("N", 3), ("N", 2, 3), ("N", 2, 3, 4)]))
        g.input(dtype, shape, 2.0 if dtype in FLOATS else 6)
    for step in draw(st.lists(st.sampled_from(STEPS), min_size=steps // 2, max_size=steps)):
        step(g)
    return finish(draw, g, seed)


def finish(draw: st.DrawFn, g: Growing, seed: int) -> Found:
    """Choose outputs, put the nodes in some order and write the model down."""
    made = {name for node in g.nodes for name in node.output}
    read = {name for node in g.nodes for name in node.input}
    ends = [value for value in g.values if value.name in made - read] or g.values
    outputs = draw(
        st.lists(st.sampled_from(ends[::-1]), min_size=min(3, len(ends)), max_size=6, unique_by=lambda v: v.name)
    )
    if draw(st.integers(0, 3)) == 0:
        outputs.append(draw(st.sampled_from(g.values)))
    if draw(st.integers(0, 3)) == 0:
        outputs.append(draw(st.sampled_from([v for v in g.inputs if v not in outputs] or g.inputs)))
    if draw(st.integers(0, 3)) == 0 and g.initializers:
        outputs.append(draw(st.sampled_from([value for value, _ in g.initializers.values()])))
    if draw(st.integers(0, 3)) == 0:
        twin = replace(outputs[0], name=g.name())
        g.add("Identity", [outputs[0].name], twin)
        outputs.append(twin)
    outputs = list({v.name: v for v in outputs}.values())
    size = draw(st.sampled_from([None, None, 1, 3]))
    graph = helper.make_graph(
        draw(st.permutations(g.nodes)) if draw(st.booleans()) else g.nodes,
        "random",
        [declared(v, size) for v in g.inputs],
        [declared(v, size, shapeless=draw(st.booleans())) for v in outputs],
        [tensor for _, tensor in g.initializers.values()],
    )
    proto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", g.opset)], ir_version=draw(st.sampled_from([8, 10]))
    )
    overridable = [value for value, _ in g.initializers.values() if value.is_float and value.shape]
    if overridable and draw(st.integers(0, 3)) == 0:
        overridable = overridable[:1]
        proto.graph.input.append(declared(overridable[0], None))
    else:
        overridable = []
    kinds = sorted({node.op_type for node in g.nodes} - {"Constant"}) or ["Relu"]
    exclude = draw(st.lists(st.sampled_from(kinds), max_size=3, unique=True))
    return Found(proto, tuple(g.inputs), tuple(outputs), tuple(exclude), seed, size, tuple(overridable))


def declared(value: Value, size: int | None, *, shapeless: bool = False) -> onnx.ValueInfoProto:
    dims = None if shapeless else [size or "N" if dim == "N" else dim for dim in value.shape]
    return helper.make_tensor_value_info(value.name, NUMBERS[value.dtype], dims)


def renamed_and_shuffled(found: Found, seed: int) -> onnx.ModelProto:
    """Return the model with its nodes in another order and under other names; values keep theirs."""
    proto = onnx.ModelProto()
    proto.CopyFrom(found.proto)
    nodes = [proto.graph.node[int(i)] for i in np.random.default_rng(seed).permutation(len(proto.graph.node))]
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    for position, node in enumerate(nodes):
        node.name = f"other {position}"
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return proto


def worst(got: Sequence[np.ndarray], wanted: Sequence[np.ndarray], outputs: Sequence[Value]) -> Mapping[str, float]:
    """Return by how much each output is off, over what rounding may move it; integers and bools: 0 or infinity."""
    off = {}
    for ours, theirs, value in zip(got, wanted, outputs, strict=True):
        if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
            off[value.name] = math.inf
        elif not value.is_float:
            off[value.name] = 0.0 if np.array_equal(ours, theirs) else math.inf
        elif ours.size:
            apart = np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max()
            off[value.name] = float(apart / max(value.moved, ROUNDING[value.dtype] * max(value.bound, 1e-3)))
    return {name: ratio for name, ratio in off.items() if not ratio <= 1}
