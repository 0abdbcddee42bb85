"""What is kept together: quantised units, shape chains, written-out attention and normalisation."""

from __future__ import annotations

import networkx as nx
import onnx.parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovpart.capability.verdict import State, Verdict
from ovpart.model.read import read_model
from ovpart.partition.atoms import find_atoms, is_quantised_unit
from ovpart.partition.build import make_plan
from ovpart.partition.levels import lower_bound
from ovpart.partition.patterns import find_groups
from ovpart.partition.units import contract_atoms
from tests.partition.drawings import DEVICE, ISLAND, NO, YES, names, plan_for

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'


def parse(text: str):
    return read_model(onnx.parser.parse_model(HEAD + text))


def quantised():
    # q -> DQ -> a -> Conv(w) -> Relu -> Q -> y        one unit: dq, conv, act, y; the weight's DQ is constant
    return parse(
        """
        g (uint8[1,2,8,8] q, float s, uint8 z) => (uint8[1,3,8,8] y)
        <int8[3,2,1,1] wq = {1, 2, 3, 4, 5, 6}, float ws = {0.5}, int8 wz = {0}>
        {
          dq = DequantizeLinear(q, s, z)
          w = DequantizeLinear(wq, ws, wz)
          conv = Conv(dq, w)
          act = Relu(conv)
          y = QuantizeLinear(act, s, z)
        }"""
    )


def keys(model, atoms):
    return [{model.graph.nodes[i].key for i in atom.nodes} for atom in atoms]


def marks(model):
    idle = model.graph.constant | model.graph.dead
    return [None if node.index in idle else 0 for node in model.graph.nodes]


def test_quantised_unit_is_one_atom():
    model = quantised()
    atoms = find_atoms(model.graph, marks(model))
    assert keys(model, atoms) == [{"dq", "conv", "act", "y"}]
    assert is_quantised_unit(model.graph, atoms[0])


@pytest.mark.parametrize("refused", ["dq", "conv", "y"])
def test_quantised_unit_with_a_refused_member_falls_back_whole_and_says_why(refused):
    plan = plan_for(quantised(), {refused: "-"})
    assert names(plan) == ["act conv dq y"]
    assert plan.delegated == ()
    reasons = {plan.graph.nodes[i].key: why for i, why in plan.overruled.items()}
    assert set(reasons) == {"dq", "conv", "act", "y"} - {refused}
    assert all(refused in why.detail for why in reasons.values())


def test_what_the_user_pins_is_not_overruled_by_its_quantised_unit():
    model = quantised()
    pinned = Verdict(State.SUPPORTED, "pinned", "pin", source="user")
    refused = [node.key == "y" for node in model.graph.nodes]
    verdicts = [NO if node.key == "y" else pinned if node.key == "conv" else YES for node in model.graph.nodes]
    plan = make_plan(model, verdicts, [ISLAND if no else DEVICE for no in refused], device="GPU")
    assert names(plan) == ["act conv dq", "y"]
    assert not plan.overruled


def test_a_lone_dequantised_operator_is_delegated_without_its_dequantiser():
    model = parse(
        """g (uint8[4] q, float s, uint8 z) => (float[4] y) {
          dq = DequantizeLinear(q, s, z)
          y = Exp(dq)
        }"""
    )
    assert names(plan_for(model, {"dq": "-"})) == ["dq", "y"]


def test_shape_chain_moves_to_the_reshape_that_needs_it():
    # x -> a(+) -> n(-) -> y(+) <- shape(+) <- ... <- x        made early, the cluster of y would see a shape it cannot
    model = parse(
        """g (float[N,4] x) => (float[M] y)
        <int64[1] first = {0}, int64[1] rest = {-1}, int64[2] axes = {0, 1}>
        {
          a = Exp(x)
          n = Neg(a)
          size = Shape(a)
          rows = Gather(size, first)
          twice = Mul(rows, rest)
          shape = Neg(twice)
          to = Concat<axis = 0>(rest)
          chain = Mul(twice, rest)
          y = Reshape(n, chain)
        }"""
    )
    plan = plan_for(model, {"n": "-"})
    assert names(plan) == ["a", "n", "chain rows size twice y"]
    assert {"size", "rows", "twice", "chain", "y"} in keys(model, find_atoms(model.graph, marks(model)))


def test_a_shape_that_two_read_belongs_to_neither():
    model = parse(
        """g (float[N,4] x) => (float[M,K] y, float[P,Q] z) {
          size = Shape(x)
          y = Reshape(x, size)
          e = Exp(x)
          z = Reshape(e, size)
        }"""
    )
    assert find_atoms(model.graph, marks(model)) == []


def test_written_out_attention_norm_and_gelu_are_atoms():
    model = parse(
        """g (float[2,4,8] x) => (float[2,4,8] y)
        <float scale = {0.35}, float eps = {0.00001}, float two = {2}, float root = {1.41}, float one = {1},
         float half = {0.5}>
        {
          t = Transpose<perm = [0, 2, 1]>(x)
          scores = MatMul(x, t)
          scaled = Mul(scores, scale)
          probs = Softmax(scaled)
          attended = MatMul(probs, x)
          mean = ReduceMean<axes = [-1]>(attended)
          centred = Sub(attended, mean)
          square = Pow(centred, two)
          var = ReduceMean<axes = [-1]>(square)
          safe = Add(var, eps)
          dev = Sqrt(safe)
          normed = Div(centred, dev)
          inner = Div(normed, root)
          erf = Erf(inner)
          plus = Add(erf, one)
          gate = Mul(normed, plus)
          y = Mul(gate, half)
        }"""
    )
    atoms = find_atoms(model.graph, marks(model), find_groups(model.graph))
    found = dict(zip((atom.kind for atom in atoms), keys(model, atoms), strict=True))
    assert found["attention"] == {"t", "scores", "scaled", "probs", "attended"}
    assert found["layer normalisation"] == {"mean", "centred", "square", "var", "safe", "dev", "normed"}
    assert found["GELU"] == {"inner", "erf", "plus", "gate", "y"}


def test_recurrent_layer_keeps_the_transposes_around_it():
    model = parse(
        """g (float[B,T,3] x, float[1,8,3] w, float[1,8,2] r) => (float[T,B,2] y)
        <int64[1] axis = {1}>
        {
          turned = Transpose<perm = [1, 0, 2]>(x)
          all = LSTM<hidden_size = 2>(turned, w, r)
          y = Squeeze(all, axis)
        }"""
    )
    assert keys(model, find_atoms(model.graph, marks(model))) == [{"turned", "all", "y"}]


def test_nothing_is_looked_for_where_no_anchor_is():
    model = parse("g (float[N] x) => (float[N] y) { a = Exp(x)\n y = Add(a, x) }")
    assert find_atoms(model.graph, marks(model)) == []


@st.composite
def op_soup(draw):
    """Draw a well-typed graph of operators that atoms are made of, and labels."""
    floats, integers, nodes = ["x"], [], []
    for i in range(draw(st.integers(2, 14))):
        name, one = f"v{i}", st.sampled_from(floats[-4:])
        choice = draw(st.integers(0, 5 if integers else 3))
        if choice <= 1:
            op = draw(st.sampled_from(["Softmax", "Sqrt", "Erf", "Transpose", "Identity"]))
            reads = [draw(one)]
        elif choice == 2:
            op = draw(st.sampled_from(["Add", "Mul", "Div", "MatMul", "Sub"]))
            reads = [draw(one), draw(one)]
        elif choice == 3:
            op, reads = "Shape", [draw(one)]
        else:
            whole = st.sampled_from(integers[-3:])
            op = "Reshape" if choice == 4 else draw(st.sampled_from(["Mul", "Add"]))
            reads = [draw(one if op == "Reshape" else whole), draw(whole)]
        nodes.append(onnx.helper.make_node(op, reads, [name]))
        (integers if op == "Shape" or choice == 5 else floats).append(name)
    return nodes, [draw(st.integers(0, 1)) for _ in nodes]


@settings(max_examples=80, deadline=None)
@given(op_soup())
def test_atoms_are_disjoint_convex_of_one_label_and_cost_no_cluster(soup):
    nodes, labels = soup
    read = {name for node in nodes for name in node.input}
    ends = [name for node in nodes for name in node.output if name not in read]
    graph = onnx.helper.make_graph(
        nodes, "soup", [onnx.helper.make_tensor_value_info("x", 1, None)],
        [onnx.helper.make_tensor_value_info(name, 0, None) for name in ends],
    )  # fmt: skip
    for value in graph.output:
        value.ClearField("type")
    scope = read_model(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    ).graph
    atoms = [atom.nodes for atom in find_atoms(scope, labels, find_groups(scope))]
    members = [i for atom in atoms for i in atom]
    assert len(members) == len(set(members))
    preds = [[scope.producer[name] for name in node.reads if name in scope.producer] for node in scope.nodes]
    data = nx.DiGraph((p, i) for i, before in enumerate(preds) for p in before)
    data.add_nodes_from(range(len(labels)))
    for atom in atoms:
        assert len({labels[i] for i in atom}) == 1
        below = set().union(*(nx.descendants(data, i) for i in atom)) - set(atom)
        assert not any(nx.descendants(data, i) & set(atom) for i in below)
    units = contract_atoms(preds, labels, atoms)
    assert all(len({units.of[i] for i in atom}) == 1 for atom in atoms)
    assert lower_bound(units.preds, units.labels) == lower_bound(preds, labels)
