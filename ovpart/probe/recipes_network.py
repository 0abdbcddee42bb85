"""Cases of convolutions, pools, normalisations, recurrent networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ovpart.probe.case import NAN, Draft
from ovpart.probe.values import Maker, nan_floats


def conv(m: Maker) -> Iterator[Draft]:
    """Yield cases of Conv."""
    x = m.x(m.n, 4, 6, 7)
    w = m.x(5, 4, 3, 3, low=-1, high=1)
    yield Draft("plain", [x, w])
    yield Draft("bias", [x, w, m.x(5)], {"pads": [1, 1, 1, 1]})
    yield Draft("strides", [x, w], {"strides": [2, 1], "pads": [1, 0, 2, 1]})
    yield Draft("groups", [x, m.x(6, 2, 3, 3)], {"group": 2, "dilations": [2, 1]})
    for auto in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        yield Draft(auto, [x, w], {"auto_pad": auto, "strides": [2, 2]})
    yield Draft("1-D", [m.x(m.n, 3, 9), m.x(4, 3, 3)], {"kernel_shape": [3]})
    yield Draft("3-D", [m.x(m.n, 2, 4, 4, 4), m.x(3, 2, 2, 2, 2)])


def conv_transpose(m: Maker) -> Iterator[Draft]:
    """Yield cases of ConvTranspose."""
    x = m.x(m.n, 4, 5, 5)
    w = m.x(4, 3, 3, 3, low=-1, high=1)
    yield Draft("plain", [x, w])
    yield Draft("strides", [x, w, m.x(3)], {"strides": [2, 2], "output_padding": [1, 1], "pads": [1, 1, 1, 1]})
    yield Draft("groups", [x, m.x(4, 3, 3, 3)], {"group": 2, "dilations": [1, 2]})
    yield Draft("output shape", [x, w], {"strides": [2, 2], "output_shape": [10, 9]})
    yield Draft("SAME_UPPER", [x, w], {"strides": [2, 2], "auto_pad": "SAME_UPPER"})
    yield Draft("1-D", [m.x(m.n, 3, 5), m.x(3, 2, 3)], {})


def deform_conv(m: Maker) -> Iterator[Draft]:
    """Yield cases of DeformConv."""
    yield Draft("plain", [m.x(m.n, 1, 4, 4), m.x(1, 1, 2, 2), m.x(m.n, 8, 3, 3)])


_CEILED = ((2, 1, None), (3, 3, None), (2, 1, 0), (2, 2, 0), (3, 3, 0), (2, 1, 1), (3, 2, 1), (4, 2, 2))
"""Kernel, stride and padding of pools with ceil_mode whose last window starts inside the input."""


def pool(m: Maker) -> Iterator[Draft]:
    """Yield cases of AveragePool, LpPool and MaxPool."""
    x = m.x(m.n, 3, 7, 8)
    yield Draft("plain", [x], {"kernel_shape": [3, 2]})
    yield Draft("strides", [x], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]})
    yield Draft("overlapping pads", [x], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 1, 2, 1]})
    for auto in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        yield Draft(auto, [x], {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": auto})
    yield Draft("1-D", [m.x(m.n, 3, 9)], {"kernel_shape": [3], "strides": [2]})
    yield Draft("3-D", [m.x(m.n, 2, 4, 4, 4)], {"kernel_shape": [2, 2, 2]})
    if m.op == "AveragePool":
        padded = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
        yield Draft("pads counted", [x], {**padded, "count_include_pad": 1})
    if m.version >= {"AveragePool": 10, "MaxPool": 10, "LpPool": 18}[m.op]:
        yield Draft("ceil", [x], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1})
        for kernel, stride, edge in (
            (2, 1, None),
            (3, 3, None),
            (2, 1, 0),
            (2, 2, 0),
            (3, 3, 0),
            (2, 1, 1),
            (3, 2, 1),
            (4, 2, 2),
        ):
            pads = {} if edge is None else {"pads": [edge] * 4}
            given = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "ceil_mode": 1, **pads}
            yield Draft(f"ceil, kernel {kernel}, stride {stride}, pads {edge}", [x], given)
    if m.version >= {"AveragePool": 19, "MaxPool": 10, "LpPool": 18}[m.op]:
        yield Draft("dilations", [x], {"kernel_shape": [2, 2], "dilations": [2, 3]})
    if m.op == "LpPool":
        yield Draft("p 1", [x], {"kernel_shape": [2, 2], "p": 1})
    if m.op == "MaxPool":
        if m.version >= 8:
            yield Draft("indices", [x], {"kernel_shape": [2, 2], "strides": [2, 2]}, outputs=2)
            yield Draft("storage order", [x], {"kernel_shape": [2, 2], "storage_order": 1}, outputs=2)
        yield Draft("infinite", [m.x(1, 1, 3, 3) * 0 + m.array(float("-inf"))] if m.is_float else [m.x(1, 1, 3, 3)],
                    {"kernel_shape": [2, 2]})  # fmt: skip
        if m.is_float:
            yield Draft("nan", [nan_floats(m).reshape(1, 1, 3, 4)], {"kernel_shape": [2, 2]}, kind=NAN)


def global_pool(m: Maker) -> Iterator[Draft]:
    """Yield cases of the global pools."""
    yield Draft("plain", [m.x(m.n, 3, 5, 4)])
    yield Draft("1-D", [m.x(m.n, 3, 5)])
    yield Draft("3-D", [m.x(m.n, 3, 2, 3, 2)])
    if m.op == "GlobalLpPool":
        yield Draft("p 1", [m.x(m.n, 3, 5, 4)], {"p": 1})


def max_unpool(m: Maker) -> Iterator[Draft]:
    """Yield cases of MaxUnpool."""
    index = m.array([[[[5, 7], [13, 15]]]], "i64")
    yield Draft("plain", [m.x(1, 1, 2, 2), index], {"kernel_shape": [2, 2], "strides": [2, 2]})


def batch_norm(m: Maker) -> Iterator[Draft]:
    """Yield cases of BatchNormalization."""
    kinds = {"low": 0.5, "high": 2.0}

    def rest() -> list[Any]:
        other = "f32" if m.version >= 15 and m.dtype in ("f16", "bf16") else m.dtype
        return [m.x(3), m.x(3), m.of(other, 3), m.of(other, 3, **kinds)]

    yield Draft("plain", [m.x(m.n, 3, 4, 5), *rest()])
    yield Draft("epsilon", [m.x(m.n, 3, 4), *rest()], {"epsilon": 0.1})
    yield Draft("two dimensions", [m.x(m.n, 3), *rest()])
    if m.version >= 14:
        yield Draft("training", [m.x(m.n, 3, 4, 5), *rest()], {"training_mode": 1}, outputs=3)


def instance_norm(m: Maker) -> Iterator[Draft]:
    """Yield cases of InstanceNormalization."""
    yield Draft("plain", [m.x(m.n, 3, 4, 5), m.x(3), m.x(3)])
    yield Draft("1-D", [m.x(m.n, 3, 6), m.x(3), m.x(3)], {"epsilon": 0.01})


def layer_norm(m: Maker) -> Iterator[Draft]:
    """Yield cases of LayerNormalization and RMSNormalization."""
    yield Draft("plain", [m.x(m.n, 3, 4), m.x(4)])
    yield Draft("axis 1", [m.x(m.n, 3, 4), m.x(3, 4)], {"axis": 1})
    yield Draft("epsilon", [m.x(m.n, 3, 4), m.x(4)], {"epsilon": 0.1, "axis": -1})
    if m.op == "LayerNormalization":
        yield Draft("bias", [m.x(m.n, 3, 4), m.x(4), m.x(4)])
        yield Draft("all outputs", [m.x(m.n, 3, 4), m.x(4), m.x(4)], outputs=3)


def group_norm(m: Maker) -> Iterator[Draft]:
    """Yield cases of GroupNormalization, whose scale is per channel since version 21."""
    yield Draft("plain", [m.x(m.n, 4, 3, 3), m.x(4), m.x(4)], {"num_groups": 2})
    yield Draft("epsilon", [m.x(m.n, 4, 5), m.x(4), m.x(4)], {"num_groups": 4, "epsilon": 0.05})


def along(m: Maker) -> Iterator[Draft]:
    """Yield cases of LRN, LpNormalization and MeanVarianceNormalization."""
    if m.op == "LRN":
        yield Draft("plain", [m.x(m.n, 5, 3, 3)], {"size": 3})
        yield Draft("attributes", [m.x(m.n, 5, 3, 3)], {"size": 2, "alpha": 0.01, "beta": 0.5, "bias": 2.0})
        return
    yield Draft("plain", [m.x(m.n, 3, 4, 2)])
    if m.op == "LpNormalization":
        yield Draft("p 1", [m.x(m.n, 3, 4)], {"axis": 1, "p": 1})
        yield Draft("zeros", [m.x(m.n, 3) * m.array(0)], {"axis": 1})
    else:
        yield Draft("axes", [m.x(m.n, 3, 4, 2)], {"axes": [1, 2]})


def dropout(m: Maker) -> Iterator[Draft]:
    """Yield cases of Dropout as in inference."""
    yield Draft("plain", [m.x(m.n, 3)])
    yield Draft("mask", [m.x(m.n, 3)], outputs=2)
    if m.version >= 12:
        ratio = m.of("f32" if m.version >= 12 else m.dtype)
        yield Draft("ratio", [m.x(m.n, 3), abs(ratio) / ratio.dtype.type(4)])
        given = [m.array(0.5, "f32"), m.array(0, "bool")]
        yield Draft("inference", [m.x(m.n, 3), *given], always=frozenset({1, 2}))
        yield Draft("training, nothing dropped", [m.x(m.n, 3), m.array(0, "f32"), m.array(1, "bool")], outputs=2)


def recurrent(m: Maker) -> Iterator[Draft]:
    """Yield cases of GRU, LSTM and RNN."""
    gates = {"GRU": 3, "LSTM": 4, "RNN": 1}[m.op]
    outputs = 3 if m.op == "LSTM" else 2
    size, seq = 4, 5

    def rest(directions: int = 1) -> list[Any]:
        return [
            m.x(directions, gates * size, 3, low=-0.5, high=0.5),
            m.x(directions, gates * size, size, low=-0.5, high=0.5),
        ]

    def draft(tag: str, inputs: list[Any], **attributes: Any) -> Draft:
        return Draft(tag, inputs, {"hidden_size": size, **attributes}, outputs=outputs)

    x = m.x(seq, m.n, 3)
    bias = m.x(1, 2 * gates * size, low=-0.5, high=0.5)
    yield draft("plain", [x, *rest()])
    yield draft("bias", [x, *rest(), bias])
    yield draft("reverse", [x, *rest()], direction="reverse")
    yield draft("both ways", [x, *rest(2)], direction="bidirectional")
    yield draft("lengths", [m.x(seq, 2, 3), *rest(), None, m.array([5, 2], "i32")])
    yield draft("initial", [x, *rest(), None, None, m.x(1, m.n, size)])
    yield draft("clip", [x, *rest()], clip=0.1)
    if m.version >= 14:
        yield draft("layout", [m.x(m.n, seq, 3), *rest()], layout=1)
    if m.op == "GRU":
        yield draft("linear before reset", [x, *rest(), bias], linear_before_reset=1)
    if m.op == "LSTM":
        yield draft("peepholes", [x, *rest(), None, None, None, None, m.x(1, 3 * size)])
        yield draft("coupled", [x, *rest()], input_forget=1)
    names = {"GRU": ["Sigmoid", "Relu"], "LSTM": ["Sigmoid", "Relu", "Tanh"], "RNN": ["Relu"]}[m.op]
    yield draft("activations", [x, *rest()], activations=names)


def loss(m: Maker) -> Iterator[Draft]:
    """Yield cases of the losses."""
    scores = m.x(m.n, 5)
    if m.op == "NegativeLogLikelihoodLoss":
        scores = -abs(scores)
    labels = m.of("i64", m.n, low=0, high=4)
    for how in ("mean", "sum", "none"):
        yield Draft("plain" if how == "mean" else how, [scores, labels], {"reduction": how})
    yield Draft("weights", [scores, labels, m.x(5, low=0.5, high=1)])
    yield Draft("ignored", [scores, labels], {"ignore_index": 1})
    if m.op == "SoftmaxCrossEntropyLoss":
        yield Draft("both outputs", [scores, labels], outputs=2)


def det(m: Maker) -> Iterator[Draft]:
    """Yield cases of Det."""
    yield Draft("plain", [m.x(m.n, 3, 3)])
    yield Draft("one", [m.x(2, 2)])


RECIPES: Mapping[str, Callable[[Maker], Iterator[Draft]]] = {
    **dict.fromkeys(("AveragePool", "LpPool", "MaxPool"), pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"), global_pool),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), recurrent),
    **dict.fromkeys(("LRN", "LpNormalization", "MeanVarianceNormalization"), along),
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), layer_norm),
    **dict.fromkeys(("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"), loss),
    "BatchNormalization": batch_norm,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "DeformConv": deform_conv,
    "Det": det,
    "Dropout": dropout,
    "GroupNormalization": group_norm,
    "InstanceNormalization": instance_norm,
    "MaxUnpool": max_unpool,
}
"""Operator → its cases."""
