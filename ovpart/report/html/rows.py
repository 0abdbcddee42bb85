"""The nodes of a plan as rows: lists of small numbers and of what is told once, so that 10,000 take a megabyte."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ovpart.partition.nested import scopes
from ovpart.report.html.words import visible

if TYPE_CHECKING:
    from ovpart.model.graph import Graph, Node
    from ovpart.partition.plan import Cluster, Label, Plan

MOST_ROWS = 20_000
"""Nodes that the table has. Where a model has more, those that are not on the device come first."""

NodeTimes = Mapping[tuple[tuple[str, ...], str], tuple[float | None, str]]
"""Scope and key of a node → microseconds a run, and the key of the node in whose layer it runs where that is another
one."""


class _Told:
    """Things told once and referred to by number."""

    def __init__(self) -> None:
        self.things: list[Any] = []
        self._numbers: dict[Hashable, int] = {}

    def number(self, key: Hashable, thing: Any = None) -> int:
        """Return the number of a thing, told now if it is new; `thing` where it is not its own key."""
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self.things)
            self.things.append(key if thing is None else thing)
        return found


def place_name(label: Label) -> str:
    """Return what a place is called: ``"openvino CPU"``; control flow that ovpart runs has no device."""
    return label.engine if label.engine == "runtime" else f"{label.engine} {label.device}"


def node_rows(plan: Plan, times: NodeTimes | None = None) -> dict[str, Any]:
    """Return the nodes of all scopes as data for the table of the page.

    Parameters
    ----------
    plan : Plan
        Of the main scope.
    times : mapping, optional
        What a profile measured.

    Returns
    -------
    dict
        ``rows``: number, name, key (0 where it is the name), operator, types in, types out, place, cluster (0 where
        none), verdict, scope, and, with `times`, microseconds and the node in whose layer it runs; ``ops``, ``types``,
        ``places``, ``verdicts`` (state, reason, rule, hint, left behind) and ``scopes``: what the rows refer to by
        number; ``left_out``: how many nodes have no row.
    """
    ops, types, places, verdicts = _Told(), _Told(), _Told(), _Told()
    everything = list(_everything(plan))
    kept = _kept(everything)
    clusters = {scope.path: _clusters_of(scope.plan) for scope in scopes(plan)}
    rows = []
    scope_names = _Told()
    for number in kept:
        path, scoped, index, _ = everything[number]
        node = scoped.graph.nodes[index]
        place = scoped.places[index]
        found = clusters[path].get(place)
        where = place if found is None else place_name(found[1].label)
        row: list[Any] = [
            number + 1,
            visible(node.label),
            0 if node.key == node.label else visible(node.key),
            ops.number(node.op_id, visible(node.op_id)),
            types.number(_types(scoped.graph, node.reads)),
            types.number(_types(scoped.graph, node.outputs)),
            places.number(where, visible(where)),
            0 if found is None else found[0],
            verdicts.number(_why_key(scoped, index), _why(scoped, index)),
            scope_names.number(path, visible(scope_name(path))),
        ]
        if times is not None:
            us, leader = times.get((path, node.key), (None, ""))
            row += [None if us is None else round(us, 2), visible(leader)]
        rows.append(row)
    return {
        "rows": rows,
        "ops": ops.things,
        "types": types.things,
        "places": places.things,
        "verdicts": verdicts.things,
        "scopes": scope_names.things,
        "left_out": len(everything) - len(kept),
    }


def scope_name(path: Sequence[str]) -> str:
    """Return what a scope is called: empty for the main one, ``"body of Loop_3"`` for a body.

    Examples
    --------
    >>> scope_name(("Loop_3", "body", "If_1", "then_branch"))
    'then_branch of If_1 in body of Loop_3'
    """
    pairs = list(zip(path[::2], path[1::2], strict=True))
    return " in ".join(f"{body} of {node}" for node, body in reversed(pairs))


def _everything(plan: Plan) -> Iterator[tuple[tuple[str, ...], Plan, int, bool]]:
    """Yield the nodes of all scopes: scope, its plan, index, and whether the node is delegated."""
    for scope in scopes(plan):
        delegated = {cluster.id for cluster in scope.plan.delegated}
        for index, place in enumerate(scope.plan.places):
            yield scope.path, scope.plan, index, place in delegated


def _kept(everything: Sequence[tuple[object, object, object, bool]]) -> Sequence[int]:
    """Return which nodes get a row, in running order: those that are not delegated first of all."""
    if len(everything) <= MOST_ROWS:
        return range(len(everything))
    wanted = sorted(range(len(everything)), key=lambda number: everything[number][3])
    return sorted(wanted[:MOST_ROWS])


def _clusters_of(plan: Plan) -> dict[str, tuple[int, Cluster]]:
    return {cluster.id: (number, cluster) for number, cluster in enumerate(plan.clusters, 1)}


def _types(graph: Graph, names: Sequence[str]) -> str:
    return visible(" ".join(str(graph.type_of(name)) for name in names if name))


def _why_key(plan: Plan, index: int) -> Hashable:
    return plan.verdicts[index], plan.overruled.get(index)


def _why(plan: Plan, index: int) -> list[str]:
    return [visible(word) for word in why_words(plan, index)]


def why_words(plan: Plan, index: int) -> Iterator[str]:
    """Yield state, reason, rule, hint of a node's verdict, and why it was left behind all the same."""
    verdict = plan.verdicts[index]
    yield from (verdict.state.value, verdict.reason, verdict.rule, verdict.hint)
    overruled = plan.overruled.get(index)
    yield str(overruled) if overruled else ""


def tell_node(plan: Plan, node: Node) -> dict[str, str]:
    """Return what the list of a cluster says of a node."""
    state, reason, rule, _, behind = why_words(plan, node.index)
    return {"name": node.label, "op": node.op_id, "state": state, "reason": behind or reason, "rule": rule}
