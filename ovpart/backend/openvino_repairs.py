"""What openvino computes wrongly and can be brought to compute rightly, changed in its own model (2026.4, CPU).

- A maximum starts from the least finite number: a set of nothing but -inf gives that number (ReduceMax, ReduceMin,
  MaxPool). Taken over halves and doubled afterwards it overflows to -inf, and nothing else changes: powers of two scale
  exactly.
- A Range at run time whose limit lies behind its start has as many elements as if the signs were changed; it should be
  empty. A limit that is no further back than the start makes it so.
- Where a shape is dynamic, a scale or shift by channel that is merged into the FakeQuantize behind it is that of the
  first channel for all of them. A maximum with the least finite number between the two, which takes nothing from what
  is quantised, keeps them apart. (With a fixed shape, and behind convolutions and matrix products, which take the scale
  in, it is right.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import openvino

_EXTREMES = frozenset({"ReduceMax", "ReduceMin", "MaxPool"})
_FLOATS = frozenset({"f32", "f16", "bf16"})
_BOUNDED = frozenset({"Relu", "Sigmoid", "HardSigmoid", "Tanh", "SoftMax", "Softmax", "Clamp", "FakeQuantize", "Erf"})
"""What they make is no infinity that a maximum of it could miss; ReduceMin is not asked."""
_HANDED_ON = frozenset({"Concat", "MaxPool", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
_DEPTH = 16
_RESCALING = frozenset({"Add", "Divide", "Multiply", "Subtract"})
_LEAST = -3.4028234663852886e38
"""The least finite float32."""


def repair(model: openvino.Model) -> None:
    """Change a model in place, bodies included: maxima and minima that an infinity may reach, ranges, quantisation."""
    for scope in _scopes(model):
        changed = False
        known: dict[tuple[str, int], bool] = {}
        for node in list(scope.get_ops()):
            kind = node.get_type_name()
            if kind in _EXTREMES and node.input(0).get_element_type().get_type_name() in _FLOATS:
                if kind == "MaxPool" and not _may_be_infinite(node.input_value(0), known):
                    continue
                _halve(node)
                changed = True
            elif kind == "Range":
                _stop_at_start(node)
                changed = True
            elif kind == "FakeQuantize" and _is_rescaled(node):
                _keep_apart(node)
                changed = True
        if changed:
            scope.validate_nodes_and_infer_types()


def _scopes(model: openvino.Model) -> Iterator[openvino.Model]:
    yield model
    for node in model.get_ops():
        kind = node.get_type_name()
        if kind in ("Loop", "TensorIterator"):
            yield from _scopes(node.get_function())
        elif kind == "If":
            yield from _scopes(node.get_then_body())
            yield from _scopes(node.get_else_body())


def _halve(node: Any) -> None:
    """Put a half before a maximum and a double behind it; its name and readers go over to the latter."""
    from openvino import opset8

    kind = node.input(0).get_element_type()
    half = opset8.multiply(node.input_value(0), opset8.constant(0.5, dtype=kind))
    node.input(0).replace_source_output(half.output(0))
    output = node.output(0)
    readers, names = list(output.get_target_inputs()), set(output.get_names())
    double = opset8.multiply(output, opset8.constant(2.0, dtype=kind))
    for reader in readers:
        reader.replace_source_output(double.output(0))
    output.set_names(set())
    double.output(0).set_names(names)


def _stop_at_start(node: Any) -> None:
    """Bring the limit of a range up to its start where the range is empty."""
    from openvino import opset8

    start, limit, step = (node.input_value(index) for index in range(3))
    if start.get_element_type() != limit.get_element_type():  # of openvino's own making: ONNX has one type for all
        start = opset8.convert(start, limit.get_element_type().get_type_name()).output(0)
    zero = opset8.constant(0, dtype=step.get_element_type())
    end = opset8.select(opset8.greater(step, zero), opset8.maximum(limit, start), opset8.minimum(limit, start))
    node.input(1).replace_source_output(end.output(0))


def _is_rescaled(node: Any) -> bool:
    """Whether a scale or shift by channel would be merged into a FakeQuantize, over a dynamic shape."""
    value = node.input_value(0)
    if value.get_partial_shape().is_static or value.get_element_type().get_type_name() != "f32":
        return False
    found = False
    for _ in range(_DEPTH):
        maker = value.get_node()
        kind = maker.get_type_name()
        if kind == "BatchNormInference":
            found = True
        elif kind in _RESCALING or kind in ("Maximum", "Minimum"):
            sides = [maker.input_value(side) for side in (0, 1)]
            fixed = [_is_constant(side) for side in sides]
            if fixed[0] == fixed[1]:
                break
            shape = sides[fixed.index(True)].get_partial_shape()
            wide = shape.is_dynamic or any(size.get_length() > 1 for size in shape)
            found = found or (wide and kind in _RESCALING)
            value = sides[fixed.index(False)]
            continue
        elif kind not in ("Clamp", "Relu"):
            break
        value = maker.input_value(0)
    products = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData", "MatMul")
    return found and value.get_node().get_type_name() not in products


def _is_constant(value: Any, depth: int = 0) -> bool:
    """Whether a value is a constant, or one in another shape or type."""
    maker = value.get_node()
    if maker.get_type_name() == "Constant":
        return True
    seen_through = ("Broadcast", "Convert", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
    return depth < _DEPTH and maker.get_type_name() in seen_through and _is_constant(maker.input_value(0), depth + 1)


def _keep_apart(node: Any) -> None:
    """Put between a FakeQuantize and what rescales its input an operator that openvino merges with neither."""
    from openvino import opset8

    least = opset8.constant(_LEAST, dtype=node.input(0).get_element_type())
    node.input(0).replace_source_output(opset8.maximum(node.input_value(0), least).output(0))


def _may_be_infinite(value: Any, known: dict[tuple[str, int], bool], depth: int = 0) -> bool:
    """Whether a value may be infinite; `known` keeps what was found, since many readers share a value."""
    key = (value.get_node().get_name(), value.get_index())
    if key not in known:
        known[key] = _may_make_infinite(value.get_node(), known, depth)
    return known[key]


def _may_make_infinite(maker: Any, known: dict[tuple[str, int], bool], depth: int) -> bool:
    """Whether an operator may make an infinity; quantised values, of integers once, are none."""
    kind = maker.get_type_name()
    if kind in _BOUNDED:
        return False
    if kind == "Convert":
        return maker.input(0).get_element_type().get_type_name() in _FLOATS | {"f64"}
    if depth >= _DEPTH:
        return True
    inputs = [maker.input_value(index) for index in range(maker.get_input_size())]
    if kind in ("Multiply", "Subtract"):
        return inputs[1].get_node().get_type_name() != "Constant" or _may_be_infinite(inputs[0], known, depth + 1)
    if kind in _HANDED_ON:
        return any(_may_be_infinite(one, known, depth + 1) for one in (inputs if kind == "Concat" else inputs[:1]))
    return True
