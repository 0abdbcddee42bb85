"""onnx's own tests of single nodes are cases too, in every form that they have."""

from __future__ import annotations

import pytest

from ovpart.model.read import read_model
from ovpart.probe.case import FORMS
from ovpart.probe.judge import measure
from ovpart.probe.measurement import Outcome
from ovpart.probe.node_tests import node_tests


@pytest.mark.long
def test_tests_of_single_nodes_are_taken_in_every_form():
    tests = {test.key: test for test in node_tests(["Clip", "Relu"])}
    assert {key.op for key in tests} == {"Clip", "Relu"}
    assert [key.form for key in tests if key.tag == "test_clip"] == list(FORMS)
    assert [key.form for key in tests if key.tag == "test_relu"] == list(FORMS[:2])
    for test in tests.values():
        graph = read_model(test.proto).graph
        assert len(graph.inputs) == len(test.inputs)
        assert all(graph.type_of(name).is_static is ("static" in test.key.form) for name in graph.inputs if name == "x")


@pytest.mark.long
def test_they_are_measured_against_what_onnx_expects():
    (test,) = [t for t in node_tests(["Relu"]) if t.key.form == "dynamic"]
    assert [feed[0].shape[0] for feed in test.trial().feeds] == [3, 6, 3]
    assert measure(test.trial(), "CPU").outcome is Outcome.RIGHT
