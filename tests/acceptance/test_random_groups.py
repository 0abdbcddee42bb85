"""Random models with operators written out in them give what onnxruntime gives, and no group is cut in the middle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ovpart
from tests.acceptance.test_random_models import reference
from tests.partition.written_out import planted

FEW = settings(
    max_examples=12,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TOLERANCE = 1e-3
"""Of the range of an output, as for real models."""


def check(proto, groups, exclude, join):
    rng = np.random.default_rng(7)
    feeds = [{"x": rng.normal(size=(2, 6, 8)).astype(np.float32)} for _ in range(2)]
    wanted = reference(proto, feeds)
    with ovpart.Session(proto, min_gain=0, exclude=exclude, join=join, num_threads=1) as session:
        where = {n.key: place for n, place in zip(session.plan.graph.nodes, session.plan.places, strict=True)}
        assert all(len({where[key] for key in inside}) == 1 for inside in groups.values())
        for feed, (want,) in zip(feeds, wanted, strict=True):
            (got,) = session.run(None, feed)
            assert np.abs(got - want).max() <= TOLERANCE * max(1.0, np.ptp(want))


@FEW
@given(planted(steps=5), st.data(), st.sampled_from(["joined", "connected"]))
def test_models_with_groups_are_right_and_no_group_is_cut(model_and_groups, data, join):
    proto, groups = model_and_groups
    keys = [node.output[0] for node in proto.graph.node]
    check(proto, groups, sorted(data.draw(st.sets(st.sampled_from(keys), max_size=3))), join)


@pytest.mark.long
@settings(FEW, max_examples=400, derandomize=False, print_blob=True)
@given(planted(steps=8), st.data(), st.sampled_from(["joined", "connected"]))
def test_many_models_with_groups_are_right_and_no_group_is_cut(model_and_groups, data, join):
    proto, groups = model_and_groups
    keys = [node.output[0] for node in proto.graph.node]
    check(proto, groups, sorted(data.draw(st.sets(st.sampled_from(keys), max_size=4))), join)
