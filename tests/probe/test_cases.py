"""Cases are the same on every machine, valid, and cover what the schemas allow."""

from __future__ import annotations

from collections import Counter

import onnx
import pytest

from ovpart.errors import ModelError
from ovpart.model.read import read_model
from ovpart.probe.case import FORMS
from ovpart.probe.cases import cases, dtypes, numbers, recipes

SOME = ("Add", "Cast", "Clip", "Where")


def test_no_two_cases_have_one_name():
    counts = Counter(case.key for case in cases(SOME))
    assert not [key for key, count in counts.items() if count > 1]


def test_cases_are_made_alike_each_time():
    first, again = ([(case.key, case.proto().SerializeToString()) for case in cases(["Add", "Pow"])] for _ in range(2))
    assert first == again


@pytest.mark.parametrize("op", sorted(recipes()))
def test_every_version_and_dtype_has_a_valid_case(op):
    seen: set[tuple[int, str]] = set()
    for case in cases([op]):
        if (case.key.version, case.key.dtype) in seen:
            continue
        try:
            read_model(case.proto())
        except ModelError as error:
            pytest.fail(f"{case.key}: {error}")
        seen.add((case.key.version, case.key.dtype))
    assert {version for version, _ in seen} == set(numbers(op))
    assert seen == {(version, dtype) for version in numbers(op) for dtype in dtypes(op, version)}


def test_dynamic_forms_are_fed_two_shapes():
    forms = {case.key.form: case for case in cases(["Add"], tags=["plain"]) if case.key.dtype == "f32"}
    assert list(forms) == list(FORMS)
    shapes = {form: [feed[0].shape for feed in case.feeds()] for form, case in forms.items()}
    assert shapes["static"] == [(2, 3, 4)] * 2
    assert shapes["dynamic"] == [(2, 3, 4), (3, 3, 4), (2, 3, 4)]


def test_constants_stand_in_the_model():
    for case in cases(["Add"], tags=["broadcast"]):
        graph = case.proto().graph
        assert len(graph.input) + len(graph.initializer) == 2
        assert (len(graph.initializer) == 1) == ("const" in case.key.form)
        onnx.checker.check_model(_typed(case.proto()))


def _typed(proto: onnx.ModelProto) -> onnx.ModelProto:
    return onnx.shape_inference.infer_shapes(proto)
