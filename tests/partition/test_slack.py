"""Slack moves: never more bytes than before, never an edge backwards."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ovpart.partition.levels import best_line
from ovpart.partition.slack import Value, crossing_bytes, movable, settle
from tests.partition.oracles import labelled_dags


def all_values(preds, sizes):
    found = []
    for node in range(len(preds)):
        readers = tuple(reader for reader, before in enumerate(preds) if node in before)
        if readers:
            found.append(Value(node, readers, sizes[node % len(sizes)]))
    return found


@settings(max_examples=150, deadline=None)
@given(labelled_dags(nodes=25, idle=False), st.lists(st.integers(0, 20).map(float), min_size=1, max_size=5))
def test_settled_positions_are_valid_and_no_worse_than_earliest_or_latest(graph, sizes):
    preds, labels = graph
    early, line = best_line(preds, labels)
    late, free = movable(preds, labels, line, early)
    values = all_values(preds, sizes)
    settled = settle(preds, labels, line, early, late, free, values)
    for node, before in enumerate(preds):
        assert early[node] <= settled[node] <= late[node]
        assert line[settled[node]] == labels[node]
        assert all(settled[p] <= settled[node] for p in before)
    assert crossing_bytes(values, settled) <= min(crossing_bytes(values, early), crossing_bytes(values, late))


def test_a_value_counts_once_for_each_group_that_needs_it():
    value = Value(0, (1, 2, 3), 10.0)
    assert crossing_bytes([value], [0, 0, 1, 1]) == 10.0
    assert crossing_bytes([value], [0, 1, 2, 2]) == 20.0
    assert crossing_bytes([Value(-1, (1, 2), 3.0)], [0, 0, 0, 0]) == 3.0


def test_each_node_goes_where_its_own_values_are_cheap():
    # 0(+) -> 1(-) -> 2(+)    3 widens what 0 makes for 2: late.    4 narrows what 0 makes for 2: early.
    preds, labels = [[], [0], [1, 3, 4], [0], [0]], [0, 1, 0, 0, 0]
    order = [0, 1, 3, 4, 2]
    place = {node: position for position, node in enumerate(order)}
    preds = [[place[p] for p in preds[node]] for node in order]
    labels = [labels[node] for node in order]
    early, line = best_line(preds, labels)
    late, free = movable(preds, labels, line, early)
    values = [
        Value(place[0], (place[1], place[3]), 10.0),
        Value(place[0], (place[4],), 500.0),
        Value(place[1], (place[2],), 10.0),
        Value(place[3], (place[2],), 1000.0),
        Value(place[4], (place[2],), 1.0),
    ]
    settled = settle(preds, labels, line, early, late, free, values)
    assert settled[place[3]] == settled[place[2]]
    assert settled[place[4]] == settled[place[0]]
