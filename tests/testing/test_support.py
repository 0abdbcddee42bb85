from __future__ import annotations

import pytest

import ovpart
from ovpart.errors import OptionError, OvpartWarning
from ovpart.testing import assert_supported


def test_a_model_that_the_device_takes_passes_and_gives_its_plan(split):
    plan = assert_supported(split(), "CPU", allow=["Cast", "Sqrt"], clusters=3)
    assert plan.coverage == 0.4


def test_nodes_that_fell_back_are_named_with_reason_line_and_hint(split):
    with pytest.raises(AssertionError) as caught:
        assert_supported(split())
    told = str(caught.value)
    assert "split.onnx on CPU: 2 of 5 nodes are delegated: 40.0%, not 100%" in told
    assert "3 × Cast, Sqrt: f64 is computed as f32" in told
    assert "(op_support.yaml:" in told
    assert "→ export the model in f32" in told
    assert "nodes: up, root, down" in told


def test_a_share_and_a_number_of_clusters_are_held(split):
    assert_supported(split(), coverage=0.4)
    with pytest.raises(AssertionError, match=r"40.0%, not 50.0%"):
        assert_supported(split(), coverage=0.5)
    with pytest.raises(AssertionError, match="3 clusters, 1 of them islands; at most 2 are asked for"):
        assert_supported(split(), coverage=0, clusters=2)


def test_allowed_nodes_count_on_neither_side(split):
    with pytest.raises(AssertionError) as caught:
        assert_supported(split(), allow=["root", "up"])
    assert "2 of 3 nodes are delegated" in str(caught.value)
    assert "nodes: down" in str(caught.value)
    assert "not counted: 2" in str(caught.value)


def test_an_allowance_for_nothing_is_told(split):
    with pytest.warns(OvpartWarning, match="'Sqr' means no node"):
        assert_supported(split(), coverage=0, allow=["Sqr"])


def test_devices_and_overlays_that_are_not_here_can_be_asked(split):
    overlay = {
        "schema": 1,
        "ops": {"Tanh": {"GPU": [{"state": "unsupported", "reason": "too hot", "source": "inferred"}]}},
    }
    with pytest.raises(AssertionError, match=r"1 × Tanh: too hot \(overlay 1:1\)"):
        assert_supported(split(), "GPU", allow=["a..d"], table=[overlay])


def test_small_gains_count_only_where_asked_for(split):
    assert_supported(split(), coverage=0.4)
    with pytest.raises(AssertionError, match="min_gain"):
        assert_supported(split(), coverage=0.4, min_gain=1e6)


def test_a_plan_is_taken_as_it_is(split):
    plan = ovpart.plan(split(), min_gain=0)
    assert assert_supported(plan, coverage=0.4) is plan
    with pytest.raises(OptionError, match="min_gain"):
        assert_supported(plan, min_gain=0)


def test_a_share_in_per_cent_is_refused(split):
    with pytest.raises(OptionError, match="not per cent"):
        assert_supported(split(), coverage=95)
