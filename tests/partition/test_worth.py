"""The worth filter: what does not pay goes back, once, and 0 switches it off."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovpart.model.read import read_model
from ovpart.partition.cluster import partition
from ovpart.partition.contract import components
from ovpart.partition.costs import CostTable, EngineCost
from ovpart.partition.slack import Value
from ovpart.partition.worth import component_gains, recolour
from tests.partition.drawings import ISLAND, YES, model_of, names, plan_for
from tests.partition.oracles import labelled_dags

COSTS = CostTable(call_us=1.0, cut_us=9.0, byte_ns=1000.0)  # a byte costs a microsecond


def every_value(preds, nbytes=1.0):
    found = []
    for node in range(len(preds)):
        readers = tuple(reader for reader, before in enumerate(preds) if node in before)
        found.append(Value(node, readers, nbytes))
    return found


def test_a_component_pays_for_its_cut_and_its_bytes():
    # 0(dev) -> 1(isl) -> 2(dev)        each end: one boundary of 10 µs and one byte of 1 µs
    preds = [[], [0], [1]]
    gains = component_gains([0, 1, 2], [100.0, 0.0, 5.0], every_value(preds), COSTS)
    assert gains == pytest.approx({0: 100 - 10 - 1, 1: -10 - 2, 2: 5 - 10 - 1})


def test_inputs_and_outputs_of_the_graph_cost_a_component_nothing():
    values = [Value(-1, (0,), 1e9), Value(0, (1,), 1e9), Value(1, (), 1e9)]
    assert component_gains([0, 0], [1.0, 2.0], values, COSTS) == {0: 1.0 + 2.0 - COSTS.call_us}


def test_what_does_not_pay_is_recoloured_and_its_islands_become_one():
    # 0(isl) -> 1(dev, 5 µs) -> 2(isl) -> 3(dev, 500 µs)
    found = recolour(
        [[], [0], [1], [2]],
        [1, 0, 1, 0],
        gain_us=[0.0, 5.0, 0.0, 500.0],
        values=every_value([[], [0], [1], [2]]),
        fallback=1,
        min_gain=1.0,
        costs=COSTS,
    )
    assert found.labels == [1, 1, 1, 0]
    assert len(found.line.labels) == 2
    assert found.gains_us == pytest.approx({1: 5 - 10 - 2})


def test_components_are_judged_one_by_one_though_their_group_is_one():
    # rows 0 -> 1(isl) and 2 -> 3(isl): 0 and 2 are one group, 0 pays and 2 does not
    preds = [[], [0], [], [2]]
    found = recolour(
        preds,
        [0, 1, 0, 1],
        gain_us=[500.0, 0.0, 1.0, 0.0],
        values=every_value(preds),
        fallback=1,
        min_gain=1.0,
        costs=COSTS,
    )
    assert found.labels == [0, 1, 1, 1]


@settings(max_examples=100, deadline=None)
@given(labelled_dags(nodes=15, labels=3), st.lists(st.integers(-50, 200).map(float), min_size=15, max_size=15))
def test_all_that_is_left_pays_and_nothing_is_added(graph, gains):
    preds, labels = graph
    values = [v for v in every_value(preds) if labels[v.maker] is not None]
    values = [Value(v.maker, tuple(r for r in v.readers if labels[r] is not None), v.nbytes) for v in values]
    found = recolour(preds, labels, gain_us=gains, values=values, fallback=2, min_gain=20.0, costs=COSTS)
    assert all(new in (old, 2) for new, old in zip(found.labels, labels, strict=True) if old is not None)
    assert {i for i, (a, b) in enumerate(zip(found.labels, labels, strict=True)) if a != b} == set(found.gains_us)
    assert all(gain < 20.0 for gain in found.gains_us.values())
    component = components(preds, found.labels, found.line.positions)
    left = component_gains(component, gains, values, COSTS)
    assert all(left[component[i]] >= 20.0 for i, label in enumerate(found.labels) if label not in (None, 2))
    off = recolour(preds, labels, gain_us=gains, values=values, fallback=2, min_gain=0.0, costs=COSTS)
    assert off.labels == labels
    assert off.line == partition(preds, labels)


def test_a_plan_says_of_every_node_left_behind_what_it_would_have_saved():
    model = read_model(model_of({"a": [], "b": ["a"], "c": ["b"]}))
    same = EngineCost(node_us=1.0, us_per_mflop={}, us_per_mb=1.0)
    costs = CostTable({"openvino": same, "onnxruntime": same})
    assert names(plan_for(model, {"b": "-"}, min_gain=0.0, costs=costs)) == ["a", "b", "c"]
    plan = plan_for(model, {"b": "-"}, min_gain=5.0, costs=costs)
    assert names(plan) == ["a b c"]
    assert plan.clusters[0].label == ISLAND
    assert set(plan.overruled) == {0, 2}
    assert all("min_gain is 5" in why.detail for why in plan.overruled.values())
    assert plan.verdicts[0] is YES
    fast = CostTable({"openvino": EngineCost(0.0, {}, 0.0), "onnxruntime": EngineCost(1e6, {}, 1.0)})
    assert names(plan_for(model, {"b": "-"}, min_gain=5.0, costs=fast)) == ["a", "b", "c"]
