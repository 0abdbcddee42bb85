"""The order of nodes depends on the graph alone."""

from __future__ import annotations

import random

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovpart.model.order import GIVEN, CycleError, canonical_order
from ovpart.model.read import read_model
from tests.model.protos import model, node, value


@st.composite
def graphs(draw):
    """Nodes over earlier values, each with one or two outputs."""
    values = ["x"]
    nodes = []
    for i in range(draw(st.integers(1, 12))):
        one, two = (values[draw(st.integers(0, len(values) - 1))] for _ in range(2))
        if draw(st.booleans()):
            nodes.append(node(draw(st.sampled_from(["Add", "Mul", "Max"])), f"{one} {two}", f"v{i}", name=f"n{i}"))
            values.append(f"v{i}")
        else:
            nodes.append(node("Split", one, f"v{i} u{i}", name=f"n{i}", axis=0, num_outputs=2))
            values += [f"v{i}", f"u{i}"]
    return nodes, values[-1]


def summary(read):
    scope = read.graph
    return [(n.op_type, n.key, n.inputs, tuple(str(scope.type_of(o)) for o in n.outputs)) for n in scope.nodes]


@settings(max_examples=60, deadline=None)
@given(graphs(), st.randoms(use_true_random=False))
def test_neither_order_nor_names_of_nodes_in_the_file_matter(case, chance: random.Random):
    nodes, last = case
    output = [onnx.ValueInfoProto(name=last)]
    before = read_model(model(nodes, [value("x", ("n", 4))], output))
    shuffled = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
    chance.shuffle(shuffled)
    for count, moved in enumerate(shuffled):
        moved.name = f"other{count}"
    after = read_model(model(shuffled, [value("x", ("n", 4))], output))
    assert summary(before) == summary(after)
    assert before.graph.consumers == after.graph.consumers
    assert (before.graph.dead, before.graph.constant) == (after.graph.dead, after.graph.constant)


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_every_node_stands_behind_what_it_reads(case):
    nodes, last = case
    scope = read_model(model(nodes, [value("x", ("n", 4))], [onnx.ValueInfoProto(name=last)])).graph
    for read in scope.nodes:
        assert all(scope.producer.get(name, -1) < read.index for name in read.reads)
        assert all(read.index in scope.consumers[name] for name in read.reads)


def test_depth_comes_before_key():
    reads = [["b"], ["x"], ["x"]]
    makers = {"x": GIVEN, "c": 0, "b": 1, "a": 2}
    assert canonical_order(reads, makers, ["c", "b", "a"]) == ([2, 1, 0], False)


def test_a_cycle_is_named_and_nothing_else():
    reads = [["x"], ["a", "c"], ["b"], ["c"]]
    makers = {"x": GIVEN, "a": 0, "b": 1, "c": 2, "d": 3}
    with pytest.raises(CycleError) as found:
        canonical_order(reads, makers, ["a", "b", "c", "d"])
    assert sorted(found.value.cycle) == [1, 2]
