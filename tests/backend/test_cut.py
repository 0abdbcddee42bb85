"""Cuts: what stands in the skeleton, what beside it, and that both engines compute the same from it."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import onnx.parser
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovpart.backend.cut import make_cut
from ovpart.backend.fold import fold_constants
from ovpart.backend.onnxruntime import OnnxRuntimeBackend
from ovpart.backend.openvino import OpenVINOBackend
from ovpart.errors import PlanError
from ovpart.model.read import read_model

ENGINES = {"onnxruntime": OnnxRuntimeBackend(), "openvino": OpenVINOBackend()}


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return ENGINES[request.param]


def parsed(text, **initializers):
    """Return a model from onnx's text form, `initializers` added."""
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17, "ai.onnx.ml" : 3]>\n{text}')
    for name, array in initializers.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return proto


def node_of(model, key):
    return next(node.index for node in model.graph.nodes if node.key == key)


def computed(engine, cut, *arrays):
    request = engine.compile(cut, "CPU", {"num_threads": 1}).bind()
    for index, array in enumerate(arrays):
        request.set_input(index, array)
    request.run()
    return [request.take_output(index) for index in range(len(cut.outputs))]


def names(values):
    return [value.name for value in values]


CHAIN = "g (float[N, 4] x, float[N, 4] z) => (float[N, 4] y) { a = Mul(x, w)  b = Add(a, z)  y = Relu(b) }"


def test_middle_of_a_chain_has_its_boundary_as_ports(engine):
    model = read_model(parsed(CHAIN, w=np.float32([1, 2, 3, 4])))
    cut = make_cut(model, [node_of(model, "b"), node_of(model, "y")], ["z", "a"], ["y"])
    assert [(p.name, p.dtype, p.shape) for p in cut.inputs] == [("z", "f32", ("N", 4)), ("a", "f32", ("N", 4))]
    assert names(cut.outputs) == ["y"]
    assert cut.node_names == ("b", "y")
    assert names(cut.proto.graph.node) == ["b", "y"]
    z, a = np.float32([[1, 2, 3, 4]]), np.float32([[-5, 0, 0, 0]])
    assert computed(engine, cut, z, a)[0].tolist() == [[0, 2, 3, 4]]


def test_nodes_are_in_topological_order_whatever_the_order_asked_for():
    model = read_model(parsed(CHAIN, w=np.float32([1, 2, 3, 4])))
    order = [node_of(model, key) for key in ("y", "a", "b")]
    assert make_cut(model, order, ["x", "z"], ["y"]).node_names == ("a", "b", "y")


def test_small_constants_stand_inside_large_ones_beside_over_the_same_memory(engine):
    text = """g (float[N, 64] x) => (float[N, 64] y, float[1, 64] p) {
        m = MatMul(x, w)  y = Add(m, b)  p = Gather(w, i) }"""
    weight = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    bias, index = np.arange(64, dtype=np.float32), np.array([5])
    data = parsed(text, w=weight, b=bias, i=index).SerializeToString()
    model = read_model(data)
    cut = make_cut(model, range(3), ["x"], ["y", "p"])
    assert set(cut.weights) == {"w"}
    assert names(cut.proto.graph.initializer) == ["b", "i"]
    assert names(cut.proto.graph.input) == ["x", "w"]
    assert np.shares_memory(cut.weights["w"], np.frombuffer(data, np.uint8))
    x = np.ones((2, 64), np.float32)
    y, p = computed(engine, cut, x)
    np.testing.assert_allclose(y, x @ weight + bias, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(p, weight[[5]])


def test_large_integer_constants_stand_inside_up_to_64_kb():
    text = "g (float[N] x) => (float[4096] y) { y = Gather(x, i) }"
    model = read_model(parsed(text, i=np.arange(4096)))
    cut = make_cut(model, [0], ["x"], ["y"])
    assert names(cut.proto.graph.initializer) == ["i"]
    assert not cut.weights


def test_constant_shared_by_two_clusters_is_in_both():
    text = "g (float[4] x, float[4] z) => (float[4] a, float[4] b) { a = Mul(x, w)  b = Add(z, w) }"
    model = read_model(parsed(text, w=np.float32([1, 2, 3, 4])))
    for key, source in (("a", "x"), ("b", "z")):
        cut = make_cut(model, [node_of(model, key)], [source], [key])
        assert names(cut.proto.graph.initializer) == ["w"]
        assert names(cut.proto.graph.input) == [source]


def test_outputs_that_are_inputs_constants_or_twice_get_an_identity(engine):
    text = "g (float[4] x) => (float[4] y, float[4] x, float[4] c, float[4] y2) { y = Neg(x)  y2 = Abs(x) }"
    model = read_model(parsed(text, c=np.float32([1, 2, 3, 4])))
    cut = make_cut(model, [node_of(model, "y")], ["x"], ["y", "x", "c", "y", "x"])
    assert names(cut.outputs) == ["y", "x", "c", "y", "x"]
    assert len(set(names(cut.proto.graph.output))) == 5
    assert not set(names(cut.proto.graph.output)) & {"x", "c"}
    assert cut.node_names == ("y", "", "", "", "")
    got = computed(engine, cut, np.float32([1, 2, 3, 4]))
    assert [array.tolist() for array in got] == [
        [-1, -2, -3, -4], [1, 2, 3, 4], [1, 2, 3, 4], [-1, -2, -3, -4], [1, 2, 3, 4]
    ]  # fmt: skip


def test_large_constant_as_output(engine):
    model = read_model(
        parsed("g (float[4] x) => (float[4] y, float[600] w) { y = Neg(x) }", w=np.zeros(600, np.float32))
    )
    cut = make_cut(model, [0], ["x"], ["y", "w"])
    assert set(cut.weights) == {"w"}
    assert computed(engine, cut, np.zeros(4, np.float32))[1].shape == (600,)


def test_constant_nodes_are_copied_until_they_are_folded(engine):
    text = """g (float[4] x) => (float[4] y) {
        two = Constant <value_float = 2.0> ()  three = Add(two, w)  y = Mul(x, three) }"""
    model = read_model(parsed(text, w=np.float32([1])))
    cut = make_cut(model, [node_of(model, "y")], ["x"], ["y"])
    assert cut.node_names == ("three", "y")  # Constant nodes have values, and are initializers
    folded = fold_constants(model)
    short = make_cut(folded, [node_of(model, "y")], ["x"], ["y"])
    assert short.node_names == ("y",)
    for each in (cut, short):
        assert computed(engine, each, np.float32([1, 2, 3, 4]))[0].tolist() == [3, 6, 9, 12]


def test_node_whose_value_is_known_is_not_repeated():
    text = "g (float[4] x) => (float[4] y) { c = Constant <value_floats = [1.0, 2.0, 3.0, 4.0]> ()  y = Mul(x, c) }"
    model = read_model(parsed(text))
    cut = make_cut(model, [0, 1], ["x"], ["y"])
    assert cut.node_names == ("y",)


def test_values_captured_by_bodies_are_inputs_or_constants(engine):
    text = """g (bool c, float[2] x) => (float[2] y) { a = Neg(x)  y = If <
        then_branch = t () => (float[2] o) { o = Add(a, w) },
        else_branch = e () => (float[2] o2) { o2 = Mul(a, w) }> (c) }"""
    model = read_model(parsed(text, w=np.float32([10, 20])))
    cut = make_cut(model, [node_of(model, "y")], ["c", "a"], ["y"])
    assert names(cut.proto.graph.initializer) == ["w"]
    assert computed(engine, cut, np.array(True), np.float32([1, 2]))[0].tolist() == [11, 22]
    assert computed(engine, cut, np.array(False), np.float32([1, 2]))[0].tolist() == [10, 40]


def test_bodies_lose_what_the_file_says_of_their_values_and_nothing_else():
    text = """g (int64 n, float[1] x) => (float[1] y) { y = Loop <
        body = b (int64 i, bool c, float[1] v) => (bool d, float[1] w) {
            d = Identity(c)  h = Neg(v)  w = Add(h, x) }> (n, , x) }"""
    proto = parsed(text)
    body = proto.graph.node[0].attribute[0].g
    body.value_info.append(onnx.helper.make_tensor_value_info("h", 1, [7, 7]))
    for node in body.node:
        node.name = "same"
    model = read_model(proto)
    (copy,) = make_cut(model, [0], ["n", "x"], ["y"]).proto.graph.node
    assert not copy.attribute[0].g.value_info
    assert names(copy.attribute[0].g.node) == ["same", "", ""]
    assert [len(n.attribute[0].g.value_info) for n in model.proto.graph.node] == [1]


def test_missing_boundary_value_is_named():
    model = read_model(parsed(CHAIN, w=np.float32([1, 2, 3, 4])))
    with pytest.raises(PlanError, match="'b', read by y, is neither an input"):
        make_cut(model, [node_of(model, "y")], [], ["y"])
    with pytest.raises(PlanError, match="'a', read by the cut's outputs"):
        make_cut(model, [node_of(model, "b")], ["z", "x"], ["a"])


def test_duplicate_and_empty_node_names_become_unique_keys(engine):
    proto = parsed("g (float[4] x) => (float[4] y) { a = Neg(x)  b = Neg(a)  y = Neg(b) }")
    for node, name in zip(proto.graph.node, ("same", "same", ""), strict=True):
        node.name = name
    model = read_model(proto)
    cut = make_cut(model, range(3), ["x"], ["y"])
    assert names(cut.proto.graph.node) == ["a", "b", "y"]
    assert computed(engine, cut, np.float32([1, 2, 3, 4]))[0].tolist() == [-1, -2, -3, -4]


def test_trap_16_wrong_value_info_of_the_file_does_not_reach_the_engine(engine):
    proto = parsed(CHAIN, w=np.float32([1, 2, 3, 4]))
    proto.graph.value_info.append(onnx.helper.make_tensor_value_info("a", 1, [1, 3]))
    model = read_model(proto)
    cut = make_cut(model, range(3), ["x", "z"], ["y"])
    assert not cut.proto.graph.value_info
    array = np.ones((2, 4), np.float32)
    assert computed(engine, cut, array, array)[0].tolist() == [[2, 3, 4, 5]] * 2


def test_output_that_the_file_leaves_out_though_the_operator_has_it(engine):
    """TopK with "" for its values: onnxruntime refuses it as it stands."""
    node = onnx.helper.make_node("TopK", ["x", "k"], ["", "i"])
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph([node], "g", [info("x", 1, [4])], [info("i", 7, [2])])
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([2]), "k"))
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    cut = make_cut(read_model(proto), [0], ["x"], ["i"])
    assert computed(engine, cut, np.float32([1, 9, 3, 4]))[0].tolist() == [1, 3]


def test_outputs_that_an_operator_without_a_schema_leaves_out_stay_out():
    inputs = ["x", "skip", "gamma"]
    node = onnx.helper.make_node(
        "SkipSimplifiedLayerNormalization", inputs, ["y", "", "", "sum"], domain="com.microsoft"
    )
    infos = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in
             zip(inputs, ([2, 3, 8], [2, 3, 8], [8]), strict=True)]  # fmt: skip
    graph = onnx.helper.make_graph([node], "g", infos, [onnx.ValueInfoProto(name=name) for name in ("y", "sum")])
    imports = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("com.microsoft", 1)]
    model = read_model(onnx.helper.make_model(graph, opset_imports=imports, ir_version=9))
    assert list(make_cut(model, [0], inputs, ["y", "sum"]).proto.graph.node[0].output) == ["y", "", "", "sum"]


def test_only_the_domains_used_are_imported():
    model = read_model(parsed(CHAIN, w=np.float32([1, 2, 3, 4])))
    cut = make_cut(model, range(3), ["x", "z"], ["y"])
    assert [(opset.domain, opset.version) for opset in cut.proto.opset_import] == [("", 17)]


def test_strings_and_sequences_pass_through_onnxruntime():
    text = (
        "g (string[N] s, float[2] x) => (seq(float[2]) q, string[N] t) { t = Identity(s)  q = SequenceConstruct(x, x) }"
    )
    model = read_model(parsed(text))
    cut = make_cut(model, range(2), ["s", "x"], ["q", "t"])
    assert [port.dtype for port in cut.outputs] == [None, "string"]
    q, t = computed(ENGINES["onnxruntime"], cut, np.array(["a", "ü"], object), np.float32([1, 2]))
    assert [array.tolist() for array in q] == [[1, 2], [1, 2]]
    assert t.tolist() == ["a", "ü"]


def test_string_constants_stand_inside():
    text = "g (int64[N] i) => (string[N] t) { t = Gather(words, i) }"
    words = np.array(["ä" * 900, "b", ""], object)
    cut = make_cut(read_model(parsed(text, words=words)), [0], ["i"], ["t"])
    assert not cut.weights
    assert computed(ENGINES["onnxruntime"], cut, np.array([2, 0]))[0].tolist() == ["", "ä" * 900]


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_two_cuts_in_a_row_are_the_whole(data):
    """Any split of a random chain-with-branches at a topological position gives what the whole model gives."""
    count = data.draw(st.integers(2, 8))
    lines, values = [], ["x"]
    for index in range(count):
        op = data.draw(st.sampled_from(["Add", "Mul", "Sub"]))
        left, right = (data.draw(st.sampled_from([*values[-3:], "w"])) for _ in range(2))
        lines.append(f"v{index} = {op}({left}, {right})")
        values.append(f"v{index}")
    text = f"g (float[3] x) => (float[3] v{count - 1}, float[3] v0) {{ {' '.join(lines)} }}"
    proto = parsed(text, w=np.float32([0.5, -1, 2]))
    model = fold_constants(read_model(proto))
    graph = model.graph
    live = [n.index for n in graph.nodes if n.index not in graph.constant and n.index not in graph.dead]
    split = data.draw(st.integers(0, len(live)))
    known = {"x": np.float32([1, 2, 3])}
    for part in (live[:split], live[split:]):
        if not part:
            continue
        made = [value for i in part for value in graph.nodes[i].outputs]
        reads = {v for i in part for v in graph.nodes[i].reads if v not in made and not graph.is_constant(v)}
        cut = make_cut(model, part, sorted(reads), made)
        known.update(zip(made, computed(ENGINES["onnxruntime"], cut, *(known[v] for v in sorted(reads))), strict=True))
    plain = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for name, expected in zip(
        graph.outputs, plain.run(None, {"x": known["x"]} if plain.get_inputs() else {}), strict=True
    ):
        got = model.weights.array(name) if name in model.weights else known[name]
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_attributes_beside_a_body_stay_as_they_are():
    """Looking into an attribute that is no graph must not make one of it: onnxruntime refuses such a node."""
    text = """g (float[2] i, float[3, 2] x) => (float[2] y, float[3, 2] z) { y, z = Scan <num_scan_inputs = 1,
        body = b (float[2] s, float[2] n) => (float[2] t, float[2] o) { t = Add(s, n)  o = Neg(t) }> (i, x) }"""
    cut = make_cut(read_model(parsed(text)), [0], ["i", "x"], ["y", "z"])
    (node,) = cut.proto.graph.node
    assert {attribute.name: attribute.HasField("g") for attribute in node.attribute} == {
        "num_scan_inputs": False, "body": True
    }  # fmt: skip
    x = np.float32([[1, 2], [3, 4], [5, 6]])
    y, z = computed(ENGINES["onnxruntime"], cut, np.float32([0, 0]), x)
    assert y.tolist() == [9, 12]
    assert z.tolist() == (-np.cumsum(x, axis=0)).tolist()
