"""The forms in which each test is run: as given, every dimension dynamic, all inputs but the first constant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

FORMS = ("given", "dynamic", "constant")
_FIRST_IR_WITH_FREE_INITIALIZERS = 4
"""Up to IR version 3 every initializer has to be an input too."""


def dynamic(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model in which no dimension of an input, an output or a value in between is fixed; ranks stay."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    fixed = {tensor.name for tensor in changed.graph.initializer}
    for value in (*changed.graph.input, *changed.graph.output):
        if value.name not in fixed:
            _open(value.type)
    del changed.graph.value_info[:]
    return changed


def _open(kind: onnx.TypeProto) -> None:
    which = kind.WhichOneof("value")
    if which == "sequence_type":
        _open(kind.sequence_type.elem_type)
    elif which == "optional_type":
        _open(kind.optional_type.elem_type)
    elif which == "tensor_type":
        for dim in kind.tensor_type.shape.dim:
            dim.Clear()


def constant(model: onnx.ModelProto, inputs: Sequence[Any]) -> tuple[onnx.ModelProto, list[Any]] | None:
    """Return a model with the values of all its inputs but the first inside, and the inputs that are left.

    Parameters
    ----------
    model : onnx.ModelProto
        As given.
    inputs : sequence
        One value for each input that the model must be given, in its order.

    Returns
    -------
    tuple or None
        None if there is nothing to make constant. What is no tensor stays an input.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    fixed = {tensor.name for tensor in changed.graph.initializer}
    wanted = [value for value in changed.graph.input if value.name not in fixed]
    kept = []
    for position, (value, array) in enumerate(zip(wanted, inputs, strict=False)):
        if position and value.type.HasField("tensor_type"):
            changed.graph.initializer.append(numpy_helper.from_array(np.asarray(array), value.name))
            changed.graph.input.remove(value)
        else:
            kept.append(array)
    if len(kept) == len(inputs):
        return None
    changed.ir_version = max(changed.ir_version, _FIRST_IR_WITH_FREE_INITIALIZERS)
    return changed, kept
