"""What Loop and Scan have in common: values carried from one run of a body to the next, and slices that are stacked.

A carried value whose shape does not change is written by the engine into memory of ours and read there in the next
iteration: nothing is copied, nothing allocated. Two buffers take turns. A third joins them where a value of an earlier
iteration is still carried, since a body may hand an input through, or exchange two: what is read is never written.
A slice that is stacked is written where it stays, or, if small, into one buffer and from there into the stack.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from ovpart.runtime.buffers import copied

if TYPE_CHECKING:
    from ovpart.backend.base import Array
    from ovpart.runtime.control import RunControl
    from ovpart.runtime.control_flow import RunnableBody
    from ovpart.runtime.stack import Stack

IN_PLACE_BYTES = 32 * 1024
"""Slices from this size on are written into the stack by the engine: binding a new place in every iteration costs some
µs, as much as copying so many bytes."""


class Rotation:
    """The buffers that one value is written into in turn."""

    __slots__ = ("_buffers",)

    def __init__(self) -> None:
        self._buffers: list[Array] = []

    def next(self, like: Array, live: Collection[int]) -> Array:
        """Return a buffer for a value like the last one: the one that was written longest ago, if nobody needs it.

        Parameters
        ----------
        like : numpy.ndarray
            The value of the last iteration: its shape and dtype are the next one's.
        live : collection of int
            Identities of arrays that are carried now.
        """
        import numpy as np

        buffers = self._buffers
        if buffers and (buffers[0].shape != like.shape or buffers[0].dtype != like.dtype):
            buffers.clear()
        for position, buffer in enumerate(buffers):
            if id(buffer) not in live:
                buffers.append(buffers.pop(position))
                return buffer
        fresh = np.empty(like.shape, like.dtype)
        buffers.append(fresh)
        return fresh


class Iterations:
    """Runs a body again and again.

    Parameters
    ----------
    body : RunnableBody
        The body.
    taken : tuple of int
        Outputs of the body that are asked for besides what is stacked: what it tells of the condition (position 0 of a
        Loop's), then what is carried, in order.
    carried : list of array
        Initial values, as many as the last of `taken`.
    stacks : mapping of int to Stack
        Output of the body → where its slices go.
    control : RunControl, optional
        Options of the run.

    Attributes
    ----------
    carried : list of array
        What the last iteration gave.
    """

    def __init__(
        self,
        body: RunnableBody,
        taken: tuple[int, ...],
        carried: list[Array],
        stacks: Mapping[int, Stack],
        control: RunControl | None,
    ) -> None:
        self.carried = carried
        self._before = len(taken) - len(carried)
        self._stacks = list(stacks.values())
        self._scratch: list[Array] = [None] * len(self._stacks)
        self._rotations = [Rotation() for _ in taken]
        self._held = body.hold((*taken, *stacks), control)
        self._last: Sequence[Array] = ()

    def carries(self, value: Array) -> bool:
        """Whether an array is carried: what is may not be written."""
        return any(value is other for other in self.carried)

    def advance(self, first: Sequence[Array], last: Sequence[Array]) -> Array:
        """Run the body once.

        Parameters
        ----------
        first, last : sequence of array
            Inputs of the body before those that are carried, and after them.

        Returns
        -------
        array or None
            What it tells of the condition, where that is asked for.
        """
        held = self._held
        self._last = made = held.run([*first, *self.carried, *last], self._places() if self._last else {})
        start = self._before
        end = start + len(self.carried)
        self.carried = list(made[start:end])
        for position, stack in enumerate(self._stacks, end):
            value = made[position]
            # What is not written into the stack at once is kept until the end.
            stack.add(value if stack.is_placed or position not in held.shared else copied(value))
        return made[0] if start else None

    def release(self) -> None:
        """End it; `carried` stays what it is."""
        self._held.release()

    def _places(self) -> dict[int, Array]:
        """Return where outputs go in the next iteration."""
        held, start = self._held, self._before
        live = set(map(id, self.carried))
        places = {
            position: rotation.next(self._last[position], live)
            for position, rotation in enumerate(self._rotations)
            if held.binds(position)
        }
        for offset, stack in enumerate(self._stacks):
            position = start + len(self.carried) + offset
            if stack.is_placed and held.binds(position):
                place = stack.place()
                if place is not None and place.nbytes < IN_PLACE_BYTES:
                    if self._scratch[offset] is None:
                        self._scratch[offset] = place.copy()
                    place = self._scratch[offset]
                if place is not None:
                    places[position] = place
        return places
