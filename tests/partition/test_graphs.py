"""The graphs that users get, and the maximality check against brute force."""

from __future__ import annotations

from dataclasses import replace

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from ovpart.model.read import read_model
from ovpart.partition.build import make_plan
from ovpart.partition.graphs import is_maximal, quotient
from ovpart.partition.plan import Cluster
from tests.partition.drawings import DEVICE, ISLAND, NO, YES, model_of, plan_for, plan_of
from tests.partition.oracles import mergeable_pairs
from tests.partition.test_build import drawn


def test_networkx_graph_has_every_node_with_its_place_and_verdict():
    graph = plan_of("a+ -> b- -> c+; a -> c", rename={"a": "same", "b": "same"}).to_networkx()
    assert set(graph) == {"a", "b", "c"}
    assert graph.nodes["b"]["verdict"] is NO
    assert graph.nodes["a"]["name"] == graph.nodes["b"]["name"] == "same"
    assert {graph.nodes[key]["engine"] for key in graph} == {"openvino", "onnxruntime"}
    assert graph.nodes["a"]["device"] == "GPU"
    assert graph.nodes["a"]["op_type"] == "Sum"
    assert graph.edges["a", "c"]["values"] == ("a",)
    assert nx.is_directed_acyclic_graph(graph)


@settings(max_examples=80, deadline=None)
@given(drawn(), st.data())
def test_is_maximal_says_what_trying_every_pair_says(graph, data):
    # any partition, good or bad: random groups of one label, ordered by nothing
    preds, signs = graph
    plan = plan_for(read_model(model_of(preds)), signs)
    nodes = plan.graph.nodes
    marks = [signs[node.key] for node in nodes]
    groups = [data.draw(st.integers(0, 2)) + 3 * "+-*".index(mark) for mark in marks]
    labels = {cluster.id: cluster.label for cluster in plan.clusters}
    of_mark = {mark: labels[place] for mark, place in zip(marks, plan.places, strict=True)}
    members = {group: tuple(i for i, g in enumerate(groups) if g == group) for group in set(groups)}
    clusters = tuple(Cluster(str(g), of_mark[marks[m[0]]], m, (), ()) for g, m in members.items())
    mixed = replace(plan, clusters=clusters, places=tuple(str(group) for group in groups))
    before = [[plan.graph.producer[p] for p in preds[node.key]] for node in nodes]
    numbers = ["+-*".index(mark) for mark in marks]
    acyclic = nx.is_directed_acyclic_graph(quotient(mixed))
    assert is_maximal(mixed) == (acyclic and not mergeable_pairs(before, numbers, groups, adjacent=False))


def test_quotient_names_what_crosses():
    plan = plan_of("a+ -> b- -> c+; a -> c")
    graph = quotient(plan)
    first, island, last = (cluster.id for cluster in plan.clusters)
    assert graph.edges[first, last]["values"] == ("a",)
    assert list(graph.edges) == [(first, island), (first, last), (island, last)] or set(graph.edges) == {
        (first, island),
        (first, last),
        (island, last),
    }
    assert graph.nodes[island]["label"] == ISLAND
    assert graph.nodes[first]["nodes"] == [0]


def test_connected_plans_are_asked_about_neighbours_only():
    preds = {"a": [], "b": ["a"], "c": []}
    model = read_model(model_of(preds))
    verdicts = [YES] * 3
    plan = make_plan(model, verdicts, [DEVICE] * 3, device="GPU", join="connected")
    assert len(plan.clusters) == 2
    assert is_maximal(plan)
    assert not is_maximal(replace(plan, join="joined"))
    assert len(make_plan(model, verdicts, [DEVICE] * 3, device="GPU").clusters) == 1
