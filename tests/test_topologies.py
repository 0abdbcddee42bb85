"""The topologies: the documents' list is covered, the page shows all, and those that need no torch run here."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.topologies import measure, page, zoo
from benchmarks.topologies.documents import LISTED
from benchmarks.topologies.registry import TOPOLOGIES, UNAVAILABLE
from benchmarks.topologies.topology import GROUPS
from benchmarks.topologies.worker import load, store

ROOT = Path(__file__).resolve().parent.parent
EVERY_LISTED = sorted({name for names in LISTED.values() for name in names})


@pytest.mark.parametrize("name", EVERY_LISTED)
def test_a_network_of_the_documents_is_built_or_told_why_not(name):
    assert (name in TOPOLOGIES) != (name in UNAVAILABLE)


def test_topologies_are_called_by_their_names_and_belong_to_a_group():
    assert all(name == topology.name and topology.group in GROUPS for name, topology in TOPOLOGIES.items())


def test_the_registry_imports_nothing_heavy():
    heavy = ("torch", "torchvision", "timm", "transformers", "onnx", "onnxruntime", "openvino")
    program = (
        "import sys, benchmarks.topologies.registry\n"
        f"found = sorted(set({heavy!r}) & set(sys.modules))\n"
        "sys.exit(str(found) if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_inputs_are_the_same_for_the_same_seed_and_others_for_another():
    topology = TOPOLOGIES["mnist"]
    first, again, other = topology.inputs(0), topology.inputs(0), topology.inputs(1)
    assert np.array_equal(first["Input3"], again["Input3"])
    assert not np.array_equal(first["Input3"], other["Input3"])


@pytest.mark.parametrize("name", ["mnist", "emotion ferplus", "squeezenet1.1", "squeezenet1.0", "shufflenet"])
def test_a_network_runs_right_with_all_delegated(name, tmp_path):
    import onnxruntime

    import ovpart

    path = tmp_path / "model.onnx"
    topology = TOPOLOGIES[name]
    topology.build(path)
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = onnxruntime.InferenceSession(path, settings)
    names = [output.name for output in plain.get_outputs()]
    with ovpart.Session(path, min_gain=0, evidence="off") as session:
        assert session.report.coverage > 0.98  # the Softmax of SqueezeNet 1.0 is of opset 12
        for seed in (0, 1):
            feeds = topology.inputs(seed)
            wanted = dict(zip(names, plain.run(None, feeds), strict=True))
            got = dict(zip(names, session.run(names, feeds), strict=True))
            assert all(np.ptp(array) > 0 for array in wanted.values())
            assert measure.error(got, wanted)[0] < 1e-4


def test_graphs_of_the_zoo_get_weights_that_are_inputs_too():
    model = zoo.weighted(zoo.light("squeezenet"), 0)
    assert "ConstantOfShape" not in {node.op_type for node in model.graph.node}
    stored = {tensor.name for tensor in model.graph.initializer}
    assert stored < {value.name for value in model.graph.input}


def test_a_graph_that_is_raised_has_the_later_dropout():
    model = zoo.raised(zoo.weighted(zoo.light("squeezenet"), 0), 12)
    assert model.opset_import[0].version == 12
    assert len(next(node for node in model.graph.node if node.op_type == "Dropout").input) == 2
    assert len(model.graph.input) == 1


@pytest.mark.parametrize(
    ("got", "wanted", "error"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([1.0, 2.5], [1.0, 2.0], 0.25),
        ([1.0, math.nan], [1.0, math.nan], 0.0),
        ([1.0, 0.0], [1.0, math.nan], math.inf),
        ([1.0, math.inf], [1.0, math.inf], 0.0),
        ([1.0, -math.inf], [1.0, math.inf], math.inf),
        ([1.0], [1.0, 2.0], math.inf),
    ],
)
def test_error_is_taken_over_the_largest_value(got, wanted, error):
    found, _ = measure.error({"y": np.float32(got)}, {"y": np.float32(wanted)})
    assert found == pytest.approx(error)


def test_one_other_integer_or_another_type_is_wrong():
    assert measure.error({"y": np.array([1, 2])}, {"y": np.array([1, 3])}) == (math.inf, "y: 1 of 2 differ")
    assert measure.error({"y": np.float32([1])}, {"y": np.float64([1])})[0] == math.inf
    assert measure.error({}, {"y": np.float32([1])})[0] == math.inf


def result(ovpart_error, *, quantised=False, sqnr=math.inf, spread=math.inf, failed=None):
    engines = {
        "onnxruntime": {"failed": None, "error": 0.0, "sqnr": spread, "ns": [10.0, 20.0, 30.0]},
        "openvino": {"failed": "it threw", "error": None},
        "ovpart": {"failed": failed, "error": ovpart_error, "sqnr": sqnr, "ns": [5.0, 20.0, 15.0]},
    }
    return {"name": "n", "nodes": 3, "opset": 9, "quantised": quantised, "engines": engines}


def test_a_quantised_network_may_err_as_far_as_onnxruntime_errs_on_itself():
    assert not measure.is_right(result(0.02, sqnr=30.0, spread=30.0), "ovpart")
    assert measure.is_right(result(0.02, quantised=True, sqnr=29.5, spread=30.0), "ovpart")
    assert not measure.is_right(result(0.02, quantised=True, sqnr=28.0, spread=30.0), "ovpart")
    assert measure.is_right(result(0.0009, quantised=True, sqnr=28.0, spread=30.0), "ovpart")
    assert not measure.is_right(result(0.0, failed="it threw"), "ovpart")


def test_times_are_compared_round_by_round_with_what_is_right():
    assert page.ratio_of(result(0.0), "ovpart", "onnxruntime") == 0.5
    assert page.against_best(result(0.0)) == 0.5
    assert page.ratio_of(result(0.0), "openvino", "onnxruntime") is None


def test_signal_to_noise_is_in_decibels_and_the_worst_of_all_outputs():
    wanted = {"a": np.float32([3, 4]), "b": np.float32([1])}
    assert measure.sqnr(wanted, wanted) == math.inf
    assert measure.sqnr({"a": np.float32([3, 4.5]), "b": np.float32([1])}, wanted) == pytest.approx(20)
    assert measure.sqnr({"a": np.float32([3, 4.5]), "b": np.float32([2])}, wanted) == pytest.approx(0)


def test_sequences_and_maps_are_kept_element_by_element(tmp_path):
    store({"s": [np.float32([1]), {"k": np.int64([2])}], "absent": None}, tmp_path / "x.npz")
    assert {name: array.tolist() for name, array in load(tmp_path / "x.npz").items()} == {"s[0]": [1.0], "s[1][k]": [2]}


def test_the_page_shows_every_network_and_none_is_wrong():
    text = page.PAGE.read_text(encoding="utf-8")
    rows = {line.split("|")[1].replace("*q*", "").strip() for line in text.splitlines() if line.startswith("| ")}
    assert rows >= {*EVERY_LISTED, *TOPOLOGIES}
    assert "**" not in text  # an error that is not right is set in bold
