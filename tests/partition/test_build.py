"""Plans of small drawn graphs: the eight shapes that partitioners get wrong, captures, constants, boundaries."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovpart.errors import PlanError
from ovpart.model.read import read_model
from ovpart.partition.build import make_plan
from ovpart.partition.graphs import is_maximal, quotient
from ovpart.partition.plan import CONSTANT, DEAD
from tests.partition.drawings import DEVICE, ISLAND, NO, YES, edges_of, model_of, names, plan_for, plan_of


def test_linear_chain():
    # a(+) -> b(+) -> c(-) -> d(+)        + supported, - not; expect {a, b}, {c}, {d}
    plan = plan_of("a+ -> b+ -> c- -> d+")
    assert names(plan) == ["a b", "c", "d"]
    assert [cluster.inputs for cluster in plan.clusters] == [("x",), ("b",), ("c",)]
    assert [cluster.outputs for cluster in plan.clusters] == [("b",), ("c",), ("d",)]
    assert plan.lower_bound == 3
    assert is_maximal(plan)


def test_diamond_with_unsupported_arm_gives_two_clusters_and_an_island():
    # a(+) -> b(-) -> d(+)        {a, c, d} is not convex (a -> b -> d)
    # a(+) -> c(+) -> d(+)        expect {a, c} and {d}, or {a} and {c, d}: never all three
    plan = plan_of("a+ -> b- -> d+; a -> c+ -> d")
    assert len(plan.clusters) == plan.lower_bound == 3
    assert names(plan) in (["a c", "b", "d"], ["a", "b", "c d"])
    assert len(plan.delegated) == 2
    assert len(plan.islands) == 1


def test_alternating():
    # a(+) -> b(-) -> c(+) -> d(-) -> e(+)        nothing can be joined: five clusters
    plan = plan_of("a+ -> b- -> c+ -> d- -> e+")
    assert names(plan) == ["a", "b", "c", "d", "e"]
    assert plan.coverage == pytest.approx(3 / 5)


def test_independent_paths_are_joined_across():
    # a(+) -> b(-) -> c(+)        no path leads between the rows,
    # d(+) -> e(-) -> f(+)        so {a, d}, {b, e}, {c, f}
    plan = plan_of("a+ -> b- -> c+; d+ -> e- -> f+")
    assert names(plan) == ["a d", "b e", "c f"]


def test_independent_paths_of_opposite_phase_are_shifted():
    # a(+) -> b(-) -> c(+)        d must wait for an island that comes first, or e must:
    # d(-) -> e(+) -> f(-)        - + - + is four, and no three will do
    plan = plan_of("a+ -> b- -> c+; d- -> e+ -> f-")
    assert len(plan.clusters) == plan.lower_bound == 4


def test_diverging_paths():
    # a(+) -> b(+) -> c(-)
    #         b(+) -> d(+) -> e(-)        expect {a, b, d} and one island {c, e}
    plan = plan_of("a+ -> b+ -> c-; b -> d+ -> e-")
    assert names(plan) == ["a b d", "c e"]


def test_nested_cyclic_chain():
    # a(+) -> b(-) -> c(+) -> d(-) -> e(+)
    # a(+) -----------------------> e(+)
    #         b(-) --------> d(-)           c waits for b and d for c: b and d cannot be one island
    plan = plan_of("a+ -> b- -> c+ -> d- -> e+; a -> e; b -> d")
    assert names(plan) == ["a", "b", "c", "d", "e"]
    assert is_maximal(plan)


def constant_model(edges, outputs):
    """Two rows that both read one weight; node → what it reads besides ``w``."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    nodes = [helper.make_node("Sum", [*reads, "w"], [made], name=made) for made, reads in edges.items()]
    typed = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in ("x", *outputs)]
    graph = helper.make_graph(
        nodes, "constant", typed[:1], typed[1:], [numpy_helper.from_array(np.ones((2, 3), np.float32), "w")]
    )
    return read_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))


def test_shared_constant_bridges_nothing_and_is_no_input():
    # x -> a(+) -> b(-) -> c(+)        w feeds a and c: no data path, no reason to join them,
    # w ---^                ^--- w     and each cluster has a copy of its own
    plan = plan_for(constant_model({"a": ["x"], "b": ["a"], "c": ["b"]}, ["c"]), {"b": "-"}, join="connected")
    assert names(plan) == ["a", "b", "c"]
    assert all("w" not in cluster.inputs for cluster in plan.clusters)


def test_shared_constant_is_no_source_of_a_cycle():
    # w -> a(+) -> b(-) -> d(+)        w counted as a supported node in front of a would make {w, a, c, d} wait for b
    # w -> c(+) -------> d(+)
    plan = plan_for(constant_model({"a": ["x"], "b": ["a"], "c": ["x"], "d": ["b", "c"]}, ["d"]), {"b": "-"})
    assert len(plan.clusters) == 3
    assert is_maximal(plan)


def conditional_model():
    # a = x + x; y = If(cond) { then: a + k } { else: a - k }, captures a and k; z = y * y
    import onnx.parser

    return read_model(
        onnx.parser.parse_model(
            """<ir_version: 8, opset_import: ["" : 17]>
            main (float[2] x, float[2] k, bool cond) => (float[2] z) {
              a = Add(x, x)
              y = If (cond) <
                then_branch = then_graph () => (float[2] t) { t = Add(a, k) },
                else_branch = else_graph () => (float[2] e) { e = Sub(a, k) }
              >
              z = Mul(y, y)
            }"""
        )
    )


def test_captures_of_if_are_inputs_of_its_cluster():
    plan = plan_for(conditional_model(), {"y": "-"})
    assert names(plan) == ["a", "y", "z"]
    island = plan.islands[0]
    assert set(island.inputs) == {"cond", "a", "k"}
    assert plan.clusters[0].outputs == ("a",)
    assert quotient(plan).number_of_edges() == 2


def test_captures_of_loop_are_inputs_of_its_cluster():
    import onnx.parser

    model = read_model(
        onnx.parser.parse_model(
            """<ir_version: 8, opset_import: ["" : 17]>
            main (int64 n, bool c, float[2] x, float[2] k) => (float[2] z) {
              a = Add(k, k)
              y = Loop (n, c, x) <
                body = step (int64 i, bool go, float[2] s) => (bool again, float[2] next) {
                  again = Identity(go)
                  next = Add(s, a)
                }
              >
              z = Mul(y, y)
            }"""
        )
    )
    plan = plan_for(model, {"y": "-"})
    assert names(plan) == ["a", "y", "z"]
    assert plan.islands[0].inputs == ("n", "c", "x", "a")


def test_constant_and_dead_nodes_are_in_no_cluster_and_count_on_neither_side():
    # c is computed from a weight alone, and is an output; nothing depends on d
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Neg", ["w"], ["c"]),
        helper.make_node("Add", ["x", "c"], ["a"]),
        helper.make_node("Neg", ["a"], ["b"]),
        helper.make_node("Exp", ["a"], ["d"]),
    ]
    typed = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in ("x", "b", "c", "w")]
    weight = numpy_helper.from_array(np.ones(3, np.float32), "w")
    graph = helper.make_graph(nodes, "g", typed[:1], [*typed[1:], typed[0]], [weight])
    model = read_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    plan = plan_for(model, {"b": "-", "c": "-", "d": "-"})
    place = {node.key: place for node, place in zip(model.graph.nodes, plan.places, strict=True)}
    assert place["c"] == CONSTANT
    assert place["d"] == DEAD
    assert names(plan) == ["a", "b"]
    assert plan.coverage == 0.5
    assert plan.clusters[0].inputs == ("x",)  # the constant is copied, not handed over
    assert plan.clusters[1].outputs == ("b",)


def test_a_model_without_nodes_has_no_clusters_and_full_coverage():
    from onnx import TensorProto, helper

    typed = helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])
    model = helper.make_model(helper.make_graph([], "g", [typed], [typed]), ir_version=8)
    plan = plan_for(read_model(model), {})
    assert plan.clusters == ()
    assert plan.lower_bound == 0
    assert plan.coverage == plan.coverage_flops == plan.coverage_weights == 1.0


def test_outputs_of_the_graph_that_others_read_too_are_outputs_of_their_cluster():
    plan = plan_of("a+ -> b+ -> c-", outputs=["a"])
    assert plan.clusters[0].outputs == ("a", "b")


@st.composite
def drawn(draw):
    """Draw predecessors and signs by name."""
    count = draw(st.integers(2, 14))
    keys = [f"v{draw(st.integers(0, 10**6))}_{i}" for i in range(count)]
    preds = {
        key: [keys[p] for p in sorted(draw(st.sets(st.integers(0, i - 1), max_size=3)))] if i else []
        for i, key in enumerate(keys)
    }
    return preds, {key: draw(st.sampled_from("++-*")) for key in keys}


@settings(max_examples=40, deadline=None)
@given(drawn(), st.randoms(use_true_random=False), st.sampled_from(["joined", "connected"]))
def test_order_and_names_of_nodes_in_the_file_never_matter(graph, rng, join):
    preds, signs = graph
    order = list(preds)
    rng.shuffle(order)
    rename = {key: rng.choice(["", "same", key + "!"]) for key in preds}
    plan = plan_for(read_model(model_of(preds)), signs, join=join)
    other = plan_for(read_model(model_of(preds, order=order, rename=rename)), signs, join=join)
    assert [(c.id, c.inputs, c.outputs, c.parts) for c in plan.clusters] == [
        (c.id, c.inputs, c.outputs, c.parts) for c in other.clusters
    ]
    assert names(plan) == names(other)
    assert is_maximal(plan)


@settings(max_examples=40, deadline=None)
@given(drawn())
def test_what_a_cluster_reads_is_made_before_and_handed_out(graph):
    preds, signs = graph
    plan = plan_for(read_model(model_of(preds)), signs)
    ready = set(plan.graph.inputs)
    for cluster in plan.clusters:
        assert set(cluster.inputs) <= ready
        inside = {plan.graph.nodes[i].key for i in cluster.nodes}
        assert all(set(preds[key]) <= inside | set(cluster.inputs) for key in inside)
        ready |= set(cluster.outputs)
    assert set(plan.graph.outputs) <= ready
    assert sorted(i for cluster in plan.clusters for i in cluster.nodes) == list(range(len(preds)))


def test_content_decides_the_id_of_a_cluster():
    same = plan_of("a+ -> b-").clusters
    assert [c.id for c in same] == [c.id for c in plan_of("a+ -> b-", rename={"a": "other"}).clusters]
    assert same[0].id != plan_of("a+ -> b-", shape=[4, 4]).clusters[0].id
    assert same[0].id != plan_of("other+ -> b-").clusters[0].id


def test_a_node_that_computes_needs_a_label():
    preds, _ = edges_of("a -> b")
    model = read_model(model_of(preds))
    with pytest.raises(PlanError, match=r"'b'.*has no label"):
        make_plan(model, [YES, NO], [DEVICE, None], device="GPU")
    with pytest.raises(PlanError, match="2 nodes, 1 verdicts"):
        make_plan(model, [YES], [DEVICE, ISLAND], device="GPU")


def test_slack_keeps_a_wide_value_inside():
    # x -> a(+) -> n(-) -> y(+)        w(+) widens a small value and only y reads it:
    # s -> w(+) ---------> y(+)        made early its 4 MB cross, made late the 4 bytes of s do
    import onnx.parser

    model = read_model(
        onnx.parser.parse_model(
            """<ir_version: 8, opset_import: ["" : 17]>
            main (float[1024,1024] x, float[1] s) => (float[1024,1024] y)
            <int64[2] to = {1024, 1024}>
            {
              a = ReduceMax <keepdims = 1> (x)
              n = Neg(a)
              w = Expand(s, to)
              y = Add(n, w)
            }"""
        )
    )
    plan = plan_for(model, {"n": "-"})
    assert names(plan) == ["a", "n", "w y"]


def test_large_random_model_has_as_many_clusters_as_the_lower_bound():
    rng = random.Random(3)
    preds = {
        f"v{i}": sorted({f"v{i - 1 - rng.randrange(min(i, 30))}" for _ in range(2)}) if i else [] for i in range(3000)
    }
    signs = {key: "-" if rng.random() < 0.02 else "+" for key in preds}
    plan = plan_for(read_model(model_of(preds)), signs)
    assert len(plan.clusters) == plan.lower_bound > 20
    assert is_maximal(plan)
    assert plan.coverage == pytest.approx(0.98, abs=0.01)
