"""Contraction: merges all that can be, nothing that cannot."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given, settings

from ovpart.partition.contract import components, contract
from tests.partition.oracles import assert_sound, data_graph, labelled_dags, mergeable_pairs


@pytest.mark.parametrize("adjacent", [True, False])
@settings(max_examples=120, deadline=None)
@given(graph=labelled_dags(nodes=20, labels=3))
def test_contraction_of_single_nodes_ends_where_no_pair_is_left(graph, adjacent):
    preds, labels = graph
    positions, line = contract(preds, labels, range(len(labels)), adjacent=adjacent)
    assert_sound(preds, labels, positions)
    assert not mergeable_pairs(preds, labels, positions, adjacent=adjacent)
    live = [node for node, label in enumerate(labels) if label is not None]
    assert sorted({positions[node] for node in live}) == list(range(len(line)))
    assert all(line[positions[node]] == labels[node] for node in live)
    assert all(positions[p] <= positions[node] for node in live for p in preds[node] if labels[p] is not None)


@settings(max_examples=80, deadline=None)
@given(labelled_dags(nodes=25, labels=2))
def test_components_are_those_of_networkx(graph):
    preds, labels = graph
    groups = [0 if label is None else label for label in labels]
    found = components(preds, labels, groups)
    data = data_graph(preds, labels)
    data.remove_edges_from([(a, b) for a, b in data.edges if labels[a] != labels[b]])
    expected = {frozenset(c) for c in nx.connected_components(data.to_undirected())}
    mine: dict[int, set[int]] = {}
    for node in data:
        mine.setdefault(found[node], set()).add(node)
    assert {frozenset(c) for c in mine.values()} == expected
    assert all(found[node] == -1 for node, label in enumerate(labels) if label is None)
