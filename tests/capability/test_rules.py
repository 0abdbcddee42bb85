"""Each condition of an entry: a node that it matches and one that it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from ovpart.capability.verdict import State
from ovpart.model.graph import Model
from tests.capability.small import ask, build, value


def matches(model: Model, op: str, condition: dict[str, Any], **options: Any) -> bool:
    verdicts = ask(model, {op: [{**condition, "state": "supported", "guard": "none"}]}, **options)
    return verdicts[op].state is State.SUPPORTED


def resize(
    opset: int = 13, scales_given: bool = True, const: bool = True, dtype: str = "f32", **attributes: Any
) -> Model:
    """Resize of X by scales or sizes, as constants or as inputs of the model; roi is left out."""
    name = "scales" if scales_given else "sizes"
    values = np.array([1, 1, 2, 2], np.float32) if scales_given else np.array([1, 1, 8, 8], np.int64)
    node = helper.make_node("Resize", ["X", "", name] if scales_given else ["X", "", "", name], ["Y"], **attributes)
    inputs = [value("X", dtype, (1, 1, 4, "w"))]
    if not const:
        inputs.append(value(name, "f32" if scales_given else "i64", (4,)))
    return build([node], inputs, [value("Y", dtype, (1, 1, "h", "v"))], {name: values} if const else {}, opset)


def concat(count: int = 3, shape: Any = (2, 3), dtype: str = "f32", axis: int = 0) -> Model:
    names = [f"x{i}" for i in range(count)]
    node = helper.make_node("Concat", names, ["y"], axis=axis)
    return build([node], [value(n, dtype, shape) for n in names], ["y"])


@pytest.mark.parametrize(
    ("condition", "opset", "fits"),
    [
        ({"opset": 13}, 13, True), ({"opset": 13}, 14, False),
        ({"opset": "14.."}, 18, True), ({"opset": "14.."}, 13, False),
        ({"opset": "13..15"}, 13, True), ({"opset": "13..15"}, 15, True), ({"opset": "13..15"}, 17, False),
        ({"opset": "..14"}, 14, True), ({"opset": "..14"}, 15, False),
    ],
)  # fmt: skip
def test_opset_is_the_version_that_the_model_imports(condition: dict[str, Any], opset: int, fits: bool) -> None:
    assert matches(resize(opset), "Resize", condition) is fits


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        ({"types": {"X": ["f32", "f16"]}}, True),
        ({"types": {"X": ["f16"]}}, False),
        ({"types": {"Y": ["f32"]}}, True),
        ({"types": {"roi": ["f64"]}}, True),  # left out
        ({"types": {"in": ["f32"]}}, True),
        ({"types": {"out": ["f16"]}}, False),
        ({"types": {"all": ["f32"]}}, True),
        ({"types": {"in2": ["f32"], "out0": ["f32"]}}, True),
        ({"types": {"in2": ["i64"]}}, False),
        ({"touches": ["f32"]}, True),
        ({"touches": ["i64", "string"]}, False),
        ({"const": ["scales"]}, True),
        ({"const": ["scales", "sizes"]}, True),  # sizes is left out
        ({"const": ["X"]}, False),
        ({"not_const": ["scales", "sizes"]}, False),
        ({"not_const": ["X", "scales"]}, True),
        ({"not_const": ["sizes"]}, False),
        ({"given": ["scales"]}, True),
        ({"given": ["scales", "sizes"]}, False),
        ({"given": ["Y"]}, True),
        ({"omitted": ["roi", "sizes"]}, True),
        ({"omitted": ["roi", "scales"]}, False),
        ({"inputs": 2}, True),
        ({"inputs": "3.."}, False),
        ({"rank": {"X": 4}}, True),
        ({"rank": {"X": [3, 5]}}, False),
        ({"rank": {"X": "3..5", "scales": "..1"}}, True),
        ({"rank": {"X": "5.."}}, False),
        ({"rank": {"roi": 7}}, True),  # left out
        ({"dynamic": True}, True),
        ({"dynamic": False}, False),
        ({"dynamic": {"X": True, "scales": False}}, True),
        ({"dynamic": {"X": False}}, False),
        ({"empty": True}, False),
        ({"empty": False}, True),
        ({"value": {"scales": {"min": 1}}}, True),
        ({"value": {"scales": {"min": 1.5}}}, False),
        ({"value": {"scales": [1, 2]}}, True),
        ({"value": {"scales": 1}}, False),
        ({"value": {"scales": [[1, 1, 2, 2]]}}, True),
        ({"value": {"scales": [[1, 1, 2, 3], [1, 1]]}}, False),
        ({"value": {"scales": {"not": [[1, 1, 2, 2]]}}}, False),
        ({"value": {"sizes": {"min": 0}}}, False),  # left out: it has no value
        ({"value": {"X": {"max": 10}}}, False),  # no constant
        ({"types": {"X": ["f32"]}, "const": ["scales"], "rank": {"X": 3}}, False),  # all must hold
    ],
)
def test_conditions_on_a_resize_with_constant_scales(condition: dict[str, Any], fits: bool) -> None:
    assert matches(resize(), "Resize", condition) is fits


def test_const_of_an_input_that_is_no_constant() -> None:
    model = resize(const=False)
    assert not matches(model, "Resize", {"const": ["scales"]})
    assert matches(model, "Resize", {"not_const": ["scales", "sizes"]})
    assert not matches(model, "Resize", {"value": {"scales": {"min": 0}}})


def test_touches_in_and_touches_out_look_at_one_side() -> None:
    cast = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.INT32)
    model = build([cast], [value("x")], ["y"])
    assert matches(model, "Cast", {"touches_in": ["f32"]})
    assert not matches(model, "Cast", {"touches_in": ["i32"]})
    assert matches(model, "Cast", {"touches_out": ["i32"]})
    assert not matches(model, "Cast", {"touches_out": ["f32"]})


def test_a_variadic_formal_stands_for_all_its_values() -> None:
    assert matches(concat(), "Concat", {"types": {"inputs": ["f32"]}, "inputs": 3})
    node = helper.make_node("Concat", ["a", "b"], ["y"], axis=0)
    model = build([node], [value("a"), value("b", shape=(2, "n"))], ["y"])
    assert not matches(model, "Concat", {"dynamic": {"inputs": False}})
    assert not matches(model, "Concat", {"const": ["inputs"]})


def test_constants_are_never_dynamic_and_an_empty_dim_is_seen() -> None:
    node = helper.make_node("Concat", ["a", "b"], ["y"], axis=0)
    model = build([node], [value("a", shape=(0, 3))], ["y"], {"b": np.zeros((2, 3), np.float32)})
    assert matches(model, "Concat", {"dynamic": False, "empty": True})
    assert not matches(model, "Concat", {"dynamic": True})


@pytest.mark.parametrize(
    ("attributes", "wanted", "fits"),
    [
        ({}, {"mode": "nearest"}, True),  # the default
        ({}, {"mode": {"given": False}}, True),
        ({"mode": "nearest"}, {"mode": {"given": False}}, False),
        ({"mode": "nearest"}, {"mode": {"given": True, "not": "linear"}}, True),
        ({"mode": "linear"}, {"mode": ["linear", "cubic"]}, True),
        ({"mode": "linear"}, {"mode": {"not": ["linear", "cubic"]}}, False),
        ({"cubic_coeff_a": -0.6}, {"cubic_coeff_a": -0.6}, True),  # a 32-bit float in the file
        ({"cubic_coeff_a": -0.6}, {"cubic_coeff_a": {"min": -0.5}}, False),
        ({}, {"cubic_coeff_a": {"max": -0.7, "min": -0.8}}, True),
        ({"antialias": 1}, {"antialias": 1}, True),
        ({"antialias": 1}, {"antialias": 0}, False),
        ({"axes": [2, 3]}, {"axes": {"min": 2}}, True),
        ({"axes": [2, 3]}, {"axes": [2, 3]}, True),
        ({"axes": [2, 3]}, {"axes": [[2, 3]]}, True),
        ({"axes": [2, 3]}, {"axes": [[3, 2]]}, False),
        ({"axes": [2, 3]}, {"axes": 2}, False),
        ({"axes": [2, 3]}, {"axes": {"not": 2}}, True),
        ({}, {"axes": {"min": 0}}, False),  # absent, no default
        ({}, {"axes": {"not": 2}}, True),
        ({}, {"axes": 2}, False),
    ],
)
def test_when(attributes: dict[str, Any], wanted: dict[str, Any], fits: bool) -> None:
    count = len(attributes.get("axes", "4444"))
    scales = np.array([2] * count, np.float32)
    node = helper.make_node("Resize", ["X", "", "scales"], ["Y"], **attributes)
    model = build([node], [value("X", shape=(1, 1, 4, 4))], [value("Y", shape=(1, 1, 8, 8))], {"scales": scales}, 18)
    assert matches(model, "Resize", {"when": wanted}) is fits


def test_semantics_ieee_counts_only_where_it_is_asked_for() -> None:
    model = build([helper.make_node("Relu", ["x"], ["y"])], [value("x")], ["y"])
    ops = {"Relu": [{"semantics": "ieee", "state": "unsupported", "reason": "NaN becomes 0"}, {"state": "supported"}]}
    assert ask(model, ops)["Relu"].state is State.SUPPORTED
    assert ask(model, ops, semantics="ieee")["Relu"].reason == "NaN becomes 0"


def test_elements_of_a_constant_node_are_known_too() -> None:
    k = helper.make_node("Constant", [], ["k"], value_ints=[3])
    model = build([k, helper.make_node("TopK", ["x", "k"], ["v", "i"])], [value("x", shape=(2, 9))], ["v"])
    assert matches(model, "TopK", {"value": {"K": {"min": 1}}})
    assert not matches(model, "TopK", {"value": {"K": 4}})


def test_nodes_that_differ_only_in_what_a_condition_looks_at_get_answers_of_their_own() -> None:
    nodes = [
        helper.make_node("TopK", ["x", "k1"], ["v1", "i1"]),
        helper.make_node("TopK", ["x", "k2"], ["v2", "i2"]),
        helper.make_node("TopK", ["x", "k1"], ["v3", "i3"], largest=0),
        helper.make_node("TopK", ["x", "k1"], ["v4", ""]),
    ]
    constants = {"k1": np.array([1]), "k2": np.array([2])}
    model = build(nodes, [value("x", shape=(2, 9))], ["v1", "v2", "v3", "v4"], constants)
    for condition, right in (
        ({"value": {"K": 1}}, {"v1", "v3", "v4"}),
        ({"when": {"largest": 1}}, {"v1", "v2", "v4"}),
        ({"omitted": ["Indices"]}, {"v4"}),
    ):
        from ovpart.capability.check import check
        from tests.capability.small import table

        verdicts = check(model, "CPU", table({"TopK": [{**condition, "state": "supported", "guard": "none"}]}))
        got = {n.key for n, v in zip(model.graph.nodes, verdicts, strict=True) if v.state is State.SUPPORTED}
        assert got == right
