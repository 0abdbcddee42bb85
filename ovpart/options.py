"""Every option of a session and of a plan, declared once.

The declarations drive the keyword arguments of :func:`ovpart.plan` and :class:`ovpart.Session`, the flags of the
command line, ``docs/options.md`` and the report, where each option stands with its effective value and its origin.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ovpart import conversions
from ovpart.errors import OptionError


@dataclass(frozen=True, slots=True)
class Option:
    """What a field of :class:`Options` says of itself, beside its name and default.

    Attributes
    ----------
    convert : callable
        Takes what the user gave, returns the value, raises ``ValueError`` or ``TypeError`` where it cannot.
    expects : str
        What a user may give, in words, for errors and documents.
    doc : str
        What it does.
    planning : bool
        Whether :func:`ovpart.plan` takes it too, or only a session.
    """

    convert: Callable[[Any], Any]
    expects: str
    doc: str
    planning: bool = True


def _option(convert: Callable[[Any], Any], default: Any, expects: str, doc: str, *, planning: bool = True) -> Any:
    about = {"option": Option(convert, expects, doc, planning)}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=about)
    return field(default=default, metadata=about)


@dataclass(frozen=True, slots=True)
class Options:
    """The effective value of every option; :func:`declared` tells what each one means."""

    device: str = _option(
        conversions.text,
        "CPU",
        "a device such as 'CPU', 'GPU.0' or 'NPU', or 'HETERO:GPU,CPU', 'AUTO:GPU,CPU', 'MULTI:GPU,CPU', 'BATCH:GPU'",
        "The device that nodes are delegated to; what it cannot take runs on onnxruntime's CPU engine. "
        "HETERO takes devices in order of priority: each node goes to the first one that takes it. AUTO, MULTI and "
        "BATCH hand clusters to openvino, which chooses. Behind NPU stands openvino's CPU.",
    )
    min_gain: float | None = _option(
        conversions.microseconds,
        None,
        "microseconds per run, 0 or more",
        "The predicted saving per run that a connected piece of a cluster must bring, or it stays on onnxruntime. "
        "0 switches the filter off: all that the device may take is delegated, at a loss too. "
        "Without it, the figure of the cost table holds, and a session measures on its first runs if it was right: "
        "beside onnxruntime alone, and beside all that may be delegated.",
    )
    unknown: str | None = _option(
        conversions.one_of("delegate", "fallback"),
        None,
        "'delegate' or 'fallback'",
        "What to do with nodes that nobody has measured on this device. "
        "Without it, the table's choice for the device holds.",
    )
    semantics: str = _option(
        conversions.one_of("fast", "ieee"),
        "fast",
        "'fast' or 'ieee'",
        "'fast' lets the device differ in NaN propagation and in int32 arithmetic beyond 2**24; 'ieee' keeps the "
        "operators where that happens on onnxruntime.",
    )
    exclude: tuple[str, ...] = _option(
        conversions.texts,
        (),
        "operator types, node names, globs or regions 'a..b'",
        "Nodes that must stay on onnxruntime, whatever the table says.",
    )
    pin: tuple[str, ...] = _option(
        conversions.texts,
        (),
        "operator types, node names, globs or regions 'a..b'",
        "Nodes that are delegated even where the table says no, with a warning, or where it does not pay. "
        "A compile that fails still demotes them.",
    )
    table: tuple[Any, ...] = _option(
        conversions.tables,
        (),
        "paths of overlay files, or mappings of the same form",
        "Support tables of your own, laid over the shipped one; the first match wins.",
    )
    join: str = _option(
        conversions.one_of("joined", "connected"),
        "joined",
        "'joined' or 'connected'",
        "'joined' gives the fewest clusters; 'connected' gives clusters that are connected subgraphs, more of them.",
    )
    control_flow: str = _option(
        conversions.one_of("auto", "nested", "whole"),
        "auto",
        "'auto', 'nested' or 'whole'",
        "What to do with If, Loop and Scan. 'auto' delegates them whole where the device takes every node inside; else "
        "their bodies get plans of their own where that pays, and stay whole on onnxruntime where it does not. "
        "'nested' gives all bodies plans of their own, 'whole' none.",
    )
    lazy: bool | None = _option(
        conversions.flag,
        None,
        "true or false",
        "When bodies of control flow are compiled that have plans of their own: true at their first run, false with "
        "the session. Without it, branches of If at their first run, since many are never taken, bodies of loops with "
        "the session.",
        planning=False,
    )
    free_dimensions: Mapping[str, int] = _option(
        conversions.sizes,
        {},
        "a mapping of names or denotations of dimensions to sizes",
        "Sizes of dimensions that the model leaves open, such as {'batch': 1}: it is planned, compiled and checked as "
        "if it had been exported with them. Some devices take static shapes only.",
    )
    data_folder: str | None = _option(
        conversions.path,
        None,
        "a path of a folder",
        "Where the external data of the model lies: of a model given as bytes, or one that lies elsewhere.",
    )
    strict: bool = _option(
        conversions.flag,
        False,
        "true or false",
        "Raise where a cluster would be demoted because the engine refuses it or fails.",
        planning=False,
    )
    emulate: bool = _option(
        conversions.flag,
        False,
        "true or false",
        "Plan for the device asked for, though it is not on this machine, and run its clusters on the CPU.",
        planning=False,
    )
    evidence: object = _option(
        conversions.evidence,
        None,
        "'auto', 'off', the path of a file, or an Evidence",
        "What earlier sessions of this model have taught: nodes that an engine refused or failed on stay away from it, "
        "and the way of running it that was measured to be the fastest is taken. "
        "Without it, a session reads and keeps its own in the cache folder ('auto'), one file for each model, device, "
        "version and setting of the engines; with 'off' it neither reads nor keeps any. A plan takes none unless it is "
        "given. A session with `strict` keeps what it learns and uses none.",
    )
    isolate: bool = _option(
        conversions.flag,
        False,
        "true or false",
        "Compile and first run each cluster for the device in a process of its own, before this process touches it. "
        "A cluster that kills that process, or gives no answer within `trial_timeout`, goes to onnxruntime. "
        "The first run of a cluster is answered from that process; from the second on it computes in this one. "
        "Clusters with nodes that are unknown to the table, or pinned against it, are always tried so.",
        planning=False,
    )
    trial_timeout: float = _option(
        conversions.seconds,
        60.0,
        "seconds, more than 0",
        "How long one compile or one run may take in the process for trials (see `isolate`).",
        planning=False,
    )
    verify: str = _option(
        conversions.one_of("off", "first-run"),
        "off",
        "'off' or 'first-run'",
        "'first-run' holds each cluster and each output against onnxruntime on the first input of a plan, as "
        "`Session.verify` does, and demotes what is wrong before that run is answered. It costs a few runs and a few "
        "compiles of onnxruntime, once. With `strict` it raises instead.",
        planning=False,
    )
    num_threads: int | None = _option(
        conversions.count,
        None,
        "a number of threads, 1 or more",
        "Threads of each engine. Without it, each engine's own default. In a pool: what a run takes of it, by default "
        "the pool's threads over its streams.",
        planning=False,
    )
    precision: str | None = _option(
        conversions.one_of("FP32", "FP16", "ACCURACY"),
        None,
        "'FP32', 'FP16' or 'ACCURACY'",
        "What the device computes in. CPU: FP32 or ACCURACY; GPU: any, by default FP16; NPU: FP16 or ACCURACY. "
        "ACCURACY keeps the types of the model, and openvino from trading accuracy for speed.",
        planning=False,
    )
    num_streams: int | None = _option(
        conversions.count,
        None,
        "a number of streams, 1 or more",
        "Runs of a cluster that the device computes at the same time, when several threads run the session. "
        "By default 1: the shortest run.",
        planning=False,
    )
    cache_dir: str | None = _option(
        conversions.path,
        None,
        "a path of a folder",
        "Where openvino keeps compiled clusters, and the kernels of a GPU, so that the next session does not compile "
        "them again. Made if it is not there. Without it nothing is kept.",
        planning=False,
    )
    share_ep_contexts: bool = _option(
        conversions.flag,
        False,
        "true or false",
        "Share with the other sessions of this process that say so: files are mapped once, a cluster that is the same "
        "to the bit, for the same device and with the same settings, is compiled once, and compiled clusters are "
        "written into one file of blobs in a folder. The report says what was shared. A cluster that is shared runs in "
        "the streams of the session that compiled it: with one stream, one run at a time.",
        planning=False,
    )
    stop_share_ep_contexts: bool = _option(
        conversions.flag,
        False,
        "true or false",
        "With `share_ep_contexts`: this session is the last one that shares with those before it.",
        planning=False,
    )
    model_priority: str | None = _option(
        conversions.one_of("LOW", "MEDIUM", "HIGH", "DEFAULT"),
        None,
        "'LOW', 'MEDIUM', 'HIGH' or 'DEFAULT'",
        "Which models get the better resource where several are in use: of AUTO, MULTI, GPU and NPU. In a pool: whose "
        "runs go first, on every device.",
        planning=False,
    )
    context: int | None = _option(
        conversions.address,
        None,
        "the address of a cl_context, as a number or text such as '0x7f00'",
        "An OpenCL context of yours that clusters on a GPU are compiled in, so that they share its buffers.",
        planning=False,
    )
    enable_opencl_throttling: bool = _option(
        conversions.flag,
        False,
        "true or false",
        "Let a GPU's queue spare the CPU, at some cost in speed (GPU_QUEUE_THROTTLE=LOW).",
        planning=False,
    )
    enable_qdq_optimizer: bool = _option(
        conversions.flag,
        False,
        "true or false",
        "On NPU: drop pairs of QuantizeLinear and DequantizeLinear between operators that it does not compute in int8. "
        "Faster, and closer to the model before it was quantised.",
        planning=False,
    )
    load_config: str | Mapping[str, object] | None = _option(
        conversions.path_or_mapping,
        None,
        "the path of a JSON file, or a mapping, of the form {device: {property: value}}",
        "Properties of openvino for each device, with AUTO, HETERO and MULTI as devices too. One that a device does "
        "not have is ignored with a warning, one that can only be read is skipped with a warning, a value that a "
        "property cannot take is an error.",
        planning=False,
    )
    fallback: tuple[str, ...] = _option(
        conversions.fallback_engines,
        ("onnxruntime", "reference"),
        "'onnxruntime', or 'onnxruntime,reference'",
        "What takes the nodes that are not delegated. 'reference' is onnx.reference, the evaluator of onnx in Python: "
        "slow, for what onnxruntime refuses. Without it, a model with such a node is refused.",
    )
    disable_dynamic_shapes: bool = _option(
        conversions.flag,
        False,
        "true or false",
        "Compile a form of fixed shapes for each set of input shapes, when it is first met. The eight used last are "
        "kept. Each is held against the form of open shapes on its first run, and given up with a warning where the "
        "two differ.",
        planning=False,
    )
    disable_fallback: tuple[str, ...] = _option(
        conversions.fallback_words,
        (),
        "true for all engines, or the names 'openvino', 'onnxruntime'",
        "Raise where nodes would fall back: 'openvino' to openvino's CPU behind the device asked for, 'onnxruntime' "
        "to onnxruntime. The error names the nodes.",
        planning=False,
    )
    config: Mapping[str, object] = _option(
        conversions.mapping,
        {},
        "a mapping of openvino property names to values",
        "Properties handed to openvino for every cluster, after ovpart's own.",
        planning=False,
    )
    onnxruntime_config: Mapping[str, object] = _option(
        conversions.mapping,
        {},
        "a mapping of settings of the onnxruntime engine, or of its session config entries, to values",
        "Settings of what runs on onnxruntime, such as {'optimization': 'basic'} or "
        "{'session.intra_op.allow_spinning': '1'}.",
        planning=False,
    )
    custom_op_libraries: tuple[str, ...] = _option(
        conversions.paths,
        (),
        "paths of shared libraries",
        "Libraries of operators for onnxruntime; a node that uses one of them runs there.",
        planning=False,
    )
    extensions: tuple[Any, ...] = _option(
        conversions.extensions,
        (),
        "paths of shared libraries; in Python also extensions of openvino.frontend, or classes of operators",
        "Extensions of openvino, which teach it operators. With an entry in a `table` of your own that says so, nodes "
        "of such an operator are delegated.",
        planning=False,
    )
    given: frozenset[str] = frozenset()
    pooled: frozenset[str] = frozenset()
    """What a pool has set; never empty for a session in one."""

    def echo(self) -> tuple[tuple[str, object, str], ...]:
        """Return (name, effective value, ``"given"``, ``"pool"`` or ``"default"``) for every option, for reports."""
        origins = dict.fromkeys(self.given, "given") | dict.fromkeys(self.pooled, "pool")
        return tuple((name, getattr(self, name), origins.get(name, "default")) for name in declared())


def declared(*, planning_only: bool = False) -> dict[str, Option]:
    """Return the declaration of every option by its name, in the order in which documents list them."""
    options = {f.name: f.metadata["option"] for f in fields(Options) if "option" in f.metadata}
    return {name: option for name, option in options.items() if option.planning or not planning_only}


def resolve(given: Mapping[str, object], *, planning_only: bool = False) -> Options:
    """Turn keyword arguments into options.

    Parameters
    ----------
    given : mapping
        Option name → value; ``None`` means "not given".
    planning_only : bool
        Whether options that only a session has are refused.

    Raises
    ------
    OptionError
        If a name is unknown or a value is none that the option takes.
    """
    takes = declared(planning_only=planning_only)
    values: dict[str, Any] = {}
    for name, value in given.items():
        option = takes.get(name)
        if option is None:
            raise OptionError(_unknown_option(name, takes))
        if value is None:
            continue
        try:
            values[name] = option.convert(value)
        except (ValueError, TypeError, KeyError) as problem:
            message = f"option {name!r} cannot be {value!r}: it takes {option.expects}"
            raise OptionError(message) from problem
    return Options(**values, given=frozenset(values))


def _unknown_option(name: str, takes: Mapping[str, Option]) -> str:
    if name in declared():
        return f"option {name!r} is one of a session, not of a plan: give it to ovpart.Session"
    close = difflib.get_close_matches(name, takes, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(takes)}"
    return f"there is no option {name!r}: {hint}"
