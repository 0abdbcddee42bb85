"""From names to numbers: which slot each executable reads and fills, and the way to the outputs asked for.

A *slot* is the place of one value during a run. The first slots are the graph's inputs, then come constants, then what
the executables make, in order. A *route* is the list of steps to some of the graph's outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ovpart.errors import PlanError

if TYPE_CHECKING:
    from ovpart.backend.base import Array, Executable


class Step(NamedTuple):
    """One executable of a route; a tuple, since a run unpacks it at each step.

    Attributes
    ----------
    position : int
        Which of the schedule's executables.
    inputs : tuple of (slot, input index)
        What goes in.
    outputs : tuple of (output index, slot)
        What is taken out; outputs that nobody reads are left.
    release : tuple of int
        Slots that no later step reads, and that are no outputs of the route.
    """

    position: int
    inputs: tuple[tuple[int, int], ...]
    outputs: tuple[tuple[int, int], ...]
    release: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """The way to some outputs.

    Attributes
    ----------
    steps : tuple of Step
        In topological order.
    outputs : tuple of int
        Slot of each output.
    copies : tuple of int
        Positions of outputs that must be copied: inputs, constants, a value that stands there twice.
    direct : bool
        One step takes the graph's inputs and gives the outputs as they stand: no slots are needed.
    """

    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    copies: tuple[int, ...]
    direct: bool


class Wiring:
    """The numbered form of a plan's executables, from which routes are made.

    Raises
    ------
    PlanError
        If a step reads what nothing before it provides, two steps make the same value, or an output has no producer.
    """

    __slots__ = ("constants", "given", "reads", "results", "slots", "writes")

    def __init__(
        self,
        inputs: Sequence[str],
        outputs: Sequence[str],
        constants: Mapping[str, Array],
        steps: Sequence[tuple[str, Executable]],
    ) -> None:
        slots = {name: slot for slot, name in enumerate(inputs)}
        self.given = len(slots)  # slots below are the graph's inputs
        if self.given != len(inputs):
            raise PlanError(f"The inputs {list(inputs)} have a name twice.")
        fixed = {name: array for name, array in constants.items() if name not in slots}
        slots.update((name, self.given + offset) for offset, name in enumerate(fixed))
        self.constants = list(fixed.values())  # in the slots that follow
        self.reads: list[tuple[int, ...]] = []  # slot of each input of each executable
        self.writes: list[tuple[int, ...]] = []  # slot of each output of each executable
        for cluster, executable in steps:
            missing = [port.name for port in executable.inputs if port.name not in slots]
            if missing:
                raise PlanError(
                    f"Cluster {cluster} reads {missing}, which no input and no cluster before it provides. "
                    "Clusters must stand in topological order."
                )
            self.reads.append(tuple(slots[port.name] for port in executable.inputs))
            made = {port.name: None for port in executable.outputs}  # keeps the order, drops what stands there twice
            twice = [name for name in made if name in slots]
            if twice:
                raise PlanError(f"Cluster {cluster} makes {twice}, which exist already: a value has one producer.")
            first = len(slots)
            slots.update((name, first + offset) for offset, name in enumerate(made))
            self.writes.append(tuple(slots[port.name] for port in executable.outputs))
        self.slots = len(slots)
        unknown = [name for name in outputs if name not in slots]
        if unknown:
            raise PlanError(f"No input, constant or cluster provides the outputs {unknown}.")
        self.results = tuple(slots[name] for name in outputs)

    def route(self, wanted: Sequence[int]) -> Route:
        """Return the way to some of the graph's outputs, given by position: the steps they need, and no others."""
        outputs = tuple(self.results[position] for position in wanted)
        needed, last_reader, walked = set(outputs), dict.fromkeys(outputs, -1), []
        for position in range(len(self.reads) - 1, -1, -1):
            if needed.isdisjoint(self.writes[position]):
                continue
            walked.append(position)
            needed.update(self.reads[position])
            for slot in self.reads[position]:
                last_reader.setdefault(slot, position)
        steps = tuple(self._step(position, needed, last_reader) for position in reversed(walked))
        first_made = self.given + len(self.constants)
        copies = tuple(i for i, slot in enumerate(outputs) if slot < first_made or slot in outputs[:i])
        direct = (
            len(self.reads) == len(steps) == 1
            and self.reads[0] == tuple(range(self.given))
            and self.writes[0] == outputs
            and not copies
        )
        return Route(steps, outputs, copies, direct)

    def _step(self, position: int, needed: set[int], last_reader: Mapping[int, int]) -> Step:
        reads = self.reads[position]
        taken = {slot: index for index, slot in reversed(tuple(enumerate(self.writes[position]))) if slot in needed}
        return Step(
            position,
            tuple((slot, index) for index, slot in enumerate(reads)),
            tuple(sorted((index, slot) for slot, index in taken.items())),
            tuple(slot for slot in dict.fromkeys(reads) if last_reader[slot] == position),
        )
