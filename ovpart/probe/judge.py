"""Measures one case: what is right by onnxruntime and onnx.reference, and what the device makes of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ovpart.errors import OvpartError
from ovpart.probe.case import NAN, PLAIN, Key
from ovpart.probe.compare import difference
from ovpart.probe.measurement import Measurement, Outcome

if TYPE_CHECKING:
    from ovpart.backend.base import Array, Backend, Cut, Executable

_QUANTISED = re.compile(r"(com\.microsoft\.)?Q(Linear|Gemm|Attention).*")
"""Operators whose 8-bit results come of rounded sums."""
ORACLES = ("onnxruntime", "reference")
"""Backends that say what is right, on the CPU."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A case made ready to be sent to another process.

    Attributes
    ----------
    key : Key
        The case.
    proto : bytes
        Its model, serialized.
    feeds : sequence of sequence of array
        What the runs of one request are fed.
    kind : str
        See :data:`ovpart.probe.case.KINDS`.
    expected : sequence of array or None
        The right answer to the first feed, where it is known beforehand.
    rtol, atol : float
        Tolerances that come with `expected`.
    oracles : tuple of str
        Backends to ask what is right.
    """

    key: Key
    proto: bytes
    feeds: Sequence[Sequence[Array]]
    kind: str = PLAIN
    expected: Sequence[Array] | None = None
    rtol: float | None = None
    atol: float = 0.0
    oracles: tuple[str, ...] = ORACLES


def measure(
    trial: Trial, device: str, engine: str = "openvino", told: Callable[[str], None] | None = None
) -> Measurement:
    """Measure one case on a device.

    Parameters
    ----------
    trial : Trial
        The case.
    device : str
        As the engine calls it.
    engine : str
        Name of the backend that has the device.
    told : callable, optional
        Told which backend is about to be asked, so that who watches knows whose crash it is.
    """
    from ovpart.backend.registry import backend

    tell = told or (lambda _: None)
    try:
        cut = _cut(trial.proto)
    except OvpartError as error:
        return _result(trial, Outcome.UNJUDGED, f"the model is refused: {error}")
    answers: list[tuple[str, list[list[Array] | None]]] = []
    if trial.expected is not None:
        answers.append(("onnx", [list(trial.expected), *[None] * (len(trial.feeds) - 1)]))
    for name in trial.oracles:
        tell(name)
        answers.append((name, _answers(backend(name), cut, trial.feeds)))
    usable = [i for i in range(len(trial.feeds)) if any(found[i] is not None for _, found in answers)]
    tell(engine)
    try:
        executable = backend(engine).compile(cut, device, {"num_threads": 1})
    except OvpartError as error:
        return _result(trial, Outcome.REFUSED, _cause(error))
    if not usable:
        return _result(trial, Outcome.UNJUDGED, "neither onnxruntime nor onnx.reference computes it")
    return _compared(trial, executable, answers, usable)


def _compared(
    trial: Trial,
    executable: Executable,
    answers: Sequence[tuple[str, list[list[Array] | None]]],
    usable: Sequence[int],
) -> Measurement:
    """Run the feeds one after the other in one request and hold each answer to what is right."""
    request = executable.bind()
    disputed = ""
    for index in usable:
        try:
            found = _run(request, trial.feeds[index], len(executable.outputs))
        except OvpartError as error:
            return _result(trial, Outcome.FAILED, f"run {index + 1}: {_cause(error)}")
        said = [(name, wanted[index]) for name, wanted in answers if wanted[index] is not None]
        if any(name == "onnx" for name, _ in said):
            said = [(name, wanted) for name, wanted in said if name == "onnx"]
        words = {name: difference(found, wanted or [], trial.rtol, trial.atol) for name, wanted in said}
        if all(words.values()) and _QUANTISED.fullmatch(trial.key.op) and _off_by_one(found, [w for _, w in said]):
            disputed = f"off by one step: {next(iter(words.values()))}"
        elif all(words.values()):
            name, first = next(iter(words.items()))
            kind = NAN if trial.kind == PLAIN and any(_has_nan(wanted or []) for _, wanted in said) else trial.kind
            return _result(replace(trial, kind=kind), Outcome.WRONG, f"run {index + 1}, by {name}: {first}")
        disputed = disputed or next((f"differs from {name}: {w}" for name, w in words.items() if w), "")
    return _result(trial, Outcome.DISPUTED if disputed else Outcome.RIGHT, disputed)


def _cut(proto: bytes) -> Cut:
    from ovpart.backend.cut import make_cut
    from ovpart.backend.fold import fold_constants
    from ovpart.model.read import read_model

    model = fold_constants(read_model(proto))
    graph = model.graph
    nodes = [n.index for n in graph.nodes if n.index not in graph.constant and n.index not in graph.dead]
    return make_cut(model, nodes, graph.inputs, graph.outputs)


def _answers(oracle: Backend, cut: Cut, feeds: Sequence[Sequence[Array]]) -> list[list[Array] | None]:
    """Return what an oracle gives for each feed, ``None`` where it refuses."""
    try:
        config = {"optimization": "none", "num_threads": 1} if oracle.name == "onnxruntime" else {}
        executable = oracle.compile(cut, "CPU", config)
    except OvpartError:
        return [None] * len(feeds)
    found: list[list[Array] | None] = []
    for feed in feeds:
        try:
            found.append(_run(executable.bind(), feed, len(cut.outputs)))
        except OvpartError:
            found.append(None)
    return found


def _run(request: Any, feed: Sequence[Array], outputs: int) -> list[Array]:
    for index, array in enumerate(feed):
        request.set_input(index, array)
    request.run()
    return [request.take_output(index) for index in range(outputs)]


def _off_by_one(found: Sequence[Array], answers: Sequence[Sequence[Array] | None]) -> bool:
    """Whether 8-bit results are a single step from some right answer: sums at a half are rounded either way."""
    import numpy as np

    def near(mine: Array, right: Array) -> bool:
        if mine.dtype != right.dtype or mine.dtype not in (np.int8, np.uint8) or mine.shape != right.shape:
            return False
        return bool(np.abs(mine.astype(np.int32) - right.astype(np.int32)).max(initial=0) <= 1)

    return any(all(near(a, b) for a, b in zip(found, right or (), strict=True)) for right in answers if right)


def _has_nan(arrays: Sequence[Array]) -> bool:
    return any(bool((array != array).any()) for array in arrays if hasattr(array, "dtype") and array.dtype.kind != "O")


def _result(trial: Trial, outcome: Outcome, words: str) -> Measurement:
    return Measurement(trial.key, outcome, trial.kind, " ".join(words.split())[:400])


def _cause(error: OvpartError) -> str:
    """Return the engine's words without the file and line of its sources, which differ from build to build."""
    words = str(error)
    marker = " failed at src/"
    if marker in words:
        words = words.partition(marker)[2].partition(":")[2].lstrip("0123456789: ")
    return words
