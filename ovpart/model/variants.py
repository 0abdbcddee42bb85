"""Other views of a model that is read already: initializers as inputs, and types that a run has shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ovpart.model.build import Builder
from ovpart.model.graph import Model
from ovpart.model.infer import infer
from ovpart.model.types import ValueType
from ovpart.model.weights import Weights


def general_form(model: Model, names: Iterable[str] | None = None) -> Model:
    """Return the model for calls that override initializers: those that can be overridden are inputs, and not constant.

    Parameters
    ----------
    model : Model
        As read, in which they are constants like any other (ONNX IR spec, "Initializers": a graph input of the same
        name makes an initializer a default value).
    names : iterable of str, optional
        The initializers that are overridden; all that can be, if not given. The others stay constant.

    Returns
    -------
    Model
        `model` itself where nothing is overridden. Types learnt at run time hold for the other form only.
    """
    import onnx

    overridable = frozenset(model.graph.overridable)
    if names is not None:
        overridable &= frozenset(names)
    if not overridable:
        return model
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    kept = [tensor for tensor in proto.graph.initializer if tensor.name not in overridable]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)
    graph = Builder(model.opsets).main(proto.graph)
    # What was computed from the default values does not hold for others.
    entries = {name: entry for name, entry in model.weights.entries.items() if graph.is_constant(name)}
    typed = infer(proto, graph, model.opsets).graph
    return replace(model, proto=proto, graph=typed, weights=Weights(entries), learnt={}, general=True)


def with_types(model: Model, types: Mapping[str, ValueType]) -> Model:
    """Return the model with types laid over the inferred ones, and all that follows from them inferred anew.

    Parameters
    ----------
    model : Model
        The model.
    types : mapping of str to ValueType
        Types of main-scope values, as a run has shown them: they hold whatever inference says. Dims that may differ
        from run to run should be left open. Types learnt earlier stay.
    """
    learnt = {**model.learnt, **types}
    return replace(model, graph=infer(model.proto, model.graph, model.opsets, learnt).graph, learnt=learnt)


def with_input_shapes(model: Model, shapes: Mapping[str, tuple[int, ...]]) -> Model:
    """Return the model with inputs of fixed shapes, and all that follows from them inferred anew.

    Parameters
    ----------
    model : Model
        The model.
    shapes : mapping of str to tuple of int
        Input → its shape.

    Raises
    ------
    ModelError
        If the shapes do not go together.
    """
    import onnx

    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for value in proto.graph.input:
        if value.name in shapes:
            shape = value.type.tensor_type.shape
            del shape.dim[:]
            shape.SetInParent()
            for size in shapes[value.name]:
                shape.dim.add().dim_value = size
    return replace(model, proto=proto, graph=infer(proto, model.graph, model.opsets, model.learnt).graph)
