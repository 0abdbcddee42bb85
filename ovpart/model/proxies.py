"""Standard operators that stand in for others while onnx infers types, so that inference goes on behind them at once.

A proxy has the same outputs with the same types as the node it stands for; what it computes does not matter. Only the
working copy of the model sees it. Operators without one are left to the rules, at the price of one more round of
inference each time what they give is needed further on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ovpart.model.forms import MICROSOFT, Form

if TYPE_CHECKING:
    import onnx

RESERVED = "ovpart::"
"""Values whose names begin like this exist only in the working copy."""

# Operators whose first output has the type of their first input; more outputs that do, by position.
_LIKE_FIRST: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(
        (
            "BiasAdd", "BiasGelu", "BiasSoftmax", "BiasDropout", "FastGelu", "GatedAdd", "GatedRMSNorm", "Gelu",
            "GroupNorm", "Inverse", "LongformerAttention", "MoE", "QLinearLeakyRelu", "QLinearSigmoid",
            "QLinearSoftmax", "QMoE", "QuickGelu", "RotaryEmbedding", "ScaledSiLU", "SimplifiedLayerNormalization",
            "Trilu",
        ),
        (0,),
    ),
    "SkipLayerNormalization": (0, 3),
    "SkipSimplifiedLayerNormalization": (0, 3),
    "SkipGroupNorm": (0, 1),
}  # fmt: skip

# Operators of ai.onnx whose first forms (opset 1 to 5) onnx does not infer: output like the first input.
_FIRST_FORMS = frozenset((
    "Abs", "Add", "BatchNormalization", "Ceil", "Clip", "Div", "Dropout", "Elu", "Exp", "Floor", "HardSigmoid",
    "InstanceNormalization", "LeakyRelu", "Log", "Max", "Mean", "Min", "Mul", "Neg", "PRelu", "Reciprocal", "Relu",
    "Selu", "Sigmoid", "Sqrt", "Sub", "Sum", "Tanh", "ImageScaler", "ParametricSoftplus", "ScaledTanh", "Affine",
    "Scale",
))  # fmt: skip


@dataclass(slots=True)
class Stand:
    """What stands for a node: nodes of ai.onnx, and typed initializers without data."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)


Dims = Callable[[str], tuple[int, ...] | None]
"""Dims of an initializer by name, ``None`` for other values."""


def stand_for(node: onnx.NodeProto, form: Form | None, opset: int, dims: Dims) -> Stand | None:
    """Return what stands for a node, ``None`` where it can stay or no proxy is known.

    Parameters
    ----------
    node : onnx.NodeProto
        Of any domain.
    form : Form or None
        Its operator's form.
    opset : int
        Version of ai.onnx in the working copy.
    dims : callable
        Dims of initializers.
    """
    op_type = node.op_type
    if form is not None and form.has_rule:
        return None
    domain = form.domain if form is not None else node.domain
    if domain == "" and (op_type in _FIRST_FORMS or op_type in _LIKE_FIRST):
        return _identities(node, _LIKE_FIRST.get(op_type, (0,)))
    if domain != MICROSOFT:
        return None
    if op_type in _LIKE_FIRST:
        return _identities(node, _LIKE_FIRST[op_type])
    make = _OTHERS.get(op_type)
    # The forms of ai.onnx that these stand on came with opset 7 to 10.
    return make(node, dims) if make is not None and opset >= 10 else None


def _identities(node: onnx.NodeProto, outputs: Sequence[int]) -> Stand:
    return Stand([_node("Identity", node.input[:1], node.output[i]) for i in outputs
                  if i < len(node.output) and node.output[i] and len(node.input)])  # fmt: skip


def _node(op_type: str, inputs: Sequence[str], output: str, keep: Sequence[onnx.AttributeProto] = ()) -> onnx.NodeProto:
    import onnx

    made = onnx.NodeProto(op_type=op_type, input=inputs, output=[output])
    made.attribute.extend(keep)
    return made


def _given(node: onnx.NodeProto, name: str) -> int:
    return next((int(a.i) for a in node.attribute if a.name == name), 0)


def _plain_form(op_type: str, inputs: Sequence[int], *drop: str) -> Callable[[onnx.NodeProto, Dims], Stand | None]:
    """Make the standard operator on some of the inputs, without some of the attributes; not for channels-last data."""

    def make(node: onnx.NodeProto, dims: Dims) -> Stand | None:
        if _given(node, "channels_last") or len(node.input) <= max(inputs[:2]):
            return None
        keep = [a for a in node.attribute if a.name not in drop and a.name != "channels_last"]
        return Stand([_node(op_type, [node.input[i] for i in inputs if i < len(node.input)], node.output[0], keep)])

    return make


def _product(node: onnx.NodeProto, dims: Dims) -> Stand | None:
    if any(_given(node, name) for name in ("transA", "transB", "transBatchA", "transBatchB")):
        return None
    return Stand([_node("MatMul", node.input[:2], node.output[0])])


def _product_with(node: onnx.NodeProto, rows: int, columns: int) -> Stand | None:
    """Return a matrix product of the first input with a weight of known dims."""
    from ovpart.model.wire import mark_stub

    if rows <= 0 or columns <= 0:
        return None
    import onnx

    name = f"{RESERVED}{node.output[0]}"
    weight = onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=[rows, columns])
    mark_stub(weight, 0)
    return Stand([_node("MatMul", [node.input[0], name], node.output[0])], [weight])


def _packed_product(node: onnx.NodeProto, dims: Dims) -> Stand | None:
    """MatMulNBits, MatMulBnb4."""
    return _product_with(node, _given(node, "K"), _given(node, "N"))


def _attention(node: onnx.NodeProto, dims: Dims) -> Stand | None:
    """Attention of hidden sizes that the weights' dims tell; the other outputs are left to the rules."""
    weights = dims(node.input[1]) if len(node.input) > 1 else None
    if weights is None or len(weights) != 2:
        return None
    sizes = next((tuple(a.ints) for a in node.attribute if a.name == "qkv_hidden_sizes"), ())
    return _product_with(node, weights[0], sizes[2] if len(sizes) == 3 else weights[1] // 3)


def _grouped(node: onnx.NodeProto, dims: Dims) -> Stand | None:
    """GroupQueryAttention, SparseAttention: like the query, unless keys and values are packed into it."""
    return _identities(node, (0,)) if len(node.input) > 1 and node.input[1] else None


def _concat(node: onnx.NodeProto, dims: Dims) -> Stand | None:
    return Stand([_node("Concat", node.input[2::3], node.output[0], node.attribute)])


_OTHERS: Mapping[str, Callable[[onnx.NodeProto, Dims], Stand | None]] = {
    "Attention": _attention,
    "DequantizeLinear": _plain_form("DequantizeLinear", (0, 1, 2)),
    "DynamicQuantizeMatMul": _product,
    "FusedConv": _plain_form("Conv", (0, 1, 2), "activation", "activation_params"),
    "FusedGemm": _plain_form("Gemm", (0, 1, 2), "activation", "activation_alpha", "activation_beta",
                             "activation_gamma"),
    "FusedMatMul": _product,
    "GroupQueryAttention": _grouped,
    "MatMulBnb4": _packed_product,
    "MatMulNBits": _packed_product,
    "QLinearAdd": _plain_form("Add", (0, 3)),
    "QLinearAveragePool": _plain_form("AveragePool", (0,)),
    "QLinearConcat": _concat,
    "QLinearGlobalAveragePool": _plain_form("GlobalAveragePool", (0,)),
    "QLinearMul": _plain_form("Mul", (0, 3)),
    "QuantizeLinear": _plain_form("QuantizeLinear", (0, 1, 2)),
    "SparseAttention": _grouped,
    "TransposeMatMul": _product,
}  # fmt: skip
