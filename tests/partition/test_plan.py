"""Shares, guards, and plans that survive being written down."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import onnx.parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovpart.capability.verdict import Guard, State, Verdict
from ovpart.errors import PlanError
from ovpart.model.read import read_model
from ovpart.partition.build import make_plan
from ovpart.partition.plan import Plan
from ovpart.partition.saved import schema
from tests.partition.drawings import DEVICE, ISLAND, NO, YES, model_of, plan_for, plan_of
from tests.partition.test_build import drawn


def test_coverage_counts_nodes_flops_and_weights():
    # a MatMul of 2*4*8*16 flops and 512 bytes of weights on the island, two elementwise nodes on the device
    model = read_model(
        onnx.parser.parse_model(
            """<ir_version: 8, opset_import: ["" : 17]>
            g (float[4,8] x) => (float[4,16] y)
            <float[8,16] w = {"""
            + ", ".join(["1"] * 128)
            + """}> {
              a = Exp(x)
              m = MatMul(a, w)
              y = Neg(m)
            }"""
        )
    )
    plan = plan_for(model, {"m": "-"})
    assert plan.coverage == pytest.approx(2 / 3)
    assert plan.coverage_flops == pytest.approx((32 + 64) / (32 + 64 + 2 * 4 * 8 * 16))
    assert plan.coverage_weights == 0.0
    assert plan_for(model, {}).coverage_weights == 1.0
    assert plan_for(model, {"a": "-", "m": "-", "y": "-"}).coverage == 0.0


def test_guards_are_those_of_delegated_nodes_with_the_tightest_bound():
    def under(*inputs: str, bound: int = 2**31 - 1) -> Verdict:
        return Verdict(State.SUPPORTED, "within 32 bits", "t:1", guard=Guard("int32_range", inputs, bound))

    model = read_model(model_of({"a": [], "b": ["a"], "c": ["b"]}))
    verdicts = [under("ids"), under("ids", bound=100), under("mask")]
    plan = make_plan(model, verdicts, [DEVICE, DEVICE, ISLAND], device="GPU")
    assert plan.guards == (Guard("int32_range", ("ids",), 100),)


@settings(max_examples=40, deadline=None)
@given(drawn(), st.sampled_from(["joined", "connected"]), st.integers(0, 3))
def test_json_gives_the_same_plan_back(graph, join, limit):
    preds, signs = graph
    model = read_model(model_of(preds))
    plan = plan_for(model, signs, join=join, part_limit=limit or 400)
    again = Plan.from_json(plan.to_json(), model.graph, fingerprint=model.fingerprint)
    assert again == plan
    jsonschema.validate(json.loads(plan.to_json()), schema(), cls=jsonschema.Draft202012Validator)


def test_files_keep_guards_overruled_nodes_and_options(tmp_path):
    model = read_model(model_of({"a": [], "b": ["a"]}))
    verdicts = [Verdict(State.SUPPORTED, "ok", "t:1", guard=Guard("int32_range", ("x",))), replace(YES, deferred=True)]
    plan = make_plan(model, verdicts, [DEVICE, DEVICE], device="GPU", min_gain=10.0**9)
    assert plan.overruled
    plan.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json", model) == plan


def test_schema_is_a_valid_schema():
    jsonschema.Draft202012Validator.check_schema(schema())


def edited(plan: Plan, **changes: object) -> str:
    return json.dumps({**json.loads(plan.to_json()), **changes})


def test_plan_of_another_model_is_refused_by_name():
    plan = plan_of("a+ -> b-")
    other = read_model(model_of({"a": [], "c": ["a"]}))
    with pytest.raises(PlanError, match="'drawing'.*'b' is in one of them only"):
        Plan.from_json(plan.to_json(), other.graph)
    with pytest.raises(PlanError, match="its content differs"):
        Plan.from_json(plan.to_json(), plan.graph, fingerprint="f00")


def test_plan_of_a_model_with_the_same_names_and_other_shapes_is_refused():
    plan = plan_of("a+ -> b-")
    other = read_model(model_of({"a": [], "b": ["a"]}, shape=[7]))
    with pytest.raises(PlanError, match="is not what the model has under the same names"):
        Plan.from_json(plan.to_json(), other.graph)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: "[]", "has no 'ovpart_plan'"),
        (lambda d: "{", "it is no JSON"),
        (lambda d: json.dumps({**d, "ovpart_plan": 7}), "format 7"),
        (lambda d: json.dumps({**d, "device": 3}), r"not valid at \$.device"),
        (lambda d: json.dumps({**d, "clusters": d["clusters"][:1]}), "no place for 1 nodes, 'b'"),
        (lambda d: json.dumps({**d, "clusters": d["clusters"][::-1]}), "cannot run: 'b' reads 'a'"),
        (lambda d: json.dumps({**d, "dead": ["a"]}), "places a node twice"),
        (lambda d: json.dumps({**d, "dead": ["zz"]}), "names 'zz'"),
        (lambda d: json.dumps({**d, "verdicts": []}), "refers to verdict 0"),
        (
            lambda d: json.dumps({**d, "clusters": [{**d["clusters"][0], "outputs": []}, *d["clusters"][1:]]}),
            "nputs or",
        ),
        (lambda d: json.dumps({**d, "clusters": [{**d["clusters"][0], "parts": [[]]}, *d["clusters"][1:]]}), "parts"),
    ],
)
def test_broken_plans_are_refused_in_words(change, words):
    plan = plan_of("a+ -> b-")
    with pytest.raises(PlanError, match=words):
        Plan.from_json(change(json.loads(plan.to_json())), plan.graph)


def test_a_cluster_is_delegated_or_an_island():
    plan = plan_of("a+ -> b- -> c*")
    assert [cluster.label for cluster in plan.clusters if cluster.is_island] == [ISLAND]
    assert len(plan.delegated) == 2
    assert len(plan.islands) == 1
    assert plan.verdicts[1] is NO
