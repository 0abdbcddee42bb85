"""Steps by which a random model grows, of layout and structure: each adds some nodes, or none where no value fits."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from tests.acceptance.growing_models import NUMBERS, Growing, Value


def reshape(g: Growing) -> None:
    """By a constant, or by a shape that is computed from the value's own."""
    x = g.value("f32", "f16", "i64", "bool", rank=(2, 3, 4))
    if x is None or x.shape[0] != "N" or "N" in x.shape[1:]:
        return
    rest = math.prod(x.shape[1:])
    divisors = [d for d in range(1, rest + 1) if rest % d == 0]
    d = g.pick(divisors)
    target = g.pick([(rest,), (d, rest // d), (d, 1, rest // d)])
    way = g.pick(["keep", "infer", "computed", "Flatten"])
    if way == "Flatten":
        g.then("Flatten", x, shape=("N", rest), attributes={"axis": 1})
        return
    if way == "computed":
        shape = g.name()
        g.nodes.append(helper.make_node("Shape", [x.name], [shape], name=g.node_name()))
        first, wide = g.name(), g.name()
        g.nodes.append(helper.make_node("Gather", [shape, g.constant(0, "i64")], [first], axis=0, name=g.node_name()))
        g.nodes.append(helper.make_node("Unsqueeze", [first, g.constant([0], "i64")], [wide], name=g.node_name()))
        goal = g.name()
        g.nodes.append(
            helper.make_node("Concat", [wide, g.constant(target, "i64")], [goal], axis=0, name=g.node_name())
        )
    else:
        goal = g.constant([0 if way == "keep" else -1, *target], "i64")
    g.then("Reshape", x, goal, shape=("N", *target))


def turn(g: Growing) -> None:
    """Transpose, Unsqueeze, Squeeze."""
    x = g.value("f32", "f16", "i32", "i64", "bool", rank=(1, 2, 3))
    if x is None:
        return
    op = g.pick(["Transpose", "Unsqueeze", "Squeeze"])
    if op == "Transpose":
        order = g.draw(st.permutations(range(len(x.shape))))
        g.then(op, x, shape=tuple(x.shape[i] for i in order), attributes={"perm": order})
    elif op == "Unsqueeze":
        at = g.draw(st.integers(0, len(x.shape)))
        g.then(op, x, g.constant([at], "i64"), shape=(*x.shape[:at], 1, *x.shape[at:]))
    elif 1 in x.shape and len(x.shape) > 1:
        at = x.shape.index(1)
        g.then(op, x, g.constant([at - len(x.shape)], "i64"), shape=(*x.shape[:at], *x.shape[at + 1 :]))


def concat(g: Growing) -> None:
    x = g.value("f32", "f16", "i64", "i32", rank=(2, 3, 4))
    if x is None or not isinstance(x.shape[-1], int):
        return
    others = [
        v for v in g.values if v.dtype == x.dtype and v.shape[:-1] == x.shape[:-1] and isinstance(v.shape[-1], int)
    ]
    parts = [x, *(g.pick(others[-4:]) for _ in range(g.draw(st.integers(1, 2))))]
    width = sum(v.shape[-1] for v in parts)
    if width <= 16:
        bound, moved = max(v.bound for v in parts), max(v.moved for v in parts)
        g.add(
            "Concat", [v.name for v in parts], Value(g.name(), x.dtype, (*x.shape[:-1], width), bound, moved), axis=-1
        )


def split(g: Growing) -> None:
    x = g.value("f32", "f16", "i64", "i32", rank=(2, 3, 4))
    axes = [] if x is None else [i for i, dim in enumerate(x.shape) if isinstance(dim, int) and dim > 1]
    if not axes:
        return
    axis = g.pick(axes)
    at = g.draw(st.integers(1, x.shape[axis] - 1))
    sizes = [at, x.shape[axis] - at]
    parts = [replace(x, name=g.name(), shape=(*x.shape[:axis], size, *x.shape[axis + 1 :])) for size in sizes]
    g.add("Split", [x.name, g.constant(sizes, "i64")], *parts, axis=axis)


def gather(g: Growing) -> None:
    """Rows of a table by ids, or entries of a value by constants, counted from the end as well."""
    ids = g.value("i64", "i32", rank=(1, 2), exact=True)
    if ids is not None and g.draw(st.booleans()):
        rows = 7
        if ids.bound >= rows or len(ids.shape) > 1 or not any(v.name == ids.name for v in g.inputs):
            ids = g.then("Abs", ids)
            ids = ids and g.then("Mod", ids, g.constant(rows, ids.dtype), bound=rows - 1)
        if ids:
            width = g.draw(st.integers(1, 5))
            table = g.weight((rows, width), 2.0, "f32")
            g.add("Gather", [table, ids.name], Value(g.name(), "f32", (*ids.shape, width), 2.0), axis=0)
        return
    x = g.value("f32", "f16", "i64", "i32", rank=(2, 3))
    if x is None or not isinstance(x.shape[-1], int):
        return
    picks = [int(i) for i in g.rng.integers(-x.shape[-1], x.shape[-1], g.draw(st.integers(1, 3)))]
    g.then("Gather", x, g.constant(picks, "i64"), shape=(*x.shape[:-1], len(picks)), attributes={"axis": -1})


def folded(g: Growing) -> None:
    """Nodes over constants alone, added to a value."""
    x = g.value("f32", "f32", "f16")
    if x is None:
        return
    one, two, three = (g.name() for _ in range(3))
    tensor = numpy_helper.from_array(
        np.float32([0.5, -0.25, 1]).astype(helper.tensor_dtype_to_np_dtype(NUMBERS[x.dtype]))
    )
    g.nodes.append(helper.make_node("Constant", [], [one], value=tensor))
    g.nodes.append(helper.make_node("Mul", [one, one], [two], name=g.node_name()))
    if g.opset >= 18:
        g.nodes.append(helper.make_node("ReduceMax", [two, g.constant([0], "i64")], [three], keepdims=0))
    else:
        g.nodes.append(helper.make_node("ReduceMax", [two], [three], axes=[0], keepdims=0))
    g.then(g.pick(["Add", "Mul"]), x, three, slope=1.0, bound=x.bound + 1)


def cut_out(g: Growing) -> None:
    """Slice to the end of things, forwards and backwards; Pad; Tile; Expand."""
    x = g.value("f32", "i64", "i32", rank=(2, 3))
    if x is None or not isinstance(x.shape[-1], int):
        return
    op, last, width = g.pick(["Slice", "reversed", "Pad", "Tile", "Expand"]), len(x.shape) - 1, x.shape[-1]
    if op == "Slice":
        start = g.draw(st.integers(0, width - 1))
        names = [g.constant([v], "i64") for v in (start, 2**63 - 1, last)]
        g.then(op, x, *names, shape=(*x.shape[:-1], width - start))
    elif op == "reversed":
        names = [g.constant([v], "i64") for v in (-1, -(2**31), -1, -1)]
        g.then("Slice", x, *names)
    elif op == "Pad" and width < 12 and x.dtype == "f32":
        pads = [0] * len(x.shape) * 2
        pads[last], pads[-1] = 1, 2
        g.then(
            op,
            x,
            g.constant(pads, "i64"),
            g.constant(0.5, "f32"),
            shape=(*x.shape[:-1], width + 3),
            bound=max(x.bound, 0.5),
        )
    elif op == "Tile" and width < 6:
        g.then(op, x, g.constant([1] * last + [2], "i64"), shape=(*x.shape[:-1], 2 * width))
    elif op == "Expand":
        g.then(op, x, g.constant([3] + [1] * len(x.shape), "i64"), shape=(3, *x.shape))


def branch(g: Growing) -> None:
    """Add an If whose branches read a value of the outer scope."""
    flags = [v for v in g.inputs if v.dtype == "bool" and v.shape == ()]
    x = g.value("f32")
    if x is None or x.moved:
        return
    flag = flags[0] if flags else g.input("bool", (), 1)
    bodies = {}
    for which, op in (("then_branch", g.pick(["Neg", "Relu"])), ("else_branch", g.pick(["Abs", "Identity"]))):
        made = g.name()
        out = helper.make_tensor_value_info(made, NUMBERS[x.dtype], None)
        bodies[which] = helper.make_graph([helper.make_node(op, [x.name], [made])], which, [], [out])
    g.add("If", [flag.name], replace(x, name=g.name()), **bodies)


LAYOUT = (reshape, reshape, turn, concat, split, gather, folded, cut_out, branch)
"""The steps of this module, those that should be drawn more often several times."""
