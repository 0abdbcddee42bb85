"""onnxruntime as the judge: any value of a model, computed by it alone, at any of its optimisation levels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from ovpart.backend.base import Array, Backend, Cut, Device, Executable
from ovpart.capability.demotion import Demotion
from ovpart.capability.verdict import State, Verdict
from ovpart.errors import CompileError
from ovpart.model.graph import Model
from ovpart.partition.build import make_plan
from ovpart.partition.plan import Label, Plan
from ovpart.placement.engines import Engines
from ovpart.placement.realise import bind, realise
from ovpart.planning import FALLBACK, LAST_RESORT
from ovpart.runtime.schedule import Schedule

Compute: TypeAlias = Callable[[Mapping[str, Array]], "dict[str, Array]"]
"""Takes a feed, gives values by name."""
PLAINEST = "none"
"""The level that all others are held against: each node computed as it stands."""
LEVELS = ("basic", "extended", "all", "precise")
"""The others. ``"precise"`` is all of them with 8-bit products that do not saturate, which onnxruntime leaves out on
processors without VNNI unless told (``session.x64quantprecision``)."""
_PRECISE = {"optimization": "all", "session.x64quantprecision": "1"}
_JUDGE = Verdict(State.UNSUPPORTED, "onnxruntime is the judge", "verify")


class AtLevel:
    """onnxruntime at one optimisation level.

    Parameters
    ----------
    backend : Backend
        onnxruntime's.
    level : str
        ``"none"``, ``"basic"``, ``"extended"``, ``"all"`` or ``"precise"``.
    """

    name = FALLBACK.engine

    def __init__(self, backend: Backend, level: str) -> None:
        self.backend = backend
        self.settings: Mapping[str, object] = _PRECISE if level == "precise" else {"optimization": level}

    def devices(self) -> Sequence[Device]:
        """Return onnxruntime's devices."""
        return self.backend.devices()

    def fingerprint(self, device: str) -> str:
        """Return onnxruntime's."""
        return self.backend.fingerprint(device)

    def compile(self, cut: Cut, device: str, config: Mapping[str, object]) -> Executable:
        """Compile a cut at the level."""
        return self.backend.compile(cut, device, {**config, **self.settings})

    def compile_whole(self, model: Model, device: str, config: Mapping[str, object]) -> Executable:
        """Compile the untouched model at the level."""
        return self.backend.compile_whole(model, device, {**config, **self.settings})

    def load(self, blob: bytes | memoryview, cut: Cut, device: str, config: Mapping[str, object]) -> Executable:
        """Refuse, as onnxruntime does."""
        return self.backend.load(blob, cut, device, config)


def engines_at(engines: Engines, level: str) -> Engines:
    """Return engines whose onnxruntime compiles at one level, and which repair instead of raising."""
    plain = AtLevel(engines.backend_of(FALLBACK), level)
    return Engines(replace(engines.options, strict=False), {**engines.backends, FALLBACK.engine: plain})


def values_schedule(model: Model, engines: Engines, values: Sequence[str], *, level: str = PLAINEST) -> Schedule:
    """Return what computes values of the main scope on onnxruntime alone.

    Nodes that onnxruntime refuses run on onnx.reference, as they would in a session.

    Parameters
    ----------
    model : Model
        With constants folded.
    engines : Engines
        Of the session.
    values : sequence of str
        Names; graph inputs and constants may be among them.
    level : str
        Optimisation level.

    Raises
    ------
    CompileError
        If neither takes a node.
    """
    # As outputs of the graph they leave the cuts. Marked as inlined, since the source does not give them.
    shown = replace(model, graph=replace(model.graph, outputs=tuple(dict.fromkeys(values))), inlined=True)
    known = engines_at(engines, level)
    first = _plan(shown, known, ())
    return bind(realise(shown, first, known, lambda demotions: _plan(shown, known, demotions)))


def source_outputs(model: Model, engines: Engines, *, level: str = PLAINEST) -> Compute | None:
    """Return what computes the outputs from the user's own file, untouched; ``None`` where onnxruntime refuses it.

    A model with local functions is none of these: onnxruntime runs a function's body under the model's opset, which may
    mean something else than the function's own.
    """
    if model.inlined:
        return None
    try:
        executable = engines_at(engines, level).compile_whole(model, FALLBACK)
    except CompileError:
        return None

    return lambda feed: run_executable(executable, feed)


def run_executable(executable: Executable, feed: Mapping[str, Array]) -> dict[str, Array]:
    """Run an executable once, by names; raises what its request raises."""
    request = executable.bind()
    for index, end in enumerate(executable.inputs):
        request.set_input(index, feed[end.name])
    request.run()
    return {end.name: request.take_output(index) for index, end in enumerate(executable.outputs)}


def run_named(schedule: Schedule, feed: Mapping[str, Array]) -> dict[str, Array]:
    """Run a schedule; its outputs by name."""
    return dict(zip(schedule.output_names, schedule.run(feed), strict=True))


def _plan(model: Model, engines: Engines, demotions: Sequence[Demotion]) -> Plan:
    refused = {d.node for d in demotions if d.engine == FALLBACK.engine}
    nodes = model.graph.nodes
    labels: list[Label | None] = [LAST_RESORT if node.key in refused else FALLBACK for node in nodes]
    verdicts = [_JUDGE] * len(nodes)
    return make_plan(model, verdicts, labels, device=engines.options.device, join="joined", min_gain=0.0)
