"""Why a node is where it is; a blocking path really is a path."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovpart.errors import OptionError
from ovpart.model.read import read_model
from tests.partition.drawings import DEVICE, model_of, plan_for, plan_of
from tests.partition.test_build import drawn


def assert_blocks(plan, key, blocked):
    """Check that the path leads from one cluster to the other, leaves both between, and that each step is real."""
    data = plan.to_networkx()
    mine = data.nodes[key]["cluster"]
    places = [data.nodes[step]["cluster"] for step in blocked.keys]
    assert list(blocked.through) == places
    assert {places[0], places[-1]} == {mine, blocked.cluster}
    assert any(place not in (mine, blocked.cluster) for place in places)
    for (first, second), (one, two) in zip(nx.utils.pairwise(blocked.keys), nx.utils.pairwise(places), strict=True):
        assert data.has_edge(first, second) or one == two
    assert plan.cluster(mine).label == plan.cluster(blocked.cluster).label


def test_diamond_names_the_arm_that_forbids_it():
    # a(+) -> b(-) -> d(+)        d cannot join {a, c}: it would wait for b, which waits for a
    # a(+) -> c(+) -> d(+)
    plan = plan_of("a+ -> b- -> d+; a -> c+ -> d", rename={"b": "the arm"})
    found = plan.explain("d")
    assert found.cluster is not None
    assert found.label == DEVICE
    (blocked,) = found.blocked
    assert blocked.path == ("a", "the arm", "d")
    assert_blocks(plan, "d", blocked)


def test_chain_names_the_next_clusters_before_and_behind():
    plan = plan_of("a+ -> b- -> c+ -> d- -> e+")
    assert [blocked.path for blocked in plan.explain("c").blocked] == [("a", "b", "c"), ("c", "d", "e")]


def test_refused_node_is_explained_with_its_verdict():
    plan = plan_of("a+ -> b-")
    found = plan.explain("b")
    assert found.verdict.rule == "op_support.yaml:2"
    assert found.label is not None
    assert not found.label.delegated
    assert found.blocked == ()


@settings(max_examples=80, deadline=None)
@given(drawn(), st.sampled_from(["joined", "connected"]))
def test_every_blocking_path_is_one_and_no_split_neighbours_go_without(graph, join):
    preds, signs = graph
    plan = plan_for(read_model(model_of(preds)), signs, join=join)
    places = {node.key: place for node, place in zip(plan.graph.nodes, plan.places, strict=True)}
    for key in preds:
        found = plan.explain(key)
        for blocked in found.blocked:
            assert_blocks(plan, key, blocked)
        apart = {
            places[other]
            for other in (*preds[key], *(reader for reader, before in preds.items() if key in before))
            if signs[other] == signs[key] and places[other] != places[key]
        }
        assert apart <= {blocked.cluster for blocked in found.blocked}


def test_nodes_are_found_by_name_or_by_what_they_make():
    plan = plan_of("a+ -> b-; a -> c-", rename={"a": "first", "b": "twin", "c": "twin"})
    assert plan.explain("first").key == "a"
    assert plan.explain("c").key == "c"
    with pytest.raises(OptionError, match="2 nodes are called 'twin'.*b, c"):
        plan.explain("twin")
    with pytest.raises(OptionError, match=r"No node is called 'frist'.*Did you mean 'first'\?"):
        plan.explain("frist")
    with pytest.raises(OptionError, match="No cluster has the id 'zzz'"):
        plan.cluster("zzz")
