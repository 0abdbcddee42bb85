"""What session options come to, as keywords of :class:`ovpart.Session`; what cannot apply warns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ovpart.compat.contexts import PREFIX, SHARING, sharing_asked
from ovpart.compat.session_options import SessionOptions
from ovpart.compat.values import to_array
from ovpart.compat.warn import warn
from ovpart.model.edits import Edits

_LEVELS = {0: "none", 1: "basic", 2: "extended"}
"""``GraphOptimizationLevel`` numbers; those above stand for all that onnxruntime has."""
_SWITCHES = ("enable_cpu_mem_arena", "enable_mem_pattern", "enable_mem_reuse", "use_deterministic_compute")
_UNSET = -1  # a log severity that nobody has set
_FOR_ONNXRUNTIME = ("session.", "optimization.", "mlas.", "memory.")
_FOLDER = "session.model_external_initializers_file_folder_path"
_NO_CPU = "session.disable_cpu_ep_fallback"
_FORMAT = "session.load_model_format"
RECORD = "session.record_ep_graph_assignment_info"
"""The entry that lets a session tell where each node went."""
PRIORITY = "ovpart.model_priority"
"""The entry for the option of that name, where providers have none."""
_FOR_FILES = "session.optimized_model_external_initializers_"
_HANDLED = frozenset({_FOLDER, _NO_CPU, _FORMAT, RECORD, PRIORITY, *SHARING})


def applied(options: Any, disabled_optimizers: Sequence[str] = ()) -> dict[str, Any]:
    """Return the keywords of a session for session options.

    Parameters
    ----------
    options : SessionOptions
        Ours, or onnxruntime's own, which does not tell what was added to it.
    disabled_optimizers : sequence of str
        Names of onnxruntime's optimisers.

    Warns
    -----
    OvpartWarning
        For each option or entry that cannot take effect, naming it and its value.
    """
    engine = _engine_settings(options)
    keywords: dict[str, Any] = {}
    if disabled_optimizers:
        engine["optimization.disable_specified_optimizers"] = ";".join(disabled_optimizers)
    if options.intra_op_num_threads:
        keywords["num_threads"] = options.intra_op_num_threads
    if isinstance(options, SessionOptions):
        keywords |= _added(options)
        engine |= _entries(options.config_entries)
    if engine:
        keywords["onnxruntime_config"] = engine
    return keywords


def with_model_config(options: Any, metadata: Mapping[str, str]) -> Any:
    """Return session options with what the model's own ``ort_config`` says; `options` itself where it says nothing.

    The entry is JSON: ``{"session_options": {"intra_op_num_threads": 2, "enable_profiling": 1}}``.
    """
    told = json.loads(metadata.get("ort_config", "{}")).get("session_options", {})
    if not told:
        return options
    made = SessionOptions()
    for name, value in told.items():
        if name not in _IN_MODEL:
            warn(f"the model's ort_config says {name}={value!r}, which has no effect")
            continue
        setattr(made, name, _IN_MODEL[name](value))
    return made


def _levels(value: Any) -> Any:
    from ovpart.backend.onnxruntime import import_onnxruntime

    return import_onnxruntime().GraphOptimizationLevel(int(value))


def _modes(value: Any) -> Any:
    from ovpart.backend.onnxruntime import import_onnxruntime

    return import_onnxruntime().ExecutionMode(int(value))


_IN_MODEL: Mapping[str, Any] = {
    "inter_op_num_threads": int,
    "intra_op_num_threads": int,
    "execution_mode": _modes,
    "graph_optimization_level": _levels,
    "enable_profiling": bool,
}


def _engine_settings(options: Any) -> dict[str, object]:
    """Return the settings of the onnxruntime engine that differ from what a session has by itself."""
    fresh = SessionOptions()
    settings: dict[str, object] = {}
    level = int(options.graph_optimization_level)
    if level in _LEVELS:
        settings["optimization"] = _LEVELS[level]
    if options.execution_mode != fresh.execution_mode:
        settings["execution_mode"] = "parallel"
    if options.inter_op_num_threads:
        settings["inter_op_num_threads"] = options.inter_op_num_threads
    for name in _SWITCHES:
        if getattr(options, name) != getattr(fresh, name):
            settings[name] = getattr(options, name)
    if options.log_severity_level != _UNSET:
        settings["log_severity_level"] = options.log_severity_level
    for name in ("log_verbosity_level", "logid"):
        if getattr(options, name):
            settings[name] = getattr(options, name)
    if options.execution_order != fresh.execution_order:
        warn(f"SessionOptions.execution_order={options.execution_order} has no effect: ovpart orders the nodes")
    return settings


def _added(options: SessionOptions) -> dict[str, Any]:
    """Return the keywords for what was added to session options by their methods."""
    keywords: dict[str, Any] = {}
    sizes = {**options.denotations, **options.free_dimensions}
    if sizes:
        keywords["free_dimensions"] = sizes
    edits = Edits(
        initializers={name: to_array(value) for name, value in options.initializers.items()},
        files=options.files,
    )
    entries = options.config_entries
    if entries.get(_FOLDER):
        edits = replace(edits, folder=Path(entries[_FOLDER]))
    if edits:
        keywords["edits"] = edits
    if entries.get(PRIORITY):
        keywords["model_priority"] = entries[PRIORITY].upper()
    keywords |= sharing_asked(entries)
    if entries.get(_NO_CPU, "0") == "1":
        keywords["disable_fallback"] = ("onnxruntime",)
    if options.custom_op_libraries:
        keywords["custom_op_libraries"] = tuple(options.custom_op_libraries)
    for request in options.device_requests:
        warn(f"SessionOptions.{request} has no effect: name providers in the arguments of the session")
    return keywords


def _entries(entries: Mapping[str, str]) -> dict[str, object]:
    """Return the config entries that onnxruntime is handed; warn of those that nobody here reads."""
    handed: dict[str, object] = {}
    for key, value in entries.items():
        if key == _FORMAT and value.upper() != "ONNX":
            warn(f"the session config entry {key}={value!r} has no effect: models are read as ONNX")
        elif key in _HANDLED or key.startswith((_FOR_FILES, PREFIX)):
            continue
        elif key.startswith(_FOR_ONNXRUNTIME):
            handed[key] = value
        else:
            warn(f"the session config entry {key}={value!r} has no effect: it is none of onnxruntime's CPU engine")
    return handed
