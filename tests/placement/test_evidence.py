"""What one session learns, the next one knows; the file is locked, whole, and never in the way."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import TensorProto
from onnx import helper as h

import ovpart
from ovpart.backend.fake import Failure, FakeBackend
from ovpart.backend.registry import backend
from ovpart.capability.demotion import Demotion
from ovpart.capability.evidence import Evidence, read_evidence, schema
from ovpart.errors import CompileError, OptionError, OvpartWarning
from ovpart.model.read import read_model
from ovpart.placement.evidence import add_to

X = np.array([[-1.5, 0.25, 2.0]], np.float32)
WANTED = np.tanh(np.exp(np.maximum(X, 0)))


@pytest.fixture
def model(tmp_path) -> Path:
    """Write x -> Relu -> Exp -> Tanh -> y."""
    nodes = [h.make_node(op, [a], [b]) for op, a, b in (("Relu", "x", "a"), ("Exp", "a", "b"), ("Tanh", "b", "y"))]
    x, y = (h.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in "xy")
    proto = h.make_model(h.make_graph(nodes, "g", [x], [y]), opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    onnx.save(proto, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


class Refusing:
    """openvino, as far as sessions see it, with a compile that fails as a fake is told to."""

    name = "openvino"

    def __init__(self, version: str = "1", **more: object) -> None:
        self.inner = FakeBackend(**more)
        self.version = version

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def fingerprint(self, device: str) -> str:
        return f"openvino {self.version}"


@pytest.fixture
def device(monkeypatch):
    """Put a fake in openvino's place: ``device(failures=[...])`` gives it."""

    def put(*failures: Failure, version: str = "1") -> FakeBackend:
        fake = Refusing(version, failures=failures)
        real = backend

        def chosen(name: str) -> object:
            return fake if name == "openvino" else real(name)

        monkeypatch.setattr("ovpart.placement.engines.backend", chosen)
        return fake.inner

    return put


REFUSES_EXP = Failure("compile", "out of registers", operator="Exp", names_node=True)


def ran(model: Path, **options: object) -> ovpart.Report:
    with ovpart.Session(model, min_gain=0, **options) as session:
        np.testing.assert_allclose(session.run(None, {"x": X})[0], WANTED, 1e-6)
        return session.report


def test_what_is_refused_once_is_not_tried_again(model, device, evidence_folder):
    first = device(REFUSES_EXP)
    report = ran(model)
    assert first.calls["compile"] == 3  # the whole, and the two halves
    assert (report.evidence.known, report.evidence.fresh) == (0, 1)
    (path,) = evidence_folder.glob("*.json")
    assert report.evidence.path == str(path)
    second = device(REFUSES_EXP)
    report = ran(model)
    assert second.calls["compile"] == 2
    assert (report.evidence.known, report.evidence.fresh) == (1, 0)
    assert [(d.node, d.words) for d in report.demotions] == [("b", "out of registers")]
    assert report.coverage == pytest.approx(2 / 3)
    assert "evidence: 1 demotion known before, 0 new" in str(report)
    assert path.name in str(report).replace("\n  ", "")
    assert json.loads(report.to_json())["evidence"] == {"path": str(path), "known": 1, "fresh": 0}


def test_a_failed_run_is_evidence_too_but_not_what_tells_of_the_machine_alone(model, device, evidence_folder):
    device(Failure("run", "unsupported shape"))
    ran(model)
    assert device().calls["compile"] == 0
    assert ran(model).coverage == 0
    device(Failure("run", "std::bad_alloc"), version="2")
    ran(model)
    device(version="2")
    assert ran(model).coverage == 1


def test_another_version_setting_or_device_starts_anew(model, device, evidence_folder):
    device(REFUSES_EXP)
    ran(model)
    for version, options in (("2", {}), ("1", {"config": {"KEY": "value"}})):
        device(version=version)
        assert ran(model, **options).coverage == 1
    assert len(list(evidence_folder.glob("*.json"))) == 1


def test_off_neither_reads_nor_writes(model, device, evidence_folder):
    device(REFUSES_EXP)
    report = ran(model, evidence="off")
    assert report.evidence is None
    assert not evidence_folder.exists()
    ran(model)
    fake = device(REFUSES_EXP)
    ran(model, evidence="off")
    assert fake.calls["compile"] == 3


def test_a_path_of_ones_own_is_read_and_written(model, device, tmp_path, evidence_folder):
    device(REFUSES_EXP)
    mine = tmp_path / "kept" / "mine.json"
    with warnings.catch_warnings():
        warnings.simplefilter("error", OvpartWarning)
        ran(model, evidence=mine)
        assert read_evidence(mine).demotions[0].node == "b"
        device()
        assert ran(model, evidence=mine).evidence.known == 1
    assert not evidence_folder.exists()


def test_strict_is_spared_nothing(model, device):
    device(REFUSES_EXP)
    ran(model)
    device(REFUSES_EXP)
    with pytest.raises(CompileError, match="out of registers"):
        ovpart.Session(model, min_gain=0, strict=True)


@pytest.mark.parametrize("text", ["{", '{"ovpart_evidence": 1}'])
def test_a_corrupt_file_is_ignored_and_written_anew(model, device, evidence_folder, text):
    device(REFUSES_EXP)
    ran(model)
    (path,) = evidence_folder.glob("*.json")
    path.write_text(text)
    with pytest.warns(OvpartWarning, match="is ignored"):
        assert ran(model).evidence.fresh == 1
    assert len(read_evidence(path).demotions) == 1


def test_evidence_of_another_model_is_ignored_and_left_alone(model, device, tmp_path):
    device(REFUSES_EXP)
    foreign = tmp_path / "foreign.json"
    foreign.write_text(Evidence("0" * 32, "CPU").to_json())
    before = foreign.read_text()
    with pytest.warns(OvpartWarning, match="of another model"):
        ran(model, evidence=foreign)
    assert foreign.read_text() == before


def test_a_folder_that_cannot_be_written_costs_a_warning(model, device, evidence_folder):
    device(REFUSES_EXP)
    evidence_folder.parent.mkdir(parents=True, exist_ok=True)
    evidence_folder.write_text("in the way")
    with pytest.warns(OvpartWarning, match="cannot be kept"):
        assert ran(model).coverage == pytest.approx(2 / 3)


def test_a_plan_takes_evidence_only_when_it_is_given(model, device, evidence_folder):
    device(REFUSES_EXP)
    ran(model)
    (path,) = evidence_folder.glob("*.json")
    assert ovpart.plan(model, min_gain=0).coverage == 1
    for given in (path, str(path), read_evidence(path)):
        plan = ovpart.plan(model, min_gain=0, evidence=given)
        assert plan.coverage == pytest.approx(2 / 3)
        assert plan.explain("b").verdict.rule == "evidence"
    assert ovpart.plan(model, min_gain=0, evidence="off").coverage == 1
    with pytest.raises(OptionError, match="give a plan the file"):
        ovpart.plan(model, evidence="auto")
    with pytest.warns(OvpartWarning, match="no such file"):
        assert ovpart.plan(model, min_gain=0, evidence="nowhere.json").coverage == 1


def test_a_given_plan_runs_as_it_is_and_still_teaches(model, device, evidence_folder):
    device(REFUSES_EXP)
    plan = ovpart.plan(model, min_gain=0)
    for _ in range(2):
        assert ran(model, plan=plan).coverage == pytest.approx(2 / 3)
    assert len(list(evidence_folder.glob("*.json"))) == 1


def test_a_trial_that_was_stood_is_not_asked_for_again(model, device, evidence_folder):
    unknown = {"schema": 1, "ops": {"Exp": {"CPU": [{"state": "unknown", "reason": "new", "source": "user"}]}}}
    with ovpart.Session(model, min_gain=0, unknown="delegate", table=[unknown]) as session:
        assert session._form._on_trial
        session.run(None, {"x": X})
    with ovpart.Session(model, min_gain=0, unknown="delegate", table=[unknown]) as session:
        assert not session._form._on_trial
    with ovpart.Session(model, min_gain=0, unknown="delegate", table=[unknown], isolate=True) as session:
        assert session._form._on_trial


WRITER = """
import sys
from pathlib import Path
from ovpart.capability.demotion import Demotion
from ovpart.capability.evidence import Evidence
from ovpart.placement.evidence import add_to
who, path = sys.argv[1], Path(sys.argv[2])
for i in range(20):
    add_to(path, Evidence("f" * 32, "CPU", demotions=(Demotion(f"{who}{i}", "openvino", "run", "w" * 1000, "CPU"),)))
"""


def test_two_processes_that_write_at_once_lose_nothing(tmp_path):
    path = tmp_path / "e.json"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, who, str(path)]) for who in "ab"]
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            assert read_evidence(path) is not None  # never half a file
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(read_evidence(path).demotions) == 40


def test_a_record_of_something_else_at_the_same_place_is_replaced(tmp_path):
    path = tmp_path / "e.json"
    one = Evidence("f" * 32, "CPU", demotions=(Demotion("a", "openvino", "run", "w", "CPU"),))
    add_to(path, replace(one, fingerprint="0" * 32))
    assert add_to(path, one) == one
    assert read_evidence(path) == one


BRANCHES = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[n,3] x, bool c, int64 m) => (float[n,3] y) {
  b = Exp(x)
  a = Relu(b)
  y = If (c) <
    then_branch = t () => (float[n,3] p) { i = Abs(a)  b = Exp(i)  p = Tanh(b) },
    else_branch = e () => (float[n,3] q) {
      q = Loop (m, , a) <body = l (int64 i, bool go, float[n,3] v) => (bool again, float[n,3] w) {
        again = Identity(go)  h = Neg(v)  b = Exp(h)  w = Tanh(b) }>
    }>
}"""
"""Exp is b in every scope."""


def in_branches(path: Path, **options: object) -> ovpart.Report:
    outside = np.maximum(np.exp(X), 0)
    inside = outside
    for _ in range(2):
        inside = np.tanh(np.exp(-inside))
    with ovpart.Session(path, min_gain=0, control_flow="nested", **options) as session:
        for c, wanted in ((True, np.tanh(np.exp(np.abs(outside)))), (False, inside)):
            feed = {"x": X, "c": np.array(c), "m": np.array(2)}
            np.testing.assert_allclose(session.run(None, feed)[0], wanted, 1e-5)
        return session.report


def test_what_bodies_teach_is_known_to_the_next_session(tmp_path, device, evidence_folder):
    path = tmp_path / "branches.onnx"
    onnx.save(onnx.parser.parse_model(BRANCHES), path)
    first = device(REFUSES_EXP)
    in_branches(path)
    (file,) = evidence_folder.glob("*.json")
    rows = {tuple(row.get("scope", ())): row["node"] for row in json.loads(file.read_text())["demotions"]}
    assert rows == {(): "b", ("y", "then_branch"): "b", ("y", "else_branch", "q", "body"): "b"}
    second = device(REFUSES_EXP)
    report = in_branches(path)
    assert report.evidence.fresh == 0
    assert report.evidence.known == 3
    # Nothing that was refused is tried again: what compiles now are the halves that compiled before.
    assert second.calls["compile"] == first.calls["compile"] - 3
    plan = ovpart.plan(path, min_gain=0, control_flow="nested", evidence=file)
    branch = plan.bodies["y"]["then_branch"]
    assert [cluster.label.engine for cluster in branch.clusters] == ["openvino", "onnxruntime", "openvino"]


def test_what_a_body_teaches_says_nothing_of_a_node_of_that_name_elsewhere(tmp_path, device, evidence_folder):
    path = tmp_path / "branches.onnx"
    onnx.save(onnx.parser.parse_model(BRANCHES.replace("h = Neg(v)  b = Exp(h)", "h = Neg(v)  b = Sin(h)")), path)
    plain = ovpart.plan(path, min_gain=0, control_flow="nested")
    told = Evidence(
        read_model(path).fingerprint,
        "CPU",
        demotions=(Demotion("b", "openvino", "compile", "no", "CPU", ("y", "then_branch")),),
    )
    plan = ovpart.plan(path, min_gain=0, control_flow="nested", evidence=told)
    assert [c.label.engine for c in plan.clusters] == [c.label.engine for c in plain.clusters]
    engines = {name: [c.label.engine for c in body.clusters] for name, body in plan.bodies["y"].items()}
    assert engines["then_branch"] == ["openvino", "onnxruntime", "openvino"]
    loops = [made.bodies["y"]["else_branch"].bodies["q"]["body"] for made in (plan, plain)]
    assert loops[0].places == loops[1].places


def test_what_came_out_wrong_in_a_body_is_kept_too():
    told = Evidence("f", "CPU", demotions=(Demotion("b", "openvino", "verify", "is wrong", "CPU", ("y", "body")),))
    document = json.loads(told.to_json())
    jsonschema.validate(document, schema())
    assert document["demotions"][0]["scope"] == ["y", "body"]
