"""From ``GraphProto`` to :class:`ovpart.model.graph.Graph`: order, producers, captures, bodies; who reads what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from sys import intern
from typing import TYPE_CHECKING, Any

from ovpart.errors import ModelError
from ovpart.model.attributes import KINDS, kind_of
from ovpart.model.forms import IMPLICIT_DOMAINS, Form, form_of
from ovpart.model.graph import NO_BODIES, Graph, Node
from ovpart.model.links import constant_nodes, consumers_of, dead_nodes
from ovpart.model.order import GIVEN, CycleError, canonical_order
from ovpart.model.validate import check_form, check_text, check_types, signature

if TYPE_CHECKING:
    import onnx

    from ovpart.model.tensors import Tensors


@dataclass(slots=True)
class _Operator:
    """What all nodes of one operator share, looked up once a model."""

    op_type: str
    domain: str
    form: Form | None
    since: int
    has_bodies: bool
    plain: set[tuple[int, int]] = field(default_factory=set)
    checked: set[tuple[object, ...]] = field(default_factory=set)


class _Draft:
    """A node that can still be written to. It has the slots of :class:`Node`, and becomes one by changing its class.

    A frozen dataclass sets its fields one by one through ``object.__setattr__``: 2 µs a node, this way 0.5 µs.
    """

    __slots__ = Node.__slots__

    def __init__(
        self,
        index: int,
        op_type: str,
        domain: str,
        since: int,
        name: str,
        key: str,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        proto: onnx.NodeProto,
        captures: tuple[str, ...],
        bodies: Mapping[str, Graph],
        bare: bool,
    ) -> None:
        self.index = index
        self.op_type = op_type
        self.domain = domain
        self.since = since
        self.name = name
        self.key = key
        self.inputs = inputs
        self.outputs = outputs
        self.proto = proto
        self.captures = captures
        self.bodies = bodies
        self.bare = bare


@dataclass(slots=True)
class _Scope:
    """A scope while it is built: its nodes in file order, and what those with bodies have besides."""

    where: str
    main: bool
    drafts: list[_Draft] = field(default_factory=list)
    forms: list[Form | None] = field(default_factory=list)
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
        self._operators: dict[str, _Operator] = {}  # by type alone where the domain is the standard one
        self._others: dict[tuple[str, str], _Operator] = {}

    def main(self, proto: onnx.GraphProto) -> Graph:
        """Return the main scope, without types. Where the nodes of a scope are out of order, they are sorted in place.

        Raises
        ------
        ModelError
            Where a value has two producers or none, nodes form a cycle, or a node does not fit its operator.
        """
        graph, free = self._graph(proto, _Scope("the graph", main=True))
        for name, reader in free.items():
            raise ModelError(_undefined(name, reader, proto))
        return graph

    def _graph(self, proto: onnx.GraphProto, scope: _Scope) -> tuple[Graph, dict[str, str]]:
        """Return a scope and the outer values that it reads, each with who reads it."""
        where = scope.where
        check_types(proto.input, "input" if scope.main else f"input of {where}", needed=scope.main)
        check_types(proto.output, "output")
        if not scope.main and self.tensors is not None:
            self.tensors.graph(proto, apart=False)
        initializers = {t.name: t for t in proto.initializer}
        declared = [v.name for v in proto.input]
        outputs = [v.name for v in proto.output]
        _refuse_twice(declared, "graph inputs", where)
        _refuse_twice([t.name for t in proto.initializer], "initializers", where)
        self._read(proto, scope)
        makers = dict.fromkeys((*declared, *initializers, ""), GIVEN)
        _add_producers(makers, scope)
        check_text((proto.name, *outputs), where)
        reads = [draft.inputs for draft in scope.drafts]
        for position, captured in scope.captures.items():
            reads[position] += captured
        free = _free(makers, reads, outputs, scope)
        check_text(makers, where)
        try:
            order, was_sorted = canonical_order(reads, makers, [draft.key for draft in scope.drafts])
        except CycleError as error:
            names = " → ".join(repr(_name(scope.drafts[i].proto)) for i in error.cycle)
            raise ModelError(f"nodes of {where} form a cycle, each waiting for the one before: {names}") from None
        if not was_sorted:
            _sort(proto, scope, order)
            order = list(range(len(order)))
        return self._finish(proto, scope, order, outputs, declared, initializers), free

    def _read(self, proto: onnx.GraphProto, scope: _Scope) -> None:
        """Read, and check one by one, the nodes of a scope. This loop sees every node: it is written out for speed."""
        drafts, forms = scope.drafts, scope.forms
        find = self._operators.get
        for node in proto.node:
            domain = node.domain
            operator = find(node.op_type) if not domain else self._others.get((node.op_type, domain))
            if operator is None:
                operator = self._operator(node)
            # One object for each name: the many look-ups to come find it by identity.
            try:
                inputs, outputs = tuple(map(intern, node.input[:])), tuple(map(intern, node.output[:]))
            except TypeError:
                check_text((*node.input, *node.output), _label(node))
                raise
            bare = not node.attribute
            key = outputs[0] if outputs else ""
            if not key:
                key = next(filter(None, outputs), "")
                if not key:
                    self.notes.append(f"{_label(node)} in {scope.where} has no outputs and is left out")
                    continue
            if not bare or "" in inputs:
                self._check(operator, node, scope)
            else:
                counts = len(inputs), len(outputs)
                if counts not in operator.plain:
                    if operator.form is not None:
                        check_form(operator.form, node, _label(node))
                    operator.plain.add(counts)
            op_type, domain, since = operator.op_type, operator.domain, operator.since
            drafts.append(_Draft(0, op_type, domain, since, node.name, key, inputs, outputs, node, (), NO_BODIES, bare))
            forms.append(operator.form)

    def _check(self, operator: _Operator, node: onnx.NodeProto, scope: _Scope) -> None:
        """Check a node with attributes or left-out inputs, take in its tensors, and build its bodies."""
        for attribute in node.attribute:
            if not attribute.type:  # files of IR version 1 do not say it; onnx and engines want it said
                attribute.type = KINDS.index(kind_of(attribute))
        sign = signature(node)
        if sign not in operator.checked:
            if operator.form is not None:
                check_form(operator.form, node, _label(node))
            operator.checked.add(sign)
        if self.tensors is not None:
            self.tensors.node(node, _label(node), apart=scope.main)
        if operator.has_bodies:
            self._bodies(node, scope)

    def _operator(self, node: onnx.NodeProto) -> _Operator:
        """Look an operator up; refuse it where its domain is not imported."""
        check_text((node.op_type, node.domain), _label(node))
        domain = "" if node.domain == "ai.onnx" else node.domain
        version = self.opsets.get(domain, IMPLICIT_DOMAINS.get(domain, 0))
        if version <= 0:
            raise ModelError(
                f"{_label(node)} is of domain {domain or 'ai.onnx'!r}, which the model does not import: "
                f"it imports {', '.join(repr(d or 'ai.onnx') for d in self.opsets)}. Add it to opset_import."
            )
        form = form_of(node.op_type, domain, version)
        bodies = form is None or any(a.kind.startswith("GRAPH") for a in form.attributes.values())
        made = _Operator(node.op_type, domain, form, form.since if form is not None else 0, bodies)
        if node.domain:
            self._others[node.op_type, node.domain] = made
        else:
            self._operators[node.op_type] = made
        return made

    def _bodies(self, node: onnx.NodeProto, scope: _Scope) -> None:
        bodies: dict[str, Graph] = {}
        captures: set[str] = set()
        for attribute in node.attribute:
            several = [(attribute.name, attribute.g)] if attribute.HasField("g") else []
            several += [(f"{attribute.name}[{i}]", g) for i, g in enumerate(attribute.graphs)]
            for name, graph in several:
                bodies[name], free = self._graph(graph, _Scope(f"{name} of {_label(node)}", main=False))
                captures.update(free)
        if bodies:
            position = len(scope.drafts)
            scope.bodies[position] = bodies
            scope.captures[position] = tuple(sorted(captures))

    def _finish(
        self,
        proto: onnx.GraphProto,
        scope: _Scope,
        order: Sequence[int],
        outputs: Sequence[str],
        declared: Sequence[str],
        initializers: Mapping[str, onnx.TensorProto],
    ) -> Graph:
        drafts = scope.drafts
        for position, found in scope.bodies.items():
            drafts[position].bodies, drafts[position].captures = found, scope.captures[position]
        nodes = _finished([drafts[i] for i in order])
        forms = [scope.forms[i] for i in order]
        check_text([node.name for node in nodes], scope.where)
        producer = {name: node.index for node in nodes for name in node.outputs if name}
        consumers = consumers_of(nodes)
        return Graph(
            name=proto.name,
            nodes=tuple(nodes),
            inputs=tuple(n for n in declared if n not in initializers),
            outputs=tuple(outputs),
            overridable=tuple(n for n in declared if n in initializers),
            initializers=initializers,
            types={},
            producer=producer,
            consumers=consumers,
            constant=constant_nodes(nodes, forms, initializers),
            dead=dead_nodes(nodes, outputs, producer, consumers),
            op_types=frozenset([node.op_type for node in nodes]),
            hosts=tuple([node.index for node in nodes if node.bodies]) if scope.bodies else (),
        )


def _finished(drafts: list[Any]) -> list[Node]:
    """Turn drafts, in their order, into nodes."""
    for index, draft in enumerate(drafts):
        draft.index = index
        draft.__class__ = Node
    return drafts


def _add_producers(makers: dict[str, int], scope: _Scope) -> None:
    """Add value → position of its node; refuse values with two producers."""
    add = makers.setdefault
    for position, draft in enumerate(scope.drafts):
        for name in draft.outputs:
            if add(name, position) != position and name:
                other = makers[name]
                first = "an input or initializer" if other == GIVEN else _label(scope.drafts[other].proto)
                raise ModelError(
                    f"value {name!r} of {scope.where} has two producers: {first} and {_label(draft.proto)}"
                )


def _free(
    makers: dict[str, int], reads: Sequence[Sequence[str]], outputs: Iterable[str], scope: _Scope
) -> dict[str, str]:
    """Return the values that the scope uses and does not have → who reads them first; note them as given."""
    free: dict[str, str] = {}
    for position, names in enumerate(reads):
        for name in names:
            if name not in makers:
                free[name] = _label(scope.drafts[position].proto)
                makers[name] = GIVEN
    for name in outputs:
        if name not in makers:
            free[name] = f"the outputs of {scope.where}"
            makers[name] = GIVEN
    return free


def _sort(proto: onnx.GraphProto, scope: _Scope, order: Sequence[int]) -> None:
    """Bring the nodes of a scope into an order, in the file's graph too: engines and onnx's inference want them so."""
    rank = {scope.drafts[i].key: index for index, i in enumerate(order)}
    proto.node.sort(key=lambda node: rank.get(next(filter(None, node.output), ""), -1))
    index_of = {i: index for index, i in enumerate(order)}
    scope.drafts = [scope.drafts[i] for i in order]
    scope.forms = [scope.forms[i] for i in order]
    scope.bodies = {index_of[i]: found for i, found in scope.bodies.items()}
    scope.captures = {index_of[i]: found for i, found in scope.captures.items()}


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


def _name(node: onnx.NodeProto) -> str:
    """Return the name of a node, or its first output where it has none."""
    return node.name or next(filter(None, node.output), "")


def _label(node: onnx.NodeProto) -> str:
    """Return how messages call a node."""
    return f"node {_name(node)!r} ({node.op_type})"
