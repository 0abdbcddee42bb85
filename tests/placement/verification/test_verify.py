"""Clusters are held against onnxruntime, and those that compute something else are found."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx import helper as h

from ovpart.backend.fake import Failure, FakeBackend
from ovpart.backend.fold import fold_constants
from ovpart.capability.table import load_table
from ovpart.model.read import read_model
from ovpart.options import resolve
from ovpart.placement.engines import Engines
from ovpart.placement.form import Form
from ovpart.placement.verification.verify import Asked
from tests.placement.test_form import chain

X = np.linspace(-1.5, 2.0, 30, dtype=np.float32).reshape(10, 3)
FEEDS = [{"x": X}, {"x": X[:4] + np.float32(0.25)}]


def form_of(proto: onnx.ModelProto, device: FakeBackend | None = None, **options: object) -> Form:
    backends = {} if device is None else {"openvino": device}
    engines = Engines(resolve({"min_gain": 0, **options}), backends)
    return Form(fold_constants(read_model(proto)), engines, load_table())


def statuses(found) -> list[tuple[str, str]]:
    return [(cluster.label.engine, cluster.status) for cluster in found.clusters]


def test_a_right_plan_is_right_on_the_real_engines():
    found = form_of(chain("Relu", "Exp", "Sigmoid"), exclude=["Exp"]).verify(FEEDS, Asked())
    assert found.is_right
    assert statuses(found) == [("openvino", "right"), ("onnxruntime", "right"), ("openvino", "right")]
    assert [value.name for value in found.outputs] == ["y"]
    assert (found.feeds, found.repeats, found.culprits) == (2, 2, ())


def test_only_the_wrong_cluster_is_blamed_and_the_output_shows_it():
    device = FakeBackend(wrong={"Tanh": 0.25})
    proto = chain("Relu", "Tanh", "Sigmoid", "Exp")  # Relu Tanh | Sigmoid | Exp
    found = form_of(proto, device, exclude=["Sigmoid"]).verify(FEEDS, Asked())
    assert not found.is_right
    assert statuses(found) == [("openvino", "wrong"), ("onnxruntime", "right"), ("openvino", "right")]
    (value,) = found.wrong[0].values
    assert (value.name, round(value.found.max_error, 6)) == ("v2", 0.25)
    assert found.outputs[0].status == "wrong"


def test_a_bound_of_ones_own_makes_a_small_error_right_or_wrong():
    device = FakeBackend(wrong={"Tanh": 2e-5})
    form = form_of(chain("Tanh", "Relu"), device)
    assert form.verify(FEEDS, Asked()).is_right
    assert not form.verify(FEEDS, Asked(tolerance=1e-5)).is_right


def test_a_cluster_that_raises_is_failed_and_its_words_are_kept():
    device = FakeBackend(failures=[Failure("run", "device lost")])
    found = form_of(chain("Relu", "Exp"), device).verify(FEEDS, Asked(bisect=False))
    assert statuses(found) == [("openvino", "failed")]
    assert "device lost" in found.clusters[0].words


def test_state_of_an_earlier_run_is_found():
    class Sticky(FakeBackend):
        """Answers the second and later runs with the answer of the first."""

        def compile(self, cut, device, config):
            made = super().compile(cut, device, config)
            bind = made.bind

            def bind_sticky():
                request = bind()
                run = request.run
                kept = []

                def run_once():
                    run()
                    kept.append([request.take_output(i) for i in range(len(made.outputs))])

                class Request:
                    set_input = staticmethod(request.set_input)
                    run = staticmethod(run_once)
                    take_output = staticmethod(lambda index: kept[0][index])

                return Request()

            made.bind = bind_sticky
            return made

    assert form_of(chain("Relu", "Exp"), Sticky()).verify(FEEDS[:1], Asked()).is_right
    found = form_of(chain("Relu", "Exp"), Sticky()).verify(FEEDS, Asked(bisect=False))
    assert not found.is_right
    assert "shape" in found.wrong[0].values[0].found.problem


def test_random_values_are_not_compared():
    nodes = [
        h.make_node("RandomUniformLike", ["x"], ["r"]),
        h.make_node("Add", ["x", "r"], ["y"]),
        h.make_node("Relu", ["x"], ["z"]),
    ]
    ends = [h.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in "xyz"]
    proto = h.make_model(h.make_graph(nodes, "random", ends[:1], ends[1:]), opset_imports=[h.make_opsetid("", 17)])
    found = form_of(proto).verify(FEEDS, Asked())
    assert found.is_right
    assert [value.status for value in found.outputs] == ["random", "right"]


def test_a_value_in_the_middle_that_is_wrong_is_seen_where_no_output_shows_it():
    # v1 is wrong by 0.25, but its sign is all that the output shows.
    nodes = [
        h.make_node("Tanh", ["x"], ["v"]),
        h.make_node("Cast", ["v"], ["d"], to=TensorProto.DOUBLE),  # f64 stays on onnxruntime
        h.make_node("Sign", ["d"], ["y"]),
    ]
    graph = h.make_graph(
        nodes,
        "masked",
        [h.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [h.make_tensor_value_info("y", TensorProto.DOUBLE, ["n", 3])],
    )
    proto = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    found = form_of(proto, FakeBackend(wrong={"Tanh": 0.01})).verify([{"x": np.float32([[2, 3, -4]])}], Asked())
    assert [value.status for value in found.outputs] == ["right"]
    assert statuses(found)[0] == ("openvino", "wrong")


def test_text_and_json_say_the_same():
    found = form_of(chain("Relu", "Tanh"), FakeBackend(wrong={"Tanh": 0.25})).verify(FEEDS, Asked(inputs="given"))
    text, data = str(found), json.loads(found.to_json())
    assert "WRONG" in text
    assert max(map(len, text.splitlines())) <= 80
    assert data["right"] is False
    assert data["clusters"][0]["status"] == "wrong"
    assert data["clusters"][0]["values"][0]["max_error"] == pytest.approx(0.25, rel=1e-3)
    assert data["outputs"][0]["name"] == "y"


@pytest.mark.parametrize("operator", ["Relu", "Exp", "Tanh", "Sigmoid", "Softplus"])
def test_the_wrong_node_is_named_wherever_it_stands(operator):
    device = FakeBackend(wrong={operator: 0.5})
    found = form_of(chain("Relu", "Exp", "Tanh", "Sigmoid", "Softplus"), device).verify(FEEDS, Asked())
    (culprit,) = found.culprits
    assert (culprit.node, culprit.op, len(culprit.indices)) == (operator, operator, 1)
    assert "max error 0.5" in culprit.words


def test_a_broken_fusion_is_narrowed_to_the_nodes_that_it_takes():
    device = FakeBackend(wrong={"Exp+Sigmoid": 0.5})
    found = form_of(chain("Relu", "Exp", "Tanh", "Sigmoid", "Softplus"), device).verify(FEEDS, Asked())
    (culprit,) = found.culprits
    assert culprit.node == "Sigmoid"
    assert culprit.indices == (1, 3)
    assert "together with 1 nodes" in " ".join(str(found).split())


def test_the_node_on_which_an_engine_fails_is_named_with_its_words():
    device = FakeBackend(failures=[Failure("run", "device lost", operator="Tanh")])
    found = form_of(chain("Relu", "Tanh", "Exp"), device).verify(FEEDS, Asked())
    assert [(c.status, c.words) for c in found.clusters] == [("failed", "device lost")]
    assert (found.culprits[0].op, found.culprits[0].words) == ("Tanh", "the engine fails: device lost")
