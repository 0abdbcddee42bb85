"""Sizes for dimensions that a model leaves open: as if it had been exported with them."""

from __future__ import annotations

import difflib
import hashlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ovpart.errors import OptionError, OvpartWarning
from ovpart.model.build import Builder
from ovpart.model.conflicts import refuse_conflicts
from ovpart.model.graph import Model
from ovpart.model.infer import infer

if TYPE_CHECKING:
    import onnx


def with_sizes(model: Model, sizes: Mapping[str, int]) -> Model:
    """Return the model with open dimensions of its inputs fixed, and all that follows from them inferred anew.

    Parameters
    ----------
    model : Model
        As read.
    sizes : mapping of str to int
        Name of a symbolic dimension (``dim_param``), or denotation of dimensions (``"DATA_BATCH"``; ONNX, "Dimension
        Denotation") → its size. A name counts before a denotation.

    Returns
    -------
    Model
        `model` itself where there is nothing to fix. Its fingerprint tells it from the model without these sizes.

    Raises
    ------
    OptionError
        If one symbol gets two sizes, by its name and by a denotation or by two denotations.
    ModelError
        If the sizes cannot be: an operator would not accept them.

    Warns
    -----
    OvpartWarning
        For a name that no input's dimension has.
    """
    import onnx

    if not sizes:
        return model
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    used: set[str] = set()
    symbols = _fix_inputs(proto.graph, sizes, used)
    for name in sorted(sizes.keys() - used):
        warnings.warn(_unused(name, model), OvpartWarning, stacklevel=5)
    if not used:
        return model
    for dim in _dims_of_graph(proto.graph):
        if dim.dim_param in symbols:
            dim.dim_value = symbols[dim.dim_param]
    graph = Builder(model.opsets).main(proto.graph)
    inferred = infer(proto, graph, model.opsets)
    if not inferred.checked:
        refuse_conflicts(inferred.graph, model.opsets, inferred.silent)
    told = ", ".join(f"{name}={sizes[name]}" for name in sorted(used))
    return replace(
        model,
        proto=proto,
        graph=inferred.graph,
        fingerprint=hashlib.blake2b(f"{model.fingerprint} {told}".encode(), digest_size=16).hexdigest(),
        notes=tuple(dict.fromkeys((*model.notes, *inferred.notes))),
        sized=True,
    )


def _fix_inputs(graph: onnx.GraphProto, sizes: Mapping[str, int], used: set[str]) -> dict[str, int]:
    """Fix the dims of inputs, note which names were of use, and return the size of each symbol."""
    symbols: dict[str, int] = {}
    for value in graph.input:
        for dim in _dims(value.type):
            key = dim.dim_param if dim.dim_param in sizes else dim.denotation
            if dim.HasField("dim_value") or key not in sizes:
                continue
            used.add(key)
            size, symbol = sizes[key], dim.dim_param
            if symbol and symbols.setdefault(symbol, size) != size:
                raise OptionError(
                    f"free_dimensions gives the dimension {symbol!r} two sizes: {symbols[symbol]} and {size} "
                    f"(as {key!r}, at input {value.name!r}); give it one, by its name"
                )
            dim.dim_value = size
    return symbols


def _dims_of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorShapeProto.Dimension]:
    """Yield the dims of all values that a graph and its bodies describe."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield from _dims(value.type)
    for node in graph.node:
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs:
                yield from _dims_of_graph(body)


def _dims(kind: onnx.TypeProto) -> Iterator[onnx.TensorShapeProto.Dimension]:
    """Yield the dims of a type, of what a sequence, an optional or a map holds likewise."""
    which = kind.WhichOneof("value")
    if which in ("tensor_type", "sparse_tensor_type"):
        yield from getattr(kind, which).shape.dim
    elif which in ("sequence_type", "optional_type"):
        yield from _dims(getattr(kind, which).elem_type)
    elif which == "map_type":
        yield from _dims(kind.map_type.value_type)


def _unused(name: str, model: Model) -> str:
    """Say that no dimension is called so, and what there is."""
    dims = [dim for value in model.proto.graph.input for dim in _dims(value.type) if not dim.HasField("dim_value")]
    found = list(dict.fromkeys(word for dim in dims for word in (dim.dim_param, dim.denotation) if word))
    close = difflib.get_close_matches(name, found, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(map(repr, found)) or 'none'}"
    return f"free_dimensions: {name!r} has no effect, no input of {model.name} has a dimension of that name; {hint}"
