"""From a model to a plan, cut off before any engine: needs neither openvino nor a device."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovpart.capability.check import flaws
from ovpart.capability.control import EXCLUDE, PIN, in_scope, select
from ovpart.capability.demotion import Demotion, of_body
from ovpart.capability.evidence import DELEGATED, ONNXRUNTIME, PLAN, Choice, Evidence, digest, evidence_for
from ovpart.capability.priority import compiled_before, place
from ovpart.capability.table import Table, load_table
from ovpart.capability.target import asked_target
from ovpart.errors import ModelError, OptionError
from ovpart.model.collector import without_collector
from ovpart.model.edits import NO_EDITS, Edits
from ovpart.model.free_dimensions import with_sizes
from ovpart.model.graph import Graph, Model
from ovpart.model.read import read_model
from ovpart.options import Options, resolve
from ovpart.partition.build import make_plan
from ovpart.partition.nesting import nested_plans
from ovpart.partition.overruling import Overruling, not_worth
from ovpart.partition.patterns import find_groups
from ovpart.partition.plan import CONSTANT, DEAD, RUNTIME, Label, Plan

if TYPE_CHECKING:
    import onnx

DEVICE_ENGINE = "openvino"
"""The engine whose devices nodes are delegated to."""
FALLBACK = Label("onnxruntime", "CPU")
"""Where nodes run that are not delegated."""
LAST_RESORT = Label("reference", "CPU")
"""Where nodes run that onnxruntime refuses too."""

DEFAULT_MIN_GAIN_US = 50.0
"""Predicted saving per run that a component must bring where the user names no figure: less than that the cost table
cannot tell from nothing."""


def plan(
    model: str | os.PathLike[str] | bytes | onnx.ModelProto | Model, *, device: str = "CPU", **options: Any
) -> Plan:
    """Plan where each node of a model would run, without loading an engine.

    Parameters
    ----------
    model : path, bytes, onnx.ModelProto or Model
        The model; weights are not read.
    device : str
        The device that nodes are delegated to. It need not be on this machine.
    **options
        Planning options: ``min_gain``, ``unknown``, ``semantics``, ``exclude``, ``pin``, ``table``, ``join``,
        ``free_dimensions``, ``evidence``.

    Returns
    -------
    Plan
        Clusters, and a verdict for every node. The same model, table and options give the same plan.

    Raises
    ------
    ModelError
        If the model is broken.
    OptionError
        If an option is unknown or has a value it cannot take.
    TableError
        If an overlay is not valid.
    """
    chosen = resolve({"device": device, **options}, planning_only=True)
    asked_target(chosen.device)
    if isinstance(model, str | os.PathLike) and os.fspath(model).lower().endswith(".xml"):
        raise ModelError(f"{os.fspath(model)!r} is openvino's IR, which openvino runs whole: there is nothing to plan")
    with without_collector():
        read = model if isinstance(model, Model) else read_model(model, edits_of(chosen))
        sized = with_sizes(read, chosen.free_dimensions)
        told, table = _told(chosen, sized), load_table(chosen.table)
        if told is None:
            return plan_model(sized, chosen, table)
        made = plan_model(sized, chosen, table, demotions=told.demotions)
        return as_chosen(sized, made, told.choice, chosen, table, told.demotions)


def _groups(graph: Graph) -> list[tuple[int, ...]]:
    return [group.nodes for group in find_groups(graph) if group.whole]


def _told(options: Options, model: Model) -> Evidence | None:
    """Return the evidence that was given; none is looked for."""
    given = options.evidence
    if given is None or given == "off":
        return None
    if given == "auto":
        raise OptionError("evidence='auto' is for a session, which knows its engines: give a plan the file")
    return evidence_for(given, model.fingerprint, options.device)


def edits_of(options: Options, edits: Edits = NO_EDITS) -> Edits:
    """Return what options change about a model when it is read, beside `edits`."""
    return edits if options.data_folder is None else replace(edits, folder=Path(options.data_folder))


def plan_model(
    model: Model,
    options: Options,
    table: Table,
    *,
    demotions: Sequence[Demotion] = (),
    guarded: bool = True,
    inner: bool = False,
    held: Overruling | None = None,
) -> Plan:
    """Plan a model that is read already, and with it the bodies of control flow that no engine takes whole.

    Parameters
    ----------
    model : Model
        The model.
    options : Options
        The effective options.
    table : Table
        The support table, overlays included.
    demotions : sequence of Demotion
        What trials have taught so far, of bodies too.
    guarded : bool
        Whether nodes whose verdict holds under a guard may be delegated. Without them the plan is right for all inputs.
    inner : bool
        Whether the model is a body: selectors that mean nothing in it are meant for other scopes.
    held : Overruling, optional
        Why nothing is delegated at all.
    """
    graph = model.graph
    exclude = in_scope(graph, options.exclude, EXCLUDE, inner=inner)
    pin = in_scope(graph, options.pin, PIN, inner=inner)
    here = replace(options, exclude=exclude, pin=pin)
    verdicts, devices = place(
        model, here, table, demotions=demotions, guarded=guarded, engine=DEVICE_ENGINE, together=_groups
    )
    refused = frozenset(d.node for d in demotions if d.engine == FALLBACK.engine and not d.scope)
    if LAST_RESORT.engine in options.fallback:
        refused |= {graph.nodes[index].key for index in flaws(model, FALLBACK.engine.upper(), table)}
    labels = _labelled(graph, [None] * len(devices) if held is not None else devices, options, refused)
    min_gain = DEFAULT_MIN_GAIN_US if options.min_gain is None else options.min_gain
    if FALLBACK.engine in options.disable_fallback:
        min_gain = 0.0  # what the device takes stays there, whether it pays or not
    # What the user pins, and what onnxruntime refuses, must not fall back to it because it does not pay.
    kept = {node.index for node in graph.nodes if node.key in refused} if refused else set()
    kept.update(compiled_before(graph))
    kept.update(*(select(graph, selector, PIN) for selector in pin))
    broken = frozenset(d.node for d in demotions if d.engine == RUNTIME.engine and not d.scope)
    body = partial(_plan_body, table=table, guarded=guarded, demotions=demotions)
    whole = replace(options, min_gain=min_gain)
    nested = {} if held else nested_plans(model, verdicts, labels, whole, FALLBACK, broken, body)
    for index, found in nested.items():
        labels[index] = RUNTIME
        if found.asked:
            kept.add(index)
    made = make_plan(
        model, verdicts, labels, device=options.device, join=options.join, min_gain=min_gain, kept=kept, bodies=nested
    )
    return made if held is None else _explained(made, devices, held)


def _labelled(
    graph: Graph, devices: Sequence[str | None], options: Options, refused: frozenset[str]
) -> list[Label | None]:
    """Return what each node is for: a device, onnxruntime, or the last resort for nodes that onnxruntime refuses."""
    delegates = {device: Label(DEVICE_ENGINE, device) for device in set(devices) if device is not None}
    labels: list[Label | None] = [FALLBACK if device is None else delegates[device] for device in devices]
    last = LAST_RESORT if LAST_RESORT.engine in options.fallback else FALLBACK
    if refused:
        for index, label in enumerate(labels):
            if label is FALLBACK and graph.nodes[index].key in refused:
                labels[index] = last
    return labels


def _explained(plan: Plan, devices: Sequence[str | None], held: Overruling) -> Plan:
    """Return a plan that delegates nothing with the reason at each node that would have a device."""
    able = [i for i, device in enumerate(devices) if device is not None and plan.places[i] not in (CONSTANT, DEAD)]
    return replace(plan, overruled={**plan.overruled, **dict.fromkeys(able, held)})


def _plan_body(
    model: Model,
    options: Options,
    path: tuple[str, str],
    *,
    table: Table,
    guarded: bool,
    demotions: Sequence[Demotion],
) -> Plan:
    return plan_model(model, options, table, demotions=of_body(demotions, path), guarded=guarded, inner=True)


def held_back(model: Model, plan: Plan, why: Overruling) -> Plan:
    """Return a plan of the same model with nothing delegated.

    Parameters
    ----------
    model : Model
        The model.
    plan : Plan
        What was planned.
    why : Overruling
        Why what it delegates stays on onnxruntime.
    """
    labels: list[Label | None] = [FALLBACK] * len(model.graph.nodes)
    alone = make_plan(model, plan.verdicts, labels, device=plan.device, join=plan.join, min_gain=plan.min_gain)
    given_up = (cluster for cluster in plan.clusters if not cluster.is_island or cluster.label == RUNTIME)
    overruled = {index: why for cluster in given_up for index in cluster.nodes}
    return replace(alone, overruled={**plan.overruled, **overruled})


def all_delegated(
    model: Model, options: Options, table: Table, demotions: Sequence[Demotion] = (), *, guarded: bool = True
) -> Plan:
    """Return a plan that delegates all that it may, whether that is predicted to pay or not; see :func:`plan_model`."""
    return plan_model(model, replace(options, min_gain=0.0), table, demotions=demotions, guarded=guarded)


def is_said(options: Options) -> bool:
    """Whether the user has said what is to be delegated, so that no measurement has a say in it."""
    said = options.pin or options.emulate or options.strict or options.disable_fallback
    return bool(said) or options.min_gain is not None


def plan_digest(plan: Plan) -> str:
    """Return the hash by which a choice names the plan that it was made against."""
    return digest((cluster.id, cluster.label.engine, cluster.label.device) for cluster in plan.clusters)


def as_chosen(
    model: Model,
    plan: Plan,
    choice: Choice | None,
    options: Options,
    table: Table,
    demotions: Sequence[Demotion] = (),
) -> Plan:
    """Return the plan of the way that was measured to be the fastest; `plan` itself where nothing is known.

    Parameters
    ----------
    model : Model
        The model.
    plan : Plan
        What rests on predictions.
    choice : Choice or None
        Of the evidence. One against another plan says nothing of this one.
    options, table, demotions
        As for :func:`plan_model`.
    """
    if choice is None or is_said(options) or choice.kept == PLAN or choice.plan != plan_digest(plan):
        return plan
    if choice.kept == DELEGATED:
        return all_delegated(model, options, table, demotions)
    return held_back(model, plan, measured_word(choice.us)) if plan.delegates else plan


def measured_word(us: Mapping[str, float]) -> Overruling:
    """Return why what a plan would delegate stays on onnxruntime: the figures of both."""
    figures = f"measured {us[PLAN]:.0f} µs a run, onnxruntime alone {us.get(ONNXRUNTIME, 0.0):.0f} µs"
    return not_worth(figures, source="measured")


def told_why(plan: Plan, us: Mapping[str, float]) -> Plan:
    """Return a plan that was :func:`held_back` before it was measured, with the figures in the place of the reason."""
    word, figures = not_worth("", source="measured"), measured_word(us)
    return replace(plan, overruled={index: figures if why == word else why for index, why in plan.overruled.items()})
