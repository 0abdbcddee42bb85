"""Model-local functions: taken apart into the graph, so that no room below has to know them.

onnxruntime runs the body of a function under the model's opset even where the function imports another one, which gives
wrong numbers; onnx's inliner converts such bodies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ovpart.errors import ModelError
from ovpart.model.validate import check_text

if TYPE_CHECKING:
    import onnx

_Key = tuple[str, str, str]


def inline_functions(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with every call of a local function replaced by the function's nodes.

    Parameters
    ----------
    proto : onnx.ModelProto
        Returned as it is where it has no functions; else a new one is made.

    Raises
    ------
    ModelError
        Where a function calls itself, perhaps through others, is defined twice, or cannot be inlined.
    """
    if not len(proto.functions):
        return proto
    defined: dict[_Key, onnx.FunctionProto] = {}
    for function in proto.functions:
        check_text((function.domain, function.name, function.overload), "a function")
        key = (_domain(function.domain), function.name, function.overload)
        if key in defined:
            raise ModelError(f"function {_name(key)} is defined twice")
        defined[key] = function
    _refuse_recursion(defined)
    try:
        flat = _inlined(proto)
    except Exception as error:
        raise ModelError(
            f"the functions of the model ({', '.join(map(_name, defined))}) cannot be inlined: {str(error).strip()}. "
            "Export the model without local functions."
        ) from error
    left = {key for node in _nodes(flat.graph.node) if (key := _key(node)) in defined}
    if left:
        raise ModelError(
            f"function {_name(min(left))} could not be inlined: onnx cannot convert its body to the model's opset. "
            "Export the function for the opset that the model imports."
        )
    flat.ClearField("functions")
    return flat


def _inlined(proto: onnx.ModelProto) -> onnx.ModelProto:
    import onnx.inliner
    from onnx import shape_inference

    try:
        return onnx.inliner.inline_local_functions(proto, convert_version=True)
    except RuntimeError:
        # To convert a body, the inliner wants to know the types of the values that calls give (onnx 1.23).
        typed = shape_inference.infer_shapes(proto, data_prop=True)
        return onnx.inliner.inline_local_functions(typed, convert_version=True)


def _refuse_recursion(defined: dict[_Key, onnx.FunctionProto]) -> None:
    """Walk the calls of functions depth first; a call back into the path is recursion."""
    calls = {key: [k for n in _nodes(f.node) if (k := _key(n)) in defined] for key, f in defined.items()}
    done: set[_Key] = set()
    for start in defined:
        path: list[_Key] = []
        pending: list[tuple[_Key, Iterator[_Key]]] = []
        if start not in done:
            path.append(start)
            pending.append((start, iter(calls[start])))
        while pending:
            key, rest = pending[-1]
            called = next(rest, None)
            if called is None:
                done.add(key)
                pending.pop()
                path.pop()
            elif called in path:
                way = " → ".join(map(_name, [*path[path.index(called) :], called]))
                raise ModelError(f"function {_name(called)} calls itself ({way}), which ONNX does not allow")
            elif called not in done:
                path.append(called)
                pending.append((called, iter(calls[called])))


def _nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Yield nodes and those in their bodies."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g.node)
            for graph in attribute.graphs:
                yield from _nodes(graph.node)


def _key(node: onnx.NodeProto) -> _Key:
    return _domain(node.domain), node.op_type, node.overload


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _name(key: _Key) -> str:
    return repr(":".join(part for part in key if part))
