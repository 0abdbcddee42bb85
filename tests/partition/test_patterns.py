"""Groups are told by their structure: what they are called and in which order they stand says nothing."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from ovpart.model.read import read_model
from ovpart.partition.patterns import find_groups
from tests.partition.written_out import GROUPS, members, nodes, written_out


def found(model) -> dict[str, set[str]]:
    graph = model.graph
    return {group.kind: {graph.nodes[i].key for i in group.nodes} for group in find_groups(graph)}


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_is_found_with_all_its_nodes(name):
    model = read_model(written_out(nodes(name, "p", "x", "y")))
    assert found(model) == {GROUPS[name][0]: members(name, "p", "y")}


@pytest.mark.parametrize("name", GROUPS)
def test_names_order_and_operand_order_say_nothing(name):
    proto = written_out(nodes(name, "p", "x", "y"))
    rng = np.random.default_rng(3)
    fresh = {v: f"v{i}" for i, v in enumerate(rng.permutation([o for n in proto.graph.node for o in n.output]))}
    for node in proto.graph.node:
        if node.op_type in ("Add", "Mul"):
            node.input[:] = list(node.input)[::-1]
        node.input[:] = [fresh.get(value, value) for value in node.input]
        node.output[:] = [fresh.get(value, value) for value in node.output]
    proto.graph.output[0].name = fresh["y"]
    shuffled = [proto.graph.node[i] for i in rng.permutation(len(proto.graph.node))]
    del proto.graph.node[:]
    proto.graph.node.extend(shuffled)
    kind = GROUPS[name][0]
    assert found(read_model(proto)) == {kind: {fresh[member] for member in members(name, "p", "y")}}


def test_half_precision_with_casts_in_the_middle_is_the_same_group():
    text = nodes("layer norm", "p", "x", "y").replace("Pow(p_d, two)", "Pow(p_wide, two)")
    model = read_model(written_out(text.replace("p_sq =", "p_wide = Cast<to = 1>(p_d)\n p_sq =")))
    assert found(model) == {"layer normalisation": members("layer norm", "p", "y") | {"p_wide"}}


@pytest.mark.parametrize(
    ("name", "inner"),
    [("layer norm", "std"), ("GELU", "erf"), ("attention", "p"), ("rotary", "neg"), ("softmax", "exp")],
)
def test_what_others_read_in_the_middle_is_no_group(name, inner):
    # no engine fuses what it has to hand out half done
    leak = f"leak = Exp(p_{inner})\n much = ReduceSum<keepdims = 0>(leak)"
    text = f"{nodes(name, 'p', 'x', 'z')}\n {leak}\n y = Add(z, much)"
    assert found(read_model(written_out(text))) == {}


def test_a_cell_may_hand_out_its_state():
    graph = read_model(written_out(nodes("LSTM cell", "p", "x", "y"))).graph
    (cell,) = find_groups(graph)
    assert cell.open
    assert graph.nodes[cell.nodes[-1]].key == "p_h"


def test_an_output_of_the_model_in_the_middle_is_no_reader():
    proto = written_out(nodes("GELU", "p", "x", "y"))
    proto.graph.output.append(onnx.helper.make_tensor_value_info("p_erf", 1, None))
    assert found(read_model(proto)) == {"GELU": members("GELU", "p", "y")}


def test_constants_are_in_no_group():
    text = "c = Neg(gain)\n" + nodes("GELU", "p", "c", "z") + "\n y = Add(x, z)"
    assert find_groups(read_model(written_out(text)).graph) == []


@pytest.mark.parametrize(
    "text",
    [
        "a = Sigmoid(x)\n b = Exp(x)\n y = Mul(a, b)",
        "a = Erf(x)\n b = Add(a, one)\n y = Mul(b, half)",
        "a = Sqrt(x)\n y = Div(x, a)",
        "a = Softmax(x)\n y = MatMul(a, w)",
        "q = MatMul(x, w)\n a = Softmax(q)\n y = MatMul(a, w2)",
        "a = Clip(x, zero, six)\n b = Add(x, three)\n y = Mul(a, b)",
    ],
)
def test_what_only_looks_alike_is_no_group(text):
    assert find_groups(read_model(written_out(text)).graph) == []


def test_each_convolution_with_what_follows_it_and_gates_after_it():
    import onnx.parser

    model = read_model(
        onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[1,2,8,8] x, float[2,2,1,1] w, float[2] s) => (float[1,2,8,8] y) {
          c1 = Conv(x, w)
          b1 = BatchNormalization(c1, s, s, s, s)
          r1 = Relu(b1)
          c2 = Conv(r1, w)
          g2 = Sigmoid(c2)
          m2 = Mul(c2, g2)
          y = Conv(m2, w)
        }""")
    )
    # the scale is no constant here: what BatchNormalization reads besides must be
    assert found(model) == {"swish": {"g2", "m2"}}
