"""What would be if more were supported: figures that a plan with those verdicts has in fact."""

from __future__ import annotations

import pytest

from ovpart.capability.verdict import State, Verdict
from ovpart.errors import OptionError
from ovpart.report.what_if import WIDTH, as_data, what_if
from tests.report.conftest import REFUSED, YES, plan_of


def test_figures_are_those_of_a_plan_that_has_it_supported(model):
    plan = plan_of(model, REFUSED)
    found = what_if(plan, model, ["Softmax", "Tanh"])
    assert [(s.what, s.nodes) for s in found.suppositions] == [
        ("Softmax", ("soft",)),
        ("Tanh", ("last",)),
        ("all of these", ("soft", "last")),
    ]
    for supposed, verdicts in zip(
        found.suppositions,
        [{**REFUSED, "Softmax": YES}, {**REFUSED, "Tanh": YES}, {}],
        strict=True,
    ):
        then = plan_of(model, verdicts)
        assert (supposed.then.clusters, supposed.then.islands) == (len(then.clusters), len(then.islands))
        assert supposed.then.coverage == pytest.approx(then.coverage)
        assert supposed.then.coverage_flops == pytest.approx(then.coverage_flops)
    assert (found.now.clusters, found.left) == (5, ())


def test_without_names_every_reason_is_tried_and_the_rest_is_told(model):
    plan = plan_of(model, REFUSED)
    found = what_if(plan, model)
    assert {s.what for s in found.suppositions} == {"axis is flattened", "loses NaN", "all of these"}
    assert what_if(plan, model, ["soft"]).left == (("loses NaN", 1),)


def test_nodes_that_are_there_already_change_nothing_and_it_is_said(model):
    found = what_if(plan_of(model, REFUSED), model, ["MatMul"])
    (supposed,) = found.suppositions
    assert (supposed.nodes, supposed.then) == ((), found.now)
    assert "0 nodes: all that is meant by it is on the device already" in str(found)
    assert "every node is on the device" in str(what_if(plan_of(model, {}), model))


def test_what_does_not_pay_is_said_to_stay_behind(model):
    found = what_if(plan_of(model, REFUSED, min_gain=1e9), model, ["Softmax"])
    assert "min_gain=0 leaves that out" in str(found)


def test_names_that_mean_nothing_are_refused(model):
    with pytest.raises(OptionError, match="if='Sofmax' means no node.*Softmax"):
        what_if(plan_of(model, REFUSED), model, ["Sofmax"])


def test_text_and_data(model):
    long = Verdict(State.UNSUPPORTED, "a reason that is much longer than the column that it has to stand in", "x:1")
    found = what_if(plan_of(model, {"Softmax": long}), model)
    assert max(map(len, str(found).splitlines()[:4])) <= WIDTH
    data = as_data(found)
    assert data["now"]["clusters"] == 3
    assert data["suppositions"][0]["nodes"] == ("soft",)
    assert data["suppositions"][0]["then"]["coverage"] == 1.0
