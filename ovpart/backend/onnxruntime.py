"""onnxruntime as a backend: sessions over shared weights, its optimiser on, spinning off.

Of the ways to call a session (onnxruntime 1.31, two tiny outputs, one thread: 7.2 us through the binding's ``run``, 9.4
through ``InferenceSession.run``, 4.5 with preset IO binding, 54 where IO binding allocates) the binding's ``run`` is
taken: it neither copies inputs nor outputs, its outputs are fresh memory at every run, and it takes sequences, maps,
strings and optionals as Python objects.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovpart.backend.base import Cut, Device, Executable, Port
from ovpart.backend.cut import make_cut, port
from ovpart.backend.forks import end_without_destructors
from ovpart.backend.words import node_in_words, shortened
from ovpart.errors import CompileError, EngineMissing, OptionError

if TYPE_CHECKING:
    import onnx
    import onnxruntime

    from ovpart.backend.onnxruntime_request import OnnxRuntimeExecutable
    from ovpart.model.graph import Model

_LEVELS = {
    "none": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
_PLAIN = frozenset({"none", "basic"})
_CONFIG = ("num_threads", "spinning", "optimization", "execution_mode", "custom_op_libraries", "free_dimensions")
_ATTRIBUTES = (
    "inter_op_num_threads", "enable_cpu_mem_arena", "enable_mem_pattern", "enable_mem_reuse",
    "use_deterministic_compute", "log_severity_level", "log_verbosity_level", "logid",
)  # fmt: skip
_MODES = {"sequential": "ORT_SEQUENTIAL", "parallel": "ORT_PARALLEL"}
_EXACT = ("session.qdq_matmulnbits_accuracy_level", "1")
"""A product with dequantised weights is fused into one that calculates in float32. By onnxruntime's own default (4) it
rounds what comes in to 8 bits, an error of 7e-3 (onnxruntime 1.31) that unfused it does not have."""
_FATAL = 4  # onnxruntime severity: what is less is raised as an error with the same words, and need not be printed too


class OnnxRuntimeBackend:
    """The CPU execution provider of onnxruntime.

    `config` of the compile methods takes

    - ``num_threads`` (int, 0 or absent: as many as there are cores),
    - ``spinning`` (bool, default False: threads that wait burn no processor time that another engine could use),
    - ``optimization`` (``"all"`` by default, ``"extended"``, ``"basic"``, ``"none"``),
    - ``execution_mode`` (``"sequential"`` by default, ``"parallel"``),
    - what ``onnxruntime.SessionOptions`` has under these names: ``inter_op_num_threads``, ``enable_cpu_mem_arena``,
      ``enable_mem_pattern``, ``enable_mem_reuse``, ``use_deterministic_compute``, ``log_severity_level``,
      ``log_verbosity_level``, ``logid``,
    - ``custom_op_libraries`` (paths), ``free_dimensions`` (symbol → size),
    - session config entries of onnxruntime itself, any key with a dot: ``session.disable_prepacking``.
    """

    name = "onnxruntime"

    def devices(self) -> Sequence[Device]:
        """Return the one device: the CPU."""
        return (Device("CPU", _processor()),)

    def fingerprint(self, device: str) -> str:
        """Return onnxruntime's version and build, and the processor."""
        onnxruntime = import_onnxruntime()
        return f"onnxruntime {onnxruntime.__version__} {onnxruntime.get_build_info()} {_processor()}"

    def compile(self, cut: Cut, device: str, config: Mapping[str, object]) -> OnnxRuntimeExecutable:
        """Make a session of a cut, over its weights where they lie.

        What onnxruntime refuses as it is stamped is tried again with the lowest opset that means the same, then in the
        forms of other opsets (:func:`ovpart.backend.onnxruntime_stamp.alternatives`), at last as an unreleased opset
        or, where its optimiser makes of the cut what it then refuses itself, at the level below.

        Raises
        ------
        CompileError
            With onnxruntime's first words.
        OptionError
            If `config` has a key that is not known.
        """
        return self._compile(cut, config, profiled=False)

    def compile_profiled(self, cut: Cut, device: str, config: Mapping[str, object]) -> OnnxRuntimeExecutable:
        """Make a session of a cut that times its nodes; raises as :meth:`compile`."""
        from ovpart.backend.layers import tagged

        return self._compile(tagged(cut), config, profiled=True)

    def _compile(self, cut: Cut, config: Mapping[str, object], *, profiled: bool) -> OnnxRuntimeExecutable:
        from ovpart.backend.onnxruntime_stamp import alternatives, is_unreleased, unreleased_opsets

        refusal: Exception | None = None
        newest = cut.proto
        for proto in alternatives(cut.proto):
            made = self._compiled(proto, cut, config, profiled=profiled)
            if not isinstance(made, Exception):
                return made
            refusal = refusal or made
            newest = proto if is_unreleased(proto) else newest
        if is_unreleased(newest):
            with unreleased_opsets():
                made = self._compiled(newest, cut, config, profiled=profiled)
            if not isinstance(made, Exception):
                return made
        if str(config.get("optimization", "all")) not in _PLAIN:
            # Its own fusions may make nodes that it refuses: QLinearMul of scales that are no scalars (1.31).
            made = self._compiled(cut.proto, cut, {**config, "optimization": "basic"}, profiled=profiled)
            if not isinstance(made, Exception):
                return made
        raise _refused(refusal, cut) from refusal

    def _compiled(
        self, proto: onnx.ModelProto, cut: Cut, config: Mapping[str, object], *, profiled: bool
    ) -> OnnxRuntimeExecutable | Exception:
        """Return an executable of one form of a cut, or why there is none."""
        from ovpart.backend.onnxruntime_layers import ProfiledOnnxRuntime, profiling_folder
        from ovpart.backend.onnxruntime_request import OnnxRuntimeExecutable
        from ovpart.backend.onnxruntime_weights import with_weights

        options = session_options(config)
        model, keep = with_weights(proto, cut, options)
        folder = profiling_folder(options) if profiled else None
        try:
            session = _session(model, options)
        except Exception as error:  # each failure of the binding has a class of its own, without a common base
            return error
        if folder is not None:
            return ProfiledOnnxRuntime(session, cut.inputs, cut.outputs, folder=folder, cut=cut, keep=keep)
        return OnnxRuntimeExecutable(session, cut.inputs, cut.outputs, cut=cut, keep=keep)

    def compile_whole(self, model: Model, device: str, config: Mapping[str, object]) -> OnnxRuntimeExecutable:
        """Make a session of the untouched model.

        A model with initializers that are inputs too is compiled as one cut: onnxruntime would not fold or prepack
        those otherwise (up to seven times slower). So is what onnxruntime refuses as it stands.

        Raises
        ------
        CompileError
            With onnxruntime's words.
        """
        from ovpart.backend.onnxruntime_request import OnnxRuntimeExecutable

        graph = model.graph
        if not graph.overridable:
            options = session_options(config)
            try:
                session = _session(_source(model), options)
            except Exception as error:  # see compile
                refusal = error
            else:
                return OnnxRuntimeExecutable(
                    session,
                    _ports(model, graph.inputs, [i.name for i in session.get_inputs()]),
                    _ports(model, graph.outputs, [o.name for o in session.get_outputs()]),
                )
        else:
            refusal = None
        used = [n.index for n in graph.nodes if n.index not in graph.constant and n.index not in graph.dead]
        try:
            return self.compile(make_cut(model, used, graph.inputs, graph.outputs), device, config)
        except CompileError as error:
            if refusal is None:
                raise
            raise CompileError(f"onnxruntime refuses the model: {shortened(refusal)}", node=error.node) from refusal

    def load(self, blob: bytes | memoryview, cut: Cut, device: str, config: Mapping[str, object]) -> Executable:
        """Refuse: onnxruntime's executables have no blob."""
        raise CompileError("onnxruntime has no compiled blobs: compile the cut instead", stage="load")


def import_onnxruntime() -> Any:
    """Import onnxruntime itself, also where :mod:`ovpart.compat.onnxruntime` stands under its name.

    Raises
    ------
    EngineMissing
        If it is not installed.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise EngineMissing(f"onnxruntime cannot be imported ({error}): pip install onnxruntime") from error
    end_without_destructors()
    return getattr(onnxruntime, "__wrapped__", onnxruntime)


def session_options(config: Mapping[str, object]) -> onnxruntime.SessionOptions:
    """Return session options for a `config` as :class:`OnnxRuntimeBackend` describes it.

    Raises
    ------
    OptionError
        If a key is not known or a value is not one that it takes.
    """
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    level = str(config.get("optimization", "all"))
    if level not in _LEVELS:
        raise OptionError(f"optimization={level!r}: onnxruntime has the levels {', '.join(_LEVELS)}")
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, _LEVELS[level])
    options.intra_op_num_threads = _integer(config.get("num_threads") or 0, "num_threads")
    if not config.get("spinning", False):
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry(*_EXACT)
    for symbol, size in _mapping(config, "free_dimensions").items():
        options.add_free_dimension_override_by_name(symbol, _integer(size, f"free_dimensions[{symbol!r}]"))
    for library in _paths(config):
        options.register_custom_ops_library(library)
    mode = str(config.get("execution_mode", "sequential"))
    if mode not in _MODES:
        raise OptionError(f"execution_mode={mode!r}: onnxruntime has {', '.join(_MODES)}")
    options.execution_mode = getattr(onnxruntime.ExecutionMode, _MODES[mode])
    for key, value in config.items():
        if "." in key:
            options.add_session_config_entry(key, str(value))
        elif key in _ATTRIBUTES:
            _set(options, key, value)
        elif key not in _CONFIG:
            raise OptionError(
                f"onnxruntime's configuration has no key {key!r}: it takes {', '.join(_CONFIG + _ATTRIBUTES)}, and "
                "onnxruntime's own session entries, which have a dot"
            )
    return options


def _set(options: onnxruntime.SessionOptions, name: str, value: object) -> None:
    try:
        setattr(options, name, value)
    except (TypeError, AttributeError, RuntimeError) as error:
        raise OptionError(f"{name}={value!r}: onnxruntime does not take it: {error}") from error


def _session(model: bytes | str, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    return import_onnxruntime().InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _source(model: Model) -> bytes | str:
    if isinstance(model.source, Path | str):
        return str(model.source)
    return model.source if isinstance(model.source, bytes) else model.source.SerializeToString()


def _ports(model: Model, declared: Sequence[str], seen: Sequence[str]) -> tuple[Port, ...]:
    """Return ports as the model declares them, checked once against what the session has."""
    if list(declared) != list(seen):
        raise CompileError(f"onnxruntime has the ports {list(seen)} where the model declares {list(declared)}")
    return tuple(port(name, model.graph.type_of(name)) for name in declared)


def _refused(error: Exception | None, cut: Cut) -> CompileError:
    words = shortened(error)
    return CompileError(
        f"onnxruntime refuses a cluster of {len(cut.node_names)} nodes: {words}", node=node_in_words(str(error), cut)
    )


def _processor() -> str:
    """Return the processor's name: the measured differences between machines go with it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _integer(value: object, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise OptionError(f"{what}={value!r}: expected a whole number, 0 or more")
    return value


def _mapping(config: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = config.get(key) or {}
    if not isinstance(value, Mapping):
        raise OptionError(f"{key}={value!r}: expected a mapping")
    return value


def _paths(config: Mapping[str, object]) -> list[str]:
    value = config.get("custom_op_libraries") or ()
    if isinstance(value, str | Path):
        return [str(value)]
    if not isinstance(value, Sequence):
        raise OptionError(f"custom_op_libraries={value!r}: expected a list of paths")
    return [str(path) for path in value]
