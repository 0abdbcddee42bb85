"""Whether a value of floats may hold an infinity: where no operator before it lets one through, it does not.

Some kernels are wrong on infinities alone, such as a maximum that starts from the least finite number. Behind a Relu or
a Sigmoid they are right all the same, which is where networks use them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ovpart.model.attributes import attribute

if TYPE_CHECKING:
    from ovpart.capability.scopes import Scope
    from ovpart.model.graph import Node

_DEPTH = 64
"""Nodes that are looked back through; behind more the answer is yes."""
_SMALL = 65536
"""Elements of a constant that are read; a larger one may hold anything."""
_FLOATS = frozenset({"f32", "f16", "bf16", "f64"})
_NARROW = frozenset({"f16"})

_BOUNDED = frozenset({
    "Atan", "Cos", "DequantizeLinear", "Erf", "HardSigmoid", "Hardmax", "Sigmoid", "Sign", "Sin", "Softmax", "Softsign",
    "Tanh",
})  # fmt: skip
"""What they make is finite, or NaN, whatever they read."""
_FROM_BELOW = frozenset({
    "Abs", "Celu", "Elu", "Exp", "Gelu", "HardSwish", "Mish", "ReduceL1", "ReduceL2", "ReduceSumSquare", "Relu", "Selu",
    "Softplus", "Sqrt", "Swish",
})  # fmt: skip
"""What they make is never -inf."""
_FROM_ABOVE = frozenset({"LogSoftmax"})
"""What they make is never +inf."""
_HANDED_ON = frozenset({
    "Concat", "CastLike", "DepthToSpace", "Dropout", "Expand", "Flatten", "Gather", "GatherElements", "GatherND",
    "GlobalMaxPool", "Identity", "LeakyRelu", "MaxPool", "ReduceMax", "ReduceMin", "Reshape", "Slice", "SpaceToDepth",
    "Split", "Squeeze", "Tile", "Transpose", "Trilu", "Unsqueeze", "Where",
})  # fmt: skip
"""What they make holds an infinity only where an input does."""

Ask: TypeAlias = Callable[..., bool]
"""Whether a value may hold the infinity in question, or another one that is named."""


Known: TypeAlias = dict[tuple[int, str, float], bool]
"""Scope (by the id of its graph), value and infinity → what was found: values are read by many nodes."""


def may_hold(scope: Scope, value: str, infinity: float, known: Known | None = None, depth: int = 0) -> bool:
    """Whether a value may hold an infinity.

    Parameters
    ----------
    scope : Scope
        Where the value is read.
    value : str
        Its name.
    infinity : float
        ``inf`` or ``-inf``.
    known : dict, optional
        What was found before, for as long as the graphs live; filled here.
    depth : int
        Nodes between this value and the one that was asked for first.

    Returns
    -------
    bool
        False only where it is certain. Overflow counts: what an Add makes may be infinite.
    """
    dtype = scope.type_of(value).dtype
    if dtype is not None and dtype not in _FLOATS:
        return False
    if depth > _DEPTH:
        return True
    if scope.is_constant(value):
        array = scope.array(value, _SMALL)
        return array is None or bool((array == infinity).any())
    home = scope.home(value) or scope
    index = home.graph.producer.get(value)
    if index is None:
        return True
    known = {} if known is None else known
    key = (id(home.graph), value, infinity)
    if key not in known:
        known[key] = _may_make(home, home.graph.nodes[index], infinity, known, depth)
    return known[key]


def _may_make(scope: Scope, node: Node, infinity: float, known: Known, depth: int) -> bool:
    """Whether an operator may make an infinity."""

    def ask(value: str, wanted: float = infinity) -> bool:
        return may_hold(scope, value, wanted, known, depth + 1)

    kind, inputs = node.op_type, [value for value in node.inputs if value]
    if node.domain not in ("", "com.microsoft") or not inputs:
        return True
    one_sided = _FROM_BELOW if infinity < 0 else _FROM_ABOVE
    if kind in _BOUNDED or kind in one_sided:
        return False
    if kind in _HANDED_ON:
        # CastLike, Where and Reshape read values of other meanings too: those that are no floats say no at once.
        return any(map(ask, inputs[:1] if kind in ("CastLike", "Dropout", "LeakyRelu", "Expand") else inputs))
    special = _SPECIAL.get(kind)
    return True if special is None else special(scope, node, infinity, ask)


def _cast(scope: Scope, node: Node, infinity: float, ask: Ask) -> bool:
    return scope.type_of(node.outputs[0]).dtype in _NARROW or ask(node.inputs[0])


def _clip(scope: Scope, node: Node, infinity: float, ask: Ask) -> bool:
    side = "min" if infinity < 0 else "max"
    position = 1 if infinity < 0 else 2
    bound = attribute(node, side)
    if len(node.inputs) > position and node.inputs[position]:
        array = scope.array(node.inputs[position], 1)
        bound = None if array is None else float(array.reshape(-1)[0])
    return ask(node.inputs[0]) if not isinstance(bound, float) else not math.isfinite(bound)


def _extreme(least: bool) -> Callable[[Scope, Node, float, Ask], bool]:
    def decide(scope: Scope, node: Node, infinity: float, ask: Ask) -> bool:
        answers: Sequence[bool] = [ask(value) for value in node.inputs]
        # The largest of several is -inf only where all are, and inf where one is; for the smallest it is the reverse.
        return all(answers) if (infinity < 0) is not least else any(answers)

    return decide


def _neg(scope: Scope, node: Node, infinity: float, ask: Ask) -> bool:
    return ask(node.inputs[0], -infinity)


def _mul(scope: Scope, node: Node, infinity: float, ask: Ask) -> bool:
    """Whether a product may be infinite: x * Sigmoid(x), which is SiLU, is never -inf."""
    if infinity > 0:
        return True
    producer = scope.graph.producer.get
    for x, gate in (node.inputs, node.inputs[::-1]):
        index = producer(gate)
        if index is not None:
            maker = scope.graph.nodes[index]
            if maker.op_type in ("Sigmoid", "HardSigmoid") and maker.inputs[0] == x:
                return False
    return True


_SPECIAL = {
    "Cast": _cast, "Clip": _clip, "Max": _extreme(False), "Min": _extreme(True), "Mul": _mul, "Neg": _neg,
}  # fmt: skip
