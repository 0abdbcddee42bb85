"""What an inference rule of our own sees and gives: one node, the types of its inputs, small constants.

A rule stands where onnx has none, or gives up although the rank is plain: ai.onnx.ml, com.microsoft, operators of the
first opset versions, shapes whose length alone is known. It returns one type an output; what it cannot tell stays
unknown, and it never guesses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ovpart.model.attributes import plain
from ovpart.model.decode import array_of
from ovpart.model.types import UNKNOWN, Dim, ValueType

if TYPE_CHECKING:
    import onnx

MAX_CONSTANT = 4096
"""Constants of more elements than this are no shapes, axes or labels: rules do not see their values."""


@dataclass(frozen=True, slots=True)
class Case:
    """One node as a rule sees it.

    Attributes
    ----------
    op_type, domain : str
        The operator.
    version : int
        The version of the form in force; 0 where nobody describes the operator.
    inputs : tuple of ValueType
        :data:`ovpart.model.types.UNKNOWN` where an input is left out or nothing is known of it.
    given : tuple of bool
        Whether each input is there.
    outputs : int
        Number of outputs, left-out ones included.
    attributes : mapping of str to object
        What the node gives, as :func:`ovpart.model.attributes.plain` has it.
    constants : mapping of int to tuple
        Input position → its elements, flat, where it is a small constant of numbers.
    """

    op_type: str
    domain: str
    version: int
    inputs: tuple[ValueType, ...]
    given: tuple[bool, ...]
    outputs: int
    attributes: Mapping[str, object] = field(default_factory=dict)
    constants: Mapping[int, tuple[float, ...]] = field(default_factory=dict)

    def type(self, index: int) -> ValueType:
        """Return the type of an input, unknown where there is no such input."""
        return self.inputs[index] if index < len(self.inputs) else UNKNOWN

    def shape(self, index: int) -> tuple[Dim, ...] | None:
        """Return the shape of an input, ``None`` where its rank is unknown."""
        return self.type(index).shape

    def dtype(self, index: int) -> str | None:
        """Return the element type of an input."""
        return self.type(index).dtype

    def has(self, index: int) -> bool:
        """Whether an input is given."""
        return index < len(self.given) and self.given[index]

    def integer(self, name: str, default: int = 0) -> int:
        """Return an integer attribute."""
        value = self.attributes.get(name, default)
        return value if isinstance(value, int) else default

    def integers(self, name: str) -> tuple[int, ...] | None:
        """Return a list of integers, ``None`` where it is not given."""
        value = self.attributes.get(name)
        return tuple(value) if isinstance(value, tuple) else None

    def text(self, name: str, default: str = "") -> str:
        """Return a string attribute."""
        value = self.attributes.get(name, default)
        return value if isinstance(value, str) else default

    def count(self, name: str) -> int:
        """Return the length of a list attribute, 0 where it is not given."""
        value = self.attributes.get(name)
        return len(value) if isinstance(value, tuple) else 0

    def whole(self, index: int) -> tuple[int, ...] | None:
        """Return the values of a small constant integer input."""
        values = self.constants.get(index)
        return None if values is None else tuple(int(v) for v in values)


Rule = Callable[[Case], Sequence[ValueType]]


def tensor(dtype: str | None, shape: Sequence[Dim] | None) -> ValueType:
    """Return a tensor type."""
    return ValueType("tensor", dtype, None if shape is None else tuple(shape))


def unknown_dims(rank: int | None) -> tuple[Dim, ...] | None:
    """Return a shape of which only the rank is known."""
    return None if rank is None or rank < 0 else (None,) * rank


def like(case: Case, index: int = 0, dtype: str | None = None) -> ValueType:
    """Return the type of an input, perhaps with another element type."""
    known = case.type(index)
    return tensor(dtype or known.dtype, known.shape)


def same(case: Case) -> Sequence[ValueType]:
    """First output like the first input."""
    return [like(case)]


def dim(shape: Sequence[Dim] | None, index: int) -> Dim:
    """Return a dimension, ``None`` where shape or dimension are unknown."""
    if shape is None or not -len(shape) <= index < len(shape):
        return None
    return shape[index]


def times(*dims: Dim) -> Dim:
    """Return the product of dimensions: a number, or a symbol alone with ones, else unknown."""
    result: Dim = 1
    for value in dims:
        if value == 0 or result == 0:
            return 0
        if result == 1:
            result = value
        elif value != 1:
            if not (isinstance(result, int) and isinstance(value, int)):
                return None
            result *= value
    return result


def plus(*dims: Dim) -> Dim:
    """Return the sum of dimensions, unknown unless all are numbers."""
    numbers = [d for d in dims if isinstance(d, int)]
    return sum(numbers) if len(numbers) == len(dims) else None


def broadcast(*shapes: Sequence[Dim] | None) -> tuple[Dim, ...] | None:
    """Return numpy's broadcast of shapes; a dimension is unknown where it depends on one that is."""
    known = [s for s in shapes if s is not None]
    if len(known) != len(shapes):
        return None
    rank = max((len(s) for s in known), default=0)
    result: list[Dim] = []
    for position in range(rank):
        dims = {s[position - rank + len(s)] for s in known if position >= rank - len(s)} - {1}
        numbers = [d for d in dims if isinstance(d, int)]
        result.append(numbers[0] if numbers else (dims.pop() if len(dims) == 1 else (None if dims else 1)))
    return tuple(result)


def merge(a: ValueType, b: ValueType) -> ValueType:
    """Return what holds for a value that is of either type: dims that agree, unknown rank where ranks differ."""
    if a == b:
        return a
    if a.kind != b.kind or a.kind != "tensor" or a.dtype != b.dtype:
        return UNKNOWN
    if a.shape is None or b.shape is None or len(a.shape) != len(b.shape):
        return tensor(a.dtype, None)
    return tensor(a.dtype, [x if x == y else None for x, y in zip(a.shape, b.shape, strict=True)])


def refined(known: ValueType, more: ValueType) -> ValueType:
    """Return `known` with what it leaves open taken from `more`; what they contradict each other in stays as known."""
    if known.kind == "unknown":
        return more
    if known.kind != "tensor" or more.kind != "tensor":
        return known
    dtype = known.dtype or more.dtype
    if known.shape is None or more.shape is None:
        return tensor(dtype, more.shape if known.shape is None else known.shape)
    if len(known.shape) != len(more.shape):
        return tensor(dtype, known.shape)
    return tensor(dtype, [y if x is None else x for x, y in zip(known.shape, more.shape, strict=True)])


def is_open(value: ValueType) -> bool:
    """Whether a rule may still add what matters: a dtype or a rank is missing."""
    return value.kind == "unknown" or (value.kind == "tensor" and (value.dtype is None or value.shape is None))


def case_of(
    node: onnx.NodeProto,
    version: int,
    types: Mapping[str, ValueType],
    constants: Mapping[str, onnx.TensorProto],
) -> Case:
    """Return a node as rules see it."""
    found: dict[int, tuple[float, ...]] = {}
    for index, name in enumerate(node.input):
        held = constants.get(name) if name else None
        if held is not None:
            values = _elements(held)
            if values is not None:
                found[index] = values
    return Case(
        op_type=node.op_type,
        domain="" if node.domain == "ai.onnx" else node.domain,
        version=version,
        inputs=tuple(types.get(name, UNKNOWN) if name else UNKNOWN for name in node.input),
        given=tuple(bool(name) for name in node.input),
        outputs=len(node.output),
        attributes={a.name: plain(a) for a in node.attribute},
        constants=found,
    )


def _elements(held: onnx.TensorProto) -> tuple[float, ...] | None:
    """Return the elements of a small constant; ``None`` for large ones, stubs and strings."""
    import math

    if held.data_location == 1 or held.data_type == 8 or math.prod(held.dims) > MAX_CONSTANT:
        return None
    return tuple(array_of(held).reshape(-1).tolist())
