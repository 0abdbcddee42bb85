"""Attention over a length that changes, which openvino's CPU plugin may compute with a kernel made for another length.

MatMul, Softmax and MatMul become one generated kernel ("snippet"). Where the first run had a length of 1, as a
decoder's first step has, that kernel is kept, and from length 8 on every answer is wrong (openvino 2026.4.1, AVX2; with
a first length of 2 or more all are right, and so they are without snippets, in the same time).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openvino

SNIPPETS = "SNIPPETS_MODE"
"""A property of the CPU plugin; one of :data:`ovpart.backend.openvino_unlisted.UNLISTED`."""

_PRODUCT = frozenset({"MatMul", "Einsum"})
_WEIGHING = frozenset({"Softmax", "ScaledDotProductAttention"})
_BODIES = frozenset({"If", "Loop", "TensorIterator"})  # what is in them is not looked at


def safe_for_attention(model: openvino.Model, device: str, options: Mapping[str, object]) -> dict[str, object]:
    """Return openvino's properties for a model, with snippets off where it has attention over a dynamic length.

    Parameters
    ----------
    model : openvino.Model
        What is to be compiled.
    device : str
        The device: only the CPU plugin has the property.
    options : mapping
        What is set already; goes over this.
    """
    if device != "CPU" or SNIPPETS in options or not _attends_dynamically(model):
        return dict(options)
    return {**options, SNIPPETS: "DISABLE"}


def _attends_dynamically(model: openvino.Model) -> bool:
    """Whether something that may be attention works on dimensions without a number."""
    operators = list(model.get_ops())
    names = {op.get_type_name() for op in operators}
    if names & _BODIES:
        return bool(model.is_dynamic())
    if not names & _PRODUCT and "ScaledDotProductAttention" not in names:
        return False
    return any(op.get_type_name() in _WEIGHING and op.output(0).partial_shape.is_dynamic for op in operators)
