"""From names to numbers: which slot each executable reads and fills, and the way to the outputs asked for.

A *slot* is the place of one value during a run. The first slots are the graph's inputs, then come constants, then what
the executables make, in order. A *route* is the list of steps to some of the graph's outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ovpart.errors import PlanError
from ovpart.runtime.buffers import Memory, plan_memory

if TYPE_CHECKING:
    from ovpart.backend.base import Array, Executable


class Step(NamedTuple):
    """One executable of a route; a tuple, since a run unpacks it at each step.

    Attributes
    ----------
    position : int
        Which of the schedule's executables.
    inputs : tuple of (slot, input index)
        What goes in, planned memory apart: that is bound once.
    outputs : tuple of (output index, slot)
        What is taken out, planned memory apart; outputs that nobody reads are left.
    release : tuple of int
        Slots that no later step reads, and that are no outputs of the route.
    results : tuple of int
        Slots of this step that are outputs of the route.
    reads : tuple of int
        Slots that it reads, planned memory included, if it has results; else empty.
    """

    position: int
    inputs: tuple[tuple[int, int], ...]
    outputs: tuple[tuple[int, int], ...]
    release: tuple[int, ...]
    results: tuple[int, ...]
    reads: tuple[int, ...]


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
    single : tuple of str
        The names of the outputs, if the only executable there is makes all of them; else empty.
    direct : bool
        That executable moreover takes the graph's inputs and gives the outputs as they stand: no slots are needed.
    """

    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    copies: tuple[int, ...]
    single: tuple[str, ...]
    direct: bool


class Wiring:
    """The numbered form of a plan's executables, from which routes are made.

    Attributes
    ----------
    given : int
        Slots below this number are the graph's inputs.
    constants : list of array
        In the slots that follow.
    reads, writes : list of tuple of int
        Slot of each input and output of each executable.
    slots : int
        How many there are.
    results : tuple of int
        Slot of each of the graph's outputs.
    memory : Memory
        Places of values between steps.

    Raises
    ------
    PlanError
        If a step reads what nothing before it provides, two steps make the same value, or an output has no producer.
    """

    __slots__ = ("_names", "constants", "given", "memory", "reads", "results", "slots", "writes")

    def __init__(
        self,
        inputs: Sequence[str],
        outputs: Sequence[str],
        constants: Mapping[str, Array],
        steps: Sequence[tuple[str, Executable]],
    ) -> None:
        slots = {name: slot for slot, name in enumerate(inputs)}
        self.given = len(slots)
        if self.given != len(inputs):
            raise PlanError(f"The inputs {list(inputs)} have a name twice.")
        fixed = {name: array for name, array in constants.items() if name not in slots}
        slots.update((name, self.given + offset) for offset, name in enumerate(fixed))
        self.constants = list(fixed.values())
        self.reads: list[tuple[int, ...]] = []
        self.writes: list[tuple[int, ...]] = []
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
        self._names = tuple(outputs)
        executables = [executable for _, executable in steps]
        self.memory: Memory = plan_memory(executables, self.reads, self.writes, frozenset(self.results))

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
        steps = tuple(self._step(position, needed, last_reader, outputs) for position in reversed(walked))
        first_made = self.given + len(self.constants)
        copies = tuple(i for i, slot in enumerate(outputs) if slot < first_made or slot in outputs[:i])
        alone = len(self.reads) == len(steps) == 1 and not copies
        single = tuple(self._names[position] for position in wanted) if alone else ()
        direct = alone and self.reads[0] == tuple(range(self.given)) and self.writes[0] == outputs
        return Route(steps, outputs, copies, single, direct)

    def _step(self, position: int, needed: set[int], last_reader: Mapping[int, int], outputs: tuple[int, ...]) -> Step:
        reads, planned = self.reads[position], self.memory.places
        made = {slot: index for index, slot in reversed(tuple(enumerate(self.writes[position]))) if slot in needed}
        results = tuple(slot for slot in made if slot in outputs)
        return Step(
            position,
            tuple((slot, index) for index, slot in enumerate(reads) if slot not in planned),
            tuple(sorted((index, slot) for slot, index in made.items() if slot not in planned)),
            tuple(slot for slot in dict.fromkeys(reads) if last_reader[slot] == position and slot not in planned),
            results,
            tuple(dict.fromkeys(reads)) if results else (),
        )
