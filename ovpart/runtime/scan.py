"""Scan (opset 9 on): a body over the slices of one or more inputs, with states that it carries along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovpart.errors import RunError
from ovpart.model.attributes import attribute
from ovpart.runtime.control_flow import ControlFlow, ControlNode, Watch
from ovpart.runtime.iterations import Iterations
from ovpart.runtime.stack import Stack

if TYPE_CHECKING:
    from ovpart.backend.base import Array
    from ovpart.model.graph import Node


@dataclass(frozen=True, slots=True)
class Layout:
    """The attributes of a Scan, one entry a scanned input or output.

    Attributes
    ----------
    input_axes, output_axes : tuple of int
        The axis that is scanned; negative counts from behind, of an output with that axis in it.
    input_reversed, output_reversed : tuple of bool
        Whether slices are taken from behind; whether later ones are put in front.
    """

    input_axes: tuple[int, ...]
    input_reversed: tuple[bool, ...]
    output_axes: tuple[int, ...]
    output_reversed: tuple[bool, ...]


def scan_layout(node: Node) -> Layout:
    """Return the layout of a Scan node."""
    taken = int(str(attribute(node, "num_scan_inputs")))
    given = len(node.bodies["body"].outputs) - (len(node.inputs) - taken)

    def entries(name: str, count: int) -> tuple[int, ...]:
        found = attribute(node, name)
        return tuple(int(item) for item in found) if isinstance(found, tuple) and found else (0,) * count

    return Layout(
        entries("scan_input_axes", taken),
        tuple(bool(entry) for entry in entries("scan_input_directions", taken)),
        entries("scan_output_axes", given),
        tuple(bool(entry) for entry in entries("scan_output_directions", given)),
    )


class Scan(ControlFlow):
    """Runs its body once for every slice.

    Parameters
    ----------
    node : ControlNode
        The node.
    layout : Layout
        Axes and directions.
    """

    def __init__(self, node: ControlNode, layout: Layout) -> None:
        super().__init__(node)
        self.layout = layout

    def compute(self, given: Sequence[Array], watch: Watch) -> list[Array]:
        """Scan. The number of steps is known before the first: what is stacked is written where it stays."""
        (loop,) = self.parts
        layout = self.layout
        values = [operand.of(given) for operand in self.operands]
        held = len(values) - len(layout.input_axes)
        scanned = [_slices_first(value, axis) for value, axis in zip(values[held:], layout.input_axes, strict=True)]
        lengths = {len(value) for value in scanned}
        if len(lengths) != 1 or 0 in lengths:
            raise RunError(f"{self.label} scans inputs of lengths {sorted(lengths)}: they must be equal, and not 0")
        (steps,) = lengths
        captured = [operand.of(given) for operand in loop.captures]
        stacks = {
            held + index: Stack(loop.body.outputs[held + index], steps, reverse=back)
            for index, back in enumerate(layout.output_reversed)
            if held + index in self.made
        }
        run = Iterations(loop.body, tuple(range(held)), values[:held], stacks, watch.control)
        try:
            for step in range(steps):
                watch.check()
                slices = [
                    value[steps - 1 - step if back else step, ...]
                    for value, back in zip(scanned, layout.input_reversed, strict=True)
                ]
                run.advance([], [*slices, *captured])
        finally:
            run.release()
        results = dict(enumerate(run.carried))
        results.update((index, stack.result(layout.output_axes[index - held])) for index, stack in stacks.items())
        return [results[index] for index in self.made]


def _slices_first(value: Array, axis: int) -> Array:
    """Return a value with the scanned axis first and each slice contiguous."""
    import numpy as np

    return np.ascontiguousarray(np.moveaxis(value, axis, 0)) if axis % value.ndim else value
