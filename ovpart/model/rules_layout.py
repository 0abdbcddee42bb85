"""Shape rules for com.microsoft operators that are quantized or channels-last forms of standard ones.

Windows as the standard's Conv and pools count them (onnx ``defs/nn``): ``auto_pad``, ``pads``, ``strides``,
``dilations``, ``ceil_mode``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ovpart.model.rules import Case, broadcast, dim, plus, unknown_dims
from ovpart.model.rules_microsoft import Shape, ShapeRule, first, rank_of_first
from ovpart.model.types import Dim


def _windows(case: Case, spatial: Sequence[Dim], kernel: Sequence[Dim]) -> list[Dim]:
    """Return how many windows fit along each spatial dimension."""
    count = len(spatial)
    strides = case.integers("strides") or (1,) * count
    dilations = case.integers("dilations") or (1,) * count
    pads = case.integers("pads") or (0,) * (2 * count)
    auto = case.text("auto_pad", "NOTSET")
    result: list[Dim] = []
    for i, (size, width) in enumerate(zip(spatial, kernel, strict=False)):
        if not isinstance(size, int) or not isinstance(width, int) or i >= min(len(strides), len(dilations)):
            result.append(None)
            continue
        if auto.startswith("SAME"):
            result.append(-(-size // strides[i]))
            continue
        padded = size if auto == "VALID" else size + pads[i] + pads[i + count]
        free = padded - (dilations[i] * (width - 1) + 1)
        result.append((-(-free // strides[i]) if case.integer("ceil_mode") else free // strides[i]) + 1)
    return result


def _convolution(weights: int, last: bool | None = None, weights_last: bool = False) -> ShapeRule:
    """Conv; channels-last where `last`, or where the attribute ``channels_last`` says so."""

    def rule(case: Case) -> Sequence[Shape]:
        shape, kernel_shape = case.shape(0), case.shape(weights)
        if shape is None or kernel_shape is None or len(shape) < 3 or len(shape) != len(kernel_shape):
            return [unknown_dims(None if shape is None else len(shape))]
        channels_last = bool(case.integer("channels_last")) if last is None else last
        kernel: Sequence[Dim] = kernel_shape[1:-1] if weights_last else kernel_shape[2:]
        if channels_last:
            return [(shape[0], *_windows(case, shape[1:-1], kernel), kernel_shape[0])]
        return [(shape[0], kernel_shape[0], *_windows(case, shape[2:], kernel))]

    return rule


def _pool(last: bool | None = None) -> ShapeRule:
    def rule(case: Case) -> Sequence[Shape]:
        shape, kernel = case.shape(0), case.integers("kernel_shape")
        if shape is None or kernel is None or len(kernel) != len(shape) - 2:
            return [unknown_dims(None if shape is None else len(shape))]
        if bool(case.integer("channels_last")) if last is None else last:
            return [(shape[0], *_windows(case, shape[1:-1], kernel), shape[-1])]
        return [(*shape[:2], *_windows(case, shape[2:], kernel))]

    return rule


def _global_pool(case: Case) -> Sequence[Shape]:
    shape = case.shape(0)
    if shape is None or len(shape) < 3:
        return [unknown_dims(None if shape is None else len(shape))]
    ones = [1] * (len(shape) - 2)
    return [(shape[0], *ones, shape[-1]) if case.integer("channels_last") else (*shape[:2], *ones)]


def _concat(case: Case) -> Sequence[Shape]:
    """QLinearConcat: scale and zero point of the output, then tensor, scale, zero point of each input."""
    shapes = [case.shape(i) for i in range(2, len(case.inputs), 3)]
    known = [s for s in shapes if s is not None]
    if not known or not known[0]:
        return [None]
    axis = case.integer("axis") % len(known[0])
    joined = plus(*(dim(s, axis) for s in shapes))
    return [tuple(joined if i == axis else d for i, d in enumerate(known[0]))]


def _mean(case: Case) -> Sequence[Shape]:
    shape, axes = case.shape(0), case.integers("axes")
    if shape is None:
        return [None]
    gone = set(range(len(shape))) if axes is None else {a % max(len(shape), 1) for a in axes}
    keep = case.integer("keepdims", 1)
    return [tuple(1 if i in gone else d for i, d in enumerate(shape) if keep or i not in gone)]


def _two(a: int, b: int) -> ShapeRule:
    return lambda case: [broadcast(case.shape(a), case.shape(b))]


RULES: Mapping[str, ShapeRule] = {
    "DequantizeLinear": first,
    "FusedConv": _convolution(1, last=False),
    "NhwcConv": rank_of_first,
    "NhwcFusedConv": rank_of_first,
    "NhwcMaxPool": _pool(last=True),
    "QLinearAdd": _two(0, 3),
    "QLinearAveragePool": _pool(),
    "QLinearConcat": _concat,
    "QLinearConv": _convolution(3),
    "QLinearGlobalAveragePool": _global_pool,
    "QLinearLeakyRelu": first,
    "QLinearMul": _two(0, 3),
    "QLinearReduceMean": _mean,
    "QLinearSigmoid": first,
    "QLinearSoftmax": first,
    "QLinearWhere": lambda case: [broadcast(case.shape(0), case.shape(1), case.shape(4))],
    "QuantizeLinear": first,
}
"""Rules by operator of com.microsoft."""

OTHER_LAYOUTS: ShapeRule = rank_of_first
"""For com.microsoft.nchwc and com.ms.internal.nhwc, whose blocked or moved channels are nobody's business outside."""
