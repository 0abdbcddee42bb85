"""If, Loop and Scan run by ovpart itself: each iteration, or the branch taken, is a run of a body's own schedule.

An executable like any engine's, so that a schedule does not know the difference. Meanings follow onnxruntime where it
and the specification differ: a Loop looks at the condition that its body gives even where it was given none itself, and
what a Scan of no steps gives is an error.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ovpart.errors import OvpartError, RunError
from ovpart.model.types import numpy_dtype
from ovpart.runtime.buffers import part
from ovpart.runtime.control import TERMINATED, RunControl
from ovpart.runtime.stack import Stack

if TYPE_CHECKING:
    from ovpart.backend.base import Array, Port


class RunnableBody(Protocol):
    """A body that can be run: by placement, a model with a plan of its own."""

    @property
    def outputs(self) -> Sequence[Port]:
        """What it gives, in its order."""

    def run(
        self, values: Sequence[Array], wanted: Sequence[int] | None = None, control: RunControl | None = None
    ) -> Sequence[Array]:
        """Compute; `values` are its inputs, then its captures, in its order; `wanted` outputs by position, or all."""

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


class ControlFlow:
    """An executable for one node.

    Parameters
    ----------
    label : str
        What messages call the node.
    inputs, outputs : sequence of Port
        Values that cross; constants are not among them, nor outputs that nobody reads.
    operands : sequence of Operand
        The node's own inputs.
    parts : sequence of Part
        Its bodies.
    made : sequence of int
        For each of `outputs` which output of the node it is.

    Attributes
    ----------
    calls : int
        Runs begun so far.
    """

    def __init__(
        self,
        label: str,
        inputs: Sequence[Port],
        outputs: Sequence[Port],
        operands: Sequence[Operand],
        parts: Sequence[Part],
        made: Sequence[int],
    ) -> None:
        self.label = label
        self.inputs: Sequence[Port] = tuple(inputs)
        self.outputs: Sequence[Port] = tuple(outputs)
        self.operands = tuple(operands)
        self.parts = tuple(parts)
        self.made = tuple(made)
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


class ControlRequest:
    """One run at a time of a node."""

    __slots__ = ("_error", "_executable", "_given", "_results", "_thread", "_watch")

    def __init__(self, executable: ControlFlow) -> None:
        self._executable = executable
        self._given: list[Array] = [None] * len(executable.inputs)
        self._results: list[Array] = []
        self._watch = Watch()
        self._thread: threading.Thread | None = None
        self._error: OvpartError | None = None

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
        self._results = part(executable.compute(self._given, watch), self._given)

    def start(self) -> None:
        """Begin to compute in a thread of its own."""
        self._error = None
        self._thread = threading.Thread(target=self._run_and_keep_error, name="ovpart-control-flow")
        self._thread.start()

    def wait(self) -> None:
        """Wait for what `start` began."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def cancel(self) -> None:
        """Ask a loop under way to stop after the iteration that it is at."""
        self._watch.cancelled.set()

    def take_output(self, index: int) -> Array:
        """Return an output of the last run."""
        return self._results[index]

    def _run_and_keep_error(self) -> None:
        try:
            self.run()
        except OvpartError as error:
            self._error = error


class If(ControlFlow):
    """Runs one of two branches: the first of `parts` where the condition holds, else the second."""

    def compute(self, given: Sequence[Array], watch: Watch) -> list[Array]:
        """Run the branch taken, for the outputs that somebody reads."""
        taken = self.parts[0 if truth(self.operands[0].of(given), self.label) else 1]
        values = [operand.of(given) for operand in taken.captures]
        whole = len(self.made) == len(taken.body.outputs)
        return list(taken.body.run(values, None if whole else self.made, watch.control))


class Loop(ControlFlow):
    """Runs its body while a count lasts and a condition holds.

    Parameters
    ----------
    endures : bool
        Whether the body never ends it: then the count is how often it runs. The others are those of
        :class:`ControlFlow`.
    """

    def __init__(
        self,
        label: str,
        inputs: Sequence[Port],
        outputs: Sequence[Port],
        operands: Sequence[Operand],
        parts: Sequence[Part],
        made: Sequence[int],
        *,
        endures: bool = False,
    ) -> None:
        super().__init__(label, inputs, outputs, operands, parts, made)
        self.endures = endures

    def compute(self, given: Sequence[Array], watch: Watch) -> list[Array]:
        """Iterate. What is carried is handed from one iteration to the next as it is.

        What is stacked is written where it stays if the number of iterations is known before the first.
        """
        (loop,) = self.parts
        count, condition, *carried = [operand.of(given) for operand in self.operands]
        most = None if count is None else whole_number(count, self.label)
        goes_on = condition is None or truth(condition, self.label)
        captured = [operand.of(given) for operand in loop.captures]
        held = len(carried)
        known = most if self.endures and goes_on and most is not None and most > 0 else None
        stacks = [Stack(port, known) for port in loop.body.outputs[1 + held :]]
        done = 0
        while goes_on and (most is None or done < most):
            watch.check()
            counted = scalar(done, "i64", loop.ranks[0])
            holds = scalar(True, "bool", loop.ranks[1])
            answered, *made = loop.body.run([counted, holds, *carried, *captured], None, watch.control)
            goes_on = truth(answered, self.label)
            carried = made[:held]
            for stack, value in zip(stacks, made[held:], strict=True):
                stack.add(value)
            done += 1
        results = [*carried, *(stack.result() for stack in stacks)]
        return [results[index] for index in self.made]


def truth(value: Array, label: str) -> bool:
    """Return a condition's value: a tensor of one element, whatever its rank."""
    if value.size != 1:
        raise RunError(f"the condition of {label} has {value.size} elements, and must have one")
    return bool(value.item())


def whole_number(value: Array, label: str) -> int:
    """Return a count's value: a tensor of one element, whatever its rank."""
    if value.size != 1:
        raise RunError(f"the count of {label} has {value.size} elements, and must have one")
    return int(value.item())


def scalar(value: int | bool, dtype: str, rank: int | None) -> Array:
    """Return a tensor of one element, of rank 0 unless a body wants one of another."""
    import numpy as np

    array = np.asarray(value, numpy_dtype(dtype))
    return array.reshape((1,) * rank) if rank else array
