"""What a loop gives one slice of in each iteration, stacked along an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovpart.errors import RunError
from ovpart.model.types import numpy_dtype

if TYPE_CHECKING:
    from ovpart.backend.base import Array, Port


AT_ONCE = 1 << 28
"""Bytes that are allocated before they are needed; a longer loop may be ended before it has filled them."""


class Stack:
    """Takes one slice an iteration.

    Parameters
    ----------
    port : Port
        The slice's.
    count : int, optional
        How many slices there will be, where that is known: they are then written where they stay.
    reverse : bool
        Whether later slices come first.

    Raises
    ------
    RunError
        When a slice has another shape than those before.
    """

    __slots__ = ("_count", "_made", "_port", "_reverse", "_slices", "_whole")

    def __init__(self, port: Port, count: int | None = None, *, reverse: bool = False) -> None:
        self._port = port
        self._count = count
        self._reverse = reverse
        self._whole: Array = None
        self._slices: list[Array] = []
        self._made = 0

    @property
    def is_placed(self) -> bool:
        """Whether slices are written where they stay: what was added may be overwritten then."""
        return self._whole is not None

    def place(self) -> Array | None:
        """Return where the next slice will stay, for somebody else to write; ``None`` where there is no place for it.

        A slice of one number has none: it would be a number, and no part of the stack.
        """
        if self._whole is None or self._whole.ndim == 1 or self._made >= len(self._whole):
            return None
        return self._whole[self._position()]

    def add(self, value: Array) -> None:
        """Take the slice of an iteration, which may have been written into its place."""
        import numpy as np

        if self._made == 0 and self._count is not None and self._count * value.nbytes <= AT_ONCE:
            self._whole = np.empty((self._count, *value.shape), value.dtype)
        whole = self._whole
        first = whole[0, ...] if whole is not None else (self._slices[0] if self._slices else value)
        if value.shape != first.shape:
            raise RunError(
                f"iteration {self._made} gives {self._port.name!r} of shape {list(value.shape)}, those before "
                f"{list(first.shape)}: what a loop stacks must not change its shape"
            )
        if whole is None:
            self._slices.append(value)
        elif value.base is not whole:  # else it is the place itself
            whole[self._position()] = value
        self._made += 1

    def result(self, axis: int = 0) -> Array:
        """Return the stack, contiguous; of no slices, one of size 0 in every dimension that is not known."""
        import numpy as np

        if not self._made:
            # As onnxruntime does.
            dims = [dim if isinstance(dim, int) else 0 for dim in self._port.shape or ()]
            return np.empty((0, *dims), numpy_dtype(self._port.dtype or "f32"))
        whole = self._whole
        if whole is None:
            whole = np.stack(self._slices[::-1] if self._reverse else self._slices)
        return whole if axis == 0 else np.ascontiguousarray(np.moveaxis(whole, 0, axis))

    def _position(self) -> int:
        assert self._count is not None
        return self._count - 1 - self._made if self._reverse else self._made
