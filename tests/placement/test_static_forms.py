from __future__ import annotations

import threading
import warnings

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx import helper as h
from onnx import numpy_helper as nh

import ovpart
from ovpart.errors import OvpartWarning
from ovpart.model.read import read_model
from ovpart.model.variants import with_input_shapes
from ovpart.placement.static_forms import MOST_KEPT, StaticForms


def dynamic_model() -> onnx.ModelProto:
    """X [n, m] -> Relu -> MatMul with its own transpose -> y [n, n]."""
    nodes = [
        h.make_node("Relu", ["x"], ["a"]),
        h.make_node("Transpose", ["a"], ["t"], perm=[1, 0]),
        h.make_node("MatMul", ["a", "t"], ["y"]),
    ]
    ends = [
        h.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "m"]),
        h.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "n"]),
    ]
    graph = h.make_graph(nodes, "g", ends[:1], ends[1:])
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)


def feed(rows: int, columns: int = 3) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(rows).normal(size=(rows, columns)).astype(np.float32)}


def right(answer: np.ndarray, given: dict[str, np.ndarray]) -> bool:
    a = np.maximum(given["x"], 0)
    return bool(np.allclose(answer, a @ a.T, atol=1e-5))


def test_each_set_of_shapes_gets_a_form_of_its_own_and_is_found_again():
    session = ovpart.Session(dynamic_model(), disable_dynamic_shapes="True", min_gain=0)
    for rows in (2, 5, 2, 5, 2):
        assert right(session.run(None, feed(rows))[0], feed(rows))
    assert session.report.variants == {"made": 2, "used": 3, "dropped": 0, "given_up": 0}
    assert "forms of fixed shapes: 2 made, 3 used" in str(session.report)
    assert (session.report.runs.count, session.report.runs.outside_guard) == (5, 0)
    form = session._static.form_for(feed(2))
    graph = form.plan.graph
    assert [graph.type_of(name).shape for name in ("x", "t", "y")] == [(2, 3), (3, 2), (2, 2)]
    compiled = next(iter(form.realised.executables.values()))[0].compiled
    assert not compiled.inputs[0].partial_shape.is_dynamic


def test_the_least_lately_used_is_dropped():
    session = ovpart.Session(dynamic_model(), disable_dynamic_shapes=True, min_gain=0)
    for rows in range(1, MOST_KEPT + 3):
        session.run(None, feed(rows))
    session.run(None, feed(MOST_KEPT))
    session.run(None, feed(1))
    assert session.report.variants == {"made": MOST_KEPT + 3, "used": 1, "dropped": 3, "given_up": 0}


def test_a_model_of_fixed_shapes_needs_no_variants():
    proto = dynamic_model()
    for value in (*proto.graph.input, *proto.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            dim.dim_value = 3
    session = ovpart.Session(proto, disable_dynamic_shapes=True, min_gain=0)
    session.run(None, feed(3))
    assert session.report.variants == {"made": 0, "used": 0, "dropped": 0, "given_up": 0}


def test_a_device_of_fixed_shapes_takes_what_it_else_would_not():
    """The table says of NPU that it compiles no open shapes."""
    session = ovpart.Session(dynamic_model(), device="NPU", emulate=True, disable_dynamic_shapes=True, min_gain=0)
    assert {cluster.label.device for cluster in session.plan.delegated} == {"CPU"}
    assert right(session.run(None, feed(4))[0], feed(4))
    form = session._static.form_for(feed(4))
    assert "NPU" in {cluster.label.device for cluster in form.plan.delegated}


def test_shapes_that_do_not_go_together_fail_as_they_do_without_and_spoil_nothing():
    ends = [h.make_tensor_value_info(name, TensorProto.FLOAT, ["n", f"m{name}"]) for name in "xz"]
    out = h.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = h.make_graph([h.make_node("Add", ["x", "z"], ["y"])], "g", ends, [out])
    proto = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    session = ovpart.Session(proto, disable_dynamic_shapes=True, min_gain=0)
    for _ in range(2):
        with pytest.raises(ovpart.RunError):
            session.run(None, {"x": np.ones((2, 3), np.float32), "z": np.ones((2, 4), np.float32)})
    good = {"x": np.ones((2, 3), np.float32), "z": np.ones((2, 1), np.float32)}
    assert session.run(None, good)[0].tolist() == [[2.0] * 3] * 2


def test_a_variant_that_answers_otherwise_is_given_up():
    base = ovpart.Session(dynamic_model(), min_gain=0)
    other = dynamic_model()
    other.graph.node[0].op_type = "Abs"
    wrong = ovpart.Session(other, min_gain=0)
    forms = StaticForms(base._folded, base._form, lambda model: wrong._form)
    with pytest.warns(OvpartWarning, match=r"shapes \[\(4, 3\)\]: its answers differ"):
        assert forms.form_for(feed(4)) is base._form
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert forms.form_for(feed(4)) is base._form
    assert forms.counts == {"made": 1, "used": 1, "dropped": 0, "given_up": 1}


def test_from_many_threads():
    session = ovpart.Session(dynamic_model(), disable_dynamic_shapes=True, min_gain=0)
    wrong = []

    def work(seed: int) -> None:
        for turn in range(10):
            given = feed(1 + (seed + turn) % (MOST_KEPT + 2))
            if not right(session.run(None, given)[0], given):
                wrong.append(turn)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_types_follow_from_input_shapes():
    shape = nh.from_array(np.array([-1], np.int64), "s")
    nodes = [h.make_node("Reshape", ["x", "s"], ["f"]), h.make_node("Relu", ["f"], ["y"])]
    ends = [
        h.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "m"]),
        h.make_tensor_value_info("y", TensorProto.FLOAT, ["k"]),
    ]
    graph = h.make_graph(nodes, "g", ends[:1], ends[1:], [shape])
    model = read_model(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8))
    assert with_input_shapes(model, {"x": (2, 6)}).graph.type_of("f").shape == (12,)
    assert not model.graph.type_of("f").is_static
