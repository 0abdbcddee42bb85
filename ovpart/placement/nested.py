"""Bodies with plans of their own, ready to run: each is a form of a model, mended like any other while it is in use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ovpart.backend.base import Array, Port
from ovpart.backend.cut import port
from ovpart.backend.fold import fold_constants
from ovpart.capability.demotion import Demotion
from ovpart.capability.verdict import Guard
from ovpart.errors import CompileError, ModelError, RunError
from ovpart.model.bodies import Body, body_of
from ovpart.model.graph import Model, Node
from ovpart.partition.boundary import boundary
from ovpart.partition.plan import Plan
from ovpart.runtime.control import RunControl
from ovpart.runtime.control_flow import ControlFlow, ControlNode, If, Operand, Part
from ovpart.runtime.guards import violated
from ovpart.runtime.held import Holding
from ovpart.runtime.loop import Loop
from ovpart.runtime.scan import Scan, scan_layout
from ovpart.runtime.schedule import Schedule

Path = tuple[str, ...]
"""Key of a node and name of its body, in turn, from a scope inwards: :attr:`ovpart.partition.nested.ScopePlan.path`."""

BODIES: Mapping[str, tuple[str, ...]] = {"If": ("then_branch", "else_branch"), "Loop": ("body",), "Scan": ("body",)}
"""Names of a node's bodies, in the order in which what runs it wants them."""


@dataclass(frozen=True, slots=True)
class ScopeState:
    """What the runs so far showed of a scope.

    Attributes
    ----------
    runs : int
        How often it ran.
    demotions : tuple of Demotion
        What trials have taught about its nodes.
    """

    runs: int
    demotions: tuple[Demotion, ...] = ()


class BodyForm(Protocol):
    """What a body is run by: :class:`ovpart.placement.form.Form`."""

    @property
    def plan(self) -> Plan:
        """The plan that runs now."""

    @property
    def guards(self) -> tuple[Guard, ...]:
        """What inputs must hold to for this form to be right."""

    @property
    def demotions(self) -> tuple[Demotion, ...]:
        """What trials have taught so far."""

    def run(
        self, feed: Mapping[str, Array], wanted: Sequence[str] | None, control: RunControl | None = None
    ) -> list[Array]:
        """Compute outputs by name, all if `wanted` is None."""

    @property
    def steady(self) -> Schedule | None:
        """The schedule that answers runs; ``None`` while they are watched for more than their answers."""

    def inside(self) -> Mapping[Path, ScopeState]:
        """Return what the runs so far showed of its bodies, by path from its own scope inwards."""

    def close(self) -> None:
        """Let go of everything compiled."""


MakeForm = Callable[[Model, Plan | None, tuple[str, str]], BodyForm]
"""Makes the form of a body, with constants folded: by its plan, or without guarded nodes where there is none; told the
key of its node, and its name."""


class NestedBody:
    """A body that is compiled at its first run, or before.

    Parameters
    ----------
    body : Body
        The body.
    plan : Plan
        Of it.
    make_form : callable
        See :data:`MakeForm`.
    node : str
        Key of the node that it is of.
    lazy : bool
        Whether it is compiled at its first run only.
    """

    def __init__(self, body: Body, plan: Plan, make_form: MakeForm, node: str, *, lazy: bool) -> None:
        graph = body.model.graph
        self.name = body.name
        self.inputs = graph.inputs
        self.outputs: tuple[Port, ...] = tuple(port(name, graph.type_of(name)) for name in graph.outputs)
        self.runs = 0
        self._body = body
        self._plan = replace(plan, graph=graph)
        self._make_form = make_form
        self._path = (node, body.name)
        self._lock = threading.Lock()
        self._model: Model | None = None
        self._form: BodyForm | None = None
        self._unguarded: BodyForm | None = None
        if not lazy:
            self._usual()

    @property
    def plan(self) -> Plan:
        """The plan that runs now, or that the first run will start from."""
        return self._plan if self._form is None else self._form.plan

    def run(
        self, values: Sequence[Array], wanted: Sequence[int] | None = None, control: RunControl | None = None
    ) -> list[Array]:
        """Compute; see :class:`ovpart.runtime.control_flow.RunnableBody`."""
        form = self._form
        if form is None:
            try:
                form = self._usual()
            except CompileError as error:
                raise RunError(f"{self.name} could not be compiled when it was first run: {error}") from error
        feed = dict(zip(self.inputs, values, strict=True))
        if form.guards and violated(form.guards, feed):
            form = self._without_guards()
        self.runs += 1
        return form.run(feed, None if wanted is None else [self.outputs[index].name for index in wanted], control)

    def hold(self, wanted: tuple[int, ...], control: RunControl | None = None) -> HeldNestedBody:
        """Return what runs it again and again; see :class:`ovpart.runtime.control_flow.RunnableBody`."""
        return HeldNestedBody(self, wanted, control)

    def steady(self, values: Sequence[Array]) -> Schedule | None:
        """Return the schedule that may answer a run on these values by itself."""
        form = self._form
        if form is None or (form.guards and violated(form.guards, dict(zip(self.inputs, values, strict=True)))):
            return None
        return form.steady

    @property
    def form(self) -> BodyForm | None:
        """What runs it; ``None`` before it is compiled."""
        return self._form

    def inside(self) -> dict[Path, ScopeState]:
        """Return what the runs so far showed of it, under an empty path, and of the bodies in it."""
        form = self._form
        if form is None:
            return {(): ScopeState(self.runs)}
        return {**form.inside(), (): ScopeState(self.runs, form.demotions)}

    def close(self) -> None:
        """Let go of everything compiled."""
        for form in (self._form, self._unguarded):
            if form is not None:
                form.close()

    def _usual(self) -> BodyForm:
        with self._lock:
            if self._form is None:
                self._form = self._make_form(self._folded(), self._plan, self._path)
            return self._form

    def _without_guards(self) -> BodyForm:
        with self._lock:
            if self._unguarded is None:
                self._unguarded = self._make_form(self._folded(), None, self._path)
            return self._unguarded

    def _folded(self) -> Model:
        if self._model is None:
            self._model = fold_constants(self._body.model)
        return self._model


class HeldNestedBody:
    """A body that a loop runs: on its schedule directly, as soon as there is nothing else to be seen in its runs.

    Parameters
    ----------
    body : NestedBody
        The body.
    wanted : tuple of int
        Outputs to compute.
    control : RunControl, optional
        Options of the run: then each step of it is watched, and nothing is written where it is told.
    """

    def __init__(self, body: NestedBody, wanted: tuple[int, ...], control: RunControl | None) -> None:
        self._body = body
        self._wanted = wanted
        self._control = control
        self._holding: Holding | None = None

    @property
    def shared(self) -> frozenset[int]:
        """Positions of outputs whose values others share."""
        return frozenset() if self._holding is None else self._holding.shared

    def binds(self, output: int) -> bool:
        """Whether an output can be written where it is told."""
        return self._holding is not None and self._holding.binds(output)

    def run(self, values: Sequence[Array], into: Mapping[int, Array]) -> list[Array]:
        """Compute."""
        body = self._body
        schedule = body.steady(values) if self._control is None and self._wanted else None
        if self._holding is not None and self._holding.schedule is not schedule:
            self.release()
        if schedule is None:
            return list(body.run(values, self._wanted or None, self._control))
        if self._holding is None:
            self._holding = Holding(schedule, self._wanted)
        body.runs += 1
        return self._holding.run(values, into)

    def release(self) -> None:
        """End it."""
        if self._holding is not None:
            self._holding.release()
            self._holding = None


def control_flow(
    model: Model, node: Node, plans: Mapping[str, Plan], make_form: MakeForm, *, lazy: bool | None
) -> ControlFlow:
    """Return what runs a node whose bodies have plans of their own.

    Parameters
    ----------
    model : Model
        The scope that the node is in, constants folded.
    node : Node
        If, Loop or Scan.
    plans : mapping of str to Plan
        Of its bodies.
    make_form : callable
        See :data:`MakeForm`.
    lazy : bool or None
        Whether bodies are compiled at their first run; ``None``: those of If.

    Raises
    ------
    CompileError
        If a body cannot stand alone, or no engine takes a node in one that is compiled now.
    """
    graph = model.graph
    inputs, outputs = boundary(graph, (node.index,))
    position = {name: index for index, name in enumerate(inputs)}

    def operand(name: str) -> Operand:
        if not name:
            return Operand(-1)
        if name in position:
            return Operand(position[name])
        if name not in model.weights:
            raise CompileError(f"{node.label!r} reads the constant {name!r}, which has no value", node=node.key)
        return Operand(-1, model.weights.array(name))

    late = node.op_type == "If" if lazy is None else lazy
    parts = {}
    graphs = {}
    for name, plan in plans.items():
        try:
            body = body_of(model, node, name)
            nested = NestedBody(body, plan, make_form, node.key, lazy=late)
        except (CompileError, ModelError) as error:
            raise CompileError(f"{name} of {node.label!r}: {error}", node=node.key) from error
        graphs[name] = body.model
        parts[name] = Part(nested, tuple(map(operand, body.captures)), body.declared_ranks)
    node_here = ControlNode(
        f"{node.op_type} {node.label!r}",
        tuple(port(name, graph.type_of(name)) for name in inputs),
        tuple(port(name, graph.type_of(name)) for name in outputs),
        tuple(operand(name) for name in node.inputs),
        tuple(parts[name] for name in BODIES[node.op_type]),
        tuple(node.outputs.index(name) for name in outputs),
    )
    if node.op_type == "If":
        return If(node_here)
    if node.op_type == "Loop":
        return Loop(node_here, endures=never_ends(graphs["body"]))
    return Scan(node_here, scan_layout(node))


def never_ends(body: Model) -> bool:
    """Whether the condition that the body of a Loop gives is the one that it was given, or a constant that holds."""
    graph = body.graph
    name = graph.outputs[0]
    while (index := graph.producer.get(name)) is not None and graph.nodes[index].op_type == "Identity":
        name = graph.nodes[index].inputs[0]
    if name in body.weights and body.weights.dtype(name) == "bool":
        return bool(body.weights.array(name).all())
    return name == graph.inputs[1]


def inside_of(key: str, executable: object) -> dict[Path, ScopeState]:
    """Return what the runs so far showed of the bodies of a node, and how often the scope around it ran."""
    if not isinstance(executable, ControlFlow):
        return {}
    found: dict[Path, ScopeState] = {(): ScopeState(executable.calls)}
    for one in executable.parts:
        if isinstance(one.body, NestedBody):
            found.update({(key, one.body.name, *path): state for path, state in one.body.inside().items()})
    return found


def forms_of(key: str, executable: object) -> dict[Path, BodyForm]:
    """Return path → what runs the body, of the bodies of a node that are compiled."""
    if not isinstance(executable, ControlFlow):
        return {}
    bodies = [one.body for one in executable.parts if isinstance(one.body, NestedBody)]
    return {(key, body.name): body.form for body in bodies if body.form is not None}


def nested_plans_of(executable: object) -> dict[str, Plan]:
    """Return body → the plan that runs now."""
    if not isinstance(executable, ControlFlow):
        return {}
    bodies = [one.body for one in executable.parts]
    return {body.name: body.plan for body in bodies if isinstance(body, NestedBody)}
