"""From ``GraphProto`` to :class:`ovpart.model.graph.Graph`: order, producers, consumers, captures, constants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ovpart.errors import ModelError
from ovpart.model.forms import IMPLICIT_DOMAINS, Form, form_of
from ovpart.model.graph import NO_BODIES, Graph, Node
from ovpart.model.order import CycleError, canonical_order
from ovpart.model.validate import check_form, check_types, signature

if TYPE_CHECKING:
    import onnx

    from ovpart.model.tensors import Tensors

# Operators whose results are no tensors: constants are tensors, so their nodes are computed at run time.
_NO_TENSOR = frozenset({"SequenceEmpty", "SequenceConstruct", "SequenceInsert", "SequenceErase", "SplitToSequence",
                        "Optional", "SequenceMap", "ZipMap", "DictVectorizer", "CastMap"})  # fmt: skip


@dataclass(slots=True)
class _Operator:
    """What all nodes of one operator share, looked up once a scope."""

    op_type: str
    domain: str
    form: Form | None
    has_bodies: bool
    checked: set[tuple[object, ...]] = field(default_factory=set)


@dataclass(slots=True)
class _Nodes:
    """The nodes of a scope in file order, column by column."""

    protos: list[onnx.NodeProto] = field(default_factory=list)
    operators: list[_Operator] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    inputs: list[tuple[str, ...]] = field(default_factory=list)
    outputs: list[tuple[str, ...]] = field(default_factory=list)
    bodies: dict[int, dict[str, Graph]] = field(default_factory=dict)
    captures: dict[int, tuple[str, ...]] = field(default_factory=dict)


class Builder:
    """Builds the graphs of one model.

    Parameters
    ----------
    opsets : mapping of str to int
        Domain → version, as imported.
    tensors : Tensors, optional
        Takes in the tensors that are met; without it they were taken in before.

    Attributes
    ----------
    notes : list of str
        What was mended or ignored.
    """

    def __init__(self, opsets: Mapping[str, int], tensors: Tensors | None = None) -> None:
        self.opsets = opsets
        self.tensors = tensors
        self.notes: list[str] = []
        self._operators: dict[tuple[str, str], _Operator] = {}

    def main(self, proto: onnx.GraphProto) -> Graph:
        """Return the main scope, without types.

        Raises
        ------
        ModelError
            Where a value has two producers or none, nodes form a cycle, or a node does not fit its operator.
        """
        graph, free = self._graph(proto, "the graph", main=True)
        for name, reader in free.items():
            raise ModelError(_undefined(name, reader, proto))
        return graph

    def _graph(self, proto: onnx.GraphProto, where: str, *, main: bool) -> tuple[Graph, dict[str, str]]:
        """Return a scope and the outer values that it reads, each with who reads it."""
        check_types(proto.input, "input" if main else f"input of {where}", needed=main)
        check_types(proto.output, "output")
        if not main and self.tensors is not None:
            self.tensors.graph(proto, apart=False)
        initializers = {t.name: t for t in proto.initializer}
        declared = [v.name for v in proto.input]
        _refuse_twice(declared, "graph inputs", where)
        _refuse_twice([t.name for t in proto.initializer], "initializers", where)
        nodes = self._nodes(proto, where, main)
        given = {*declared, *initializers}
        producer = _producers(nodes, given, where)
        reads = nodes.inputs
        if nodes.captures:
            reads = [names + nodes.captures.get(i, ()) for i, names in enumerate(reads)]
        free = _free(reads, nodes, producer, given)
        outputs = [v.name for v in proto.output]
        for name in outputs:
            if name not in producer and name not in given:
                free.setdefault(name, f"the outputs of {where}")
        try:
            order = canonical_order(reads, producer, nodes.keys)
        except CycleError as error:
            names = " → ".join(repr(nodes.names[i] or nodes.keys[i]) for i in error.cycle)
            raise ModelError(f"nodes of {where} form a cycle, each waiting for the one before: {names}") from None
        return self._finish(proto, nodes, order, outputs, declared, initializers), free

    def _nodes(self, proto: onnx.GraphProto, where: str, main: bool) -> _Nodes:
        """Read, and check one by one, the nodes of a scope."""
        found = _Nodes()
        operators = self._operators
        for node in proto.node:
            op_type, domain = node.op_type, node.domain
            operator = operators.get((op_type, domain))
            if operator is None:
                operator = operators[op_type, domain] = self._operator(node)
            inputs, outputs, attributes = tuple(node.input[:]), tuple(node.output[:]), node.attribute
            key = outputs[0] if outputs else ""
            if not key:
                key = next(filter(None, outputs), "")
                if not key:
                    self.notes.append(f"{_label(node)} in {where} has no outputs and is left out")
                    continue
            self._check(operator, node, inputs, outputs, bool(attributes))
            if attributes:
                if self.tensors is not None:
                    self.tensors.node(node, _label(node), apart=main)
                if operator.has_bodies:
                    self._bodies(node, len(found.keys), found)
            found.protos.append(node)
            found.operators.append(operator)
            found.names.append(node.name)
            found.keys.append(key)
            found.inputs.append(inputs)
            found.outputs.append(outputs)
        return found

    def _check(
        self, operator: _Operator, node: onnx.NodeProto, inputs: tuple[str, ...], outputs: tuple[str, ...], more: bool
    ) -> None:
        form = operator.form
        sign: tuple[object, ...] = (len(inputs), len(outputs), "" in inputs)
        if more or sign[2]:
            sign = signature(node)
        if sign not in operator.checked:
            if form is not None:
                check_form(form, node, _label(node))
            operator.checked.add(sign)

    def _operator(self, node: onnx.NodeProto) -> _Operator:
        """Look an operator up; refuse it where its domain is not imported."""
        domain = "" if node.domain == "ai.onnx" else node.domain
        version = self.opsets.get(domain, IMPLICIT_DOMAINS.get(domain, 0))
        if version <= 0:
            raise ModelError(
                f"{_label(node)} is of domain {domain or 'ai.onnx'!r}, which the model does not import: "
                f"it imports {', '.join(repr(d or 'ai.onnx') for d in self.opsets)}. Add it to opset_import."
            )
        form = form_of(node.op_type, domain, version)
        bodies = form is None or any(a.kind.startswith("GRAPH") for a in form.attributes.values())
        return _Operator(node.op_type, domain, form, bodies)

    def _bodies(self, node: onnx.NodeProto, position: int, found: _Nodes) -> None:
        bodies: dict[str, Graph] = {}
        captures: set[str] = set()
        for attribute in node.attribute:
            several = [(attribute.name, attribute.g)] if attribute.HasField("g") else []
            several += [(f"{attribute.name}[{i}]", g) for i, g in enumerate(attribute.graphs)]
            for name, graph in several:
                bodies[name], free = self._graph(graph, f"{name} of {_label(node)}", main=False)
                captures.update(free)
        if bodies:
            found.bodies[position] = bodies
            found.captures[position] = tuple(sorted(captures))

    def _finish(
        self,
        proto: onnx.GraphProto,
        nodes: _Nodes,
        order: Sequence[int],
        outputs: Sequence[str],
        declared: Sequence[str],
        initializers: Mapping[str, onnx.TensorProto],
    ) -> Graph:
        made: list[Node] = []
        for index, i in enumerate(order):
            operator = nodes.operators[i]
            made.append(
                Node(
                    index,
                    operator.op_type,
                    operator.domain,
                    operator.form.since if operator.form is not None else 0,
                    nodes.names[i],
                    nodes.keys[i],
                    nodes.inputs[i],
                    nodes.outputs[i],
                    nodes.protos[i],
                    nodes.captures.get(i, ()),
                    nodes.bodies.get(i, NO_BODIES),
                )
            )
        operators = [nodes.operators[i] for i in order]
        return Graph(
            name=proto.name,
            nodes=tuple(made),
            inputs=tuple(n for n in declared if n not in initializers),
            outputs=tuple(outputs),
            overridable=tuple(n for n in declared if n in initializers),
            initializers=initializers,
            types={},
            producer={name: node.index for node in made for name in node.outputs if name},
            consumers=_consumers(made),
            constant=_constant(made, operators, initializers),
            dead=_dead(made, outputs),
        )


def _producers(nodes: _Nodes, given: set[str], where: str) -> dict[str, int]:
    """Return value → position of its node; refuse values with two producers."""
    producer: dict[str, int] = {}
    for position, outputs in enumerate(nodes.outputs):
        for name in outputs:
            if name:
                if name in producer or name in given:
                    other = producer.get(name)
                    first = "an input or initializer" if other is None else _label(nodes.protos[other])
                    raise ModelError(
                        f"value {name!r} of {where} has two producers: {first} and {_label(nodes.protos[position])}"
                    )
                producer[name] = position
    return producer


def _free(
    reads: Sequence[Sequence[str]], nodes: _Nodes, producer: Mapping[str, int], given: set[str]
) -> dict[str, str]:
    """Return the values that the scope reads and does not have → who reads them first."""
    free: dict[str, str] = {}
    for position, names in enumerate(reads):
        for name in names:
            if name and name not in producer and name not in given:
                free.setdefault(name, _label(nodes.protos[position]))
    return free


def _undefined(name: str, reader: str, proto: onnx.GraphProto) -> str:
    import difflib

    known = [v.name for v in proto.input] + [t.name for t in proto.initializer]
    known += [o for node in proto.node[:10_000] for o in node.output if o]
    close = difflib.get_close_matches(name, known, 1)
    hint = f"; did the exporter mean {close[0]!r}?" if close else ""
    return f"value {name!r}, read by {reader}, is made by no node, and is no input or initializer{hint}"


def _refuse_twice(names: Iterable[str], what: str, where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ModelError(f"two {what} of {where} are called {name!r}")
        seen.add(name)


def _consumers(nodes: Sequence[Node]) -> dict[str, tuple[int, ...]]:
    readers: dict[str, list[int]] = {}
    for node in nodes:
        for name in node.inputs + node.captures if node.captures else node.inputs:
            if name:
                found = readers.setdefault(name, [])
                if not found or found[-1] != node.index:
                    found.append(node.index)
    return {name: tuple(found) for name, found in readers.items()}


def _constant(nodes: Sequence[Node], operators: Sequence[_Operator], initializers: Iterable[str]) -> frozenset[int]:
    """Return the nodes that depend on constants only, and always give the same tensors."""
    constant: set[str] = {"", *initializers}
    found: set[int] = set()
    for node, operator in zip(nodes, operators, strict=True):
        for name in node.inputs:
            if name not in constant:
                break
        else:
            if constant.issuperset(node.captures) and _repeats(node, operator.form):
                constant.update(node.outputs)
                found.add(node.index)
    return frozenset(found)


def _repeats(node: Node, form: Form | None) -> bool:
    """Whether a node always gives the same tensors for the same inputs; operators that nobody describes may not."""
    if form is None or form.random or node.op_type in _NO_TENSOR:
        return False
    if node.op_type == "Dropout" and len(node.inputs) > 2:  # training_mode: drops at random
        return False
    return all(
        _repeats(inner, form_of(inner.op_type, inner.domain, inner.since) if inner.since else None)
        for body in node.bodies.values()
        for inner in body.nodes
    )


def _dead(nodes: Sequence[Node], outputs: Iterable[str]) -> frozenset[int]:
    """Return the nodes that no output depends on."""
    needed = set(outputs)
    found: set[int] = set()
    for node in reversed(nodes):
        for name in node.outputs:
            if name and name in needed:
                needed.update(node.inputs)
                needed.update(node.captures)
                break
        else:
            found.add(node.index)
    return frozenset(found)


def _label(node: onnx.NodeProto) -> str:
    """Return how messages call a node: operator and name, or its first output where it has no name."""
    name = node.name or next(filter(None, node.output), "")
    return f"node {name!r} ({node.op_type})"
