"""Kinds of structure: Scan, optionals, sequences, functions, a selection of boxes, loose and sparse weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.topologies.sketch import Sketch, info
from benchmarks.topologies.topology import Array, floats, pictures

STEPS = 10


def scanned(path: Path, *, width: int = 64) -> None:
    """Write a gated recurrent network both ways through time as one Scan, its weights taken from around it."""
    from onnx import helper

    s = Sketch(17, seed=21)
    names = [
        s.constant(s.weights(size, width, std=1 / np.sqrt(width)), name=f"w_{way}_{gate}_{part}")
        for way in "fb"
        for gate in ("z", "h")
        for part, size in (("x", width), ("s", width))
    ]
    body = Sketch(17)
    outputs = []
    for way in "fb":
        x, state = f"x_{way}", f"s_{way}"
        wz, uz, wh, uh = (name for name in names if name.startswith(f"w_{way}"))
        gate = body.add("Sigmoid", body.add("Add", body.add("MatMul", x, wz), body.add("MatMul", state, uz)))
        reset = body.add("Mul", gate, state)
        new = body.add("Tanh", body.add("Add", body.add("MatMul", x, wh), body.add("MatMul", reset, uh)))
        kept = body.add("Mul", gate, state)
        other = body.add("Mul", body.add("Sub", body.constant(1.0), gate), new)
        body.add("Add", kept, other, output=f"next_{way}")
        outputs.append(f"next_{way}")
    for way in "fb":
        body.add("Identity", f"next_{way}", output=f"y_{way}")
    shape: list[int | str | None] = ["batch", width]
    inside = helper.make_graph(
        body.nodes, "step", [info(name, shape) for name in ("s_f", "s_b", "x_f", "x_b")],
        [info(name, shape) for name in (*outputs, "y_f", "y_b")], body.initializers,
    )  # fmt: skip
    found = s.many(
        "Scan", "start", "start", "x", "x", outputs=["last_f", "last_b", "ys_f", "ys_b"], body=inside,
        num_scan_inputs=2, scan_input_directions=[0, 1], scan_output_directions=[0, 1],
    )  # fmt: skip
    s.add("Concat", *found[2:], axis=2, output="y")
    s.add("Add", "last_f", "last_b", output="last")
    inputs = [info("x", ["steps", "batch", width]), info("start", shape)]
    s.save(path, inputs, [info("y", ["steps", "batch", 2 * width]), info("last", shape)])


def scan_feeds(seed: int, width: int = 64) -> dict[str, Array]:
    """Return a sequence for two, its length by the seed."""
    return floats(seed, x=(STEPS + seed, 2, width), start=(2, width))


def optionals(path: Path, *, width: int = 64) -> None:
    """Write layers with a bias that may be there: one optional that holds a tensor, and one that is empty."""
    from onnx import TensorProto, helper

    s = Sketch(18, seed=22)
    kind = helper.make_tensor_type_proto(TensorProto.FLOAT, [width])
    x = "x"
    for i in range(4):
        x = s.add("MatMul", x, s.constant(s.weights(width, width, std=1.4 / np.sqrt(width))))
        bias = s.add("Mul", "scale", s.constant(s.weights(width, std=0.5)))
        maybe = s.add("Optional", bias) if i % 2 == 0 else s.add("Optional", type=kind)
        there = s.add("OptionalHasElement", maybe)
        branches = []
        for taken in (True, False):
            inner = Sketch(18)
            inner.nodes = []
            name = f"branch_{i}_{taken}"
            if taken:
                inner.add("Add", x, inner.add("OptionalGetElement", maybe, output=f"held_{i}"), output=name)
            else:
                inner.add("Neg", x, output=name)
            branches.append(helper.make_graph(inner.nodes, name, [], [info(name, ["rows", width])]))
        x = s.add("Relu", s.add("If", there, then_branch=branches[0], else_branch=branches[1]))
    s.add("Identity", x, output="y")
    s.save(path, [info("x", ["rows", width]), info("scale", [1])], [info("y", ["rows", width])])


def optional_feeds(seed: int, width: int = 64) -> dict[str, Array]:
    """Return rows, and what the biases are multiplied by."""
    return floats(seed, x=(5 + seed, width), scale=(1,))


def sequences(path: Path, *, width: int = 64) -> None:
    """Write layers over the parts of a tensor: split to a sequence, mapped, grown in a loop, joined again."""
    from onnx import TensorProto, helper

    s = Sketch(17, seed=23)
    w = s.constant(s.weights(width, width, std=1.4 / np.sqrt(width)), name="w")
    parts = s.add("SplitToSequence", "x", s.constant(2), axis=0)
    inner = Sketch(17)
    inner.add("Relu", inner.add("MatMul", "part", w, output="product"), output="mapped")
    each = helper.make_graph(inner.nodes, "each", [info("part", None)], [info("mapped", None)])
    mapped = s.add("SequenceMap", parts, body=each)
    count = s.add("SequenceLength", mapped)
    body = Sketch(17)
    taken = body.add("SequenceAt", mapped, "i")
    mean = body.add("ReduceMean", taken, axes=[0], keepdims=1)
    body.add("SequenceInsert", "grown", body.add("Sub", taken, mean), output="grown_next")
    body.add("Identity", "going", output="going_next")
    held = helper.make_tensor_sequence_value_info
    loop = helper.make_graph(
        body.nodes, "grow",
        [info("i", [], "INT64"), info("going", [], "BOOL"), held("grown", TensorProto.FLOAT, None)],
        [info("going_next", [], "BOOL"), held("grown_next", TensorProto.FLOAT, None)],
    )  # fmt: skip
    empty = s.add("SequenceEmpty")
    grown = s.add("Loop", count, s.constant(True), empty, body=loop)
    joined = s.add("ConcatFromSequence", grown, axis=0)
    s.add("Softmax", s.add("MatMul", joined, s.constant(s.weights(width, 8, std=0.3))), axis=-1, output="y")
    first = s.add("SequenceAt", s.add("SequenceConstruct", joined, "x"), s.constant(-1))
    s.add("ReduceSum", first, output="sum", keepdims=0)
    s.save(path, [info("x", ["rows", width])], [info("y", ["rows", 8]), info("sum", [])])


def sequence_feeds(seed: int, width: int = 64) -> dict[str, Array]:
    """Return rows, of which the last part may be short."""
    return floats(seed, x=(7 + 2 * seed, width))


def functions(path: Path, *, width: int = 64) -> None:
    """Write blocks that are local functions, one calling another, one with attributes, one of an older opset."""
    import onnx
    from onnx import helper

    newer, older = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)], [helper.make_opsetid("", 14)]
    gelu = helper.make_function(
        "own", "Gelu", ["x"], ["y"],
        [
            helper.make_node("Constant", [], ["root"], value_float=0.7071068),
            helper.make_node("Constant", [], ["half"], value_float=0.5),
            helper.make_node("Mul", ["x", "root"], ["scaled"]), helper.make_node("Erf", ["scaled"], ["erf"]),
            helper.make_node("Mul", ["x", "erf"], ["one"]), helper.make_node("Add", ["x", "one"], ["two"]),
            helper.make_node("Mul", ["two", "half"], ["y"]),
        ], newer,
    )  # fmt: skip
    centred = helper.make_function(
        "own", "Centre", ["x"], ["y"],
        [helper.make_node("ReduceMean", ["x"], ["mean"], axes=[-1]), helper.make_node("Sub", ["x", "mean"], ["y"])],
        older,
    )  # fmt: skip
    last = helper.make_node("LeakyRelu", ["c"], ["slope"])
    reference = onnx.AttributeProto(name="alpha", ref_attr_name="alpha", type=onnx.AttributeProto.FLOAT)
    last.attribute.append(reference)
    block = helper.make_function(
        "own", "Block", ["x", "w", "v"], ["y"],
        [
            helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Gelu", ["a"], ["b"], domain="own"),
            helper.make_node("MatMul", ["b", "v"], ["c"]), last,
            helper.make_node("Add", ["x", "slope"], ["sum"]),
            helper.make_node("Centre", ["sum"], ["y"], domain="own"),
        ], newer, ["alpha"],
    )  # fmt: skip
    s = Sketch(17, seed=24, own=1)
    x = "x"
    for i in range(4):
        weights = [s.constant(s.weights(*size, std=1 / np.sqrt(width))) for size in ((width, 128), (128, width))]
        x = s.add("Block", x, *weights, domain="own", alpha=0.1 * i)
    s.add("Identity", x, output="y")
    rows: list[int | str | None] = ["rows", width]
    onnx.save(s.model([info("x", rows)], [info("y", rows)], [gelu, centred, block]), path)


def row_feeds(seed: int, width: int = 64) -> dict[str, Array]:
    """Return rows."""
    return floats(seed, x=(5 + seed, width))


def boxes(path: Path, *, size: int = 64) -> None:
    """Write a single-shot detector whose file ends in NonMaxSuppression by centres, and the best of what is left."""
    s = Sketch(18, seed=25)
    s.channels["x"] = 3
    x = s.conv("x", 16, 3, 2, act="Relu")
    maps = []
    for width in (32, 64):
        x = s.conv(s.conv(x, width, 3, 2, act="Relu"), width, 3, act="Relu")
        maps += [s.conv(x, 4 * 3, 3, act="", norm=False), s.conv(x, 5 * 3, 3, act="", norm=False)]
    picture = [info("x", [1, 3, size, size])]
    s.level(maps, picture, pictures("x", (1, 3, size, size))(0))

    def flat(part: str, last: int) -> str:
        return s.add("Reshape", s.add("Transpose", part, perm=[0, 2, 3, 1]), s.constant([1, -1, last]))

    offsets = s.add("Concat", *(flat(part, 4) for part in maps[::2]), axis=1)
    count = 3 * ((size // 4) ** 2 + (size // 8) ** 2)
    grid = s.random.uniform(0.1, 0.9, (1, count, 4)).astype(np.float32)
    xy, wh = s.many("Split", offsets, outputs=2, axis=2, num_outputs=2)
    scale = s.constant(np.float32(0.05))
    centres = s.add("Add", s.add("Mul", xy, scale), s.constant(grid[..., :2]))
    sizes = s.add("Mul", s.add("Exp", wh), s.constant(grid[..., 2:] / 4))
    placed = s.add("Concat", centres, sizes, axis=2)
    chances = s.add("Softmax", s.add("Concat", *(flat(part, 5) for part in maps[1::2]), axis=1), axis=2)
    scores = s.add("Transpose", chances, perm=[0, 2, 1])
    limits = (s.constant([20]), s.constant([0.45]), s.constant([0.3]))
    picked = s.add("NonMaxSuppression", placed, scores, *limits, center_point_box=1)
    ours = s.add("GatherND", scores, picked)
    some = s.add("Min", s.constant([25]), s.add("Shape", ours))
    best, order = s.many("TopK", ours, some, outputs=["best", "order"], axis=0)
    rows = s.add("Gather", picked, order, axis=0)
    where = s.add("Gather", rows, s.constant([0, 2]), axis=1)
    s.add("GatherND", placed, where, output="boxes")
    s.add("Gather", rows, s.constant(1), axis=1, output="classes")
    outputs = [info("boxes", ["found", 4]), info(best, ["found"]), info("classes", ["found"], "INT64")]
    s.save(path, picture, outputs)


def overridable(path: Path, *, size: int = 32) -> None:
    """Write convolutions whose weights are inputs too; a call may bring other ones."""
    s = Sketch(13, seed=26)
    s.channels["x"] = 3
    x = "x"
    for width in (16, 32, 32):
        x = s.pool(s.conv(x, width, 3), 2, 2)
    x = s.add("Flatten", s.add("GlobalAveragePool", x))
    bias = s.constant(s.weights(10, std=0.1), name="bias")
    s.add("Gemm", x, s.constant(s.weights(32, 10, std=0.3)), bias, output="y")
    loose = [info(w.name, list(w.dims)) for w in s.initializers]
    s.save(path, [info("x", ["batch", 3, size, size]), *loose], [info("y", ["batch", 10])])


def overriding_feeds(seed: int, size: int = 32) -> dict[str, Array]:
    """Return pictures, and with every second seed another bias."""
    feeds = floats(seed, x=(2, 3, size, size))
    return {**feeds, **floats(seed, bias=(10,))} if seed % 2 else feeds


def sparse(path: Path, *, width: int = 64) -> None:
    """Write layers whose weights are stored sparse: one in eight is not zero."""
    import onnx
    from onnx import helper, numpy_helper

    s = Sketch(17, seed=29)
    x, kept = "x", []
    for i in range(3):
        weights = s.weights(width, width, std=3.0 / np.sqrt(width)) * (s.random.random((width, width)) < 0.125)
        where = np.flatnonzero(weights).astype(np.int64)
        values = numpy_helper.from_array(weights.reshape(-1)[where], f"w{i}")
        kept.append(helper.make_sparse_tensor(values, numpy_helper.from_array(where), [width, width]))
        x = s.add("Relu", s.add("MatMul", x, f"w{i}"))
    s.add("Identity", x, output="y")
    model = s.model([info("x", ["rows", width])], [info("y", ["rows", width])], checked=False)
    model.graph.sparse_initializer.extend(kept)
    onnx.checker.check_model(model)
    onnx.save(model, path)
