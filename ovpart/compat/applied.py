"""What session options come to, as keywords of :class:`ovpart.Session`; what cannot apply warns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ovpart.compat.contexts import PREFIX
from ovpart.compat.session_options import SessionOptions
from ovpart.compat.warn import warn

_LEVELS = {0: "none", 1: "basic", 2: "extended"}
"""``GraphOptimizationLevel`` numbers; those above stand for all that onnxruntime has."""
_SWITCHES = ("enable_cpu_mem_arena", "enable_mem_pattern", "enable_mem_reuse", "use_deterministic_compute")
_UNSET = -1  # a log severity that nobody has set


def applied(options: Any, disabled_optimizers: Sequence[str] = ()) -> dict[str, Any]:
    """Return the keywords of a session for session options.

    Parameters
    ----------
    options : SessionOptions
        Ours, or onnxruntime's own, which does not tell what was added to it.
    disabled_optimizers : sequence of str
        Names of onnxruntime's optimisers.
    """
    engine = _engine_settings(options)
    if disabled_optimizers:
        engine["optimization.disable_specified_optimizers"] = ";".join(disabled_optimizers)
    keywords: dict[str, Any] = {}
    if options.intra_op_num_threads:
        keywords["num_threads"] = options.intra_op_num_threads
    if isinstance(options, SessionOptions):
        entries = options.config_entries
        engine.update({name: value for name, value in entries.items() if not name.startswith(PREFIX)})
        if entries.get("session.disable_cpu_ep_fallback") == "1":
            del engine["session.disable_cpu_ep_fallback"]  # islands would refuse themselves
            keywords["disable_fallback"] = True
        if options.custom_op_libraries:
            keywords["custom_op_libraries"] = tuple(options.custom_op_libraries)
        sizes = {**options.denotations, **options.free_dimensions}
        if sizes:
            keywords["free_dimensions"] = sizes
        for request in options.device_requests:
            warn(f"SessionOptions.{request} has no effect: name providers in the arguments of the session")
    if engine:
        keywords["onnxruntime_config"] = engine
    return keywords


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
    return settings
