"""Types and shapes of every value.

onnx infers over a working copy of the skeleton from which the file's own ``value_info`` is taken out, since a wrong one
would poison everything behind it. What onnx leaves open, our rules fill in, and onnx goes on behind them, round after
round until nothing changes. Only then the file is believed, where nothing contradicts it. See ``docs/design.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from ovpart.model.conflicts import refuse_node
from ovpart.model.declared import believable, declared_types, disagreements, unruled
from ovpart.model.forms import Form, form_of
from ovpart.model.graph import Graph, Node
from ovpart.model.loops import carried_types
from ovpart.model.quick import quick_types
from ovpart.model.rule_tables import apply_rule, has_rule
from ovpart.model.rules import is_open, refined
from ovpart.model.symbols import bind_symbols, bound_symbols
from ovpart.model.typeproto import read_type, write_type
from ovpart.model.types import UNKNOWN, ValueType, dtype_name
from ovpart.model.working import body_graphs, needs_values, small_constants, working_copy

if TYPE_CHECKING:
    import onnx

# How much node inference all rounds together may cost: about 5 µs a node and round.
_NODE_ROUNDS = 2_000_000
_MIN_ROUNDS = 2
_MAX_ROUNDS = 200


@dataclass(slots=True)
class Inference:
    """What is inferred of a model.

    Attributes
    ----------
    graph : Graph
        The main scope with types, bodies included.
    silent : tuple of str
        Keys of main-scope nodes to which onnx has a rule that gave nothing although the inputs are known: suspects.
    notes : tuple of str
        Where the file says something else.
    checked : bool
        Whether every node was already asked if its inputs go together.
    """

    graph: Graph
    silent: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    checked: bool = False


@dataclass(slots=True)
class _State:
    """The working copy and what is known so far of the main scope."""

    work: onnx.ModelProto
    graph: Graph
    data: bool
    tried: set[tuple[str, tuple[ValueType, ...]]] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    silent: tuple[str, ...] = ()


def infer(
    proto: onnx.ModelProto,
    graph: Graph,
    opsets: Mapping[str, int],
    learnt: Mapping[str, ValueType] | None = None,
    *,
    believing: bool = True,
) -> Inference:
    """Infer the types of all values.

    Parameters
    ----------
    proto : onnx.ModelProto
        The skeleton, functions inlined.
    graph : Graph
        Its main scope, built; types in it are not looked at.
    opsets : mapping of str to int
        As imported.
    learnt : mapping of str to ValueType, optional
        Types of main-scope values that were seen at run time: they hold whatever inference says.
    believing : bool
        Whether the file's word is taken where inference knows nothing.
    """
    declared = declared_types(proto.graph) if believing else {}
    if not learnt and not needs_values(graph):
        types = quick_types(graph, _given(proto, graph), declared, opsets, refuse_node)
        done = graph if types is None else replace(graph, types=types)
        if types is not None and not bound_symbols(done):
            return Inference(done, notes=tuple(disagreements(done, declared)), checked=True)
    work = working_copy(proto, graph, opsets)
    for name, said in unruled(graph, declared).items():
        _declare(work.graph, name, said)
    state = _State(work, graph, needs_values(graph))
    for name, known in (learnt or {}).items():
        _declare(work.graph, name, known)
    _settle(state)
    if bind_symbols(work.graph, bound_symbols(state.graph)):
        _settle(state, first=False)
    static = all(state.graph.type_of(name).is_static for name in state.graph.inputs)
    if believing and _believe(state.graph, work.graph, declared, static):
        _settle(state, first=False)
    state.notes += disagreements(state.graph, declared)
    final = state.graph
    if learnt:
        final = replace(final, types={**final.types, **{n: refined(t, final.type_of(n)) for n, t in learnt.items()}})
    return Inference(final, state.silent, tuple(state.notes))


def _given(proto: onnx.ModelProto, graph: Graph) -> dict[str, ValueType]:
    """Return the types of the main scope's inputs and initializers."""
    inputs = set(graph.inputs)
    types = {v.name: read_type(v.type) for v in proto.graph.input if v.name in inputs}
    for name, tensor in graph.initializers.items():
        types[name] = ValueType("tensor", dtype_name(tensor.data_type), tuple(tensor.dims))
    return types


def _settle(state: _State, *, first: bool = True) -> None:
    """Run onnx's inference and our rules in turn until nothing changes."""
    budget = max(_MIN_ROUNDS, min(_MAX_ROUNDS, _NODE_ROUNDS // max(len(state.graph.nodes), 1)))
    for turn in range(budget):
        inferred = _by_onnx(state)
        state.graph = typed(state.graph, inferred.graph)
        if first and not turn:
            state.silent = tuple(_silent(state.graph))
        # A rule that is asked too early may know the rank alone, and what it says then stands.
        if not any(_fire(state, state.graph, state.work.graph, {}, {}, early=early) for early in (False, True)):
            return
    state.notes.append("inference stopped before it was done: types of some values stay unknown")


def _by_onnx(state: _State) -> onnx.ModelProto:
    """Run onnx's inference; where it gives up as a whole, nothing is inferred in this round."""
    import onnx
    from onnx import shape_inference

    try:
        return shape_inference.infer_shapes(state.work, data_prop=state.data)
    except (shape_inference.InferenceError, onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        state.notes.append(f"onnx's inference gave up: {str(error).strip()[:200]}")
        return state.work


def _declare(graph: onnx.GraphProto, name: str, known: ValueType) -> None:
    entry = graph.value_info.add()
    entry.name = name
    entry.type.CopyFrom(write_type(known))


def _believe(graph: Graph, work: onnx.GraphProto, declared: Mapping[str, ValueType], static: bool) -> bool:
    """Declare in the working copy what the file adds to what is inferred, bodies included; whether that is anything."""
    added = believable(graph, declared, static=static) if declared else {}
    for name, known in added.items():
        _declare(work, name, known)
    some = bool(added)
    for host, copy in _hosts(graph, work):
        said = dict(body_graphs(host.proto))
        for name, body in body_graphs(copy):
            some |= _believe(host.bodies[name], body, declared_types(said[name]), static)
    return some


def typed(graph: Graph, proto: onnx.GraphProto) -> Graph:
    """Return a graph with the types that an inferred ``GraphProto`` has for its values, bodies included."""
    types: dict[str, ValueType] = {}
    known: dict[bytes, ValueType] = {b"": UNKNOWN}
    own = graph.producer
    for values in (proto.value_info, proto.output, proto.input):
        for value in values:
            name = value.name
            if values is proto.input or name in own:
                code = value.type.SerializeToString()
                found = known.get(code)
                if found is None:
                    found = known[code] = read_type(value.type, made_up=True)
                if found.kind != "unknown":
                    earlier = types.get(name)
                    types[name] = found if earlier is None or earlier is found else refined(earlier, found)
    for name, tensor in graph.initializers.items():
        types[name] = ValueType("tensor", dtype_name(tensor.data_type), tuple(tensor.dims))
    nodes: list[Node] | None = None
    for host, found_node in _hosts(graph, proto):
        nodes = nodes or list(graph.nodes)
        bodies = {name: typed(host.bodies[name], body) for name, body in body_graphs(found_node)}
        nodes[host.index] = replace(host, bodies=bodies)
    return replace(graph, nodes=graph.nodes if nodes is None else tuple(nodes), types=types)


def _hosts(graph: Graph, proto: onnx.GraphProto) -> Iterator[tuple[Node, onnx.NodeProto]]:
    """Yield the nodes with bodies, each with its node in a working copy of the scope."""
    hosts = {graph.nodes[index].key: graph.nodes[index] for index in graph.hosts}
    for candidate in proto.node if hosts else ():
        host = hosts.get(next(filter(None, candidate.output), ""))
        if host is not None and host.op_type == candidate.op_type:
            yield host, candidate


def _form(node: Node) -> Form | None:
    return form_of(node.op_type, node.domain, node.since) if node.since else None


def _silent(graph: Graph) -> Iterator[str]:
    """Yield the nodes that onnx has a rule for, whose inputs are known, and that got no type at all."""
    types = graph.types
    for node in graph.nodes:
        if node.outputs[0] not in types and node.key not in types and not node.bodies:
            form = _form(node)
            if form is not None and form.has_rule and not any(is_open(graph.type_of(n)) for n in node.inputs if n):
                yield node.key


def _fire(
    state: _State,
    graph: Graph,
    work: onnx.GraphProto,
    outer: Mapping[str, ValueType],
    constants: Mapping[str, onnx.TensorProto],
    *,
    early: bool,
) -> bool:
    """Let rules fill in what is open, and declare it in the working copy; return whether they found anything.

    Rules are asked when all inputs of a node are known, or `early`: with what is known so far. Nodes stand in
    topological order, so that rules that follow each other fire in one go.
    """
    types = {**outer, **graph.types}
    held = {**constants, **small_constants(graph)}
    fired = False
    inside = {host.key: copy for host, copy in _hosts(graph, work)}
    for node in graph.nodes:
        if node.bodies:
            for name, body in body_graphs(inside[node.key]):
                fired |= _fire(state, node.bodies[name], body, types, held, early=early)
        if not any(name and is_open(types.get(name, UNKNOWN)) for name in node.outputs):
            continue
        if not early and any(is_open(types.get(name, UNKNOWN)) for name in node.reads):
            continue
        if node.op_type == "Loop" and node.key in inside:
            answers: Sequence[ValueType] = _loop(state, node, inside[node.key], types, held)
        elif has_rule(node):
            answers = apply_rule(node, types, held)
        else:
            continue
        for name, more in zip(node.outputs, answers, strict=False):
            before = types.get(name, UNKNOWN)
            if name and is_open(before):
                after = refined(before, more)
                if after != before:
                    types[name] = after
                    fired = True
                    _declare(work, name, after)
    return fired


def _loop(
    state: _State,
    node: Node,
    copy: onnx.NodeProto,
    types: Mapping[str, ValueType],
    held: Mapping[str, onnx.TensorProto],
) -> Sequence[ValueType]:
    """Infer what a Loop carries, and tell its body in the working copy; once for each state of knowledge."""
    known = (node.key, tuple(types.get(name, UNKNOWN) for name in node.reads))
    if known in state.tried:
        return ()
    state.tried.add(known)
    body = next((graph for name, graph in body_graphs(copy) if name == "body"), None)
    if body is None:
        return ()
    carried = carried_types(node, body, types, held, partial(_infer_alone, state))
    for value, found in zip(body.input[2:], carried, strict=False):
        if found.kind == "tensor":
            value.type.CopyFrom(write_type(found))
    return carried


def _infer_alone(state: _State, proto: onnx.GraphProto, graph: Graph) -> Graph:
    """Infer a body as a model of its own."""
    import onnx

    work = onnx.ModelProto(ir_version=state.work.ir_version, graph=proto)
    work.opset_import.extend(state.work.opset_import)
    alone = _State(work, graph, state.data)
    _settle(alone)
    return alone.graph
