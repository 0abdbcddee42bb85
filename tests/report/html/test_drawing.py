"""The picture of clusters: nothing overlaps, lines go down and hold on to their boxes, what is left out is said."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from ovpart.model.read import read_model
from ovpart.partition.build import make_plan
from ovpart.partition.plan import Label
from ovpart.report.html import drawing
from ovpart.report.html.drawing import INPUTS, OUTPUTS, Box, Drawing, draw
from tests.report.conftest import DEVICE, ISLAND, REFUSED, YES, plan_of


def overlapping(drawing: Drawing) -> list[tuple[str, str]]:
    def apart(a: Box, b: Box) -> bool:
        beside = a.x + a.width < b.x or b.x + b.width < a.x
        return beside or a.y + a.height < b.y or b.y + b.height < a.y

    return [(a.id, b.id) for a, b in itertools.combinations(drawing.boxes, 2) if not apart(a, b)]


def check(drawing: Drawing) -> None:
    assert overlapping(drawing) == []
    boxes = {box.id: box for box in drawing.boxes}
    for box in drawing.boxes:
        assert 0 <= box.x < box.x + box.width <= drawing.width
        assert 0 <= box.y < box.y + box.height <= drawing.height
    for line in drawing.lines:
        heights = [y for _, y in line.points]
        assert heights == sorted(heights)
        assert all(0 <= x <= drawing.width for x, _ in line.points)
        if line.target:
            target = boxes[line.target]
            x, y = line.points[-1]
            assert (target.x < x < target.x + target.width, y) == (True, target.y)
            assert line.values
        for (x, top), (to_x, bottom) in itertools.pairwise(line.points):
            passed = [b for b in drawing.boxes if top < b.y + b.height and b.y < bottom]
            if x == to_x:
                assert not any(b.x <= x <= b.x + b.width for b in passed), "a line lies behind a box"
            else:
                assert passed == [], "a line bends beside a box"


def test_a_chain_stands_in_one_column_between_inputs_and_outputs(model):
    found = draw(plan_of(model, REFUSED))
    check(found)
    assert [box.id for box in sorted(found.boxes, key=lambda b: b.y)][:: len(found.boxes) - 1] == [INPUTS, OUTPUTS]
    assert [box.number for box in sorted(found.boxes, key=lambda b: b.y)] == [-1, 0, 1, 2, 3, 4, -1]
    assert len({box.x for box in found.boxes}) == 1
    assert {line.target for line in found.lines} == {box.id for box in found.boxes} - {INPUTS}
    assert (found.boxes_left_out, found.lines_left_out) == (0, 0)


def random_model(reads: list[list[int]]):
    """Return a model whose node i reads the outputs of earlier nodes, or the input."""
    nodes = []
    for number, earlier in enumerate(reads):
        names = [f"v{index % number}" for index in earlier if number] or ["x"]
        nodes.append(helper.make_node("Sum", names, [f"v{number}"]))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", f"v{len(reads) - 1}", "v0")]
    graph = helper.make_graph(nodes, "random", ends[:1], ends[1:] if len(reads) > 1 else ends[1:2])
    return read_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=3), min_size=1, max_size=24),
    st.lists(st.sampled_from([DEVICE, ISLAND, Label("openvino", "GPU")]), min_size=24, max_size=24),
    st.sampled_from(["joined", "connected"]),
)
def test_nothing_overlaps_in_graphs_of_any_form(reads, labels, join):
    model = random_model(reads)
    nodes = len(model.graph.nodes)
    plan = make_plan(model, [YES] * nodes, labels[:nodes], device="CPU", join=join, min_gain=0.0)
    found = draw(plan)
    check(found)
    assert len(found.boxes) == len(plan.clusters) + 2


@pytest.fixture
def long_chain():
    """Return the plan of a chain of 300 clusters, each of which the last one reads."""
    nodes = 300
    model = random_model([[i - 1] for i in range(nodes - 1)] + [list(range(nodes))])
    labels = [DEVICE if i % 2 else ISLAND for i in range(nodes)]
    return make_plan(model, [YES] * nodes, labels, device="CPU", join="joined", min_gain=0.0)


def test_too_many_clusters_are_cut_off_and_counted(long_chain):
    found = draw(long_chain)
    check(found)
    clusters = [box.number for box in found.boxes if box.number >= 0]
    assert clusters == list(range(drawing.MOST_BOXES))
    assert found.boxes_left_out == len(long_chain.clusters) - drawing.MOST_BOXES > 0


def test_lines_that_would_be_too_many_are_left_out_and_counted(long_chain, monkeypatch):
    monkeypatch.setattr(drawing, "MOST_BOXES", 1000)
    monkeypatch.setattr(drawing, "MOST_TRACKS", 50)
    found = draw(long_chain)
    check(found)
    assert found.lines_left_out > 0
    assert sum(len(line.points) - 1 for line in found.lines if not line.target) <= 2 * 50
