"""If, Loop and Scan run by ovpart itself: each iteration, or the branch taken, is a run of a body's own schedule.

An executable like any engine's, so that a schedule does not know the difference. Meanings follow onnxruntime where it
and the specification differ: a Loop looks at the condition that its body gives even where it was given none itself, and
what a Scan of no steps gives is an error.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ovpart.backend.threaded import ThreadedRequest
from ovpart.errors import RunError
from ovpart.runtime.buffers import part
from ovpart.runtime.control import TERMINATED, RunControl

if TYPE_CHECKING:
    from ovpart.backend.base import Array, Port


class HeldBody(Protocol):
    """A body that one thread runs again and again: what carries values from run to run holds it meanwhile."""

    @property
    def shared(self) -> frozenset[int]:
        """Positions among the outputs wanted whose values others share: an input handed through, a value twice."""

    def binds(self, output: int) -> bool:
        """Whether an output, by position among those wanted, can be written where it is told."""

    def run(self, values: Sequence[Array], into: Mapping[int, Array]) -> Sequence[Array]:
        """Compute the outputs wanted.

        Parameters
        ----------
        values : sequence of array
            Its inputs, then its captures, in its order.
        into : mapping of int to array
            Where outputs that can be bound should be written, of the shape that they had before. An output that was
            written there is that very array; any other is in memory of its own, or `shared`.
        """

    def release(self) -> None:
        """End it: what it was given to write into is left alone from now on."""


class RunnableBody(Protocol):
    """A body that can be run: by placement, a model with a plan of its own."""

    @property
    def outputs(self) -> Sequence[Port]:
        """What it gives, in its order."""

    def run(
        self, values: Sequence[Array], wanted: Sequence[int] | None = None, control: RunControl | None = None
    ) -> Sequence[Array]:
        """Compute; `values` are its inputs, then its captures, in its order; `wanted` outputs by position, or all."""

    def hold(self, wanted: tuple[int, ...], control: RunControl | None = None) -> HeldBody:
        """Return what runs it again and again, for some of its outputs; end that with ``release``."""

    def close(self) -> None:
        """Let go of everything compiled."""


class Watch:
    """Tells a run of control flow to end between two iterations.

    Parameters
    ----------
    control : RunControl, optional
        Options of the run, which bodies get too.
    """

    __slots__ = ("cancelled", "control")

    def __init__(self, control: RunControl | None = None) -> None:
        self.cancelled = threading.Event()
        self.control = control

    def check(self) -> None:
        """Raise where the run is to end.

        Raises
        ------
        RunError
            In onnxruntime's words.
        """
        if self.cancelled.is_set():
            raise RunError(TERMINATED)
        if self.control is not None:
            self.control.check()


@dataclass(frozen=True, slots=True)
class Operand:
    """Where a value comes from.

    Attributes
    ----------
    index : int
        Of the executable's inputs; negative for a constant, or nothing.
    constant : Array
        A constant's value; ``None`` for an input of the node that is left out.
    """

    index: int
    constant: Array = None

    def of(self, given: Sequence[Array]) -> Array:
        """Return the value."""
        return given[self.index] if self.index >= 0 else self.constant


@dataclass(frozen=True, slots=True)
class Part:
    """A body with what it captures.

    Attributes
    ----------
    body : RunnableBody
        The body.
    captures : tuple of Operand
        What comes behind its own inputs.
    ranks : tuple of (int or None)
        Rank that the file declares for its first inputs: a Loop may count in tensors of one element.
    """

    body: RunnableBody
    captures: tuple[Operand, ...]
    ranks: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class ControlNode:
    """A node of control flow, with its values numbered.

    Attributes
    ----------
    label : str
        What messages call the node.
    inputs, outputs : tuple of Port
        Values that cross; constants are not among them, nor outputs that nobody reads.
    operands : tuple of Operand
        The node's own inputs.
    parts : tuple of Part
        Its bodies.
    made : tuple of int
        For each of `outputs` which output of the node it is.
    """

    label: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    operands: tuple[Operand, ...]
    parts: tuple[Part, ...]
    made: tuple[int, ...]

    @property
    def constants(self) -> list[Array]:
        """Values that are neither inputs nor computed here: no run may give them away."""
        operands = (*self.operands, *(operand for one in self.parts for operand in one.captures))
        return [operand.constant for operand in operands if operand.constant is not None]


class ControlFlow:
    """An executable for one node.

    Parameters
    ----------
    node : ControlNode
        The node.

    Attributes
    ----------
    calls : int
        Runs begun so far.
    """

    def __init__(self, node: ControlNode) -> None:
        self.node = node
        self.label = node.label
        self.inputs: Sequence[Port] = node.inputs
        self.outputs: Sequence[Port] = node.outputs
        self.operands = node.operands
        self.parts = node.parts
        self.made = node.made
        self.calls = 0

    def compute(self, given: Sequence[Array], watch: Watch) -> list[Array]:
        """Return the outputs, each in memory that no input shares, or that :func:`part` will part."""
        raise NotImplementedError

    def bind(self) -> ControlRequest:
        """Make a request; bodies have pools of their own, so requests share them."""
        return ControlRequest(self)

    def export(self) -> bytes | None:
        """Return ``None``: there is no blob."""
        return None

    def close(self) -> None:
        """Let go of what the bodies have compiled."""
        for one in self.parts:
            one.body.close()


class ControlRequest(ThreadedRequest):
    """One run at a time of a node."""

    __slots__ = ("_constants", "_executable", "_given", "_results", "_watch")

    thread_name = "ovpart-control-flow"

    def __init__(self, executable: ControlFlow) -> None:
        super().__init__()
        self._executable = executable
        self._constants = executable.node.constants
        self._given: list[Array] = [None] * len(executable.inputs)
        self._results: list[Array] = []
        self._watch = Watch()

    def set_input(self, index: int, array: Array) -> None:
        """Bind an input by reference."""
        self._given[index] = array

    def run(self) -> None:
        """Compute."""
        self._compute(Watch())

    def run_with(self, options: object) -> None:
        """Compute under options of the run, which bodies get too; see :class:`ovpart.runtime.control.RunControl`."""
        self._compute(Watch(RunControl(options)))

    def _compute(self, watch: Watch) -> None:
        self._watch = watch
        executable = self._executable
        executable.calls += 1
        self._results = part(executable.compute(self._given, watch), [*self._given, *self._constants])

    def cancel(self) -> None:
        """Ask a loop under way to stop after the iteration that it is at."""
        self._watch.cancelled.set()

    def take_output(self, index: int) -> Array:
        """Return an output of the last run."""
        return self._results[index]


class If(ControlFlow):
    """Runs one of two branches: the first of `parts` where the condition holds, else the second."""

    def compute(self, given: Sequence[Array], watch: Watch) -> list[Array]:
        """Run the branch taken, for the outputs that somebody reads."""
        taken = self.parts[0 if truth(self.operands[0].of(given), self.label) else 1]
        values = [operand.of(given) for operand in taken.captures]
        whole = len(self.made) == len(taken.body.outputs)
        return list(taken.body.run(values, None if whole else self.made, watch.control))


def truth(value: Array, label: str) -> bool:
    """Return a condition's value: a tensor of one element, whatever its rank."""
    if value.size != 1:
        raise RunError(f"the condition of {label} has {value.size} elements, and must have one")
    return bool(value.item())
