"""Plans as JSON: places, clusters and verdicts by the keys of nodes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from typing import Any

from ovpart.capability.verdict import Guard, State, Verdict
from ovpart.errors import PlanError
from ovpart.model.bodies import bodies_of, not_alone
from ovpart.model.graph import Graph, Model
from ovpart.partition.boundary import boundary
from ovpart.partition.identity import cluster_id
from ovpart.partition.overruling import Overruling
from ovpart.partition.plan import CONSTANT, DEAD, RUNTIME, Cluster, Label, Plan

SCHEMA_VERSION = 1


def to_json(plan: Plan) -> str:
    """See :meth:`ovpart.partition.plan.Plan.to_json`."""
    return json.dumps(_document(plan), ensure_ascii=False, indent=1)


def _document(plan: Plan) -> dict[str, Any]:
    """Return a plan in JSON's types; bodies with plans of their own are documents within it."""
    keys = [node.key for node in plan.graph.nodes]
    numbers: dict[Verdict, int] = {}
    of_node = [numbers.setdefault(verdict, len(numbers)) for verdict in plan.verdicts]
    return {
        "ovpart_plan": SCHEMA_VERSION,
        "model": {"name": plan.model, "fingerprint": plan.fingerprint, "nodes": len(keys)},
        "device": plan.device,
        "options": {"join": plan.join, "min_gain": plan.min_gain},
        "lower_bound": plan.lower_bound,
        "clusters": [
            {
                "id": cluster.id,
                "engine": cluster.label.engine,
                "device": cluster.label.device,
                "nodes": [keys[i] for i in cluster.nodes],
                "inputs": list(cluster.inputs),
                "outputs": list(cluster.outputs),
                "parts": [[keys[i] for i in part] for part in cluster.parts],
            }
            for cluster in plan.clusters
        ],
        CONSTANT: [key for key, place in zip(keys, plan.places, strict=True) if place == CONSTANT],
        DEAD: [key for key, place in zip(keys, plan.places, strict=True) if place == DEAD],
        "verdicts": [_verdict_out(verdict) for verdict in numbers],
        "verdict_of": dict(zip(keys, of_node, strict=True)),
        "overruled": {keys[i]: asdict(why) for i, why in sorted(plan.overruled.items())},
        "bodies": {
            key: {name: _document(body) for name, body in sorted(branches.items())}
            for key, branches in plan.bodies.items()
        },
    }


def from_json(text: str, scope: Graph | Model, *, fingerprint: str | None = None) -> Plan:
    """See :meth:`ovpart.partition.plan.Plan.from_json`."""
    return _plan_in(_checked(text), scope, fingerprint)


def _plan_in(document: Mapping[str, Any], scope: Graph | Model, fingerprint: str | None) -> Plan:
    """Return the plan of one scope."""
    graph = scope.graph if isinstance(scope, Model) else scope
    about = document["model"]
    index = {node.key: node.index for node in graph.nodes}
    _same_model(about, document["verdict_of"], index, fingerprint)
    places: list[str] = [""] * len(index)
    for place in (CONSTANT, DEAD):
        for key in document[place]:
            _put(places, index[_known(key, index, place)], place)
    clusters = tuple(_cluster_in(row, graph, index, places) for row in document["clusters"])
    missing = [node.label for node, place in zip(graph.nodes, places, strict=True) if not place]
    if missing:
        raise PlanError(f"The plan has no place for {len(missing)} nodes, {missing[0]!r} first. Plan the model again.")
    _runnable(graph, clusters, places)
    verdicts = [_verdict_in(row) for row in document["verdicts"]]
    return Plan(
        graph=graph,
        device=document["device"],
        clusters=clusters,
        verdicts=tuple(_pick(verdicts, document["verdict_of"][node.key]) for node in graph.nodes),
        places=tuple(places),
        lower_bound=document["lower_bound"],
        fingerprint=about["fingerprint"],
        model=about["name"],
        join=document["options"]["join"],
        min_gain=document["options"]["min_gain"],
        overruled={
            index[_known(key, index, "overruled")]: Overruling(**why) for key, why in document["overruled"].items()
        },
        bodies=_bodies_in(document.get("bodies", {}), clusters, scope),
    )


def _bodies_in(
    documents: Mapping[str, Mapping[str, Any]], clusters: Sequence[Cluster], scope: Graph | Model
) -> dict[str, dict[str, Plan]]:
    """Read the plans of bodies; each node that the runtime runs must have one for each of its bodies."""
    graph = scope.graph if isinstance(scope, Model) else scope
    nodes = [graph.nodes[index] for cluster in clusters if cluster.label == RUNTIME for index in cluster.nodes]
    found: dict[str, dict[str, Plan]] = {}
    if {node.key for node in nodes} != documents.keys():
        raise PlanError("The plan has plans of bodies for other nodes than those that it runs itself. Plan again.")
    for node in nodes:
        if not isinstance(scope, Model):
            raise PlanError(f"The plan has plans of the bodies of {node.label!r}: read it with the model, not a graph.")
        if node.bodies.keys() != documents[node.key].keys() or not_alone(scope, node):
            raise PlanError(f"The plan does not fit the bodies of {node.label!r}. Plan this model again.")
        bodies = {body.name: body for body in bodies_of(scope, node)}
        found[node.key] = {
            name: _plan_in(document, bodies[name].model, scope.fingerprint)
            for name, document in documents[node.key].items()
        }
    return found


def schema() -> dict[str, Any]:
    """Return the published JSON Schema of plans."""
    text = files("ovpart.partition").joinpath("plan.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _checked(text: str) -> dict[str, Any]:
    """Parse and validate against the schema."""
    import jsonschema

    try:
        document = json.loads(text)
    except ValueError as error:
        raise PlanError(f"This is not a saved plan: it is no JSON ({error}).") from error
    if not isinstance(document, dict) or "ovpart_plan" not in document:
        raise PlanError("This is not a saved plan: it has no 'ovpart_plan'. Plans are written by Plan.save.")
    if document["ovpart_plan"] != SCHEMA_VERSION:
        raise PlanError(
            f"The plan has format {document['ovpart_plan']!r}, this version reads {SCHEMA_VERSION}. "
            "Plan the model again."
        )
    try:
        jsonschema.validate(document, schema(), cls=jsonschema.Draft202012Validator)
    except jsonschema.ValidationError as error:
        raise PlanError(f"The saved plan is not valid at {error.json_path}: {error.message}") from error
    return document


def _same_model(
    about: Mapping[str, Any], keys: Mapping[str, int], index: Mapping[str, int], fingerprint: str | None
) -> None:
    """Refuse a plan of another model."""
    strange = next((key for key in keys if key not in index), None) or next((k for k in index if k not in keys), None)
    if strange is None and (fingerprint is None or fingerprint == about["fingerprint"]):
        return
    why = (
        "its content differs (fingerprints do not match)"
        if strange is None
        else f"the plan has {len(keys)} nodes, the model {len(index)}; {strange!r} is in one of them only"
    )
    raise PlanError(
        f"The plan was made for {about['name']!r}, and this is another model: {why}. Plan this model again."
    )


def _cluster_in(row: Mapping[str, Any], graph: Graph, index: Mapping[str, int], places: list[str]) -> Cluster:
    """Read one cluster, checking it against the graph."""
    name = row["id"]
    nodes = tuple(sorted(index[_known(key, index, name)] for key in row["nodes"]))
    for node in nodes:
        _put(places, node, name)
    parts = tuple(tuple(sorted(index[_known(key, index, name)] for key in part)) for part in row["parts"])
    if parts and sorted(i for part in parts for i in part) != list(nodes):
        raise PlanError(f"The parts of cluster {name} are not its nodes, each once. Plan the model again.")
    if cluster_id(graph, nodes) != name:
        raise PlanError(
            f"Cluster {name} of the plan is not what the model has under the same names (operators, attributes, types "
            "or connections differ). Plan this model again."
        )
    inputs, outputs = boundary(graph, nodes)
    if [*inputs] != row["inputs"] or [*outputs] != row["outputs"]:
        raise PlanError(
            f"The inputs or outputs of cluster {name} are not those that its nodes have. Plan the model again."
        )
    return Cluster(name, Label(row["engine"], row["device"]), nodes, inputs, outputs, parts)


def _known(key: str, index: Mapping[str, int], where: str) -> str:
    """Return a node key that the model has."""
    if key not in index:
        raise PlanError(f"{where!r} of the plan names {key!r}, which no node of the model makes first.")
    return key


def _put(places: list[str], node: int, place: str) -> None:
    """Place a node that has no place yet."""
    if places[node]:
        raise PlanError(f"The plan places a node twice, in {places[node]!r} and in {place!r}. Plan the model again.")
    places[node] = place


def _runnable(graph: Graph, clusters: Sequence[Cluster], places: Sequence[str]) -> None:
    """Check that clusters, and parts within them, come after all that they read from."""
    order = {cluster.id: position for position, cluster in enumerate(clusters)}
    part_of = {i: number for cluster in clusters for number, part in enumerate(cluster.parts) for i in part}
    for node, place in zip(graph.nodes, places, strict=True):
        if place not in order:
            continue
        mine = (order[place], part_of.get(node.index, 0))
        for name in node.reads:
            source = graph.producer.get(name)
            if source is None or places[source] == CONSTANT:
                continue
            if places[source] not in order or (order[places[source]], part_of.get(source, 0)) > mine:
                raise PlanError(
                    f"The plan cannot run: {node.label!r} reads {name!r}, which is made later, or in no cluster. "
                    "Plan the model again."
                )


def _verdict_out(verdict: Verdict) -> dict[str, Any]:
    guard = verdict.guard
    return {
        "state": verdict.state.value,
        "reason": verdict.reason,
        "rule": verdict.rule,
        "hint": verdict.hint,
        "source": verdict.source,
        "guard": None if guard is None else {"kind": guard.kind, "inputs": list(guard.inputs), "bound": guard.bound},
        "deferred": verdict.deferred,
    }


def _verdict_in(row: Mapping[str, Any]) -> Verdict:
    guard = row["guard"]
    return Verdict(
        State(row["state"]),
        row["reason"],
        row["rule"],
        row["hint"],
        row["source"],
        None if guard is None else Guard(guard["kind"], tuple(guard["inputs"]), guard["bound"]),
        row["deferred"],
    )


def _pick(verdicts: Sequence[Verdict], number: int) -> Verdict:
    if number >= len(verdicts):
        raise PlanError(f"The plan refers to verdict {number} and has {len(verdicts)}.")
    return verdicts[number]
