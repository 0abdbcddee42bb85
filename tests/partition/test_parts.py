"""Parts: consecutive, convex, together the cluster, none with too long a run."""

from __future__ import annotations

import networkx as nx
import onnx.helper as oh
from hypothesis import given, settings
from hypothesis import strategies as st

from ovpart.model.read import read_model
from ovpart.partition.boundary import boundary
from ovpart.partition.parts import ELEMENTWISE, ISLAND_LIMIT, ISLAND_SLICE, NESTING_LIMIT, slices
from tests.partition.drawings import plan_for


def model_from(ops):
    """Nodes of one or two inputs: ``(operator, distances back)``; every third value is square, so MatMul fits."""
    names, nodes = ["x"], []
    for i, (op, back) in enumerate(ops):
        reads = [names[-1 - min(b, len(names) - 1)] for b in back]
        nodes.append(oh.make_node(op, reads if op in ("Add", "MatMul") else reads[:1], [f"v{i}"]))
        names.append(f"v{i}")
    read = {name for node in nodes for name in node.input}
    ends = [oh.make_tensor_value_info(n, 1, [4, 4]) for n in names[1:] if n not in read]
    graph = oh.make_graph(nodes, "g", [oh.make_tensor_value_info("x", 1, [4, 4])], ends)
    return read_model(oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=8))


steps = st.tuples(
    st.sampled_from(["Add", "Relu", "Exp", "MatMul"]), st.lists(st.integers(0, 5), min_size=2, max_size=2)
)


@settings(max_examples=80, deadline=None)
@given(st.lists(steps, min_size=1, max_size=40), st.integers(1, 6))
def test_parts_are_consecutive_convex_and_cover_the_cluster(ops, limit):
    model = model_from(ops)
    plan = plan_for(model, {}, part_limit=limit)
    (cluster,) = plan.clusters
    parts = cluster.parts or (cluster.nodes,)
    assert sorted(i for part in parts for i in part) == list(cluster.nodes)
    ready = set(cluster.inputs)
    for part in parts:
        assert list(part) == sorted(part)
        taken, made = boundary(model.graph, part)
        assert set(taken) <= ready
        ready |= set(made)
    assert set(cluster.outputs) <= ready
    for part in parts:
        simple = [i for i in part if model.graph.nodes[i].op_type in ELEMENTWISE]
        run = nx.Graph()
        run.add_nodes_from(simple)
        run.add_edges_from(
            (model.graph.producer[name], i) for i in simple for name in model.graph.nodes[i].reads if name != "x"
        )
        assert max((len(c) for c in nx.connected_components(run.subgraph(simple))), default=0) <= limit


def test_heavy_nodes_end_a_run():
    chain = [("Relu", (0, 0))] * 3 + [("MatMul", (0, 0))] + [("Relu", (0, 0))] * 3
    assert plan_for(model_from(chain), {}, part_limit=3).clusters[0].parts == ()
    assert len(plan_for(model_from([("Relu", (0, 0))] * 7), {}, part_limit=3).clusters[0].parts) == 3


def test_islands_have_no_parts_and_parts_count_as_no_clusters():
    model = model_from([("Relu", (0, 0))] * 9)
    plan = plan_for(model, {f"v{i}": "-" for i in range(9)}, part_limit=2)
    assert plan.clusters[0].parts == ()
    plan = plan_for(model, {}, part_limit=2)
    assert len(plan.clusters) == plan.lower_bound == 1
    assert len(plan.clusters[0].parts) == 5


def nested(depth, length=1):
    """Return `depth` Ifs around each other, with a chain of Tanh in the innermost branch."""

    def body(level):
        made = f"o{level}"
        if level == 0:
            chain = [oh.make_node("Tanh", ["x" if i == 0 else f"i{i - 1}"], [f"i{i}"]) for i in range(length - 1)]
            nodes = [*chain, oh.make_node("Tanh", [f"i{length - 2}" if length > 1 else "x"], [made])]
        else:
            nodes = [oh.make_node("If", ["c"], [made], then_branch=body(level - 1), else_branch=plain(level))]
        return oh.make_graph(nodes, f"t{level}", [], [oh.make_tensor_value_info(made, 1, [4])])

    def plain(level):
        node = oh.make_node("Neg", ["x"], [f"e{level}"])
        return oh.make_graph([node], f"e{level}", [], [oh.make_tensor_value_info(f"e{level}", 1, [4])])

    choice = oh.make_node("If", ["c"], ["y"], then_branch=body(depth - 1), else_branch=plain(depth))
    inputs = [oh.make_tensor_value_info("x", 1, [4]), oh.make_tensor_value_info("c", 9, [])]
    graph = oh.make_graph([choice], "g", inputs, [oh.make_tensor_value_info("y", 1, [4])])
    return read_model(oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=8))


def test_nodes_with_bodies_nested_too_deep_stay_behind():
    assert not plan_for(nested(NESTING_LIMIT), {}).overruled
    plan = plan_for(nested(NESTING_LIMIT + 1), {})
    assert plan.overruled[0].reason.startswith("bodies nested too deep")
    assert [cluster.is_island for cluster in plan.clusters] == [True]


def test_nodes_with_bodies_that_no_part_would_hold_stay_behind():
    assert not plan_for(nested(2, 17), {}, part_limit=20).overruled
    plan = plan_for(nested(2, 21), {}, part_limit=20)
    assert plan.overruled[0].reason.startswith("bodies too long")
    assert plan.coverage == 0


def sums(count, width):
    """Return a row of sums, each of the one before and, again and again, of x."""
    names = ["x", *(f"v{i}" for i in range(count - 1)), "y"]
    nodes = [oh.make_node("Sum", [names[i], *["x"] * (width - 1)], [names[i + 1]]) for i in range(count)]
    ends = [[oh.make_tensor_value_info(name, 1, [4, 4])] for name in "xy"]
    return read_model(oh.make_model(oh.make_graph(nodes, "g", *ends), opset_imports=[oh.make_opsetid("", 17)]))


def test_an_operator_of_many_inputs_counts_as_the_chain_that_it_is():
    assert plan_for(sums(4, 6), {}, part_limit=20).clusters[0].parts == ()
    assert plan_for(sums(6, 6), {}, part_limit=20).clusters[0].parts == ((0, 1, 2, 3), (4, 5))


def test_an_operator_of_too_many_inputs_stays_behind():
    assert not plan_for(sums(1, 20), {}, part_limit=20).overruled
    plan = plan_for(sums(1, 21), {}, part_limit=20)
    assert plan.overruled[0].reason.startswith("too many inputs")
    assert plan.coverage == 0


def test_a_huge_island_is_opened_in_consecutive_slices():
    nodes = range(3, ISLAND_LIMIT + 3)
    assert slices(nodes) == ()
    found = slices([*nodes, ISLAND_LIMIT + 3])
    assert [index for part in found for index in part] == [*nodes, ISLAND_LIMIT + 3]
    assert max(map(len, found)) == ISLAND_SLICE
