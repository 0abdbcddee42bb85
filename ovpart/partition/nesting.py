"""Plans for the bodies of control flow that no engine takes whole: each scope is partitioned by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod

from ovpart.capability.control import EXCLUDE, means_in_bodies
from ovpart.capability.verdict import Verdict
from ovpart.errors import ModelError
from ovpart.model.attributes import attribute
from ovpart.model.bodies import bodies_of, not_alone, runs_bodies
from ovpart.model.graph import Model, Node
from ovpart.options import Options
from ovpart.partition.costs import CostTable
from ovpart.partition.nested import Nested, saving_us
from ovpart.partition.parts import endless
from ovpart.partition.plan import Label, Plan

PlanBody = Callable[[Model, Options, tuple[str, str]], Plan]
"""Plans a body as the main scope of a model of its own; told the key of its node and its name."""

ASSUMED_TRIPS = 16
"""Iterations of a loop whose count is not known before it runs."""


def nested_plans(
    model: Model,
    verdicts: Sequence[Verdict],
    labels: Sequence[Label | None],
    options: Options,
    fallback: Label,
    refused: frozenset[str],
    plan: PlanBody,
) -> dict[int, Nested]:
    """Return plans for the bodies of nodes that are to be run by the runtime.

    Parameters
    ----------
    model : Model
        Any scope as a model.
    verdicts : sequence of Verdict
        One a node: what is excluded by name stays whole.
    labels : sequence of Label or None
        Where each node would be whole.
    options : Options
        ``control_flow``, ``min_gain``, ``exclude`` and ``pin`` decide.
    fallback : Label
        What nodes on other engines are compared with.
    refused : frozenset of str
        Keys of nodes of which a trial has shown that the runtime cannot run them.
    plan : callable
        Plans a body.

    Returns
    -------
    dict of int to Nested
        Node index → plans. Nodes that do not appear stay whole.
    """
    graph = model.graph
    idle = graph.constant | graph.dead
    found: dict[int, Nested] = {}
    if options.control_flow == "whole":
        return found
    for node in [graph.nodes[index] for index in graph.hosts]:
        out = verdicts[node.index].rule == EXCLUDE or node.key in refused
        if out or node.index in idle or not runs_bodies(node):
            continue
        label = labels[node.index]
        whole = label is not None and label.delegated and not endless(node)
        stays = whole and not means_in_bodies(node, options.exclude)
        asked = options.control_flow == "nested" or means_in_bodies(node, options.pin)
        if label is not None and not label.delegated and label != fallback:
            asked = True  # the fallback has refused the node whole, and may take most of what is in it
        if (stays and not asked) or not_alone(model, node):
            continue
        nested = _nested(model, node, options, fallback, plan, asked)
        if nested is not None:
            found[node.index] = nested
    return found


def _nested(model: Model, node: Node, options: Options, fallback: Label, plan: PlanBody, asked: bool) -> Nested | None:
    """Return the plans of a node's bodies; ``None`` where nothing in them would be delegated, and nobody asked."""
    try:
        bodies = bodies_of(model, node)
    except ModelError:  # the body does not stand alone, for instance because an input has no type
        return None
    trips = _trips(model, node)
    inner = options
    if options.min_gain and trips > 1:
        # What a cluster brings it brings in every iteration; the option is about a run of the whole model.
        inner = replace(options, min_gain=options.min_gain / trips)
    plans = {body.name: plan(body.model, inner, (node.key, body.name)) for body in bodies}
    if not asked and not any(body.delegates for body in plans.values()):
        return None
    return Nested(plans, trips * expected_saving_us(plans, fallback, CostTable()), asked)


def expected_saving_us(plans: Mapping[str, Plan], fallback: Label, costs: CostTable) -> float:
    """Predict what the plans of one node's bodies save per iteration; which branch is taken is not known: the mean."""
    total = 0.0
    for plan in plans.values():
        total += saving_us(plan, fallback.engine, costs)
        total += sum(max(0.0, expected_saving_us(inner, fallback, costs)) for inner in plan.bodies.values())
    return total / len(plans)


def _trips(model: Model, node: Node) -> float:
    """Return how often a body runs, as far as the model tells."""
    if node.op_type == "If":
        return 1
    if node.op_type == "Scan":
        count = attribute(node, "num_scan_inputs")
        axes = attribute(node, "scan_input_axes") or (0,)
        shape = model.graph.type_of(node.inputs[-int(count)]).shape if isinstance(count, int) else None
        axis = axes[0] if isinstance(axes, tuple) and isinstance(axes[0], int) else 0
        size = shape[axis] if shape and -len(shape) <= axis < len(shape) else None
        return size if isinstance(size, int) else ASSUMED_TRIPS
    most = node.inputs[0]
    if most and most in model.weights and prod(model.weights.shape(most)) == 1:
        return float(min(max(int(model.weights.array(most).reshape(())), 0), ASSUMED_TRIPS**2))
    return ASSUMED_TRIPS
