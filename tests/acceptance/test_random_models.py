"""Random small models give what onnxruntime without graph optimisations gives, wherever their nodes are placed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ovpart
from ovpart.partition.graphs import is_maximal
from tests.acceptance.random_models import Found, array, models, renamed_and_shuffled, worst

FEW = settings(
    max_examples=30,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
MANY = settings(FEW, max_examples=600, derandomize=False, print_blob=True)


def reference(proto: onnx.ModelProto, feeds):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    proto = onnx.ModelProto.FromString(proto.SerializeToString())
    for node in proto.graph.node:  # which onnxruntime wants to be unique, and ONNX does not
        node.ClearField("name")
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [session.run(None, feed) for feed in feeds]


def feeds_of(found: Found):
    """Two shapes (two sets of numbers where the model leaves no size open), the first again, an override at the end."""
    first, second = found.feed(2, 1), found.feed(5, 2)
    feeds = [first, second, first]
    for value in found.overridable:
        feeds.append({**first, value.name: array(np.random.default_rng(found.seed), value)})
    return feeds


def session(proto: onnx.ModelProto, found: Found, join: str) -> ovpart.Session:
    return ovpart.Session(proto, min_gain=0, exclude=found.exclude, join=join, num_threads=1)


def differences(found: Found, join: str) -> list[Mapping[str, float]]:
    """Return by how much each run's outputs are off, where they are; what holds of every plan and run is asserted."""
    feeds = feeds_of(found)
    wanted = reference(found.proto, feeds)
    before = [{name: array.copy() for name, array in feed.items()} for feed in feeds]
    with session(found.proto, found, join) as ours:
        planned = ours.plan
        assert is_maximal(planned)
        assert join == "connected" or len(planned.clusters) == planned.lower_bound
        results, kept = [], []
        for feed in feeds:
            results.append(ours.run(None, feed))
            kept.append([result.copy() for result in results[-1]])
    for now, then in zip(results, kept, strict=True):
        assert all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(now, then, strict=True))
    for now, then in zip(feeds, before, strict=True):
        assert all(np.array_equal(now[name], then[name]) for name in then), "a run wrote to its inputs"
    return [off for result, want in zip(results, wanted, strict=True) if (off := worst(result, want, found.outputs))]


def differences_of_renamed(found: Found) -> list[Mapping[str, float]]:
    """Return likewise how a model is off whose nodes have other names and another order; its plan is the same."""
    other = renamed_and_shuffled(found, found.seed)
    plans = [ovpart.plan(proto, min_gain=0, exclude=found.exclude) for proto in (found.proto, other)]
    places = [{n.key: place for n, place in zip(plan.graph.nodes, plan.places, strict=True)} for plan in plans]
    assert places[0] == places[1]
    assert [cluster.id for cluster in plans[0].clusters] == [cluster.id for cluster in plans[1].clusters]
    feeds = feeds_of(found)[:2]
    wanted = reference(found.proto, feeds)
    with session(other, found, "joined") as ours:
        results = [worst(ours.run(None, f), want, found.outputs) for f, want in zip(feeds, wanted, strict=True)]
    return [off for off in results if off]


JOINS = st.sampled_from(["joined", "joined", "connected"])


@FEW
@given(models(), JOINS)
def test_answers_are_those_of_onnxruntime(found, join):
    assert differences(found, join) == []


@settings(FEW, max_examples=12)
@given(models())
def test_order_and_names_of_nodes_do_not_matter(found):
    assert differences_of_renamed(found) == []


@pytest.mark.long
@MANY
@given(models(steps=20), JOINS)
def test_answers_of_many_models_are_those_of_onnxruntime(found, join):
    assert differences(found, join) == []


@pytest.mark.long
@settings(MANY, max_examples=300)
@given(models(steps=20))
def test_order_and_names_of_nodes_of_many_models_do_not_matter(found):
    assert differences_of_renamed(found) == []
