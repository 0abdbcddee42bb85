"""Inference rules for ai.onnx where onnx has none, or knows less than the length of a shape tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ovpart.model.rules import Case, Rule, broadcast, dim, like, plus, same, tensor, unknown_dims
from ovpart.model.types import DTYPES, Dim, ValueType, dtype_name


def _length(case: Case, index: int) -> int | None:
    """Return how many elements a one-dimensional input has (a scalar counts as one)."""
    shape = case.shape(index)
    if shape is None or len(shape) > 1:
        return None
    first = shape[0] if shape else 1
    return first if isinstance(first, int) else None


def _reshape(case: Case) -> Sequence[ValueType]:
    rank = case.count("shape") if "shape" in case.attributes else _length(case, 1)
    shape = case.integers("shape") or case.whole(1)
    if shape is not None and not case.integer("allowzero"):
        source = case.shape(0)
        copied = [dim(source, i) if d == 0 else None if d < 0 else d for i, d in enumerate(shape)]
        return [tensor(case.dtype(0), copied)]
    return [tensor(case.dtype(0), unknown_dims(rank))]


def _constant_of_shape(case: Case) -> Sequence[ValueType]:
    number = getattr(case.attributes.get("value"), "data_type", 1)
    return [tensor(dtype_name(number), case.whole(0) or unknown_dims(_length(case, 0)))]


def _expand(case: Case) -> Sequence[ValueType]:
    length, shape = _length(case, 1), case.shape(0)
    rank = None if length is None or shape is None else max(length, len(shape))
    return [tensor(case.dtype(0), unknown_dims(rank))]


def _axes(case: Case) -> tuple[tuple[int, ...] | None, int | None]:
    """Return the axes, from the attribute or the second input, and how many they are."""
    axes = case.integers("axes") or case.whole(1)
    return axes, len(axes) if axes is not None else _length(case, 1) if case.has(1) else None


def _squeeze(case: Case) -> Sequence[ValueType]:
    shape = case.shape(0)
    axes, count = _axes(case)
    if shape is None:
        return [tensor(case.dtype(0), None)]
    if axes is not None:
        gone = {a % len(shape) for a in axes} if shape else set()
        return [tensor(case.dtype(0), [d for i, d in enumerate(shape) if i not in gone])]
    if count is not None:
        return [tensor(case.dtype(0), unknown_dims(len(shape) - count))]
    # Without axes the ones go; a dimension that is not known may be one.
    if all(isinstance(d, int) for d in shape) and not case.has(1):
        return [tensor(case.dtype(0), [d for d in shape if d != 1])]
    return [tensor(case.dtype(0), None)]


def _unsqueeze(case: Case) -> Sequence[ValueType]:
    shape = case.shape(0)
    _, count = _axes(case)
    rank = None if shape is None or count is None else len(shape) + count
    return [tensor(case.dtype(0), unknown_dims(rank))]


def _reduce(case: Case) -> Sequence[ValueType]:
    shape = case.shape(0)
    if shape is None:
        return [tensor(case.dtype(0), None)]
    axes, count = _axes(case)
    keep = bool(case.integer("keepdims", 1))
    if (not case.has(1) and axes is None) or (axes is not None and not axes):
        if case.integer("noop_with_empty_axes"):
            return [like(case)]
        return [tensor(case.dtype(0), [1] * len(shape) if keep else [])]
    if axes is not None:
        gone = {a % len(shape) for a in axes} if shape else set()
        dims: list[Dim] = [1 if i in gone else d for i, d in enumerate(shape) if keep or i not in gone]
        return [tensor(case.dtype(0), dims)]
    if keep:
        return [tensor(case.dtype(0), unknown_dims(len(shape)))]
    # No axes at all may mean every axis: only a list with something in it tells the rank.
    return [tensor(case.dtype(0), unknown_dims(len(shape) - count) if count else None)]


def _same_rank(case: Case) -> Sequence[ValueType]:
    """Every output has the rank of the first input."""
    shape = case.shape(0)
    return [tensor(case.dtype(0), unknown_dims(None if shape is None else len(shape)))] * case.outputs


def _pad(case: Case) -> Sequence[ValueType]:
    shape, pads = case.shape(0), case.integers("paddings") or case.integers("pads")
    if shape is not None and pads is not None and len(pads) == 2 * len(shape):
        return [tensor(case.dtype(0), [plus(d, pads[i], pads[i + len(shape)]) for i, d in enumerate(shape)])]
    return _same_rank(case)


def _split(case: Case) -> Sequence[ValueType]:
    shape, sizes = case.shape(0), case.integers("split") or case.whole(1)
    if shape is None:
        return [tensor(case.dtype(0), None)] * case.outputs
    axis = case.integer("axis") % len(shape) if shape else 0
    if sizes is not None and len(sizes) == case.outputs:
        return [tensor(case.dtype(0), [n if i == axis else d for i, d in enumerate(shape)]) for n in sizes]
    whole = shape[axis]
    part = whole // case.outputs if isinstance(whole, int) and whole % case.outputs == 0 and not case.has(1) else None
    return [tensor(case.dtype(0), [part if i == axis else d for i, d in enumerate(shape)])] * case.outputs


def _concat(case: Case) -> Sequence[ValueType]:
    shapes = [t.shape for t in case.inputs]
    known = [s for s in shapes if s is not None]
    if not known:
        return [tensor(case.dtype(0), None)]
    axis = case.integer("axis", 1) % max(len(known[0]), 1)
    dims: list[Dim] = list(known[0])
    if axis < len(dims):
        dims[axis] = plus(*(dim(s, axis) for s in shapes))
    return [tensor(case.dtype(0), dims)]


def _cast(case: Case) -> Sequence[ValueType]:
    """Cast-1 names the type in a string: ``"FLOAT"``."""
    names = {"FLOAT": "f32", "DOUBLE": "f64", "FLOAT16": "f16", "BOOL": "bool", "STRING": "string"}
    to = case.attributes.get("to")
    if isinstance(to, int):
        return [like(case, dtype=dtype_name(to))]
    name = str(to).upper()
    short = names.get(name, name.lower().replace("uint", "u").replace("int", "i"))
    return [like(case, dtype=short if short in DTYPES else None)]


def _matrix_product(case: Case) -> Sequence[ValueType]:
    """Gemm-1 to 6."""
    a, b = case.shape(0), case.shape(1)
    return [
        tensor(case.dtype(0), [dim(a, 1 if case.integer("transA") else 0), dim(b, 0 if case.integer("transB") else 1)])
    ]


def _upsample(case: Case) -> Sequence[ValueType]:
    """Upsample-1: scales of height and width as attributes."""
    shape = case.shape(0)
    if shape is None or len(shape) != 4:
        return _same_rank(case)
    scales = [case.attributes.get("height_scale", 1.0), case.attributes.get("width_scale", 1.0)]
    size: list[Dim] = [
        int(d * s) if isinstance(d, int) and isinstance(s, float) else None
        for d, s in zip(shape[2:], scales, strict=True)
    ]
    return [tensor(case.dtype(0), [*shape[:2], *size])]


def _dropout(case: Case) -> Sequence[ValueType]:
    """Also the mask, to which onnx gives no type before opset 10."""
    return [like(case), like(case, dtype="bool" if case.version >= 10 else None)]


def _compress(case: Case) -> Sequence[ValueType]:
    shape = case.shape(0)
    if "axis" not in case.attributes:
        return [tensor(case.dtype(0), [None])]
    if not shape:
        return [tensor(case.dtype(0), None)]
    axis = case.integer("axis") % len(shape)
    return [tensor(case.dtype(0), [None if i == axis else d for i, d in enumerate(shape)])]


def _recurrent(case: Case) -> Sequence[ValueType]:
    """GRU-1, RNN-1, LSTM-1, and their outputs where sizes are not known: (time, directions, batch, hidden)."""
    shape = case.shape(0)
    directions = 2 if case.text("direction").lower() == "bidirectional" else 1
    hidden: Dim = case.integer("hidden_size") or dim(case.shape(2), 2)
    time, batch = dim(shape, 0), dim(shape, 1)
    last = tensor(case.dtype(0), [directions, batch, hidden])
    if case.integer("layout"):
        return [tensor(case.dtype(0), [time, batch, directions, hidden]), *[tensor(case.dtype(0), (None,) * 3)] * 2]
    return [tensor(case.dtype(0), [time, directions, batch, hidden]), last, last]


def _window(case: Case) -> Sequence[ValueType]:
    return [tensor(dtype_name(case.integer("output_datatype", 1)), [None])]


def _loss(case: Case) -> Sequence[ValueType]:
    """NegativeLogLikelihoodLoss, SoftmaxCrossEntropyLoss."""
    reduced = case.text("reduction", "mean") != "none"
    loss = tensor(case.dtype(0), [] if reduced else case.shape(1))
    return [loss, like(case)]


def _arithmetic(numpy_since: int) -> Rule:
    """Add, Max and others: numpy's broadcast from a version on; before it the output was like the first input."""

    def rule(case: Case) -> Sequence[ValueType]:
        if case.version < numpy_since:
            return [like(case)]
        return [tensor(case.dtype(0), broadcast(*(t.shape for t in case.inputs)))]

    return rule


def _top_k(case: Case) -> Sequence[ValueType]:
    values = _same_rank(case)[0]
    return [values, tensor("i64", values.shape)]


def _mel(case: Case) -> Sequence[ValueType]:
    return [tensor(dtype_name(case.integer("output_datatype", 1)), [None, None])]


def _stft(case: Case) -> Sequence[ValueType]:
    return [tensor(case.dtype(0), [dim(case.shape(0), 0), None, None, 2])]


def _pool(case: Case) -> Sequence[ValueType]:
    shape = case.shape(0)
    if shape is None:
        return [tensor(case.dtype(0), None)]
    return [tensor(case.dtype(0), [*shape[:2], *[None] * (len(shape) - 2)])]


def _global_pool(case: Case) -> Sequence[ValueType]:
    shape = case.shape(0)
    return [tensor(case.dtype(0), None if shape is None else [*shape[:2], *[1] * (len(shape) - 2)])]


def _fill(case: Case) -> Sequence[ValueType]:
    """GivenTensorFill and ConstantFill: the shape is an attribute, or the values of an input."""
    shape = case.integers("shape")
    return [tensor("f32", shape if shape and not case.integer("input_as_shape") else unknown_dims(_length(case, 0)))]


def _crop(case: Case) -> Sequence[ValueType]:
    shape, border, scale = case.shape(0), case.integers("border"), case.integers("scale")
    if shape is None or len(shape) != 4 or border is None or len(border) != 4:
        return _same_rank(case)
    height: Dim = scale[0] if scale else plus(shape[2], -border[1], -border[3])
    width: Dim = scale[1] if scale else plus(shape[3], -border[0], -border[2])
    return [tensor(case.dtype(0), [*shape[:2], height, width])]


_SAME = (
    "Abs", "Affine", "BatchNormalization", "Ceil", "Clip", "Elu", "Exp", "Floor", "GroupNormalization", "HardSigmoid",
    "Identity", "ImageScaler", "InstanceNormalization", "LeakyRelu", "Log", "MeanVarianceNormalization", "Neg",
    "PRelu", "ParametricSoftplus", "Reciprocal", "Relu", "Scale", "ScaledTanh", "Selu", "Sigmoid",
    "SimplifiedLayerNormalization", "Sqrt", "Tanh", "LayerNormalization", "RMSNormalization",
)  # fmt: skip
_SAME_RANK = ("CenterCropPad", "CumSum", "DynamicSlice", "Resize", "Slice", "Tile", "Trilu", "MaxUnpool")
_REDUCE = ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
           "ReduceProd", "ReduceSum", "ReduceSumSquare")  # fmt: skip

RULES: Mapping[str, Rule] = {
    **dict.fromkeys(_SAME, same),
    **dict.fromkeys(_SAME_RANK, _same_rank),
    **dict.fromkeys(_REDUCE, _reduce),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), _arithmetic(7)),
    **dict.fromkeys(("Max", "Min", "Mean", "Sum"), _arithmetic(8)),
    **dict.fromkeys(("BlackmanWindow", "HammingWindow", "HannWindow"), _window),
    **dict.fromkeys(("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"), _loss),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), _recurrent),
    "Cast": _cast,
    "Compress": _compress,
    "Concat": _concat,
    "CastLike": lambda case: [like(case, dtype=case.dtype(1))],
    "ConstantOfShape": _constant_of_shape,
    "Crop": _crop,
    "Dropout": _dropout,
    "Expand": _expand,
    "Gemm": _matrix_product,
    "GivenTensorFill": _fill,
    "GlobalLpPool": _global_pool,
    "LpPool": _pool,
    "MelWeightMatrix": _mel,
    "NonMaxSuppression": lambda case: [tensor("i64", [None, 3])],  # version 10: onnx has no inference for it
    "Pad": _pad,
    "Reshape": _reshape,
    "STFT": _stft,
    "TopK": _top_k,
    "Split": _split,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Upsample": _upsample,
}
"""Rules by operator. They are asked only where onnx leaves a dtype or a rank open, and only for what it leaves open."""
