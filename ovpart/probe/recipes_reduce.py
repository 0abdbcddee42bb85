"""Cases of operators that reduce, order, count or make tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ovpart.probe.case import NAN, Draft
from ovpart.probe.values import Maker, nan_floats, wide_integers

REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare",
)  # fmt: skip


def reduction(m: Maker) -> Iterator[Draft]:
    """Yield cases of a reduction: axes are an attribute up to version 13, or 11 for ReduceSum; an input after."""
    positive = m.op == "ReduceLogSum"
    as_input = m.version >= (13 if m.op == "ReduceSum" else 18)

    def draft(tag: str, x: Any, axes: list[int] | None, **attributes: Any) -> Draft:
        if axes is None:
            return Draft(tag, [x], attributes)
        if as_input:
            return Draft(tag, [x, m.ints(*axes)], attributes)
        return Draft(tag, [x], {**attributes, "axes": axes})

    def x(*shape: int) -> Any:
        return m.x(*shape, low=0.5 if positive else -2, high=3 if positive else 2)

    yield draft("plain", x(m.n, 3, 4), [1])
    yield draft("not kept", x(m.n, 3, 4), [1], keepdims=0)
    yield draft("two", x(m.n, 3, 4), [0, 2], keepdims=0)
    yield draft("bare", x(m.n, 3, 4), None)
    yield draft("to 0-d", x(m.n, 3), None, keepdims=0)
    yield draft("empty", x(m.n, 0, 4), [1])
    if m.version >= 11:
        yield draft("negative axis", x(m.n, 3, 4), [-1])
    if as_input:
        yield draft("noop", x(m.n, 3), None, noop_with_empty_axes=1)
        yield draft("noop, empty axes", x(m.n, 3), [], noop_with_empty_axes=1)
    if m.is_float:
        yield Draft("nan", [nan_floats(m).reshape(3, 4)], {}, kind=NAN)
        yield Draft("infinite", [m.array([[1, float("inf")], [float("-inf"), 2], [1, 2]])], {})
    if wide := wide_integers(m):
        yield Draft("large", *_reduced(as_input, m, wide[0].reshape(6, 2)), kind=wide[1])


def _reduced(as_input: bool, m: Maker, x: Any) -> tuple[list[Any], dict[str, Any]]:
    return ([x, m.ints(1)], {}) if as_input else ([x], {"axes": [1]})


def arg(m: Maker) -> Iterator[Draft]:
    """Yield cases of ArgMax and ArgMin."""
    x = m.x(m.n, 3, 4)
    yield Draft("plain", [x], {"axis": 1})
    yield Draft("not kept", [x], {"axis": 2, "keepdims": 0})
    yield Draft("bare", [x])
    yield Draft("ties", [m.array([[1, 2, 2], [2, 1, 1], [0, 0, 0]])], {"axis": 1})
    if m.version >= 11:
        yield Draft("negative axis", [x], {"axis": -1})
    if m.version >= 12:
        yield Draft("last of ties", [m.array([[1, 2, 2], [2, 1, 1]])], {"axis": 1, "select_last_index": 1})
    if m.is_float:
        yield Draft("nan", [nan_floats(m)], {"axis": 0}, kind=NAN)
    if wide := wide_integers(m):
        yield Draft("large", [wide[0].reshape(2, 6)], {"axis": 1}, kind=wide[1])


def top_k(m: Maker) -> Iterator[Draft]:
    """Yield cases of TopK: the count is an attribute in version 1, an input after."""
    import numpy as np

    x = m.array(np.random.default_rng(5).permutation(m.n * 12).reshape(m.n, 12))
    if m.version < 10:
        yield Draft("plain", [x], {"k": 3, "axis": 1}, outputs=2)
        yield Draft("values", [x], {"k": 3, "axis": 1}, outputs=2, unused=frozenset({1}))
        return
    k = m.ints(3)
    yield Draft("plain", [x, k], {"axis": 1}, outputs=2)
    yield Draft("values", [x, k], {"axis": 1}, outputs=2, unused=frozenset({1}))
    yield Draft("all", [x, m.ints(12)], {}, outputs=2)
    yield Draft("none", [x, m.ints(0)], {}, outputs=2)
    yield Draft("ties", [m.array([[3, 1, 3, 2, 1], [0, 0, 0, 0, 0]]), k], {"axis": 1}, outputs=2)
    if m.version >= 11:
        yield Draft("smallest", [x, k], {"axis": -1, "largest": 0}, outputs=2)
    if m.is_float:
        yield Draft("nan", [nan_floats(m), k], {"axis": 0}, outputs=2, kind=NAN)
    if wide := wide_integers(m):
        yield Draft("large", [wide[0], k], {"axis": 0}, outputs=2, kind=wide[1])


def softmax(m: Maker) -> Iterator[Draft]:
    """Yield cases of Softmax, LogSoftmax and Hardmax."""
    x = m.x(m.n, 3, 4)
    yield Draft("plain", [x])
    yield Draft("axis 1", [x], {"axis": 1})
    yield Draft("axis 0", [m.x(3, m.n)], {"axis": 0})
    yield Draft("one dimension", [m.x(m.n + 4)], {"axis": 0})
    yield Draft("last of 3", [x], {"axis": 2})
    yield Draft("last of 4", [m.x(m.n, 2, 3, 4)], {"axis": 3})
    yield Draft("last of 5", [m.x(m.n, 1, 2, 3, 4)], {"axis": 4})
    yield Draft("large", [m.x(m.n, 4, low=-80, high=80)], {"axis": 1})
    yield Draft("masked", [m.array([[1, float("-inf"), 2], [0, 1, float("-inf")]])], {"axis": 1})
    yield Draft("empty", [m.x(m.n - 2, 4)], {"axis": 1})
    if m.version >= 11:
        yield Draft("negative axis", [x], {"axis": -2})
        yield Draft("last axis", [x], {"axis": -1})
    yield Draft("nan", [nan_floats(m).reshape(4, 3)], {"axis": 1}, kind=NAN)


def cumulative(m: Maker) -> Iterator[Draft]:
    """Yield cases of CumSum and CumProd."""
    axis = m.array(1, "i64")
    for exclusive in (0, 1):
        for reverse in (0, 1):
            tag = ("exclusive " if exclusive else "") + ("reverse" if reverse else "")
            yield Draft(tag.strip() or "plain", [m.x(m.n, 5), axis], {"exclusive": exclusive, "reverse": reverse})
    yield Draft("negative axis", [m.x(m.n, 5), m.array(-1, "i64")])
    yield Draft("i32 axis", [m.x(m.n, 5), m.array(0, "i32")])
    yield Draft("axis vector", [m.x(m.n, 5), m.ints(1)])
    if wide := wide_integers(m):
        yield Draft("large", [wide[0][:2], m.array(0, "i64")], kind=wide[1])


def one_hot(m: Maker) -> Iterator[Draft]:
    """Yield cases of OneHot; the dtype is that of the values."""
    values = m.x(2)
    depth = m.array(5, "i64")
    yield Draft("plain", [m.of("i64", m.n, 3, low=0, high=4), depth, values])
    yield Draft("axis 0", [m.of("i64", m.n, 3, low=0, high=4), depth, values], {"axis": 0})
    yield Draft("i32", [m.of("i32", m.n, 3, low=0, high=4), m.array([5], "i32"), values])
    yield Draft("f32", [m.array([[0, 2], [4, 1]], "f32"), m.array(5, "f32"), values])
    yield Draft("outside", [m.ints(-1, -5, 7, 2), depth, values])


def indices(m: Maker) -> Iterator[Draft]:
    """Yield cases of NonZero, Shape and Size."""
    yield Draft("plain", [m.x(m.n, 3, 4)])
    yield Draft("0-d", [m.x()])
    yield Draft("empty", [m.x(m.n - 2, 3)])
    if m.op == "Shape" and m.version >= 15:
        yield Draft("start", [m.x(m.n, 3, 4)], {"start": -2})
        yield Draft("end", [m.x(m.n, 3, 4)], {"start": 1, "end": -1})


def eye_like(m: Maker) -> Iterator[Draft]:
    """Yield cases of EyeLike."""
    yield Draft("plain", [m.x(m.n + 1, 4)])
    yield Draft("k", [m.x(m.n + 1, 4)], {"k": 1, "dtype": 1})


def constant_of_shape(m: Maker) -> Iterator[Draft]:
    """Yield cases of ConstantOfShape; the dtype is that of the value."""
    from ovpart.probe.case import tensor_of

    value = {"value": tensor_of(m.x(1), "value")}
    yield Draft("plain", [m.ints(m.n, 3)], value)
    yield Draft("0-d", [m.ints()], value)
    yield Draft("empty", [m.ints(2, 0)], value)
    if m.dtype == "f32":
        yield Draft("bare", [m.ints(m.n, 3)])


def range_(m: Maker) -> Iterator[Draft]:
    """Yield cases of Range."""
    yield Draft("plain", [m.array(1), m.array(9), m.array(2)])
    yield Draft("down", [m.array(9), m.array(1), m.array(-2)])
    yield Draft("nothing", [m.array(5), m.array(1), m.array(2)])
    if m.is_float:
        yield Draft("fractions", [m.array(0.5), m.array(2), m.array(0.25)])
    if m.dtype == "i64":
        far = 2**33
        yield Draft("large", [m.array(far), m.array(far + 3), m.array(1)], kind="wide64")


def einsum(m: Maker) -> Iterator[Draft]:
    """Yield cases of Einsum."""
    yield Draft("plain", [m.x(m.n, 3, 4), m.x(m.n, 4, 2)], {"equation": "bij,bjk->bik"}, runtime=frozenset({1}))
    yield Draft("matrix", [m.x(m.n, 4), m.x(4, 3)], {"equation": "ij,jk->ik"})
    yield Draft("transpose", [m.x(m.n, 3)], {"equation": "ij->ji"})
    yield Draft("sum", [m.x(m.n, 3)], {"equation": "ij->i"})
    yield Draft("dots", [m.x(m.n, 3, 4), m.x(4, 2)], {"equation": "...ij,jk->...ik"})
    yield Draft("diagonal", [m.x(m.n, 3, 3)], {"equation": "bii->bi"})


def matmul(m: Maker) -> Iterator[Draft]:
    """Yield cases of MatMul."""
    yield Draft("plain", [m.x(m.n, 3, 4), m.x(4, 5)])
    yield Draft("batches", [m.x(2, m.n, 3, 4), m.x(2, 1, 4, 5)])
    yield Draft("vector", [m.x(m.n, 4), m.x(4)])
    yield Draft("vector first", [m.x(4), m.x(4, 5)])
    yield Draft("two vectors", [m.x(4), m.x(4)])
    yield Draft("empty", [m.x(m.n - 2, 4), m.x(4, 5)])
    yield Draft("empty sum", [m.x(m.n, 0), m.x(0, 5)])
    if wide := wide_integers(m):
        yield Draft("large", [wide[0].reshape(6, 2), wide[0][6:].reshape(2, 3)], kind=wide[1])


def gemm(m: Maker) -> Iterator[Draft]:
    """Yield cases of Gemm."""
    yield Draft("plain", [m.x(m.n, 4), m.x(4, 5), m.x(5)])
    if m.version >= 11:
        yield Draft("bare", [m.x(m.n, 4), m.x(4, 5)])
    yield Draft("transposed", [m.x(4, m.n), m.x(5, 4), m.x(1, 5)], {"transA": 1, "transB": 1})
    yield Draft("scaled", [m.x(m.n, 4), m.x(4, 5), m.x(5)], {"alpha": 0.5, "beta": 1.5})


RECIPES: Mapping[str, Callable[[Maker], Iterator[Draft]]] = {
    **dict.fromkeys(REDUCTIONS, reduction),
    **dict.fromkeys(("ArgMax", "ArgMin"), arg),
    **dict.fromkeys(("CumSum", "CumProd"), cumulative),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), softmax),
    **dict.fromkeys(("NonZero", "Shape", "Size"), indices),
    "ConstantOfShape": constant_of_shape,
    "Einsum": einsum,
    "EyeLike": eye_like,
    "Gemm": gemm,
    "MatMul": matmul,
    "OneHot": one_hot,
    "Range": range_,
    "TopK": top_k,
}
"""Operator → its cases."""
