"""Constant-only nodes, computed once: what they give becomes a constant like any other.

Not left to the engines: openvino folds with an arithmetic of its own (integer Div floors, u32 and u64 clamp), and nodes
that stand in every cut that reads them would be computed in each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from ovpart.backend.base import Array, Cut
from ovpart.backend.cut import make_cut
from ovpart.errors import CompileError, RunError

if TYPE_CHECKING:
    from ovpart.model.graph import Model

Evaluator: TypeAlias = Callable[[Cut], Sequence[Array]]
"""Computes a cut without inputs: one array an output. Raises CompileError or RunError."""


def fold_constants(model: Model, evaluate: Evaluator | None = None) -> Model:
    """Compute what constant-only nodes give to the rest of the model, and lay it into the weights.

    Parameters
    ----------
    model : Model
        As read.
    evaluate : Evaluator, optional
        By default onnxruntime without optimisations, and onnx.reference for what that refuses.

    Returns
    -------
    Model
        The same graph; ``model.weights`` has every tensor that a node which runs, or an output, reads from a constant
        node. Values that are no tensors (sequences), and those that nobody could compute, are not in it: cuts that read
        them repeat the nodes that make them. Each of the latter has a line in ``model.notes``.
    """
    wanted = folded_values(model)
    if not wanted:
        return model
    evaluate = evaluate or by_engines("onnxruntime", "reference")
    try:
        values = dict(zip(wanted, evaluate(make_cut(model, (), (), wanted)), strict=True))
        notes: list[str] = []
    except (CompileError, RunError):
        values, notes = _one_by_one(model, wanted, evaluate)
    arrays = {name: _plain(value) for name, value in values.items()}
    return replace(model, weights=model.weights.with_arrays(arrays), notes=(*model.notes, *notes))


def folded_values(model: Model) -> tuple[str, ...]:
    """Return the tensors that constant nodes give to nodes that run, or to the outputs, and that have no value yet."""
    graph = model.graph
    found = []
    for index in sorted(graph.constant):
        for value in graph.nodes[index].outputs:
            if not value or value in model.weights or graph.type_of(value).kind not in ("tensor", "unknown"):
                continue
            readers = graph.consumers.get(value, ())
            if value in graph.outputs or any(r not in graph.constant and r not in graph.dead for r in readers):
                found.append(value)
    return tuple(found)


def by_engines(*names: str) -> Evaluator:
    """Return an evaluator that asks backends in turn, each one for what those before refuse."""

    def evaluate(cut: Cut) -> Sequence[Array]:
        from ovpart.backend.registry import backend

        refusals = []
        for name in names:
            config = {"optimization": "none"} if name == "onnxruntime" else {}
            try:
                request = backend(name).compile(cut, "CPU", config).bind()
                request.run()
                return [request.take_output(index) for index in range(len(cut.outputs))]
            except (CompileError, RunError) as error:
                refusals.append(error)
        raise RunError("; ".join(str(error) for error in refusals)) from refusals[-1]

    return evaluate


def _one_by_one(model: Model, wanted: Sequence[str], evaluate: Evaluator) -> tuple[dict[str, Array], list[str]]:
    """Compute each value by itself, so that one that nobody can compute leaves the others alone."""
    values: dict[str, Array] = {}
    notes: list[str] = []
    for name in wanted:
        try:
            (values[name],) = evaluate(make_cut(model, (), (), (name,)))
        except (CompileError, RunError) as error:
            notes.append(f"constant {name!r} could not be computed once: {error}")
    return values, notes


def _plain(value: Array) -> Array:
    """Return an array that every engine takes as a weight: contiguous, writeable, int64 under its usual name."""
    import numpy as np

    array = np.asarray(value)
    if array.dtype.char in "qQ":
        array = array.view(np.int64 if array.dtype.char == "q" else np.uint64)
    if not (array.flags.c_contiguous and array.flags.writeable):
        array = array.copy(order="C")
    return array
