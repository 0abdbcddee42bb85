"""A node with the intervals of its inputs, and the intervals of constants: what rules of transfer work on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ovpart.capability.intervals import ANY, DTYPE_RANGES, Interval, whole
from ovpart.model.attributes import attribute

if TYPE_CHECKING:
    import numpy as np

    from ovpart.capability.scopes import Scope
    from ovpart.model.graph import Node

ZERO = Interval(0, 0)
MOST_INTEGERS = 2**24
"""Most elements of a constant of integers that are read to find its bounds."""
MOST_FLOATS = 2**16
"""Most floats whose sum is followed: up to here rounding moves it by less than a hundredth (2**16 * 2**-24)."""


@dataclass(frozen=True, slots=True)
class Step:
    """A node with the intervals of its inputs.

    Attributes
    ----------
    node : Node
        The node.
    scope : Scope
        Where it stands.
    inputs : tuple of Interval
        Parallel to ``node.inputs``; for those that no rule reads, all that the dtype can hold.
    """

    node: Node
    scope: Scope
    inputs: tuple[Interval, ...]

    def has(self, index: int) -> bool:
        """Whether an input is given."""
        return index < len(self.node.inputs) and bool(self.node.inputs[index])

    def dtype(self, index: int = 0) -> str | None:
        """Return the dtype of an input."""
        return self.scope.type_of(self.node.inputs[index]).dtype if self.has(index) else None

    @property
    def whole_numbers(self) -> bool:
        """Whether the first input holds integers."""
        return self.dtype() in DTYPE_RANGES

    def attribute(self, name: str) -> Any:
        """Return an attribute, its default where it is absent."""
        return attribute(self.node, name)

    def constant(self, index: int, most: int = 4096) -> np.ndarray | None:
        """Return a small constant input."""
        return self.scope.array(self.node.inputs[index], most) if self.has(index) else None

    def count(self, axes: tuple[int, ...] | None = None) -> int | None:
        """Return how many elements stand along some axes (all if ``None``) of the first input, if that is known."""
        shape = self.scope.type_of(self.node.inputs[0]).shape
        if shape is None:
            return None
        dims = shape if axes is None else [shape[a] for a in axes if -len(shape) <= a < len(shape)]
        known = [d for d in dims if isinstance(d, int)]
        return math.prod(known) if len(known) == len(dims) else None


def of_constant(scope: Scope, value: str) -> Interval:
    """Return the interval of an initializer or ``Constant``; of large float ones nothing is read."""
    dtype = scope.type_of(value).dtype
    array = scope.array(value, MOST_INTEGERS if dtype in DTYPE_RANGES else MOST_FLOATS)
    return whole(dtype) if array is None else of_array(array)


def of_array(array: np.ndarray) -> Interval:
    """Return the interval of known values."""
    if array.size == 0:
        return ZERO
    if array.dtype.kind not in "iufb":
        return ANY
    low, high = array.min(), array.max()
    if array.dtype.kind == "f":
        low, high = float(low), float(high)
        return Interval(low, high) if low <= high else ANY  # NaN compares false
    return Interval(int(low), int(high))
