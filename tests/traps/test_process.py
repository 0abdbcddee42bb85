"""Traps 26 to 30: what a process must be kept from, and which answers are honest. See docs/traps.md."""

from __future__ import annotations

import ast
import tomllib
from itertools import chain

import numpy as np
import onnx.helper
import pytest

import ovpart
from ovpart.backend.cut import make_cut
from ovpart.backend.onnxruntime import OnnxRuntimeBackend
from ovpart.errors import DeviceNotFound, ModelError
from ovpart.model.read import read_model
from tests.traps.trial import ROOT, engine_of, hold, in_process, model, wrong

PACKAGE = ROOT / "ovpart"


def sources():
    return sorted(PACKAGE.rglob("*.py"))


def names_in(path):
    """Yield every name, attribute and imported module of a source file: no comments, no docstrings."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (alias.name for alias in node.names)


# -- 26: the engine's own oracle -----------------------------------------------------------------------------------


def test_trap_26_the_engine_is_never_asked_what_it_supports():
    """Its answer may be wrong, an exception, or the end of the process; the table answers instead."""
    assert not [path for path in sources() if "query_model" in names_in(path)]


@pytest.mark.parametrize("device", ["CPU", "GPU", "GPU.1", "NPU"])
def test_trap_26_plans_are_made_without_the_engine(device):
    """Col2Im takes the process down where the GPU plugin is asked for it."""
    assert (
        in_process(f"""
import sys
sys.modules["openvino"] = None
import numpy as np
import ovpart
from onnx import numpy_helper
from tests.traps.trial import model

proto = model('''g (float[1,8,25] x) => (float[1,2,6,6] y)
    <int64[2] image = {{6, 6}}, int64[2] block = {{2, 2}}>
    {{ a = Tanh(x)  b = Col2Im(a, image, block)  y = Exp(b) }}''', opset=18)
plan = ovpart.plan(proto, device={device!r}, min_gain=0)
assert plan.verdicts[0].state is ovpart.State.SUPPORTED or {device!r} == "NPU", plan.verdicts[0]
assert all(verdict.rule.startswith("op_support.yaml") for verdict in plan.verdicts)
""")
        == ""
    )


def test_trap_26_every_node_is_asked_about_by_itself():
    """The engine answers by name, so that nodes of one name get one answer."""
    proto = model("g (float[n] x, double[n] d) => (float[n] y, double[n] e) { y = Exp(x)  e = Exp(d) }")
    for node in proto.graph.node:
        node.name = "twin"
    feed = {"x": np.ones(2, np.float32), "d": np.ones(2)}
    session = hold(proto, feed, expected=[[np.exp(feed["x"]), np.exp(feed["d"])]])
    assert (engine_of(session, "y"), engine_of(session, "e")) == ("openvino", "onnxruntime")
    read = read_model(proto)
    cut = make_cut(read, [0, 1], ["x", "d"], ["y", "e"])
    assert len({node.name for node in cut.proto.graph.node}) == 2


# -- 27: devices ---------------------------------------------------------------------------------------------------


def absent(device):
    return not any(found.name == device or found.name.startswith(f"{device}.") for found in ovpart.devices())


def small():
    return model("g (float[n] x) => (float[n] y) { y = Exp(x) }")


@pytest.mark.parametrize("device", ["GPU", "NPU", "GPU.3"])
def test_trap_27_absent_devices_are_said_to_be_absent(device):
    if not absent(device):
        pytest.skip(f"{device} is on this machine")
    with pytest.raises(DeviceNotFound, match=rf"{device}.*CPU.*emulate"):
        ovpart.Session(small(), device=device)


def test_trap_27_no_property_makes_an_npu_of_the_cpu():
    """NPU_USE_NPUW compiles for a device that is not there, runs on the CPU and says NPU."""
    if not absent("NPU"):
        pytest.skip("NPU is on this machine")
    with pytest.raises(DeviceNotFound, match="NPU"):
        ovpart.Session(small(), device="NPU", config={"NPU_USE_NPUW": "YES"}, min_gain=0)


@pytest.mark.parametrize("device", ["AUTO:GPU,CPU", "HETERO:GPU,CPU", "MULTI:GPU,CPU"])
def test_trap_27_choosers_with_an_absent_device_name_it(device):
    """They fail as a whole, with words about something else; here the others go on, and what is left out is said."""
    if not absent("GPU"):
        pytest.skip("GPU is on this machine")
    with pytest.warns(ovpart.OvpartWarning, match=rf"{device}.*'GPU' is not on this machine; going on with .*CPU"):
        session = hold(small(), {"x": np.ones(3, np.float32)}, device=device)
    assert engine_of(session, "y") == "openvino"


@pytest.mark.parametrize("device", ["BATCH:GPU", "AUTO:GPU,NPU"])
def test_trap_27_choosers_without_any_device_name_it(device):
    if not (absent("GPU") and absent("NPU")):
        pytest.skip("GPU or NPU is on this machine")
    with pytest.raises(DeviceNotFound, match=r"GPU[\s\S]*CPU"):
        ovpart.Session(small(), device=device, min_gain=0)


def test_trap_27_an_emulated_device_is_called_emulated():
    session = hold(small(), {"x": np.ones(3, np.float32)}, device="GPU", emulate=True)
    if absent("GPU"):
        assert session.report.emulated_on == "CPU"
        assert "emulat" in str(session.report)


@pytest.mark.parametrize("config", [{"NO_SUCH_PROPERTY": 1}, {"INFERENCE_PRECISION_HINT": "f7"}])
def test_trap_27_properties_that_do_not_exist_are_refused(config):
    """The engine takes anything that it is told before a plugin is loaded: each is told at its compile."""
    assert (
        in_process(f"""
import ovpart
from tests.traps.trial import model

proto = model("g (float[n] x) => (float[n] y) {{ y = Exp(x) }}")
try:
    ovpart.Session(proto, min_gain=0, config={config!r})
except ovpart.OvpartError as error:
    assert {next(iter(config))!r} in str(error), error
else:
    raise AssertionError("taken without a word")
""")
        == ""
    )


# -- 28: usage data ------------------------------------------------------------------------------------------------


def test_trap_28_no_usage_data_is_sent(tmp_path):
    """Where that package is installed, the engine's import forks a child that sends it and may hang on to a pipe."""
    package = tmp_path / "openvino_telemetry"
    package.mkdir()
    (package / "__init__.py").write_text(
        f"import pathlib\n(pathlib.Path({str(tmp_path)!r}) / 'loaded').touch()\n"
        f"class Telemetry:\n"
        f"    def __init__(self, *a, **k): (pathlib.Path({str(tmp_path)!r}) / 'made').touch()\n"
        f"    def __getattr__(self, name): return lambda *a, **k: None\n"
    )
    assert (
        in_process(
            """
import os
import sys
import numpy as np

forks = []
os.register_at_fork(before=lambda: forks.append(1))
import ovpart
from tests.traps.trial import model

session = ovpart.Session(model("g (float[n] x) => (float[n] y) { y = Exp(x) }"), min_gain=0)
assert session.report.coverage == 1
session.run(None, {"x": np.ones(3, np.float32)})
assert not forks
assert "openvino_telemetry" not in sys.modules
import openvino_telemetry  # who wants it can still have it
""",
            PYTHONPATH=str(tmp_path),
        )
        == ""
    )
    assert not (tmp_path / "made").exists()


# -- 29: broken models ---------------------------------------------------------------------------------------------


def broken(how):
    proto = model("g (float[4] x) => (float[4] y) { a = Exp(x)  b = Softmax <axis = 0> (a)  y = Add(a, b) }")
    nodes = proto.graph.node
    if how == "cycle":
        nodes[0].input[0] = "y"
    elif how == "self loop":
        nodes[2].input[0] = "y"
    elif how == "two producers":
        nodes[1].output[0] = "a"
    elif how == "undefined value":
        nodes[1].input[0] = "nowhere"
    elif how == "opset 999":
        proto.opset_import[0].version = 999
    elif how == "attribute of another type":
        nodes[1].attribute[0].CopyFrom(onnx.helper.make_attribute("axis", 0.5))
    elif how == "unknown attribute":
        nodes[0].attribute.append(onnx.helper.make_attribute("axes", 1))
    elif how == "too many inputs":
        nodes[0].input.append("x")
    elif how == "initializer without data":
        proto.graph.initializer.add(name="w", data_type=1, dims=[4])
        nodes[2].input[1] = "w"
    return proto


@pytest.mark.parametrize(
    "how",
    [
        "cycle", "self loop", "two producers", "undefined value", "opset 999", "attribute of another type",
        "unknown attribute", "too many inputs", "initializer without data",
    ],
)  # fmt: skip
def test_trap_29_broken_models_are_refused_before_an_engine_sees_them(how, monkeypatch):
    def never(*_arguments, **_options):
        raise AssertionError("an engine was asked")

    for name in ("ovpart.backend.openvino.OpenVINOBackend", "ovpart.backend.onnxruntime.OnnxRuntimeBackend"):
        for method in ("compile", "compile_whole"):
            monkeypatch.setattr(f"{name}.{method}", never)
    for use in (ovpart.plan, ovpart.Session):
        with pytest.raises(ModelError):
            use(broken(how), min_gain=0)


def test_trap_29_the_healthy_model_is_taken():
    assert wrong(broken(""), {"x": np.ones(4, np.float32)}) == []


# -- 30: the peer that offers no device ----------------------------------------------------------------------------


def test_trap_30_nothing_rests_on_the_provider_plugin():
    """It offers no device on processors of other makers; openvino itself does."""
    for path in sources():
        if "compat" in path.parts:
            continue  # names that programs write, which ask for nothing to be installed
        used = set(names_in(path))
        assert used.isdisjoint(
            {"onnxruntime_ep_openvino", "onnxruntime_openvino", "register_execution_provider_library"}
        )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = " ".join(chain(project["dependencies"], *project["optional-dependencies"].values()))
    assert "onnxruntime-openvino" not in wanted
    assert "onnxruntime-ep" not in wanted


def test_trap_30_the_cpu_is_a_device_whoever_made_it():
    assert "CPU" in [device.name for device in ovpart.devices()]
    session = hold(small(), {"x": np.ones(3, np.float32)})
    assert session.report.coverage == 1


def test_trap_30_islands_run_on_onnxruntimes_own_provider():
    read = read_model(small())
    backend = OnnxRuntimeBackend()
    whole, cut = backend.compile_whole(read, "CPU", {}), backend.compile(make_cut(read, [0], ["x"], ["y"]), "CPU", {})
    for executable in (whole, cut):
        assert executable.session.get_providers() == ["CPUExecutionProvider"]
