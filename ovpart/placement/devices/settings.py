"""What the options of a session mean to the devices that it uses: properties of openvino for each, and what is said.

Done once for a session: absent devices are taken out, each option gets its effective value, and one that cannot take
effect on any device of the session is an error or a warning, never nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from ovpart.capability.target import CHOOSERS, Target, parse_target
from ovpart.errors import OptionError, OvpartWarning
from ovpart.options import Options
from ovpart.placement.devices.load_config import Sections, read_sections

EMULATING_DEVICE = "CPU"
"""The device that runs the clusters of a device that is emulated."""
PRECISIONS: Mapping[str, tuple[str, ...]] = {
    "CPU": ("FP32", "ACCURACY"),
    "GPU": ("FP16", "FP32", "ACCURACY"),
    "NPU": ("FP16", "ACCURACY"),
}
"""What a device computes in, its default first (the provider's documents, "Summary of options")."""
_HINTS = {"FP32": "f32", "FP16": "f16"}
_NESTS = ("AUTO", "MULTI")
"""Choosers that take properties of their devices as DEVICE_PROPERTIES; BATCH hands all it gets to its one device."""


@runtime_checkable
class Properties(Protocol):
    """What is asked of the engine behind the devices."""

    def properties(self, device: str) -> Mapping[str, str]:
        """Return the properties of a device, each with ``"RO"``, ``"RW"`` or ``"WO"``."""

    def refused(self, device: str, properties: Mapping[str, object]) -> tuple[str, str] | None:
        """Return the first property whose value the device refuses, and its words; ``None`` where it takes all."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Options with their effective values.

    Attributes
    ----------
    options : Options
        Of the session.
    properties : mapping of str to mapping
        Device string of a label → what is handed to the engine for it.
    """

    options: Options
    properties: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


def settle(options: Options, target: Target, engine: Properties) -> Settled:
    """Give every option its effective value on the devices of a session.

    Parameters
    ----------
    options : Options
        As given.
    target : Target
        The devices, absent ones taken out.
    engine : Properties
        The engine behind them.

    Raises
    ------
    OptionError
        If a value is none that any of the devices takes.

    Warns
    -----
    OvpartWarning
        For each option that was given and has no effect on these devices, naming its value.
    """
    asked = target.devices
    if options.emulate:
        _warn_of_emulation(options, asked)
        target, asked = replace(target, devices=(EMULATING_DEVICE,)), (EMULATING_DEVICE,)
    known = {device: engine.properties(device) for device in dict.fromkeys((*asked, *_behind(target)))}
    precision = {device: _precision(options, device, asked) for device in known}
    sections = read_sections(options.load_config)
    sections.warn_of_idle([*known, target.chooser])
    of_device = {
        device: _own(options, device, known[device], precision[device])
        | sections.of(device, known[device], engine)
        | sections.nested(target.chooser, device, known[device], engine)
        for device in known
    }
    _warn_of_no_effect(options, target, known)
    effective = replace(
        options,
        device=str(target) if not options.emulate else options.device,
        precision=precision[asked[0]],
        num_streams=options.num_streams or 1,
    )
    if target.chooser in CHOOSERS:
        label = options.device if options.emulate else str(target)
        return Settled(effective, {label: _of_chooser(options, target, of_device, sections, engine)})
    if options.emulate:
        return Settled(effective, dict.fromkeys(parse_target(options.device).labels, of_device[EMULATING_DEVICE]))
    return Settled(effective, {label: of_device[label] for label in target.labels})


def _behind(target: Target) -> tuple[str, ...]:
    return () if target.chooser in CHOOSERS else target.labels


def _base(device: str) -> str:
    return device.partition(".")[0]


def _precision(options: Options, device: str, asked: Sequence[str]) -> str | None:
    """Return what a device computes in; raise where none of those asked for takes what the user wants."""
    takes = PRECISIONS.get(_base(device))
    wanted = options.precision
    if takes is None:
        return wanted
    if wanted is None or (options.emulate and wanted not in takes):
        return takes[0]
    if wanted in takes:
        return wanted
    if any(wanted in PRECISIONS.get(_base(other), (wanted,)) for other in asked):
        if device in asked:
            _warn(f"precision={wanted!r} has no effect on {device}, which computes in {takes[0]}")
        return takes[0]
    raise OptionError(f"option 'precision' cannot be {wanted!r} on {device}: it takes {' or '.join(takes)}")


def _own(options: Options, device: str, known: Mapping[str, str], precision: str | None) -> dict[str, object]:
    """Return the properties of a device that options stand for."""
    found: dict[str, object] = {}
    if precision == "ACCURACY":
        found["INFERENCE_PRECISION_HINT"] = "dynamic"
        found["EXECUTION_MODE_HINT"] = "ACCURACY"
    elif precision in _HINTS:
        found["INFERENCE_PRECISION_HINT"] = _HINTS[precision]
    if options.num_streams is not None and options.num_streams > 1:
        found["NUM_STREAMS"] = options.num_streams
    if options.model_priority is not None:
        found["MODEL_PRIORITY"] = _priority(options)
    found = {key: value for key, value in found.items() if key in known}
    if options.pooled and _base(device) == "CPU" and "ENABLE_CPU_PINNING" in known:
        found["ENABLE_CPU_PINNING"] = "NO"  # each model of a pool would be pinned to the same first cores
    if options.enable_opencl_throttling and _base(device) == "GPU":
        found["GPU_QUEUE_THROTTLE"] = "LOW"
    if options.cache_dir is not None:
        found["CACHE_DIR"] = options.cache_dir  # of the Core, so that no device lists it
    if options.context is not None and _base(device) == "GPU":
        found["context"] = options.context
    return found


def _of_chooser(
    options: Options,
    target: Target,
    of_device: Mapping[str, Mapping[str, object]],
    sections: Sections,
    engine: Properties,
) -> dict[str, object]:
    """Return what AUTO, MULTI or BATCH is told, for itself and for its devices."""
    own = engine.properties(target.chooser)
    found: dict[str, object] = {}
    if target.chooser in _NESTS:
        nested = {device: dict(values) for device, values in of_device.items()}
        if options.cache_dir is not None:
            found["CACHE_DIR"] = options.cache_dir
        for device, values in nested.items():
            values.pop("CACHE_DIR", None)
            if options.num_threads is not None and "INFERENCE_NUM_THREADS" in engine.properties(device):
                values["INFERENCE_NUM_THREADS"] = options.num_threads
        found["DEVICE_PROPERTIES"] = nested
        if options.model_priority is not None and "MODEL_PRIORITY" in own:
            found["MODEL_PRIORITY"] = _priority(options)
    else:
        for device in target.devices:
            found |= of_device[device]
    return found | sections.of(target.chooser, own, engine)


def _priority(options: Options) -> str:
    return "MEDIUM" if options.model_priority == "DEFAULT" else str(options.model_priority)


def _warn_of_emulation(options: Options, asked: Sequence[str]) -> None:
    """Name the options that mean something to the device asked for only, which is not there."""
    for name in ("precision", "model_priority", "context", "enable_opencl_throttling", "load_config"):
        value = getattr(options, name)
        if name in options.given and value and not (name == "precision" and value in PRECISIONS[EMULATING_DEVICE]):
            _warn(f"{name}={value!r} has no effect: {','.join(asked)} is emulated on {EMULATING_DEVICE}")


def _warn_of_no_effect(options: Options, target: Target, known: Mapping[str, Mapping[str, str]]) -> None:
    asked = parse_target(options.device) if options.emulate else target
    if options.enable_qdq_optimizer and "NPU" not in {_base(device) for device in asked.devices}:
        _warn(f"enable_qdq_optimizer=True has no effect on {asked}: it is for NPU")
    if options.emulate:
        return
    bases = {_base(device) for device in target.devices}
    where = str(target)
    for name in ("context", "enable_opencl_throttling"):
        if getattr(options, name) and "GPU" not in bases:
            _warn(f"{name}={getattr(options, name)!r} has no effect on {where}: it is for GPU")
    listed = any("MODEL_PRIORITY" in properties for properties in known.values())
    if options.model_priority is not None and not (listed or target.chooser in _NESTS or options.pooled):
        _warn(f"model_priority={options.model_priority!r} has no effect on {where}: it is for AUTO, MULTI, GPU and NPU")
    if (options.num_streams or 1) > 1 and not any("NUM_STREAMS" in properties for properties in known.values()):
        _warn(f"num_streams={options.num_streams!r} has no effect on {where}: it has one stream")


def _warn(text: str) -> None:
    warnings.warn(text, OvpartWarning, stacklevel=4)
