"""Models in text, the answers of others, and sessions held to them: what the tests of this folder are made of."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import onnx.reference

import ovpart
from ovpart.backend.openvino import import_openvino

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120
"""What a process may take that does a second's work: the machine may be busy, and a hang must still end."""
RTOL = 1e-5
"""Two engines that both compute in f32 agree to this, relative to the largest element of an output."""


def model(graph: str, *, opset: int = 17, ir: int = 8, functions: str = "", **domains: int) -> onnx.ModelProto:
    """Return a model from the text form of its graph.

    Parameters
    ----------
    graph : str
        As ``onnx.parser`` takes it.
    opset, ir : int
        Of ai.onnx, and of the file.
    functions : str
        Local functions, as ``onnx.parser`` takes them.
    **domains : int
        Versions of other domains, their dots written as underscores.
    """
    imports = {"": opset, **{name.replace("_", "."): version for name, version in domains.items()}}
    listed = ", ".join(f'"{name}" : {version}' for name, version in imports.items())
    return onnx.parser.parse_model(f"<ir_version: {ir}, opset_import: [{listed}]>\n{graph}\n{functions}")


def with_constants(proto: onnx.ModelProto, **arrays: Any) -> onnx.ModelProto:
    """Add initializers to a model, of any dtype and size, and return it."""
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in arrays.items())
    return proto


def reference(proto: onnx.ModelProto, feed: Mapping[str, Any]) -> list[Any]:
    """Return what onnxruntime gives without its optimiser."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    outputs: list[Any] = session.run(None, dict(feed))
    return outputs


def specified(proto: onnx.ModelProto, feed: Mapping[str, Any]) -> list[Any]:
    """Return what onnx's own reference implementation gives: for what onnxruntime does not know."""
    outputs: list[Any] = list(onnx.reference.ReferenceEvaluator(proto).run(None, dict(feed)))
    return outputs


def alone(proto: onnx.ModelProto, *feeds: Mapping[str, Any]) -> list[Any]:
    """Return what openvino gives for the last feed, all nodes on it, in f32, every node its own way."""
    openvino = import_openvino()
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(proto.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    request = compiled.create_infer_request()
    outputs: list[Any] = []
    for feed in feeds:
        arrays = [feed[value.name] for value in proto.graph.input]
        outputs = [array.copy() for array in request.infer(dict(enumerate(arrays))).values()]
    return outputs


def alike(found: Any, expected: Any, *, rtol: float = RTOL) -> bool:
    """Whether two values are of one dtype and shape and agree: integers exactly, NaN and infinities in place."""
    if isinstance(expected, (list, dict)):
        return bool(found == expected)
    found, expected = np.asarray(found), np.asarray(expected)
    if found.dtype != expected.dtype or found.shape != expected.shape:
        return False
    if expected.dtype.kind != "f":
        return bool(np.array_equal(found, expected))
    finite = np.abs(expected[np.isfinite(expected)].astype(np.float64))
    return bool(np.allclose(found, expected, rtol=0, atol=rtol * finite.max(initial=1e-30), equal_nan=True))


def hold(
    source: Any,
    *feeds: Mapping[str, Any],
    expected: Sequence[Sequence[Any]] | None = None,
    rtol: float = RTOL,
    **options: Any,
) -> ovpart.Session:
    """Run a model on feeds, one after the other, twice each, and hold all answers to the right ones.

    Parameters
    ----------
    source : onnx.ModelProto, or a path
        The model; everything that may be delegated is, unless `options` say otherwise.
    *feeds : mapping
        Name → array.
    expected : sequence of sequence of array, optional
        The right answers; by default onnxruntime's, without its optimiser.
    rtol : float
        See :func:`alike`.
    **options
        Of the session.

    Returns
    -------
    Session
        For what else there is to ask.
    """
    session, off = _tried(source, feeds, expected, rtol, options)
    assert off == []
    return session


def wrong(
    source: Any,
    *feeds: Mapping[str, Any],
    expected: Sequence[Sequence[Any]] | None = None,
    rtol: float = RTOL,
    **options: Any,
) -> list[str]:
    """Run a model as :func:`hold` does, and return which answers are not the right ones: none, where all is well."""
    return _tried(source, feeds, expected, rtol, options)[1]


def _tried(
    source: Any,
    feeds: Sequence[Mapping[str, Any]],
    expected: Sequence[Sequence[Any]] | None,
    rtol: float,
    options: Mapping[str, Any],
) -> tuple[ovpart.Session, list[str]]:
    proto = source if isinstance(source, onnx.ModelProto) else onnx.load(source)
    wanted = [reference(proto, feed) for feed in feeds] if expected is None else expected
    session = ovpart.Session(source, **{"min_gain": 0, **options})
    off = []
    for feed, answers in zip(feeds, wanted, strict=True):
        for _ in range(2):
            found = session.run(None, feed)
            for value, mine, right in zip(proto.graph.output, found, answers, strict=True):
                if not alike(mine, right, rtol=rtol):
                    off.append(f"{value.name}: {mine!r} where {right!r} is right")
    return session, off


def engine_of(found: ovpart.Session | ovpart.Plan, output: str) -> str:
    """Return the engine of the node that makes a value, or ``"constant"`` or ``"dead"``."""
    plan = found if isinstance(found, ovpart.Plan) else found.plan
    place = plan.places[plan.graph.producer[output]]
    return next((cluster.label.engine for cluster in plan.clusters if cluster.id == place), place)


def in_process(script: str, *, cwd: Path | None = None, ends_well: bool = True, **environment: str) -> str:
    """Run a script in a process of its own and return what it printed.

    Parameters
    ----------
    script : str
        Python.
    cwd : Path, optional
        Where it runs.
    ends_well : bool
        False: it must end badly, killed or with an error, which the returned text then tells.
    **environment : str
        Variables on top of ours.
    """
    paths = [environment.pop("PYTHONPATH", ""), str(ROOT)]
    found = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(path for path in paths if path)},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    told = f"exit code {found.returncode}\n{found.stdout}\n{found.stderr[-3000:]}"
    assert (found.returncode == 0) == ends_well, told
    return found.stdout if ends_well else told


HEALED = "openvino gives the right answer now: measure again, and free what the table holds back for this"
"""Why a test of the engine alone fails: no fault of ours, but news."""
