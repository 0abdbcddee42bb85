"""The engines of a session: which backend, device and settings stand behind a label of the plan."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ovpart.backend.base import Backend, Cut, Device, Executable, Port, Profiles
from ovpart.backend.qdq import without_idle_pairs
from ovpart.backend.registry import backend
from ovpart.capability.target import CHOOSERS, asked_target, parse_target
from ovpart.errors import CompileError, EngineForked, EngineMissing, OvpartWarning
from ovpart.model.graph import Model
from ovpart.options import Options
from ovpart.partition.overruling import ENGINE, FORK, Overruling
from ovpart.partition.plan import RUNTIME, Label
from ovpart.placement.counts import Counts
from ovpart.placement.devices.presence import present
from ovpart.placement.devices.settings import EMULATING_DEVICE, Properties, settle
from ovpart.placement.sharing.content import Content, content_of_cut, content_of_file, content_of_model, place_of
from ovpart.placement.sharing.group import Sharing
from ovpart.placement.trial.trials import TrialExecutable, Trials
from ovpart.planning import DEVICE_ENGINE, FALLBACK
from ovpart.runtime.oversight import Oversight

OPENVINO_OPTIONS = (
    *("precision", "num_streams", "model_priority", "context", "enable_opencl_throttling", "load_config", "cache_dir"),
    *("config", "extensions"),
)
"""Options that mean something to openvino alone."""


@runtime_checkable
class ReadsFiles(Protocol):
    """A backend whose engine has a format of its own."""

    def ports_of_file(self, path: Path) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
        """Return inputs and outputs of a file."""

    def compile_file(self, path: Path, device: str, config: Mapping[str, object], cut: Cut | None = None) -> Executable:
        """Compile a file, with the ports of `cut`."""


@dataclass(frozen=True, slots=True)
class Engines:
    """What compiles the clusters of a session.

    Attributes
    ----------
    options : Options
        Of the session: threads, engine properties, emulation.
    backends : mapping of str to Backend
        Engine name → backend, for engines that are not to be had by entry point.
    properties : mapping of str to mapping
        Device string of a label → properties that the options stand for on it.
    trials : Trials
        The process for what might take this one down.
    absent : Overruling or None
        Why nothing is delegated: openvino is not installed, or was loaded before this process was forked.
    contexts : mapping of str to memoryview or Path
        Key of an EPContext node → the blob of the cluster that it stands for, or a file of IR.
    counts : Counts
        What was compiled, and what was not because it had been before.
    oversight : Oversight
        How runs are watched.
    sharing : Sharing or None
        What is had in common with other sessions; ``None`` where nothing is.
    """

    options: Options
    backends: Mapping[str, Backend] = field(default_factory=dict)
    properties: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    trials: Trials = field(default_factory=Trials, compare=False)
    absent: Overruling | None = None
    contexts: Mapping[str, memoryview | Path] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    oversight: Oversight = field(default_factory=Oversight, compare=False)
    sharing: Sharing | None = field(default=None, compare=False)

    def backend_of(self, label: Label) -> Backend:
        """Return the backend behind a label."""
        return self.backends.get(label.engine) or backend(label.engine)

    def device_of(self, label: Label) -> str:
        """Return the device that a label's clusters run on in fact."""
        if not self.options.emulate or label.engine != DEVICE_ENGINE:
            return label.device
        chooser = parse_target(label.device).chooser
        return f"{chooser}:{EMULATING_DEVICE}" if chooser in CHOOSERS else EMULATING_DEVICE

    def version_of(self, label: Label) -> str:
        """Return the engine's build, driver and instruction set in one line."""
        if label == RUNTIME:
            from ovpart import __version__

            return f"ovpart {__version__}"
        return self.backend_of(label).fingerprint(self.device_of(label))

    def settings_of(self, label: Label, *, alone: bool = False) -> Mapping[str, object]:
        """Return what is handed to the backend as ``config``.

        Parameters
        ----------
        alone : bool
            Whether no other engine runs in turn with this one. Only then may onnxruntime spin while it waits,
            as it does by default: beside openvino it would take its processor time (2 x 4 islands of two MatMul each
            take 22.0 ms with spinning, 8.7 ms without; onnxruntime 1.31, 2 cores).
        """
        settings: dict[str, object] = {}
        if self.options.num_threads is not None:
            settings["num_threads"] = self.options.num_threads
        if label.engine == DEVICE_ENGINE:
            settings.update(self.properties.get(label.device, {}))
            settings.update(self.options.config)
            if self.oversight.timed:
                settings.pop("CACHE_DIR", None)
        elif label == FALLBACK:
            if alone:
                settings["spinning"] = True
            if self.options.custom_op_libraries:
                settings["custom_op_libraries"] = self.options.custom_op_libraries
            settings.update(self.options.onnxruntime_config)
        return settings

    def compile(self, cut: Cut, label: Label, *, alone: bool = False) -> Executable:
        """Compile a cut for a label; raises :class:`ovpart.errors.CompileError`."""
        if self.options.enable_qdq_optimizer and label.device.partition(".")[0] == "NPU":
            cut = without_idle_pairs(cut)
        engine, device, settings = self.backend_of(label), self.device_of(label), self.settings_of(label, alone=alone)
        if self.oversight.timed:
            compile_it = engine.compile_profiled if isinstance(engine, Profiles) else engine.compile
            return compile_it(cut, device, settings)
        content = None if self.sharing is None else content_of_cut(cut)
        return self._made(label, content, settings, lambda: engine.compile(cut, device, settings))

    def try_out(self, cut: Cut, label: Label) -> TrialExecutable:
        """Compile a cut for a label in the process for trials; raises :class:`ovpart.errors.CompileError`."""
        chosen = self.backends.get(label.engine) or label.engine
        settings, seconds = self.settings_of(label), self.options.trial_timeout
        return self.trials.compile(chosen, cut, self.device_of(label), settings, timeout_s=seconds)

    def compile_whole(self, model: Model, label: Label) -> Executable:
        """Compile the untouched model for a label; raises :class:`ovpart.errors.CompileError`."""
        engine, device, settings = self.backend_of(label), self.device_of(label), self.settings_of(label, alone=True)
        content = None if self.sharing is None else content_of_model(model)
        return self._made(label, content, settings, lambda: engine.compile_whole(model, device, settings))

    def load(self, key: str, cut: Cut, label: Label) -> Executable:
        """Take up the blob of an EPContext node; raises :class:`ovpart.errors.CompileError` where it does not fit."""
        for node in cut.proto.graph.node:
            del node.attribute[:]  # the cut's copy of the blob, which nothing reads
        engine, device, settings = self.backend_of(label), self.device_of(label), self.settings_of(label)
        found, content = self.contexts[key], None
        if not isinstance(found, Path):
            if self.sharing is not None:
                import numpy as np

                content = content_of_cut(cut, np.frombuffer(found, dtype=np.uint8))
            return self._made(label, content, settings, lambda: engine.load(found, cut, device, settings), loaded=True)
        if not isinstance(engine, ReadsFiles):
            raise CompileError(f"{label.engine} reads no files of its own: {found.name}", stage="load")
        content = None if self.sharing is None else content_of_file(found, cut)
        return self._made(label, content, settings, lambda: engine.compile_file(found, device, settings, cut))

    def _made(
        self,
        label: Label,
        content: Content | None,
        settings: Mapping[str, object],
        make: Callable[[], Executable],
        *,
        loaded: bool = False,
    ) -> Executable:
        """Return what `make` makes, or what another session has made of the same content in the same place."""
        there = False
        if self.sharing is None or content is None:
            made = make()
        else:
            place = place_of(label.engine, self.backend_of(label), self.device_of(label), settings)
            made, there = self.sharing.executable(content, place, make)
        self.counts.add(label.engine, made, loaded=loaded, shared=there)
        return made


def devices() -> tuple[Device, ...]:
    """Return the devices that models can be delegated to on this machine, as openvino names them."""
    return tuple(backend(DEVICE_ENGINE).devices())


def get_available_openvino_device_ids() -> list[str]:
    """Return the names of the devices of this machine; onnxruntime's OpenVINO provider has a function of that name."""
    return [device.name for device in devices()]


def make_engines(options: Options) -> Engines:
    """Return the engines of a session, with absent devices taken out and every option at its effective value.

    Raises
    ------
    DeviceNotFound
        If none of the devices asked for is on this machine, and it is not emulated.
    OptionError
        If an option has a value that none of the devices takes.
    EngineMissing
        If openvino is not installed, or was loaded before this process was forked, unless the device is the CPU and
        ``strict`` is off: onnxruntime runs it all then.

    Warns
    -----
    OvpartWarning
        For devices that are left out, and options without an effect.
    """
    try:
        engine = device_engine(options)
    except EngineMissing as missing:
        return without_openvino(options, missing)
    own = {DEVICE_ENGINE: engine} if options.extensions else {}
    if options.emulate:
        target = asked_target(options.device)
    else:
        try:
            found = [device.name for device in engine.devices()]
        except EngineMissing as missing:
            return without_openvino(options, missing)
        target = present(options.device, found)
    if not isinstance(engine, Properties):
        return Engines(options, own)
    settled = settle(options, target, engine)
    return Engines(settled.options, own, settled.properties)


def device_engine(options: Options) -> Backend:
    """Return the device's engine, one of the session's own where options name extensions.

    Raises
    ------
    EngineMissing
        If there are extensions, and no openvino.
    OptionError
        If openvino does not take an extension.
    """
    if not options.extensions:
        return backend(DEVICE_ENGINE)
    from ovpart.backend.openvino_extensions import ExtendedOpenVINO

    made: Any = ExtendedOpenVINO(options.extensions)  # as backends come from entry points
    found: Backend = made
    return found


def without_openvino(options: Options, missing: EngineMissing) -> Engines:
    """Return engines of which onnxruntime runs all, where that is what the user can be content with.

    Raises
    ------
    EngineMissing
        Where it is not: another device is asked for, or all of it.

    Warns
    -----
    OvpartWarning
        Always: that openvino is not there, and which of the given options have no effect for that.
    """
    if options.device != FALLBACK.device or options.strict:
        raise missing
    idle = [name for name in OPENVINO_OPTIONS if name in options.given]
    no_effect = f" {', '.join(idle)} {'has' if len(idle) == 1 else 'have'} no effect." if idle else ""
    if isinstance(missing, EngineForked):
        told = f"onnxruntime runs the whole model. {missing}"
        absent = Overruling("openvino was loaded before the fork", FORK, "this process")
    else:
        told = (
            "openvino is not installed: onnxruntime runs the whole model. pip install openvino to delegate to the CPU."
        )
        absent = Overruling("openvino is not installed", ENGINE, "this machine")
    warnings.warn(f"{told}{no_effect}", OvpartWarning, stacklevel=4)
    return Engines(options, absent=absent)
