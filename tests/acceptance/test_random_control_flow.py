"""Random models of If, Loop and Scan give what onnxruntime gives, whole or with plans of their own for all bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import ovpart
from ovpart.model.graph import Graph
from ovpart.model.read import read_model
from tests.acceptance.random_control_flow import Found, control_flow_models

FEEDS = 3
BOUND = 2e-4
"""Of values around 1: what f32 rounds in a few dozen operators, products and sums of several terms among them."""
WAYS: tuple[Mapping[str, Any], ...] = (
    {"control_flow": "nested"},
    {"control_flow": "nested", "lazy": True, "join": "connected"},
    {"control_flow": "auto", "lazy": False},
)
FEW = settings(
    max_examples=12,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
MANY = settings(FEW, max_examples=250, derandomize=False, print_blob=True)


def answers_of_onnxruntime(found: Found) -> list[list[np.ndarray] | None]:
    """Return onnxruntime's outputs for each feed, ``None`` where it fails: its Scan must know shapes beforehand."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(found.proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    answers: list[list[np.ndarray] | None] = []
    for number in range(FEEDS):
        try:
            answers.append(session.run(None, found.feed(number)))
        except Exception:
            answers.append(None)
    return answers


def holds(found: Found, way: Mapping[str, Any]) -> None:
    wanted = answers_of_onnxruntime(found)
    known = [number for number, answer in enumerate(wanted) if answer is not None]
    assume(known)
    there = operators(read_model(found.proto).graph)  # branches that are never taken are gone
    exclude = [op for op in found.exclude if op in there]
    with ovpart.Session(found.proto, min_gain=0, exclude=exclude, num_threads=1, **way) as session:
        results = []
        for number in (*known, known[0]):
            feed = found.feed(number)
            results.append((number, session.run(None, feed)))
            assert all(np.array_equal(feed[name], value) for name, value in found.feed(number).items())
    for number, got in results:  # after all runs: none may write into what another gave
        for name, mine, theirs in zip(names(found), got, wanted[number] or (), strict=True):
            agrees(name, mine, theirs)


def operators(graph: Graph) -> set[str]:
    """Return the operators of a scope and of those within it."""
    bodies = [body for node in graph.nodes for body in node.bodies.values()]
    return {node.op_type for node in graph.nodes}.union(*map(operators, bodies))


def names(found: Found) -> list[str]:
    return [value.name for value in found.proto.graph.output]


def agrees(name: str, got: np.ndarray, wanted: np.ndarray) -> None:
    assert (got.dtype, got.ndim) == (wanted.dtype, wanted.ndim), name
    if wanted.size == 0:  # of what no iteration has made, each engine knows the other sizes as well as it can
        assert got.size == 0, name
    elif wanted.dtype == np.float32:
        np.testing.assert_allclose(got, wanted, BOUND, BOUND, err_msg=name)
    else:
        assert np.array_equal(got, wanted), name


@FEW
@given(control_flow_models(), st.sampled_from(WAYS))
def test_random_control_flow_is_right(found, way):
    holds(found, way)


@pytest.mark.long
@MANY
@given(control_flow_models(), st.sampled_from(WAYS))
def test_much_random_control_flow_is_right(found, way):
    holds(found, way)
