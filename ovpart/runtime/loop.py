"""Loop: a body that runs while a count lasts and a condition holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ovpart.errors import RunError
from ovpart.model.types import numpy_dtype
from ovpart.runtime.control_flow import ControlFlow, ControlNode, Watch, truth
from ovpart.runtime.iterations import Iterations
from ovpart.runtime.stack import Stack

if TYPE_CHECKING:
    from ovpart.backend.base import Array


class Loop(ControlFlow):
    """Runs its body while a count lasts and a condition holds.

    Parameters
    ----------
    node : ControlNode
        The node.
    endures : bool
        Whether the body never ends it: then the count is how often it runs.
    """

    def __init__(self, node: ControlNode, *, endures: bool = False) -> None:
        super().__init__(node)
        self.endures = endures

    def compute(self, given: Sequence[Array], watch: Watch) -> list[Array]:
        """Iterate.

        What is stacked is written where it stays if the number of iterations is known before the first. Where the body
        never ends the loop, nobody asks it for its condition.
        """
        (loop,) = self.parts
        count, condition, *carried = [operand.of(given) for operand in self.operands]
        most = None if count is None else whole_number(count, self.label)
        goes_on = condition is None or truth(condition, self.label)
        held = len(carried)
        known = most if self.endures and goes_on and most is not None and most > 0 else None
        read = [index for index in range(held, len(loop.body.outputs) - 1) if index in self.made]
        stacks = {1 + index: Stack(loop.body.outputs[1 + index], known) for index in read}
        captured = [operand.of(given) for operand in loop.captures]
        asked = () if self.endures else (0,)
        holds = scalar(True, "bool", loop.ranks[1])
        counter = scalar(0, "i64", loop.ranks[0])
        done = 0
        run = Iterations(loop.body, (*asked, *range(1, 1 + held)), carried, stacks, watch.control)
        try:
            while goes_on and (most is None or done < most):
                watch.check()
                if run.carries(counter):
                    counter = counter.copy()
                counter[...] = done
                told = run.advance([counter, holds], captured)
                goes_on = self.endures or truth(told, self.label)
                done += 1
        finally:
            run.release()
        results = dict(enumerate(run.carried))
        results.update((index - 1, stack.result()) for index, stack in stacks.items())
        return [results[index] for index in self.made]


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
