"""Immutable views of an ONNX model: what every other room reads.

A :class:`Model` holds one :class:`Graph`, the main scope; bodies of If, Loop and Scan are graphs of their own that hang
on their node. Nodes stand in topological order, whatever their order in the file; values are known by name, which ONNX
makes unique in a scope (single static assignment, ONNX IR spec, "Names Within a Graph").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ovpart.model.types import UNKNOWN, ValueType

if TYPE_CHECKING:
    import onnx

    from ovpart.model.weights import Weights


NO_BODIES: Mapping[str, Graph] = {}
"""What nodes without bodies share: one object for all, never filled."""


def _no_bodies() -> Mapping[str, Graph]:
    return NO_BODIES


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a scope.

    Attributes
    ----------
    index : int
        Position in ``graph.nodes``, a topological order that does not depend on the order of the nodes in the file.
    op_type, domain : str
        As in the file; ``"ai.onnx"`` is written as ``""``.
    since : int
        The opset version in which this form of the operator was introduced; 0 where neither onnx nor our table of
        contrib operators describes it.
    name : str
        As in the file: may be empty, may be shared by several nodes.
    key : str
        The name of the first output that has one: unique in the scope, and what reports call a node without a name.
    inputs, outputs : tuple of str
        Value names; ``""`` for an optional one that is left out.
    captures : tuple of str
        Values of outer scopes (this one included) that bodies read, sorted; empty for nodes without bodies.
    proto : onnx.NodeProto
        The node itself, functions inlined; attributes: :func:`ovpart.model.attributes.attributes`. Never modified.
    bodies : mapping of str to Graph
        Attribute name → body, for If, Loop, Scan and others with graph attributes.
    bare : bool
        Whether it is known to have no attributes, and so no bodies: to ask protobuf costs as much as the rest of a look
        at a node.
    """

    index: int
    op_type: str
    domain: str
    since: int
    name: str
    key: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    proto: onnx.NodeProto
    captures: tuple[str, ...] = ()
    bodies: Mapping[str, Graph] = field(default_factory=_no_bodies)
    bare: bool = False

    @property
    def label(self) -> str:
        """The name if there is one, else the key."""
        return self.name or self.key

    @property
    def op_id(self) -> str:
        """``"Conv"`` or ``"com.microsoft.Gelu"``."""
        return f"{self.domain}.{self.op_type}" if self.domain else self.op_type

    @property
    def reads(self) -> tuple[str, ...]:
        """All values of this scope and outer ones that the node needs, captures included, ``""`` left out."""
        return (
            tuple(x for x in self.inputs if x) + self.captures if self.captures else tuple(x for x in self.inputs if x)
        )


@dataclass(frozen=True, slots=True)
class Graph:
    """One scope: the main graph or a body.

    Attributes
    ----------
    name : str
        Of the GraphProto.
    nodes : tuple of Node
        In topological order.
    inputs, outputs : tuple of str
        As declared. In the main scope, initializers that are also inputs stand in `overridable`, not in `inputs`.
    overridable : tuple of str
        Graph inputs with a default value (ONNX IR spec, "Initializers"); also keys of `initializers`, and constants
        like any other here: this is the form for calls that do not override them. The form for those that do has them
        in `inputs` (:func:`ovpart.model.variants.general_form`).
    initializers : mapping of str to onnx.TensorProto
        Constant values, tensors of ``Constant`` nodes excluded. Large ones are typed stubs without data: the data is
        had from ``model.weights``.
    types : mapping of str to ValueType
        Of every value of the scope, inferred; use :meth:`type_of`.
    producer : mapping of str to int
        Value → index of the node that makes it; inputs and initializers are not in it.
    consumers : mapping of str to tuple of int
        Value → indices of the nodes that read it (captures included), ascending.
    constant : frozenset of int
        Indices of nodes whose outputs depend on nothing but constants, and that always give the same (no random ops).
    dead : frozenset of int
        Indices of nodes that no output of the scope depends on.
    op_types : frozenset of str
        Operator types of all nodes, whatever their domain: what looks for rare ones need not look at each node.
    hosts : tuple of int
        Indices of the nodes with bodies, ascending.
    """

    name: str
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    overridable: tuple[str, ...]
    initializers: Mapping[str, onnx.TensorProto]
    types: Mapping[str, ValueType]
    producer: Mapping[str, int]
    consumers: Mapping[str, tuple[int, ...]]
    constant: frozenset[int]
    dead: frozenset[int]
    op_types: frozenset[str]
    hosts: tuple[int, ...]

    def type_of(self, value: str) -> ValueType:
        """Return the type of a value, :data:`ovpart.model.types.UNKNOWN` where nothing is known."""
        return self.types.get(value, UNKNOWN)

    def is_constant(self, value: str) -> bool:
        """Whether a value is an initializer, or comes from constant nodes only."""
        index = self.producer.get(value)
        return value in self.initializers if index is None else index in self.constant


@dataclass(frozen=True, slots=True)
class Model:
    """A validated ONNX model.

    Attributes
    ----------
    name : str
        What reports call it: the file's name, or the graph's for bytes.
    path : Path or None
        The file, if the model came from one.
    proto : onnx.ModelProto
        The skeleton: functions inlined, large initializers without data. Never modified.
    source : onnx.ModelProto or bytes or Path
        What the user gave, for engines that take the untouched model whole.
    ir_version : int
        Of the file.
    opsets : mapping of str to int
        Domain (``""`` for ai.onnx) → version, as imported.
    graph : Graph
        The main scope.
    weights : Weights
        Where the bytes of every constant lie.
    fingerprint : str
        Hash of the file's content without large weights, and of their sizes: names the model in caches and saved plans.
    inlined : bool
        Whether local functions stood in the source that are inlined here.
    notes : tuple of str
        What the reader mended or ignored ("value_info of 'x' says [1,3], inference says [2,3]").
    learnt : mapping of str to ValueType
        Types of main-scope values that were seen at run time (:func:`ovpart.model.variants.with_types`).
    general : bool
        Whether initializers that can be overridden are inputs here (:func:`ovpart.model.variants.general_form`).
    sized : bool
        Whether dimensions that the source leaves open have a size here
        (:func:`ovpart.model.free_dimensions.with_sizes`).
    edited : bool
        Whether it was changed while it was read (:class:`ovpart.model.edits.Edits`), so that the source says less.
    """

    name: str
    path: Path | None
    proto: onnx.ModelProto
    source: onnx.ModelProto | bytes | Path
    ir_version: int
    opsets: Mapping[str, int]
    graph: Graph
    weights: Weights
    fingerprint: str
    notes: tuple[str, ...] = ()
    learnt: Mapping[str, ValueType] = field(default_factory=dict)
    inlined: bool = False
    general: bool = False
    sized: bool = False
    edited: bool = False

    @property
    def is_untouched(self) -> bool:
        """Whether an engine that takes the source whole computes the same graph, no less folded than this one."""
        untouched = not self.edited and not self.sized and not self.inlined and not self.general
        return untouched and not self.graph.overridable
