from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx import helper as h

from ovpart.backend.fake import Failure, FakeBackend
from ovpart.backend.fold import fold_constants
from ovpart.capability.table import load_table
from ovpart.errors import CompileError, RunError
from ovpart.model.read import read_model
from ovpart.options import resolve
from ovpart.placement.engines import Engines
from ovpart.placement.form import Form
from ovpart.runtime.oversight import Oversight

X = np.array([[-1.5, 0.25, 2.0]], np.float32)


def chain(*operators: str) -> onnx.ModelProto:
    """Return a model that applies operators in a row, from x to y."""
    names = ["x", *(f"v{i}" for i in range(1, len(operators))), "y"]
    nodes = [h.make_node(op, [a], [b], name=op) for op, a, b in zip(operators, names[:-1], names[1:], strict=True)]
    graph = h.make_graph(
        nodes,
        "chain",
        [h.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [h.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
    )
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)


def form_of(proto: onnx.ModelProto, device: FakeBackend, **options: object) -> Form:
    engines = Engines(resolve({"min_gain": 0, **options}), {"openvino": device})
    return Form(fold_constants(read_model(proto)), engines, load_table())


def places(form: Form) -> dict[str, str]:
    by_id = {cluster.id: cluster.label.engine for cluster in form.plan.clusters}
    return {node.op_type: by_id[place] for node, place in zip(form.plan.graph.nodes, form.plan.places, strict=True)}


def test_an_operator_refused_at_compile_is_demoted_alone():
    device = FakeBackend(operators={"Relu", "Exp", "Tanh"})
    form = form_of(chain("Relu", "Exp", "Sigmoid", "Tanh"), device)
    assert places(form) == {"Relu": "openvino", "Exp": "openvino", "Sigmoid": "onnxruntime", "Tanh": "openvino"}
    assert [(d.stage, "Sigmoid" in d.words) for d in form.demotions] == [("convert", True)]
    assert form.replans == 1
    np.testing.assert_allclose(form.run({"x": X}, None)[0], np.tanh(1 / (1 + np.exp(-np.exp(np.maximum(X, 0))))), 1e-6)


def test_a_refusal_that_names_no_node_is_bisected():
    device = FakeBackend(failures=[Failure("compile", "out of registers", operator="Exp")])
    form = form_of(chain("Relu", "Exp", "Sigmoid", "Tanh"), device)
    assert places(form)["Exp"] == "onnxruntime"
    assert sorted(places(form).values()).count("openvino") == 3
    verdict = next(v for n, v in zip(form.plan.graph.nodes, form.plan.verdicts, strict=True) if n.op_type == "Exp")
    assert verdict.rule == "evidence"
    assert "out of registers" in verdict.reason


def test_strict_raises_what_the_engine_said():
    device = FakeBackend(failures=[Failure("compile", "out of registers", operator="Exp")])
    with pytest.raises(CompileError, match="out of registers"):
        form_of(chain("Relu", "Exp"), device, strict=True)


def test_a_cluster_that_fails_while_running_is_answered_and_demoted():
    device = FakeBackend(failures=[Failure("run", "device lost", at=2)])
    form = form_of(chain("Relu", "Exp"), device)
    want = np.exp(np.maximum(X, 0))
    for _ in range(4):
        np.testing.assert_allclose(form.run({"x": X}, None)[0], want, 1e-6)
    assert set(places(form).values()) == {"onnxruntime"}
    assert {d.stage for d in form.demotions} == {"run"}
    assert "device lost" in form.demotions[0].words


def test_strict_raises_when_a_run_fails_and_stays_usable():
    device = FakeBackend(failures=[Failure("run", "device lost", times=1)])
    form = form_of(chain("Relu", "Exp"), device, strict=True)
    with pytest.raises(RunError, match="device lost"):
        form.run({"x": X}, None)
    np.testing.assert_allclose(form.run({"x": X}, None)[0], np.exp(np.maximum(X, 0)), 1e-6)


def test_a_repaired_plan_compiles_only_what_changed():
    device = FakeBackend(operators={"Relu", "Exp", "Tanh"})
    proto = chain("Relu", "Sigmoid", "Exp")
    form = form_of(proto, device, exclude=["Sigmoid"])
    before = device.calls["read"]
    assert before == 2  # Relu and Exp stand in clusters of their own
    form.run({"x": X}, None)
    assert device.calls["read"] == before


def test_progress_tells_of_each_cluster():
    told = []
    engines = Engines(resolve({"min_gain": 0, "exclude": ["Sigmoid"]}), {"openvino": FakeBackend()})
    model = fold_constants(read_model(chain("Relu", "Sigmoid", "Exp")))
    Form(model, engines, load_table(), progress=lambda done, total, cluster: told.append((done, total)))
    assert told == [(0, 3), (1, 3), (2, 3)]


def test_whether_a_failure_is_answered_can_be_changed_between_runs():
    device = FakeBackend(failures=[Failure("run", "device lost", times=2)])
    oversight = Oversight(raises_failures=True)
    engines = Engines(resolve({"min_gain": 0}), {"openvino": device}, oversight=oversight)
    form = Form(fold_constants(read_model(chain("Relu", "Exp"))), engines, load_table())
    with pytest.raises(RunError, match="device lost"):
        form.run({"x": X}, None)
    oversight.raises_failures = False
    np.testing.assert_allclose(form.run({"x": X}, None)[0], np.exp(np.maximum(X, 0)), 1e-6)
    assert form.demotions


def test_outputs_that_no_node_makes_are_returned_where_onnxruntime_has_the_model_to_itself():
    proto = chain("Relu")
    proto.graph.output.append(proto.graph.input[0])
    proto.graph.output.append(h.make_tensor_value_info("w", TensorProto.FLOAT, [2]))
    proto.graph.initializer.append(h.make_tensor("w", TensorProto.FLOAT, [2], [4, 5]))
    form = form_of(proto, FakeBackend(), exclude=["Relu"])
    y, x, w = form.run({"x": X}, None)
    np.testing.assert_array_equal(y, np.maximum(X, 0))
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(w, [4, 5])


def test_what_onnxruntime_refuses_is_delegated_even_where_it_does_not_pay():
    engines = Engines(resolve({}), {"openvino": FakeBackend(), "onnxruntime": FakeBackend(operators={"Relu"})})
    form = Form(fold_constants(read_model(chain("Relu", "Exp"))), engines, load_table())
    assert places(form)["Exp"] == "openvino"
    np.testing.assert_allclose(form.run({"x": X}, None)[0], np.exp(np.maximum(X, 0)), 1e-6)


def test_what_is_pinned_is_delegated_even_where_it_does_not_pay():
    engines = Engines(resolve({"pin": "Exp"}), {"openvino": FakeBackend()})
    form = Form(fold_constants(read_model(chain("Relu", "Exp"))), engines, load_table())
    assert places(form)["Exp"] == "openvino"
