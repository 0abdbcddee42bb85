"""Which device of several takes a node: the table is asked for each of them, in order of priority."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ovpart.capability.check import check, may_delegate
from ovpart.capability.demotion import Demotion, lay_over
from ovpart.capability.target import CHOOSERS, Target, parse_target
from ovpart.capability.verdict import Guard, State, Verdict
from ovpart.errors import OptionError

if TYPE_CHECKING:
    from ovpart.capability.table import Table
    from ovpart.model.graph import Graph, Model, Node
    from ovpart.options import Options

CONTEXT_SOURCE = "OpenVINOExecutionProvider"
"""Attribute ``source`` of EPContext nodes that hold openvino's blobs."""
CONTEXT_RULE = "ep.context"
"""Rule of all nodes of a model whose clusters are compiled already."""


def place(
    model: Model,
    options: Options,
    table: Table,
    *,
    demotions: Sequence[Demotion] = (),
    guarded: bool = True,
    engine: str = "openvino",
    together: Callable[[Graph], Iterable[Sequence[int]]] | None = None,
) -> tuple[tuple[Verdict, ...], list[str | None]]:
    """Say of every node which device takes it, and what the table says of it.

    Parameters
    ----------
    model : Model
        The model.
    options : Options
        ``device``, ``unknown``, ``semantics``, ``exclude``, ``pin``.
    table : Table
        The table, overlays included.
    demotions : sequence of Demotion
        What trials have taught.
    guarded : bool
        Whether nodes whose verdict holds under a guard may be delegated.
    engine : str
        The engine of the devices.
    together : callable, optional
        Finds in a scope sets of nodes (indices) that should not be cut: one whose nodes different devices take
        goes to the first that takes all of it, if there is one. Asked only where there are several devices.

    Returns
    -------
    verdicts : tuple of Verdict
        Parallel to ``model.graph.nodes``: of the device most wanted. A node that another one takes keeps that verdict,
        which says why it is not where it was wanted, with the guard of the device that takes it.
    devices : list of str or None
        The device string of the label each node goes to, ``None`` for those that none takes.
    """
    target = parse_target(options.device)
    if not target.devices:
        raise OptionError(
            f"device {options.device!r} is whatever the machine has: without looking at it no plan can be made. "
            "Name the devices: 'AUTO:GPU,CPU'"
        )
    compiled = compiled_before(model.graph)
    if compiled:
        return _as_compiled(model.graph, compiled, target, guarded)
    verdicts, devices = _on(model, options, table, target, 0, demotions, guarded, engine)
    first = list(verdicts)
    offers = [(verdicts, list(devices))]
    for position in range(1, len(target.labels)):
        left = [index for index, device in enumerate(devices) if device is None]
        if all(index in model.graph.dead or index in model.graph.constant for index in left):
            break
        behind, taken = _on(model, options, table, target, position, demotions, guarded, engine)
        offers.append((behind, taken))
        merged: dict[tuple[int, int, bool], Verdict] = {}
        for index in left:
            key = (id(verdicts[index]), id(behind[index]), taken[index] is not None)
            if key not in merged:
                merged[key] = _merged(target, position, verdicts[index], behind[index], taken[index])
            verdicts[index] = merged[key]
            devices[index] = taken[index]
    if together is not None and len(offers) > 1:
        for nodes in together(model.graph):
            _move_together(target, nodes, offers, first, verdicts, devices)
    return tuple(verdicts), devices


def _move_together(
    target: Target,
    nodes: Sequence[int],
    offers: Sequence[tuple[Sequence[Verdict], Sequence[str | None]]],
    first: Sequence[Verdict],
    verdicts: list[Verdict],
    devices: list[str | None],
) -> None:
    """Send nodes that several devices were to share to the first device that takes all of them."""
    if len({devices[i] for i in nodes}) == 1 or any(verdicts[i].rule in ("pin", "exclude") for i in nodes):
        return
    for position, (behind, taken) in enumerate(offers):
        if all(taken[i] is not None for i in nodes):
            for i in nodes:
                merged = _merged(target, position, first[i], behind[i], taken[i])
                told = f"{merged.reason}; on {taken[i]} with what it is fused with"
                verdicts[i] = merged if devices[i] == taken[i] else replace(merged, reason=told)
                devices[i] = taken[i]
            return


def compiled_before(graph: Graph) -> dict[int, tuple[str, Guard | None]]:
    """Return the EPContext nodes of a scope that are openvino's: index → device they are for, guard they hold under."""
    return {
        node.index: _read_context(node)
        for node in (graph.nodes if "EPContext" in graph.op_types else ())
        if node.op_type == "EPContext" and node.domain == "com.microsoft" and _text(node, "source") == CONTEXT_SOURCE
    }


def _read_context(node: Node) -> tuple[str, Guard | None]:
    try:
        notes = json.loads(_text(node, "notes") or "{}")
        guards = [Guard(str(kind), tuple(map(str, names)), int(b)) for kind, names, b in notes["ovpart"]["guards"]]
    except (ValueError, KeyError, TypeError):
        guards = []  # another writer's notes
    return _text(node, "hardware_architecture"), _joined(guards)


def _joined(guards: Sequence[Guard]) -> Guard | None:
    """Return one guard that asks all that several ask."""
    if not guards:
        return None
    inputs = tuple(sorted({name for guard in guards for name in guard.inputs}))
    return Guard(guards[0].kind, inputs, min(guard.bound for guard in guards))


def _text(node: Node, name: str) -> str:
    return next((a.s.decode(errors="replace") for a in node.proto.attribute if a.name == name), "")


def _as_compiled(
    graph: Graph, compiled: Mapping[int, tuple[str, Guard | None]], target: Target, guarded: bool
) -> tuple[tuple[Verdict, ...], list[str | None]]:
    """Place a model whose clusters are compiled: those on their device, all else where it was left, on onnxruntime."""
    left = Verdict(
        State.UNSUPPORTED,
        "left to onnxruntime when the model was compiled",
        CONTEXT_RULE,
        "compile the original model again to have it placed anew",
        "compiled",
    )
    verdicts = []
    devices: list[str | None] = []
    for node in graph.nodes:
        if node.index not in compiled:
            verdicts.append(left)
            devices.append(None)
            continue
        device, guard = compiled[node.index]
        verdicts.append(Verdict(State.SUPPORTED, "compiled before", CONTEXT_RULE, "", "compiled", guard))
        whole = _text(node, "ep_cache_context").endswith(".xml")  # IR: cut by nobody but openvino's own HETERO
        devices.append(device if device in target.labels else str(target) if whole else target.labels[0])
    return tuple(verdicts), devices


def _on(
    model: Model,
    options: Options,
    table: Table,
    target: Target,
    position: int,
    demotions: Sequence[Demotion],
    guarded: bool,
    engine: str,
) -> tuple[list[Verdict], list[str | None]]:
    """Return verdicts on one label of a target, and its device string for each node that goes there."""
    label = target.labels[position]
    # A chooser may send a cluster to any of its devices: each must take it.
    each = target.devices if target.chooser in CHOOSERS else (label,)
    asked = [
        check(
            model,
            device,
            table,
            unknown=options.unknown,
            semantics=options.semantics,
            exclude=options.exclude,
            pin=options.pin if position == 0 and number == 0 else (),
        )
        for number, device in enumerate(each)
    ]
    found = list(asked[0])
    allows = {
        key: (guarded or v.guard is None) and may_delegate(v, each[0], table, options.unknown)
        for key, v in {id(v): v for v in found}.items()  # nodes of one kind share their verdict
    }
    allowed = [allows[id(v)] for v in found]
    for device, others in zip(each[1:], asked[1:], strict=True):
        for index, verdict in enumerate(others):
            if not allowed[index] or found[index].rule == "pin":
                continue
            if not ((guarded or verdict.guard is None) and may_delegate(verdict, device, table, options.unknown)):
                allowed[index] = False
                found[index] = verdict
            elif verdict.guard is not None:
                found[index] = replace(found[index], guard=_tighter(found[index].guard, verdict.guard))
    learnt = lay_over(found, model.graph, demotions, engine, label)
    return list(learnt), [
        label if yes and after is before else None for yes, before, after in zip(allowed, found, learnt, strict=True)
    ]


def _tighter(one: Guard | None, other: Guard) -> Guard:
    """Return a guard that asks what both ask."""
    if one is None:
        return other
    return replace(one, inputs=tuple(sorted({*one.inputs, *other.inputs})), bound=min(one.bound, other.bound))


def _merged(target: Target, position: int, first: Verdict, behind: Verdict, taken: str | None) -> Verdict:
    if taken is not None:
        return replace(first, guard=behind.guard)
    if behind.reason == first.reason or behind.reason in first.reason:
        return first
    told = first.reason if position > 1 else f"on {target.labels[0]}: {first.reason}"
    return replace(first, reason=f"{told}; on {target.labels[position]}: {behind.reason}")
