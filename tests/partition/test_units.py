"""Atoms as units: convex ones are contracted, others absorb or are given up."""

from __future__ import annotations

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from ovpart.partition.units import contract_atoms
from tests.partition.oracles import labelled_dags


def test_an_atom_takes_in_what_lies_on_its_paths_where_the_labels_agree():
    units = contract_atoms([[], [0], [1]], [0, 0, 0], [(0, 2)])
    assert list(units.of) == [0, 0, 0]


def test_an_atom_is_given_up_where_the_way_between_has_another_label():
    units = contract_atoms([[], [0], [1]], [0, 1, 0], [(0, 2)])
    assert list(units.of) == [0, 1, 2]


def test_an_atom_of_two_labels_is_given_up():
    assert list(contract_atoms([[], [0]], [0, 1], [(0, 1)]).of) == [0, 1]


def test_atoms_that_wind_around_each_other_become_one_or_none():
    preds = [[], [], [1], [0]]  # 0 -> 3 and 1 -> 2: {0, 2} waits for {1, 3} and the other way round
    assert len(set(contract_atoms(preds, [0, 0, 0, 0], [(0, 2), (1, 3)]).of)) == 1
    assert len(set(contract_atoms(preds, [0, 1, 0, 1], [(0, 2), (1, 3)]).of)) == 4


@settings(max_examples=150, deadline=None)
@given(labelled_dags(nodes=15), st.data())
def test_units_have_one_label_and_stand_in_topological_order(graph, data):
    preds, labels = graph
    chosen = data.draw(st.permutations(range(len(labels))))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(labels)), max_size=4)))
    atoms = [tuple(chosen[a:b]) for a, b in zip([0, *cuts], [*cuts, len(labels)], strict=True)]
    units = contract_atoms(preds, labels, atoms)
    for node, label in enumerate(labels):
        assert units.labels[units.of[node]] == label
        for pred in preds[node]:
            if label is not None and labels[pred] is not None and units.of[pred] != units.of[node]:
                assert units.of[pred] < units.of[node]
                assert units.of[pred] in units.preds[units.of[node]]
    graph = nx.DiGraph((p, unit) for unit, before in enumerate(units.preds) for p in before)
    assert nx.is_directed_acyclic_graph(graph)
