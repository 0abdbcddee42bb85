"""What the written-out operators look like that engines fuse: data, read by :mod:`ovpart.partition.patterns`.

A pattern is a small grammar; its first rule is what the group computes last. In a rule ``|`` stands between
alternatives, the first that fits is taken, and

=================  ================================================================================================
``Op(a, b)``       a node of that operator; the operands of Add, Mul, Max, Min and Sum in any order; operands that are
                   not written must be constants (axes)
``x``, ``y``       any value, the same wherever the letter stands (a Cast of it counts as it)
``_``              any value
``#``, ``!``       a constant; any value but a constant
``~x``             arithmetic over ``x`` and constants alone
``name``           a rule of the pattern
``<A B>(e)``       ``e``, or a way from it through operators A and B
=================  ================================================================================================

Names of nodes and their order in the file say nothing. The nodes that engines' own fusions ask for are those of
onnxruntime's ``core/optimizer`` (LayerNormFusion, GeluFusion, AttentionFusion and others) and openvino's
``common_optimizations`` (MVNFusion, GeluFusion, SDPAFusion, RoPEFusion, LSTMCellFusion and others).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of group.

    Attributes
    ----------
    kind : str
        What reports call it.
    anchors : tuple of str
        Operators one of which is in every such group, as rare as can be.
    rules : str
        The grammar, a rule a line.
    then : tuple of str
        Nodes that may follow, each if the one before is read by it alone; ``it`` stands for the group so far.
    exits : tuple of str
        Rules whose nodes others may read too; all else, but the last, must be read within the group alone, or no engine
        fuses it.
    takes : tuple of str
        Operators that belong to the group where it alone reads them.
    beside : int
        How many nodes before the anchor at most the other operand of the last node is read; 0: not asked. Where the
        anchor is a common operator, this is what most of them are told by.
    whole : bool
        Whether a member that is not delegated keeps all others back. ``False`` where a cut between them costs nothing
        but the hand-over: no engine computes them in another way together than apart, and no more bytes cross inside
        the group than at its ends.
    """

    kind: str
    anchors: tuple[str, ...]
    rules: str
    then: tuple[str, ...] = ()
    exits: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    beside: int = 0
    whole: bool = True


_LAYOUT = ("Cast", "Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
_CONVOLUTION = ("BatchNormalization", "Conv", "ConvTranspose", "InstanceNormalization")

PATTERNS: tuple[Pattern, ...] = (
    Pattern(
        "attention",
        ("Softmax",),
        """
        out = MatMul(after, !) | Einsum(after, !) | Einsum(!, after)
        after = <Cast Dropout Identity Mul Reshape Transpose Where>(probs)
        probs = Softmax(before)
        before = <Add Cast Clip Div Identity Max Min Mul Reshape Sub Transpose Where>(scores)
        scores = MatMul(!, !) | Einsum(!, !) | Gemm(!, !)
        """,
        takes=(*_LAYOUT, "Mul", "Div"),
    ),
    Pattern(
        "layer normalisation",
        ("Sqrt", "Pow"),
        """
        out = Div(centre, spread) | Mul(centre, inverse) | Add(shifted, offset)
        centre = Sub(x, mean)
        mean = <Expand Reshape Squeeze Unsqueeze>(ReduceMean(x))
        variance = Add(<Expand Reshape Squeeze Unsqueeze>(ReduceMean(square)), #)
        square = Pow(centre, #) | Mul(centre, centre)
        spread = Sqrt(variance) | Pow(variance, #)
        inverse = Reciprocal(spread) | Div(#, spread) | Pow(variance, #)
        gain = Mul(inverse, #) | inverse
        shifted = Mul(x, gain)
        offset = Sub(#, Mul(mean, gain)) | Add(Mul(Neg(mean), gain), #)
        """,
        then=("Cast(it)", "Mul(it, #)", "Add(it, #)"),
    ),
    Pattern(
        "RMS normalisation",
        ("Sqrt", "Pow"),
        """
        out = Mul(x, inverse) | Div(x, spread)
        variance = Add(ReduceMean(square), #)
        square = Pow(x, #) | Mul(x, x)
        spread = Sqrt(variance) | Pow(variance, #)
        inverse = Reciprocal(spread) | Div(#, spread) | Pow(variance, #)
        """,
        then=("Cast(it)", "Mul(it, #)"),
    ),
    Pattern(
        "GELU",
        ("Erf", "Tanh"),
        """
        out = Mul(Mul(x, gate), #) | Div(Mul(x, gate), #) | Mul(half, gate) | Mul(x, share)
        half = Mul(x, #) | Div(x, #)
        share = Mul(gate, #) | Div(gate, #)
        gate = Add(curve, #)
        curve = Erf(~x) | Tanh(~x)
        """,
        takes=_CONVOLUTION,
    ),
    Pattern(
        "hard swish",
        ("Clip", "HardSigmoid"),
        """
        out = Div(Mul(x, gate), #) | Mul(Mul(x, gate), #) | Mul(Mul(x, #), gate) | Mul(Div(x, #), gate) | Mul(x, share)
        share = Div(gate, #) | Mul(gate, #) | HardSigmoid(x)
        gate = Clip(Add(x, #))
        """,
        takes=_CONVOLUTION,
    ),
    Pattern(
        "GRU cell",
        ("Tanh",),
        """
        out = Add(new, old) | Add(fresh, Mul(update, Sub(h, fresh))) | Sub(fresh, Mul(update, Sub(fresh, h)))
        new = Mul(Sub(#, update), fresh)
        old = Mul(update, h)
        update = Sigmoid(_)
        fresh = Tanh(Add(_, reset)) | Tanh(_)
        reset = Mul(Sigmoid(_), _) | MatMul(again, #) | Gemm(again) | Add(MatMul(again, #), #)
        again = Mul(Sigmoid(_), _)
        """,
        takes=("Add", "Gemm", "MatMul", "Slice", "Split", "Squeeze", "Concat"),
    ),
    Pattern(
        "LSTM cell",
        ("Tanh",),
        """
        out = Mul(Sigmoid(_), Tanh(state))
        state = Add(kept, new)
        kept = Mul(Sigmoid(_), c)
        new = Mul(Sigmoid(_), Tanh(_))
        """,
        exits=("state",),
        takes=("Add", "Gemm", "MatMul", "Slice", "Split", "Squeeze", "Concat"),
    ),
    Pattern(
        "recurrent cell",
        ("Tanh",),
        """
        out = Tanh(Add(linear, linear)) | Tanh(Add(Add(linear, linear), #))
        linear = Gemm(_, #) | MatMul(_, #) | Add(MatMul(_, #), #)
        """,
        whole=False,
    ),
    Pattern(
        "swish",  # SiLU; with a factor, quick GELU; with a product behind it, SwiGLU
        ("Sigmoid",),
        """
        out = Mul(x, Sigmoid(x)) | Mul(x, Sigmoid(Mul(x, #)))
        """,
        then=("Mul(it, y)",),
        takes=_CONVOLUTION,
        beside=2,
    ),
    Pattern(
        "softmax",
        ("ReduceSum",),
        """
        out = Div(power, total) | Mul(power, Reciprocal(total))
        total = ReduceSum(power)
        power = Exp(Sub(x, ReduceMax(x))) | Exp(x)
        """,
    ),
    Pattern(
        "log-softmax",
        ("ReduceSum", "ReduceLogSumExp", "Log"),
        """
        out = Sub(centre, Log(ReduceSum(Exp(centre)))) | Log(Softmax(_)) | Sub(x, ReduceLogSumExp(x))
        centre = Sub(x, ReduceMax(x)) | x
        """,
    ),
    Pattern(
        "rotary embedding",
        ("Neg",),
        """
        out = Add(Mul(x, _), Mul(turned, _)) | Add(Mul(turned, _), Mul(x, _))
        turned = <Reshape Squeeze Flatten>(Concat(minus, plus))
        minus = <Unsqueeze Reshape>(Neg(part))
        plus = <Unsqueeze Reshape>(part)
        part = <Squeeze Unsqueeze>(piece)
        piece = Slice(way) | Split(way) | Gather(way)
        way = <Reshape Transpose>(x)
        """,
        takes=("Cos", "Sin", *_LAYOUT),
    ),
    Pattern(
        "rotary embedding",
        ("Concat",),
        """
        out = Concat(real, imaginary)
        real = <Unsqueeze Reshape>(Sub(Mul(x, c), Mul(y, s)))
        imaginary = <Unsqueeze Reshape>(Add(Mul(x, s), Mul(y, c)))
        """,
        takes=("Cos", "Sin", "Split", "Slice", *_LAYOUT),
    ),
    Pattern(
        "convolution and what follows",
        ("Conv", "ConvTranspose"),
        """
        out = Conv(_, _) | ConvTranspose(_, _)
        """,
        then=(
            "BatchNormalization(it)",
            "Relu(it) | Clip(it) | LeakyRelu(it) | Sigmoid(it) | HardSigmoid(it) | HardSwish(it) | PRelu(it) | Tanh(it)"
            " | Elu(it) | Selu(it) | Softplus(it) | Mish(it) | Gelu(it) | Swish(it)",
        ),
        whole=False,
    ),
    Pattern(
        "instance normalisation",
        ("InstanceNormalization",),
        """
        out = InstanceNormalization(_)
        """,
        then=("Reshape(it)", "Mul(it, #)", "Add(it, #)", "Relu(it) | LeakyRelu(it)"),
        takes=("Reshape",),
        whole=False,
    ),
)  # fmt: skip
"""Kinds of groups, those tried first standing first: a node is in one group only."""
