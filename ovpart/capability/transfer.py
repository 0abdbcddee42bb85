"""What each operator makes of the intervals of its inputs: one rule an operator, for operators that carry integers.

An operator without a rule gives all that the dtype of its output can hold; its inputs are not looked at. NaN, and a
maximum over no elements, are left out of account: the default semantics promise nothing about them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

from ovpart.capability import intervals as iv
from ovpart.capability.intervals import ANY, SIZE, UNIT, Interval, fitted, joined, whole
from ovpart.capability.step import MOST_FLOATS, ZERO, Step, of_array, of_constant

Answer: TypeAlias = "Interval | tuple[Interval, ...]"
"""Of the first output (the others: whatever their dtype holds), or of each output."""


def _first(step: Step) -> Answer:
    return (step.inputs[0],) * len(step.node.outputs)


def _all(step: Step) -> Answer:
    return joined(value for i, value in enumerate(step.inputs) if step.has(i))


def _shape(step: Step) -> Answer:
    shape = step.scope.type_of(step.node.inputs[0]).shape
    if not shape or not all(isinstance(d, int) for d in shape):
        return SIZE
    dims = [d for d in shape if isinstance(d, int)]
    return Interval(min(dims), max(dims), sizes=1)


def _pad(step: Step) -> Answer:
    filler = step.inputs[2] if step.has(2) else ZERO
    return joined((step.inputs[0], filler)) if step.attribute("mode") == "constant" else step.inputs[0]


def _with_zero(step: Step) -> Answer:
    return joined((step.inputs[0], ZERO))


def _scatter(step: Step) -> Answer:
    """Scatter, ScatterElements, ScatterND: data with updates in it; added or multiplied where a reduction says so."""
    if step.attribute("reduction") in ("add", "mul"):
        return ANY
    return joined((step.inputs[0], step.inputs[2]))


def _where(step: Step) -> Answer:
    return joined(step.inputs[1:3])


def _one_hot(step: Step) -> Answer:
    return step.inputs[2]


def _top_k(step: Step) -> Answer:
    return step.inputs[0], SIZE


def _indices_second(step: Step) -> Answer:
    return ANY, SIZE


def _unique(step: Step) -> Answer:
    return step.inputs[0], SIZE, SIZE, SIZE


def _cast(step: Step) -> Answer:
    to = step.scope.type_of(step.node.outputs[0]).dtype
    if to == "bool":
        return UNIT
    if to in iv.DTYPE_RANGES and step.dtype() not in iv.DTYPE_RANGES:
        return iv.to_integer(step.inputs[0], to)
    return step.inputs[0]


def _fold(pair: Callable[[Interval, Interval], Interval]) -> Callable[[Step], Answer]:
    def rule(step: Step) -> Answer:
        values = [value for i, value in enumerate(step.inputs) if step.has(i)]
        result = values[0]
        for value in values[1:]:
            result = pair(result, value)
        return result

    return rule


def _divide(step: Step) -> Answer:
    return iv.divide(step.inputs[0], step.inputs[1], step.whole_numbers)


def _mod(step: Step) -> Answer:
    return iv.remainder(step.inputs[0], step.inputs[1], bool(step.attribute("fmod")), step.whole_numbers)


def _min(step: Step) -> Answer:
    return iv.least(value for i, value in enumerate(step.inputs) if step.has(i))


def _max(step: Step) -> Answer:
    return iv.greatest(value for i, value in enumerate(step.inputs) if step.has(i))


def _clip(step: Step) -> Answer:
    """Clip: bounds are inputs from opset 11, attributes before; where both cross, the upper one wins."""
    result = step.inputs[0]
    for index, name, pick in ((1, "min", iv.greatest), (2, "max", iv.least)):
        if step.has(index):
            result = pick((result, step.inputs[index]))
        elif isinstance(given := step.attribute(name), int | float):
            result = pick((result, Interval(given, given)))
    return result


def _axes(step: Step) -> tuple[int, ...] | None:
    """Return the axes of a reduction; ``None`` for all, or where they are not known (all is the widest)."""
    if step.has(1):
        given = step.constant(1)
        listed = None if given is None else tuple(int(a) for a in given.reshape(-1))
    else:
        listed = step.attribute("axes")
    return listed or None


def _reduce_sum(step: Step) -> Answer:
    return _sum_of(step, step.count(_axes(step)))


def _sum_of(step: Step, count: int | None) -> Interval:
    value = step.inputs[0]
    if step.whole_numbers:
        return iv.summed(value, count)
    if count is not None and count <= MOST_FLOATS:
        return iv.multiply(iv.summed(value, count), Interval(1, 1.01))
    counts = value.sizes or value.most <= 1.001  # lengths are often counted in floats
    return iv.summed(value, None) if counts else ANY


def _reduce_product(step: Step) -> Answer:
    count = step.count(_axes(step))
    value = step.inputs[0]
    if value.sizes:
        return Interval(min(value.low, 0), iv.INT32_MAX, value.sizes) if value.low >= 0 else ANY
    if count is None or count > 64 or not step.whole_numbers:
        return ANY
    result = Interval(1, 1)
    for _ in range(count):
        result = joined((result, iv.multiply(result, value)))
    return result


def _cumulative_sum(step: Step) -> Answer:
    axis = step.constant(1)
    count = step.count((int(axis.reshape(-1)[0]),)) if axis is not None and axis.size == 1 else step.count()
    return _sum_of(step, count)


def _range(step: Step) -> Answer:
    return joined(step.inputs[:2])


def _constant(step: Step) -> Answer:
    return of_constant(step.scope, step.node.outputs[0])


def _constant_of_shape(step: Step) -> Answer:
    from onnx import numpy_helper

    given = step.attribute("value")
    return ZERO if given is None else of_array(numpy_helper.to_array(given))


def _labels(step: Step) -> Answer:
    """Classifiers of ai.onnx.ml: the first output is one of the labels that they list."""
    labels = step.attribute("classlabels_int64s") or step.attribute("classlabels_ints")
    return Interval(min(labels), max(labels)) if labels else SIZE


def _power(step: Step) -> Answer:
    base, exponent = step.inputs[:2]
    if exponent.low < 0 or not (base.bounded and exponent.bounded) or exponent.high > 64:
        return ANY
    if exponent.low == exponent.high and float(exponent.low).is_integer():
        return _fold_times(base, int(exponent.low))
    if base.low < 0:
        return ANY
    corners = [x**y for x in (base.low, base.high) for y in (exponent.low, exponent.high)]
    return Interval(min(0, *corners), max(1, *corners), 0, base.inputs | exponent.inputs)


def _fold_times(base: Interval, times: int) -> Interval:
    result = Interval(1, 1)
    for _ in range(times):
        result = iv.multiply(result, base)
    return result


def _monotone(function: Callable[[float], float], low: float = -iv.INFINITE) -> Callable[[Step], Answer]:
    """Return the rule of a rising function; below `low` it has no value."""

    def rule(step: Step) -> Answer:
        value = step.inputs[0]
        if not value.bounded or value.low < low or value.high > 700:  # e**700 is near the largest double
            return ANY
        return Interval(function(value.low), function(value.high), 0, value.inputs)

    return rule


def _rounded(function: Callable[[float], int]) -> Callable[[Step], Answer]:
    def rule(step: Step) -> Answer:
        value = step.inputs[0]
        if not value.bounded:
            return value
        return Interval(function(value.low), function(value.high), value.sizes, value.inputs)

    return rule


def _square_root(step: Step) -> Answer:
    value = step.inputs[0]
    if value.low < 0 or not value.bounded:
        # Of what is negative there is no root (NaN); the others have one.
        return Interval(0, math.sqrt(value.high) if 0 <= value.high < iv.INFINITE else iv.INFINITE, 0, value.inputs)
    return Interval(math.sqrt(value.low), math.sqrt(value.high), value.sizes, value.inputs)


def _within(low: float, high: float) -> Callable[[Step], Answer]:
    return lambda step: Interval(low, high)


def _relu(step: Step) -> Answer:
    return iv.greatest((step.inputs[0], ZERO))


def _size(step: Step) -> Answer:
    return SIZE


_INPUT_0: tuple[int, ...] = (0,)
_NOTHING: tuple[int, ...] = ()
_EVERY: None = None

Rule: TypeAlias = tuple[Callable[[Step], Answer], "tuple[int, ...] | None"]

RULES: Mapping[str, Rule] = {
    **dict.fromkeys(
        ("Identity", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Expand", "Tile", "Slice", "Gather", "GatherND",
         "GatherElements", "Flatten", "Split", "Compress", "ReverseSequence", "DepthToSpace", "SpaceToDepth",
         "ReduceMax", "ReduceMin", "ReduceMean", "Upsample", "GlobalMaxPool", "GlobalAveragePool"),
        (_first, _INPUT_0),
    ),
    **dict.fromkeys(("Shape", "Size"), (_size, _NOTHING)),
    "Shape": (_shape, _NOTHING),
    **dict.fromkeys(("ArgMax", "ArgMin", "NonZero", "NonMaxSuppression", "Multinomial", "SequenceLength"),
                    (_size, _NOTHING)),
    **dict.fromkeys(("Concat", "Mean"), (_all, _EVERY)),
    **dict.fromkeys(("Scatter", "ScatterElements", "ScatterND"), (_scatter, (0, 2))),
    **dict.fromkeys(("Trilu", "CenterCropPad"), (_with_zero, _INPUT_0)),
    **dict.fromkeys(("Sigmoid", "HardSigmoid", "Softmax", "Hardmax"), (_within(0, 1), _NOTHING)),
    **dict.fromkeys(("Tanh", "Erf", "Sin", "Cos", "Softsign", "Sign"), (_within(-1, 1), _NOTHING)),
    **dict.fromkeys(("EyeLike", "Bernoulli"), (_within(0, 1), _NOTHING)),
    "Pad": (_pad, (0, 2)),
    "Where": (_where, (1, 2)),
    "OneHot": (_one_hot, (2,)),
    "TopK": (_top_k, _INPUT_0),
    "MaxPool": (_indices_second, _NOTHING),
    "Unique": (_unique, _INPUT_0),
    **dict.fromkeys(("Cast", "CastLike"), (_cast, _INPUT_0)),
    **dict.fromkeys(("Add", "Sum"), (_fold(iv.add), _EVERY)),
    "Sub": (_fold(iv.subtract), _EVERY),
    "Mul": (_fold(iv.multiply), _EVERY),
    "Div": (_divide, _EVERY),
    "Mod": (_mod, _EVERY),
    "Neg": (lambda step: iv.negative(step.inputs[0]), _INPUT_0),
    "Abs": (lambda step: iv.absolute(step.inputs[0]), _INPUT_0),
    "Reciprocal": (lambda step: iv.divide(Interval(1, 1), step.inputs[0], False), _INPUT_0),
    "Min": (_min, _EVERY),
    "Max": (_max, _EVERY),
    "Clip": (_clip, _EVERY),
    "Relu": (_relu, _INPUT_0),
    "ReduceSum": (_reduce_sum, _INPUT_0),
    "ReduceProd": (_reduce_product, _INPUT_0),
    "CumSum": (_cumulative_sum, _INPUT_0),
    "Range": (_range, (0, 1)),
    "Constant": (_constant, _NOTHING),
    "ConstantOfShape": (_constant_of_shape, _NOTHING),
    "Pow": (_power, _EVERY),
    "Sqrt": (_square_root, _INPUT_0),
    "Exp": (_monotone(math.exp), _INPUT_0),
    "Log": (_monotone(math.log, 1e-30), _INPUT_0),
    "Floor": (_rounded(math.floor), _INPUT_0),
    "Ceil": (_rounded(math.ceil), _INPUT_0),
    "Round": (_rounded(round), _INPUT_0),
    **dict.fromkeys(("ai.onnx.ml.TreeEnsembleClassifier", "ai.onnx.ml.LinearClassifier", "ai.onnx.ml.SVMClassifier"),
                    (_labels, _NOTHING)),
    "ai.onnx.ml.ArrayFeatureExtractor": (_first, _INPUT_0),
}  # fmt: skip
"""Operator → its rule, and the inputs that the rule reads (``None``: all)."""


def outputs_of(step: Step) -> tuple[Interval, ...]:
    """Return the intervals of all outputs of a node, fitted into their dtypes."""
    node, scope = step.node, step.scope
    rule = RULES.get(node.op_id)
    answer = rule[0](step) if rule is not None else ()
    listed = answer if isinstance(answer, tuple) else (answer,)
    found = []
    for index, name in enumerate(node.outputs):
        dtype = scope.type_of(name).dtype
        found.append(fitted(listed[index], dtype) if index < len(listed) else whole(dtype))
    return tuple(found)
