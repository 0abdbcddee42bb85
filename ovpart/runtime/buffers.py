"""Memory between steps, and memory that leaves a run.

*Between steps*: a value of a static shape that only other steps read gets a place in planned memory, where the engine
that makes it can: written and read there in every run of a lease, bound once on both sides, so that a run neither
allocates it nor hands it over. Places are used again after the last reader. Against handing over new arrays, chains of
ten one-operator steps, in turn on openvino and onnxruntime, take 0.47 of the time at 256 B to 16 KB a value, 0.25 at
128 KB, 0.37 at 1 MB and 0.67 at 8 MB (openvino 2026.4, onnxruntime 1.31, one thread each, paired in one run). Values of
dynamic shapes are handed over by address and let go after their last reader.

*What leaves a run* belongs to the user alone: :func:`part`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ovpart.model.types import numpy_dtype

if TYPE_CHECKING:
    import numpy as np

    from ovpart.backend.base import Array, Executable, Port


class PlannedRequest(Protocol):
    """What the requests of a :class:`Plannable` executable have beyond their protocol."""

    def bind_output(self, index: int, array: Array) -> None:
        """Write this output into `array` in every run from now on; ``take_output`` is not called for it.

        The array is C-contiguous, writeable, and has the port's dtype and the shape that `static_shape` gave. The
        request keeps it alive.
        """


@runtime_checkable
class Plannable(Protocol):
    """What an executable has beyond its protocol if its requests can write outputs where they are told."""

    @property
    def outputs(self) -> Sequence[Port]:
        """Ports, as in its protocol."""

    def static_shape(self, index: int) -> tuple[int, ...] | None:
        """Return the shape that an output has in every run, ``None`` where it may change or cannot be bound."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value lies in planned memory.

    Attributes
    ----------
    block : int
        Which block; a block holds one value at a time, from its first byte.
    dtype : numpy.dtype
        Of the value.
    shape : tuple of int
        Of the value.
    """

    block: int
    dtype: np.dtype
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Memory:
    """The planned memory of a schedule; each lease has its own.

    Attributes
    ----------
    places : mapping of int to Place
        By slot.
    blocks : tuple of int
        Bytes of each block.
    """

    places: Mapping[int, Place]
    blocks: tuple[int, ...]

    def arrays(self) -> dict[int, Array]:
        """Allocate, and return slot → array."""
        import numpy as np

        blocks = [np.empty(size, np.uint8) for size in self.blocks]
        found = {}
        for slot, place in self.places.items():
            size = _nbytes(place.dtype, place.shape)
            found[slot] = blocks[place.block][:size].view(place.dtype).reshape(place.shape)
        return found


def plan_memory(
    executables: Sequence[Executable],
    reads: Sequence[Sequence[int]],
    writes: Sequence[Sequence[int]],
    kept: frozenset[int],
) -> Memory:
    """Find places for values of a static shape.

    Parameters
    ----------
    executables : sequence of Executable
        In the order of the steps; those that are :class:`Plannable` take part.
    reads, writes : sequence of sequence of int
        Slots that each one reads and makes, by index.
    kept : frozenset of int
        Slots that leave the run: never planned.

    Notes
    -----
    One pass in the order of the steps; a value takes the smallest free block that holds it, or a new one. Blocks of
    inputs that die at a step are freed after its outputs have theirs: an engine may write before it has read all.
    """
    last = {slot: position for position, slots in enumerate(reads) for slot in slots}
    places: dict[int, Place] = {}
    blocks: list[int] = []
    free: list[tuple[int, int]] = []  # (bytes, block)
    for position, executable in enumerate(executables):
        if isinstance(executable, Plannable):
            for index, slot in enumerate(writes[position]):
                if slot in kept or slot not in last or slot in places:
                    continue
                place = place_of(executable, index)
                if place is None:
                    continue
                size = _nbytes(place.dtype, place.shape)
                fitting = min((entry for entry in free if entry[0] >= size), default=None)
                if fitting is None:
                    fitting = (size, len(blocks))
                    blocks.append(size)
                else:
                    free.remove(fitting)
                places[slot] = replace(place, block=fitting[1])
        dying = {slot for slot in reads[position] if last[slot] == position and slot in places}
        free.extend((blocks[places[slot].block], places[slot].block) for slot in sorted(dying))
    return Memory(places, tuple(blocks))


def place_of(executable: Plannable, index: int) -> Place | None:
    """Return the place that an output needs, in no block yet; ``None`` if it cannot have one, or needs none."""
    port, shape = executable.outputs[index], executable.static_shape(index)
    if shape is None or port.dtype is None or port.dtype == "string" or 0 in shape:
        return None
    dtype = numpy_dtype(port.dtype)
    return Place(-1, dtype, shape) if dtype.isbuiltin == 1 else None  # types of ml_dtypes cannot be bound as they are


def _nbytes(dtype: np.dtype, shape: Sequence[int]) -> int:
    size = dtype.itemsize
    for dim in shape:
        size *= dim
    return size


def copied(value: Array) -> Array:
    """Return a value that shares no memory with another: arrays, and the lists and dicts that stand for other types."""
    import numpy as np

    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, (list, tuple)):
        return type(value)([copied(item) for item in value])
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return value


def part(values: list[Array], read: Sequence[Array]) -> list[Array]:
    """Copy, in `values` itself, what shares memory with what its step has read, or with an earlier value of the step.

    Checked for each step that makes outputs of the graph, it follows for the whole run that no output shares memory
    with an input, with another output, or with memory between steps.

    Engines answer with memory of their own, which numpy shows as an array without a base, or over an object of the
    engine (openvino's tensor, onnxruntime's capsule). An executable that computes in numpy may hand back its input,
    or a view of it: then the base is an array. So a good answer costs a look at each base, and some comparisons.
    """
    for value in values:
        if type(getattr(value, "base", value)) is type(value):
            return _parted(values, read)
    if len(values) == 1 and len(read) == 1:
        return values if values[0] is not read[0] else _parted(values, read)
    identities = {*map(id, values), *map(id, read)}
    return values if len(identities) == len(values) + len(read) else _parted(values, read)


def _parted(values: list[Array], read: Sequence[Array]) -> list[Array]:
    seen: set[int] = set()
    for value in read:
        seen.update(_owners(value))
    for position, value in enumerate(values):
        owners = _owners(value)
        if seen.isdisjoint(owners):
            seen.update(owners)
        else:
            values[position] = copied(value)
    return values


def _owners(value: Array) -> list[int]:
    """Return the identity of what holds the memory of a value, one for each array in it."""
    if isinstance(value, (list, tuple)):
        return [owner for item in value for owner in _owners(item)]
    if isinstance(value, dict):
        return [owner for item in value.values() for owner in _owners(item)]
    if not hasattr(value, "base"):
        return []
    while (base := getattr(value, "base", None)) is not None:
        value = base
    return [id(value)]
