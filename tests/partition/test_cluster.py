"""The laws of the partition on random graphs, against brute force."""

from __future__ import annotations

import random

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from ovpart.partition.cluster import partition
from ovpart.partition.slack import Value
from tests.partition.oracles import assert_sound, data_graph, fewest, labelled_dags, mergeable_pairs


def values_of(preds, labels, sizes):
    """One value a node, read by its successors."""

    def near(nodes):
        wanted = set(nodes)
        found = []
        for node, label in enumerate(labels):
            readers = tuple(r for r, before in enumerate(preds) if node in before and labels[r] is not None)
            if label is not None and readers and not wanted.isdisjoint((node, *readers)):
                found.append(Value(node, readers, sizes[node % len(sizes)]))
        return found

    return near


sizes = st.lists(st.integers(0, 9).map(float), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(labelled_dags(nodes=7), sizes)
def test_two_labels_give_the_fewest_groups_there_can_be(graph, weights):
    preds, labels = graph
    line = partition(preds, labels, values_of=values_of(preds, labels, weights))
    assert_sound(preds, labels, line.positions)
    used = {line.positions[node] for node, label in enumerate(labels) if label is not None}
    assert len(used) == len(line.labels) == line.lower_bound == fewest(preds, labels)
    assert not mergeable_pairs(preds, labels, line.positions, adjacent=False)


@settings(max_examples=100, deadline=None)
@given(labelled_dags(nodes=30, labels=4), sizes)
def test_more_labels_give_groups_of_which_no_two_can_be_one(graph, weights):
    preds, labels = graph
    line = partition(preds, labels, values_of=values_of(preds, labels, weights))
    assert_sound(preds, labels, line.positions)
    assert not mergeable_pairs(preds, labels, line.positions, adjacent=False)
    assert line.lower_bound <= len(line.labels)


@settings(max_examples=80, deadline=None)
@given(labelled_dags(nodes=6, labels=3))
def test_the_lower_bound_of_three_labels_is_one(graph):
    preds, labels = graph
    least = fewest(preds, labels)
    line = partition(preds, labels)
    assert line.lower_bound <= least <= len(line.labels)


@settings(max_examples=100, deadline=None)
@given(labelled_dags(nodes=30, labels=3), st.integers(2, 3))
def test_connected_groups_are_connected_and_adjacent_ones_cannot_be_merged(graph, kinds):
    preds, labels = graph
    labels = [None if label is None else label % kinds for label in labels]
    line = partition(preds, labels, connected=True)
    assert_sound(preds, labels, line.positions)
    assert not mergeable_pairs(preds, labels, line.positions, adjacent=True)
    data = data_graph(preds, labels).to_undirected()
    for position in range(len(line.labels)):
        assert nx.is_connected(data.subgraph(node for node in data if line.positions[node] == position))


@settings(max_examples=150, deadline=None)
@given(labelled_dags(nodes=7, idle=False), st.data())
def test_atoms_stay_whole_or_are_given_up_and_cost_nothing_more_than_they_must(graph, data):
    preds, labels = graph
    chosen = data.draw(st.permutations(range(len(labels))))
    width = data.draw(st.integers(2, 3))
    atoms = [tuple(sorted(chosen[i : i + width])) for i in range(0, len(chosen) - width + 1, width)][:2]
    line = partition(preds, labels, atoms=atoms)
    assert_sound(preds, labels, line.positions)
    whole = [atom for atom in atoms if len({line.positions[node] for node in atom}) == 1]
    assert len(line.labels) == line.lower_bound <= max(fewest(preds, labels, atoms), fewest(preds, labels, whole))
    if len(whole) == len(atoms):
        assert line.lower_bound == fewest(preds, labels, atoms)


@settings(max_examples=50, deadline=None)
@given(labelled_dags(nodes=40), st.randoms(use_true_random=False))
def test_the_order_of_nodes_does_not_matter(graph, rng):
    preds, labels = graph
    data = data_graph(preds, [0] * len(labels))
    waiting = dict(data.in_degree())
    order: list[int] = []
    ready = [node for node, count in waiting.items() if not count]
    while ready:
        node = ready.pop(rng.randrange(len(ready)))
        order.append(node)
        for following in data.succ[node]:
            waiting[following] -= 1
            if not waiting[following]:
                ready.append(following)
    new = {node: position for position, node in enumerate(order)}
    moved = partition([[new[p] for p in preds[node]] for node in order], [labels[node] for node in order])
    line = partition(preds, labels)
    assert list(moved.labels) == list(line.labels)
    assert [moved.positions[new[node]] for node in range(len(labels))] == list(line.positions)


def test_a_large_graph_has_exactly_as_many_groups_as_its_lower_bound():
    rng = random.Random(5)
    preds = [[i - 1 - rng.randrange(min(i, 60)) for _ in range(2)] if i else [] for i in range(20_000)]
    labels = [int(rng.random() < 0.02) for _ in preds]
    line = partition(preds, labels)
    assert all(line.positions[p] <= line.positions[node] for node, before in enumerate(preds) for p in before)
    assert all(line.labels[position] == label for position, label in zip(line.positions, labels, strict=True))
    # The longest alternation along one path forces as many groups, less one for where a line may begin.
    runs = [0] * len(preds)
    for node, before in enumerate(preds):
        runs[node] = max((runs[p] + (labels[p] != labels[node]) for p in before), default=1)
    assert max(runs) <= len(line.labels) <= max(runs) + 1
    assert line.lower_bound == len(line.labels) > 100


def test_nothing_to_place_is_no_group():
    assert partition([], []).lower_bound == 0
    line = partition([[], [0]], [None, None])
    assert list(line.labels) == []
    assert line.lower_bound == 0


def test_among_equally_short_lines_the_one_with_fewer_device_groups_wins():
    # a(0) -> b(1) and c(1) -> d(0): three groups either way; one of the device and two islands are cheaper
    line = partition([[], [0], [], [2]], [0, 1, 1, 0])
    assert list(line.labels) == [1, 0, 1]
