"""Groups are never cut in the middle: what is not delegated keeps the rest of its group back, and says so."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ovpart
from ovpart.capability.verdict import State, Verdict
from ovpart.model.read import read_model
from ovpart.partition.build import make_plan
from ovpart.partition.graphs import is_maximal, quotient, to_networkx
from tests.partition.drawings import DEVICE, ISLAND, NO, SECOND, YES, names, plan_for
from tests.partition.written_out import GROUPS, members, nodes, planted, written_out


def places(plan) -> dict[str, str]:
    return {node.key: place for node, place in zip(plan.graph.nodes, plan.places, strict=True)}


def fewest(plan, groups) -> int:
    """Return the fewest clusters there can be with groups as single nodes: levels over the contracted graph."""
    graph = to_networkx(plan)
    idle = [key for key, place in graph.nodes(data="cluster") if place in ("constant", "dead")]
    graph.remove_nodes_from(idle)
    home = {key: min(keys) for keys in groups.values() for key in keys}
    units = nx.DiGraph()
    units.add_nodes_from(home.get(key, key) for key in graph)
    units.add_edges_from((home.get(a, a), home.get(b, b)) for a, b in graph.edges if home.get(a, a) != home.get(b, b))
    units = nx.condensation(units)
    best = []
    for first in (0, 1):
        levels: dict[int, int] = {}
        for unit in nx.topological_sort(units):
            level = max((levels[before] for before in units.pred[unit]), default=0)
            key = next(iter(units.nodes[unit]["members"]))
            delegated = graph.nodes[key]["engine"] == "openvino"
            levels[unit] = level + ((level + first + delegated) & 1)
        best.append(len(set(levels.values())))
    return min(best)


@pytest.mark.parametrize("name", GROUPS)
def test_one_refused_member_keeps_the_whole_group_back_and_is_named(name):
    kind = GROUPS[name][0]
    inside = members(name, "p", "v")
    model = read_model(written_out(f"a = Abs(x)\n{nodes(name, 'p', 'a', 'v')}\n y = Abs(v)"))
    for refused in sorted(inside):
        plan = plan_for(model, {refused: "-"})
        where = places(plan)
        assert len({where[key] for key in inside}) == 1
        assert plan.cluster(where[refused]).is_island
        assert not plan.cluster(where["a"]).is_island or name in ("SwiGLU",)
        told = {plan.graph.nodes[i].key: str(why) for i, why in plan.overruled.items()}
        assert set(told) == inside - {refused}
        assert all(f"{kind} kept whole: kept with {refused}" in why and f"as {kind}" in why for why in told.values())


def test_explain_names_the_group():
    model = written_out(f"a = Abs(x)\n{nodes('attention', 'p', 'a', 'v')}\n y = Abs(v)")
    plan = ovpart.plan(model, min_gain=0, exclude=["p_p"])
    found = plan.explain("p_qk")
    assert (found.group, found.group_nodes) == ("attention", ("p_qk", "p_scaled", "p_p", "v"))
    assert found.overruled == "attention kept whole: kept with p_p (Softmax) as attention: it is not delegated"
    assert plan.explain("a").group == ""
    assert ovpart.plan(model, min_gain=0).explain("p_qk").cluster.label == plan.explain("a").cluster.label


def test_what_the_user_pins_is_not_overruled_by_its_group():
    model = written_out(nodes("GELU", "p", "x", "y"))
    plan = ovpart.plan(model, min_gain=0, exclude=["p_erf"], pin=["p_in"])
    assert plan.explain("p_in").label.engine == "openvino"
    assert not plan.overruled


def test_convolution_and_activation_may_be_cut_where_they_disagree():
    # nothing is computed in another way together, and no more crosses between them than behind them
    import onnx.parser

    model = read_model(
        onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[1,2,8,8] x, float[2,2,1,1] w) => (float[1,2,8,8] y) { c = Conv(x, w)  y = Relu(c) }""")
    )
    assert names(plan_for(model, {"y": "-"})) == ["c", "y"]
    assert names(plan_for(model, {})) == ["c y"]


def test_a_group_that_no_device_takes_whole_falls_back():
    model = read_model(written_out(nodes("GELU", "p", "x", "y")))
    labels = [SECOND if node.key == "p_erf" else DEVICE for node in model.graph.nodes]
    plan = make_plan(model, [YES] * len(labels), labels, device="HETERO:GPU,CPU")
    assert [cluster.is_island for cluster in plan.clusters] == [True]
    assert "no device takes all of it" in plan.explain("p_in").overruled


def test_of_several_devices_a_group_goes_to_the_first_that_takes_all_of_it():
    model = written_out(f"a = Abs(x)\n{nodes('GELU', 'p', 'a', 'v')}\n y = Abs(v)")
    overlay = {"schema": 1, "ops": {"Erf": {"GPU": [{"state": "unsupported", "reason": "not there"}]}}}
    plan = ovpart.plan(model, device="HETERO:GPU,CPU", min_gain=0, table=[overlay])
    where = {key: plan.explain(key).label.device for key in ("a", *members("GELU", "p", "v"), "y")}
    assert where == {**dict.fromkeys(members("GELU", "p", "v"), "CPU"), "a": "GPU", "y": "GPU"}
    assert "with what it is fused with" in plan.explain("p_in").verdict.reason


def test_what_lies_between_the_ends_of_a_cell_goes_with_it_where_it_must():
    # the state leaves the cell, passes a node that is not delegated, and comes back as what a gate of the cell reads
    text = nodes("LSTM cell", "p", "x", "y").replace(
        "p_so = Sigmoid(p_o)", "n = Abs(p_c)\n m = Neg(n)\n p_so = Sigmoid(m)"
    )
    plan = plan_for(read_model(written_out(text)), {"n": "-"})
    where = places(plan)
    assert len({where[key] for key in (members("LSTM cell", "p", "y") | {"n", "m"})}) == 1
    assert plan.cluster(where["p_c"]).is_island
    assert "cells wound around each other" in str(plan.overruled[plan.graph.producer["m"]])


MARKS = st.sampled_from(["+", "+", "+", "-"])


@settings(max_examples=60, deadline=None)
@given(planted(), st.data(), st.sampled_from(["joined", "connected"]), st.integers(3, 30))
def test_no_cluster_and_no_part_ends_inside_a_group(model_and_groups, data, join, limit):
    proto, groups = model_and_groups
    model = read_model(proto)
    refused = data.draw(st.sets(st.sampled_from([node.key for node in model.graph.nodes]), max_size=4))
    plan = plan_for(model, dict.fromkeys(refused, "-"), join=join, part_limit=limit)
    where = places(plan)
    for inside in groups.values():
        assert len({where[key] for key in inside}) == 1, f"cut: {inside}"
        cluster = plan.cluster(where[next(iter(inside))])
        for part in cluster.parts:
            here = {model.graph.nodes[i].key for i in part} & inside
            assert not here or here == inside, f"cut by a part: {inside}"
    for key in refused:
        assert where[key] in ("constant", "dead") or plan.cluster(where[key]).is_island
    assert nx.is_directed_acyclic_graph(quotient(plan))
    assert is_maximal(plan)
    if join == "joined":
        assert len(plan.clusters) == plan.lower_bound == fewest(plan, groups)


@settings(max_examples=25, deadline=None)
@given(planted(), st.data())
def test_what_does_not_pay_is_given_up_group_by_group(model_and_groups, data):
    proto, groups = model_and_groups
    model = read_model(proto)
    refused = data.draw(st.sets(st.sampled_from([node.key for node in model.graph.nodes]), max_size=2))
    plan = plan_for(model, dict.fromkeys(refused, "-"), min_gain=data.draw(st.sampled_from([0.01, 1.0, 20.0])))
    where = places(plan)
    assert all(len({where[key] for key in inside}) == 1 for inside in groups.values())


def test_a_verdict_of_the_user_holds_the_group_too():
    model = read_model(written_out(nodes("layer norm", "p", "x", "y")))
    excluded = Verdict(State.UNSUPPORTED, "excluded", "exclude", source="user")
    verdicts = [excluded if node.key == "p_std" else YES for node in model.graph.nodes]
    labels = [ISLAND if v is excluded else DEVICE for v in verdicts]
    assert NO.state is State.UNSUPPORTED
    assert not make_plan(model, verdicts, labels, device="GPU").delegated
