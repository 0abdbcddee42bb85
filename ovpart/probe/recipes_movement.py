"""Cases of operators that move elements: shapes, slices, gathers, scatters, pads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ovpart.probe.case import WIDE64, Draft
from ovpart.probe.values import Maker, wide_integers


def concat(m: Maker) -> Iterator[Draft]:
    """Yield cases of Concat."""
    yield Draft("plain", [m.x(m.n, 3, 4), m.x(m.n, 2, 4)], {"axis": 1})
    yield Draft("axis 0", [m.x(m.n, 3), m.x(2, 3)], {"axis": 0})
    yield Draft("one", [m.x(m.n, 3)], {"axis": 0})
    yield Draft("empty", [m.x(m.n, 0, 4), m.x(m.n, 3, 4)], {"axis": 1})
    if m.version >= 11:
        yield Draft("negative axis", [m.x(m.n, 3), m.x(m.n, 2), m.x(m.n, 1)], {"axis": -1})
    yield from _large(m, lambda values: ([values, values], {"axis": 0}))


def reshape(m: Maker) -> Iterator[Draft]:
    """Yield cases of Reshape."""
    yield Draft("plain", [m.x(m.n, 3, 4), m.ints(-1, 6)])
    yield Draft("zero copies", [m.x(m.n, 3, 4), m.ints(0, -1)])
    yield Draft("to 0-d", [m.x(1), m.ints()])
    yield Draft("empty", [m.x(m.n - 2, 3), m.ints(-1, 3)])
    yield Draft("rank 7", [m.x(m.n, 4), m.ints(1, 1, 2, 1, 2, 1, -1)])
    if m.version >= 14:
        yield Draft("allowzero", [m.x(0, 3), m.ints(3, 0)], {"allowzero": 1})
    yield from _large(m, lambda values: ([values, m.ints(3, 4)], {}))


def flatten(m: Maker) -> Iterator[Draft]:
    """Yield cases of Flatten."""
    axes = (1, 0, 2, 3) + ((-1,) if m.version >= 11 else ())
    for axis in axes:
        yield Draft("plain" if axis == 1 else f"axis {axis}", [m.x(m.n, 3, 4)], {"axis": axis})
    yield Draft("empty", [m.x(0, 3, 4)], {"axis": 2})


def transpose(m: Maker) -> Iterator[Draft]:
    """Yield cases of Transpose."""
    yield Draft("plain", [m.x(m.n, 3, 4)], {"perm": [1, 2, 0]})
    yield Draft("bare", [m.x(m.n, 3, 4)])
    yield Draft("0-d", [m.x()])
    yield Draft("empty", [m.x(m.n - 2, 3)])
    yield Draft("rank 6", [m.x(m.n, 2, 1, 2, 1, 2)], {"perm": [5, 4, 3, 2, 1, 0]})


def squeeze(m: Maker) -> Iterator[Draft]:
    """Yield cases of Squeeze and Unsqueeze: axes are an attribute up to version 11, an input after."""
    taken = m.op == "Squeeze"

    def draft(tag: str, shape: tuple[int, ...], axes: list[int]) -> Draft:
        if m.version < 13:
            return Draft(tag, [m.x(*shape)], {"axes": axes})
        return Draft(tag, [m.x(*shape), m.ints(*axes)])

    yield draft("plain", (m.n, 1, 4) if taken else (m.n, 4), [1])
    yield draft("two", (m.n, 1, 4, 1) if taken else (m.n, 4), [1, 3])
    yield draft("empty", (m.n - 2, 1, 4) if taken else (m.n - 2, 4), [1])
    if m.version >= 11:
        yield draft("negative axis", (m.n, 4, 1) if taken else (m.n, 4), [-1])
    if taken:
        yield draft("to 0-d", (1,), [0])
        yield Draft("bare", [m.x(m.n, 1, 4)])
    else:
        yield draft("0-d", (), [0])


def slice_(m: Maker) -> Iterator[Draft]:
    """Yield cases of Slice: bounds are attributes in version 1, inputs after."""
    x = m.x(m.n + 2, 5, 4)
    if m.version < 10:
        yield Draft("plain", [x], {"starts": [1, 0], "ends": [3, 1000], "axes": [0, 1]})
        yield Draft("negative", [x], {"starts": [-3], "ends": [-1], "axes": [1]})
        return
    yield Draft("plain", [x, m.ints(1, 0), m.ints(3, 1000), m.ints(0, 1)])
    yield Draft("bare", [x, m.ints(1, 0, 2), m.ints(3, 4, 4)])
    yield Draft("steps", [x, m.ints(0), m.ints(5), m.ints(1), m.ints(2)])
    yield Draft("backwards", [x, m.ints(-1), m.ints(-6), m.ints(1), m.ints(-1)])
    yield Draft("negative axis", [x, m.ints(-3), m.ints(-1), m.ints(-2)])
    yield Draft("to the end", [x, m.ints(1), m.ints(2**63 - 1), m.ints(1)], kind=WIDE64)
    yield Draft("nothing", [x, m.ints(3), m.ints(2), m.ints(1)])
    yield Draft("i32", [x, *(m.array(v, "i32") for v in ([1], [4], [1]))])
    yield Draft("empty", [m.x(m.n - 2, 3), m.ints(0), m.ints(2), m.ints(1)])


def split(m: Maker) -> Iterator[Draft]:
    """Yield cases of Split: sizes are an attribute up to version 11, an input after."""
    x = m.x(m.n, 6)
    if m.version < 13:
        yield Draft("plain", [x], {"axis": 1, "split": [2, 4]}, outputs=2)
        yield Draft("even", [x], {"axis": 1}, outputs=3)
        return
    yield Draft("plain", [x, m.ints(2, 4)], {"axis": 1}, outputs=2)
    yield Draft("negative axis", [x, m.ints(1, 5)], {"axis": -1}, outputs=2)
    yield Draft("with a zero", [x, m.ints(0, 6)], {"axis": 1}, outputs=2)
    even: dict[str, Any] = {"axis": 1, "num_outputs": 3} if m.version >= 18 else {"axis": 1}
    yield Draft("even", [x], even, outputs=3)
    if m.version >= 18:
        yield Draft("uneven", [x], {"axis": 1, "num_outputs": 4}, outputs=4)


def gather(m: Maker) -> Iterator[Draft]:
    """Yield cases of Gather."""
    x = m.x(m.n, 5, 4)
    yield Draft("plain", [x, m.ints(0, 4, 2)], {"axis": 1})
    yield Draft("axis 0", [m.x(5, m.n), m.ints(0, 4, 2)])
    yield Draft("0-d", [x, m.array(1, "i64")], {"axis": 1})
    yield Draft("i32", [x, m.array([[0, 1], [3, 2]], "i32")], {"axis": 1})
    yield Draft("no indices", [x, m.ints()], {"axis": 1})
    if m.version >= 11:
        yield Draft("negative", [x, m.ints(-1, 0)], {"axis": -2})
    yield from _large(m, lambda values: ([values, m.ints(0, 1, 3)], {}))


def gather_elements(m: Maker) -> Iterator[Draft]:
    """Yield cases of GatherElements."""
    x = m.x(m.n, 4)
    index = m.of("i64", m.n, 3, low=0, high=3)
    yield Draft("plain", [x, index], {"axis": 1}, runtime=frozenset({1}))
    yield Draft("fixed", [m.x(3, 4), m.array([[0, 1, 2], [2, 0, 1]], "i64")], {"axis": 0})
    yield Draft("negative", [m.x(3, 4), m.array([[-1, 1], [-4, 0], [2, -2]], "i64")], {"axis": -1})
    yield Draft("i32", [m.x(3, 4), m.array([[0, 1], [3, 0], [2, 2]], "i32")], {"axis": 1})


def gather_nd(m: Maker) -> Iterator[Draft]:
    """Yield cases of GatherND."""
    yield Draft("plain", [m.x(4, 3, m.n), m.array([[0, 1], [3, 2]], "i64")])
    yield Draft("negative", [m.x(4, 3, m.n), m.array([[-1, 1], [3, -3]], "i64")])
    yield Draft("whole", [m.x(4, m.n), m.array([[[1]], [[0]]], "i64")])
    if m.version >= 12:
        yield Draft("batch", [m.x(2, 3, m.n), m.array([[1], [0]], "i64")], {"batch_dims": 1})


def scatter(m: Maker) -> Iterator[Draft]:
    """Yield cases of Scatter and ScatterElements."""
    index = m.array([[1, 0, 2], [0, 2, 1]], "i64")
    yield Draft("plain", [m.x(m.n + 1, 3), index, m.x(2, 3)], {"axis": 0})
    yield Draft("axis 1", [m.x(2, m.n + 2), m.array([[1, 3], [0, 2]], "i64"), m.x(2, 2)], {"axis": 1})
    if m.version >= 11 and m.op != "Scatter":
        yield Draft("negative", [m.x(m.n + 1, 3), m.array([[-1, 0, -2]], "i64"), m.x(1, 3)], {"axis": -2})
    yield from _reductions(m, lambda: [m.x(m.n + 1, 3), m.array([[1, 1, 0], [1, 0, 0]], "i64"), m.x(2, 3)])


def scatter_nd(m: Maker) -> Iterator[Draft]:
    """Yield cases of ScatterND."""
    yield Draft("plain", [m.x(m.n + 2, 3), m.array([[1], [3]], "i64"), m.x(2, 3)])
    yield Draft("elements", [m.x(m.n + 2, 3), m.array([[1, 2], [3, 0]], "i64"), m.x(2)])
    yield Draft("negative", [m.x(m.n + 2, 3), m.array([[-1, 2], [0, -1]], "i64"), m.x(2)])
    yield from _reductions(m, lambda: [m.x(m.n + 2, 3), m.array([[1], [1]], "i64"), m.x(2, 3)])


def _reductions(m: Maker, inputs: Callable[[], list[Any]]) -> Iterator[Draft]:
    modes = ("add", "mul", "max", "min") if m.version >= 18 else ("add", "mul") if m.version >= 16 else ()
    for mode in modes:
        yield Draft(mode, inputs(), {"reduction": mode})


def pad(m: Maker) -> Iterator[Draft]:
    """Yield cases of Pad: everything is an attribute in version 2, inputs after."""
    x = m.x(m.n, 3, 4)
    modes = ("constant", "reflect", "edge") + (("wrap",) if m.version >= 19 else ())
    amounts = [0, 1, 2, 0, 0, 1]
    for mode in modes:
        tag = "plain" if mode == "constant" else mode
        if m.version < 11:
            yield Draft(tag, [x], {"mode": mode, "pads": amounts})
        else:
            yield Draft(tag, [x, m.ints(*amounts)], {"mode": mode})
    if m.version < 11:
        yield Draft("value", [x], {"pads": amounts, "value": 1.5})
        yield Draft("negative", [x], {"pads": [0, -1, 0, 0, 1, 0]})
        return
    yield Draft("value", [x, m.ints(*amounts), m.x()])
    yield Draft("negative", [x, m.ints(0, -1, 0, 0, 1, 0)])
    yield Draft("empty", [m.x(m.n - 2, 3), m.ints(0, 1, 0, 1)])
    if m.version >= 18:
        yield Draft("axes", [x, m.ints(1, 2), None, m.ints(1)])
        yield Draft("negative axes", [x, m.ints(1, 2, 0, 1), m.x(), m.ints(-1, -2)])


def tile(m: Maker) -> Iterator[Draft]:
    """Yield cases of Tile."""
    yield Draft("plain", [m.x(m.n, 3), m.ints(2, 1)])
    yield Draft("rank 4", [m.x(m.n, 2, 1, 3), m.ints(2, 2, 2, 2)])
    yield Draft("once", [m.x(m.n, 3), m.ints(1, 1)])
    yield Draft("never", [m.x(m.n, 3), m.ints(0, 1)])
    yield Draft("empty", [m.x(m.n - 2, 3), m.ints(2, 2)])


def expand(m: Maker) -> Iterator[Draft]:
    """Yield cases of Expand."""
    yield Draft("plain", [m.x(m.n, 1, 4), m.ints(1, 3, 1)])
    yield Draft("larger rank", [m.x(m.n, 1), m.ints(2, 1, 3)])
    yield Draft("0-d", [m.x(), m.ints(2, 3)])
    yield Draft("to nothing", [m.x(m.n, 1), m.ints(1, 0)])


def blocks(m: Maker) -> Iterator[Draft]:
    """Yield cases of DepthToSpace and SpaceToDepth."""
    shape = (m.n, 8, 2, 3) if m.op == "DepthToSpace" else (m.n, 2, 4, 6)
    yield Draft("plain", [m.x(*shape)], {"blocksize": 2})
    newer = m.version >= (11 if m.op == "DepthToSpace" else 28)
    for mode in ("DCR", "CRD") if newer else ():
        yield Draft(mode, [m.x(*shape)], {"blocksize": 2, "mode": mode})


def reverse_sequence(m: Maker) -> Iterator[Draft]:
    """Yield cases of ReverseSequence."""
    yield Draft("plain", [m.x(4, 3, m.n), m.ints(4, 2, 1)])
    yield Draft("axes", [m.x(3, 4, m.n), m.ints(4, 2, 1)], {"batch_axis": 0, "time_axis": 1})


def compress(m: Maker) -> Iterator[Draft]:
    """Yield cases of Compress."""
    condition = m.array([1, 0, 1], "bool")
    yield Draft("plain", [m.x(m.n, 3), condition], {"axis": 1})
    yield Draft("flat", [m.x(m.n, 3), condition])
    yield Draft("short", [m.x(m.n, 4), condition], {"axis": 1})
    if m.version >= 11:
        yield Draft("negative axis", [m.x(m.n, 3), condition], {"axis": -1})


def unique(m: Maker) -> Iterator[Draft]:
    """Yield cases of Unique."""
    x = m.x(m.n * 5, high=4)
    yield Draft("plain", [x], outputs=1)
    yield Draft("all outputs", [x], outputs=4)
    yield Draft("unsorted", [x], {"sorted": 0}, outputs=4)
    yield Draft("axis", [m.array([[1, 0, 0], [1, 0, 0], [2, 3, 4]])], {"axis": 0}, outputs=1)


def trilu(m: Maker) -> Iterator[Draft]:
    """Yield cases of Trilu."""
    yield Draft("plain", [m.x(m.n, 4, 5)])
    yield Draft("lower", [m.x(m.n, 4, 5)], {"upper": 0})
    yield Draft("k", [m.x(m.n, 4, 5), m.array(-1, "i64")], {"upper": 0})
    yield Draft("k vector", [m.x(m.n, 4, 5), m.ints(1)])


def center_crop_pad(m: Maker) -> Iterator[Draft]:
    """Yield cases of CenterCropPad."""
    yield Draft("plain", [m.x(m.n + 2, 5), m.ints(3, 7)])
    yield Draft("axes", [m.x(m.n, 5, 4), m.ints(3)], {"axes": [1]})
    yield Draft("negative axes", [m.x(m.n, 5, 4), m.ints(7, 2)], {"axes": [-2, -1]})


def col2im(m: Maker) -> Iterator[Draft]:
    """Yield cases of Col2Im."""
    yield Draft("plain", [m.x(m.n, 5, 5), m.ints(5, 5), m.ints(1, 5)])
    yield Draft("strides", [m.x(m.n, 9, 4), m.ints(5, 5), m.ints(3, 3)], {"strides": [2, 2]})
    yield Draft("pads", [m.x(m.n, 5, 15), m.ints(5, 5), m.ints(1, 5)], {"pads": [0, 1, 0, 1]})


def tensor_scatter(m: Maker) -> Iterator[Draft]:
    """Yield cases of TensorScatter."""
    yield Draft("plain", [m.x(m.n, 2, 6, 4), m.x(m.n, 2, 2, 4)])
    yield Draft("indices", [m.x(2, 2, 6, 4), m.x(2, 2, 2, 4), m.ints(1, 3)])


def _large(m: Maker, made: Callable[[Any], tuple[list[Any], dict[str, Any]]]) -> Iterator[Draft]:
    """Yield a case of integers that are only moved, and yet lose their upper half in some engines."""
    if wide := wide_integers(m):
        values, kind = wide
        inputs, attributes = made(values)
        yield Draft("large", inputs, attributes, kind=kind)


RECIPES: Mapping[str, Callable[[Maker], Iterator[Draft]]] = {
    "CenterCropPad": center_crop_pad,
    "Col2Im": col2im,
    "Compress": compress,
    "Concat": concat,
    "DepthToSpace": blocks,
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "Pad": pad,
    "Reshape": reshape,
    "ReverseSequence": reverse_sequence,
    "Scatter": scatter,
    "ScatterElements": scatter,
    "ScatterND": scatter_nd,
    "Slice": slice_,
    "SpaceToDepth": blocks,
    "Split": split,
    "Squeeze": squeeze,
    "TensorScatter": tensor_scatter,
    "Tile": tile,
    "Transpose": transpose,
    "Trilu": trilu,
    "Unique": unique,
    "Unsqueeze": squeeze,
}
"""Operator → its cases."""
