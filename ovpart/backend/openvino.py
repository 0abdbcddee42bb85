"""openvino as a backend: accuracy first, weights shared, nothing given to it that it crashes on."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovpart.backend.base import Cut, Device, Port
from ovpart.backend.cut import port
from ovpart.backend.openvino_model import (
    bound_ports,
    crash_in,
    crash_in_graph,
    filled,
    fits_inside,
    in_order_of,
    inlined,
    reads,
    wanted_inside,
)
from ovpart.backend.openvino_types import short_name
from ovpart.backend.words import node_in_words, shortened
from ovpart.errors import CompileError, DeviceNotFound, EngineMissing, OptionError

if TYPE_CHECKING:
    import openvino

    from ovpart.backend.openvino_request import OpenVINOExecutable
    from ovpart.model.graph import Model

# Without these openvino computes in bf16 where the processor has it, and quantises activations of weight-compressed
# MatMuls: results move by 1e-2 and more (openvino 2026.4, CPU).
_DEFAULTS: Mapping[str, object] = {
    "INFERENCE_PRECISION_HINT": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
    "PERFORMANCE_HINT": "LATENCY",
    "NUM_STREAMS": "1",
}
# No streams: a run computes in the thread that asks for it. With one stream of one thread the CPU plugin's synchronous
# infer loses the errors of a run and leaves the results of the one before (openvino 2026.4; start_async does not).
_IN_CALLER = "0"
_CONTEXT = "context"  # key of ours: the address of a cl_context
_VIRTUAL = frozenset({"AUTO", "MULTI", "HETERO", "BATCH"})  # openvino's own choosers among devices
_NO_RULE = ("No conversion rule found", "does not support the following ONNX operations")
_TELEMETRY = "openvino_telemetry"


class OpenVINOBackend:
    """openvino's Core.

    `config` of the compile methods takes openvino's own properties, in capitals, which go over the defaults
    (``INFERENCE_PRECISION_HINT=f32``, ``DYNAMIC_QUANTIZATION_GROUP_SIZE=0``, ``PERFORMANCE_HINT=LATENCY``,
    ``NUM_STREAMS=1``, each where the device has it), ``num_threads`` (int; 0 or absent: openvino chooses), and
    ``context`` (int: the address of a cl_context that a GPU's clusters are compiled in).

    Parameters
    ----------
    core : openvino.Core, optional
        One that is set up already; by default one is made at first use.
    """

    name = "openvino"

    def __init__(self, core: openvino.Core | None = None) -> None:
        self._given = core
        self._lock = threading.Lock()

    @property
    def core(self) -> openvino.Core:
        """The Core, made at first use."""
        with self._lock:
            if self._given is None:
                self._given = import_openvino().Core()
            return self._given

    def devices(self) -> Sequence[Device]:
        """Return what ``available_devices`` lists: the only honest answer of openvino about devices."""
        core = self.core
        return tuple(Device(name, str(core.get_property(name, "FULL_DEVICE_NAME"))) for name in core.available_devices)

    def properties(self, device: str) -> Mapping[str, str]:
        """Return the properties of a device, or of a chooser such as AUTO, each with ``"RO"``, ``"RW"`` or ``"WO"``."""
        return {str(key): str(way) for key, way in self.core.get_property(device, "SUPPORTED_PROPERTIES").items()}

    def refused(self, device: str, properties: Mapping[str, object]) -> tuple[str, str] | None:
        """Return the first property whose value a device refuses, and openvino's words; ``None`` where it takes all.

        A model of one node is compiled with each: ``set_property`` would change the Core for all sessions, and accepts
        anything before a plugin is loaded.
        """
        from openvino import Model, Type
        from openvino.opset8 import parameter, relu

        for key, value in properties.items():
            x = parameter([1], Type.f32)
            try:
                self.core.compile_model(Model([relu(x)], [x]), device, {key: value})
            except (RuntimeError, ValueError, TypeError) as error:
                return key, shortened(error)
        return None

    def fingerprint(self, device: str) -> str:
        """Return openvino's build, the device's full name, what it can compute in, and the driver where it has one."""
        self._check_device(device)
        names = _named(device) or list(self.core.available_devices)
        return " | ".join([f"openvino {import_openvino().get_version()}", *(self._facts(name) for name in names)])

    def _facts(self, device: str) -> str:
        facts = [str(self.core.get_property(device, "FULL_DEVICE_NAME"))]
        known = self._properties(device)
        for name in ("OPTIMIZATION_CAPABILITIES", "DEVICE_ARCHITECTURE", "NPU_DRIVER_VERSION", "GPU_DRIVER_VERSION"):
            if name in known:
                value = self.core.get_property(device, name)
                facts.append(" ".join(sorted(value)) if isinstance(value, list) else str(value))
        return " | ".join(facts)

    def compile(self, cut: Cut, device: str, config: Mapping[str, object]) -> OpenVINOExecutable:
        """Compile a cut over its weights where they lie.

        Large constants are Parameters at conversion and become shared Constants before compilation. Where conversion
        wants their values (MatMulNBits) the conversion is done again with the weights inside, which copies them.

        Raises
        ------
        CompileError
            With openvino's words and the node they name; also for what would crash openvino instead of failing.
        DeviceNotFound
            If openvino has no such device.
        OptionError
            If openvino has no property that `config` names, or not with that value.
        """
        self._check_device(device)
        options = self._options(device, config)
        crash = crash_in(cut)
        if crash is not None:
            raise CompileError(f"openvino was not asked: {crash[0]}", stage="read", node=crash[1])
        model = self._converted(cut)
        slots = self._step("convert", cut, lambda: bound_ports(model, cut.inputs, cut.outputs, _used(cut)))
        compiled = self._step("compile", cut, lambda: self._compiled(model, device, options), config)
        return self._executable(compiled, cut.inputs, cut.outputs, slots, cut)

    def compile_whole(self, model: Model, device: str, config: Mapping[str, object]) -> OpenVINOExecutable:
        """Compile the untouched model, from its path where it has one so that openvino maps the weights itself.

        Raises
        ------
        CompileError
            With openvino's words; also for what would crash openvino instead of failing.
        """
        self._check_device(device)
        graph = model.graph
        crash = crash_in_graph(model.proto.graph)
        if crash is not None:
            raise CompileError(f"openvino was not asked: {crash[0]}", stage="read", node=crash[1])
        inputs = tuple(port(name, graph.type_of(name)) for name in graph.inputs)
        outputs = tuple(port(name, graph.type_of(name)) for name in graph.outputs)
        used = reads(model.proto.graph) | set(graph.outputs)
        source = model.source if isinstance(model.source, bytes | Path) else model.source.SerializeToString()
        options = self._options(device, config)
        read = self._step("convert", None, lambda: self.core.read_model(source))
        slots = self._step("convert", None, lambda: bound_ports(read, inputs, outputs, used))
        compiled = self._step("compile", None, lambda: self._compiled(read, device, options), config)
        return self._executable(compiled, inputs, outputs, slots, None)

    def compile_file(self, path: Path, device: str, config: Mapping[str, object]) -> OpenVINOExecutable:
        """Compile a model that openvino reads by itself: IR (``.xml``). Ports are named as in the file.

        Raises
        ------
        CompileError
            With openvino's words.
        """
        from ovpart.backend.openvino_request import ports_of

        self._check_device(device)
        options = self._options(device, config)
        read = self._step("read", None, lambda: self.core.read_model(path))
        compiled = self._step("compile", None, lambda: self._compiled(read, device, options), config)
        inputs, outputs = ports_of(read)
        return self._executable(compiled, inputs, outputs, tuple(range(len(inputs))), None)

    def load(self, blob: bytes | memoryview, cut: Cut, device: str, config: Mapping[str, object]) -> OpenVINOExecutable:
        """Take up a blob that `export` gave. It must come from the same build and device: compare fingerprints first.

        Raises
        ------
        CompileError
            If openvino refuses the blob, or it has other ports than the cut.
        """
        self._check_device(device)
        options = self._options(device, config)
        compiled, keep = self._step("load", cut, lambda: self._imported(blob, device, options), config)
        cut = in_order_of(compiled, cut)
        slots = self._step("load", cut, lambda: bound_ports(compiled, cut.inputs, cut.outputs, _used(cut)))
        return self._executable(compiled, cut.inputs, cut.outputs, slots, cut, keep=keep)

    def _compiled(self, model: openvino.Model, device: str, options: Mapping[str, object]) -> openvino.CompiledModel:
        """Compile, in the user's OpenCL context where one was given."""
        properties = dict(options)
        address = properties.pop(_CONTEXT, None)
        if address is None:
            return self.core.compile_model(model, device, properties)
        context = self.core.create_context(device, {"CONTEXT_TYPE": "OCL", "OCL_CONTEXT": address})
        return self.core.compile_model(model, context, properties)

    def _converted(self, cut: Cut) -> openvino.Model:
        """Return openvino's model of a cut, with its large constants in place."""
        inside = wanted_inside(cut)
        try:
            model = self.core.read_model(inlined(cut, inside))
        except RuntimeError as error:
            # Without a rule for an operator the values of constants change nothing.
            if (
                len(inside) == len(cut.weights)
                or any(words in str(error) for words in _NO_RULE)
                or not fits_inside(cut)
            ):
                raise _refused("convert", cut, error) from error
            return self._step("convert", cut, lambda: self.core.read_model(inlined(cut, set(cut.weights))))
        return self._step("convert", cut, lambda: filled(model, cut))

    def _imported(self, blob: bytes | memoryview, device: str, options: dict[str, object]) -> tuple[Any, object]:
        """Return what a blob holds, and the memory that it goes on reading."""
        import io

        import numpy as np

        # A tensor is read in place; its memory must be writeable, which a blob's need not be.
        array = np.frombuffer(blob, dtype=np.uint8)
        data = import_openvino().Tensor(array if array.flags.writeable else array.copy(), shared_memory=True)
        options = {key: value for key, value in options.items() if key not in (_CONTEXT, "CACHE_DIR")}
        try:
            return self.core.import_model(data, device, options), (data, blob)
        except TypeError:  # before 2025.1 it takes streams only
            return self.core.import_model(io.BytesIO(blob), device, options), None

    def _step(
        self, stage: str, cut: Cut | None, action: Callable[[], Any], config: Mapping[str, object] | None = None
    ) -> Any:
        """Do one step of openvino's; what it throws becomes a CompileError of that stage.

        Where it throws because of a property in `config`, an OptionError: no other cluster would be taken with it.
        """
        try:
            return action()
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            key = next((key for key in config or () if key in str(error) and "propert" in str(error)), None)
            if key is not None and config is not None:
                raise OptionError(f"config[{key!r}] cannot be {config[key]!r}: {shortened(error)}") from error
            raise _refused(stage, cut, error) from error

    def _executable(
        self,
        compiled: Any,
        inputs: Sequence[Port],
        outputs: Sequence[Port],
        slots: Sequence[int | None],
        cut: Cut | None,
        keep: object = None,
    ) -> OpenVINOExecutable:
        from ovpart.backend.openvino_request import OpenVINOExecutable

        for value in (*compiled.inputs, *compiled.outputs):
            if short_name(value.element_type) is None:
                raise CompileError(
                    f"openvino has a port of type {value.element_type.get_type_name()}, which ONNX has not"
                )
        return OpenVINOExecutable(compiled, inputs, outputs, slots, cut=cut, keep=(keep, cut))

    def _check_device(self, device: str) -> None:
        """Raise DeviceNotFound unless every device named is there (``AUTO:GPU,CPU`` names two)."""
        found = self.core.available_devices
        for name in _named(device):
            base, _, number = name.partition(".")
            first = number == "0" and base != "CPU" and base in found  # GPU.0 where there is one GPU
            if not first and name not in found and not any(present.startswith(f"{name}.") for present in found):
                raise DeviceNotFound(
                    f"openvino has no device {name!r} on this machine. Available: {', '.join(found) or 'none'}. "
                    "Install its driver, or take one that is there."
                )

    def _properties(self, device: str) -> frozenset[str]:
        """Return what a device can be told; for ``AUTO:...`` and the like what each of its devices can be told."""
        if _is_virtual(device):
            named = [name for name in _named(device) if name in self.core.available_devices]
            each = [self._properties(name) for name in named or self.core.available_devices]
            return frozenset.intersection(*each) - {"NUM_STREAMS", "INFERENCE_NUM_THREADS"}
        return frozenset(self.core.get_property(device, "SUPPORTED_PROPERTIES"))

    def _options(self, device: str, config: Mapping[str, object]) -> dict[str, object]:
        """Return openvino's properties for a `config`; only defaults that the device has."""
        known = self._properties(device)
        options = {key: value for key, value in _DEFAULTS.items() if key in known}
        if device.startswith("NPU"):
            options.pop("INFERENCE_PRECISION_HINT", None)  # it computes in f16 and refuses f32
        if "PERFORMANCE_HINT" in config:
            options.pop("NUM_STREAMS", None)  # the hint chooses the streams
        elif "NUM_STREAMS" in options and _threads(config) == 1:
            options["NUM_STREAMS"] = _IN_CALLER
        for key, value in config.items():
            if key == "num_threads":
                if value and "INFERENCE_NUM_THREADS" in known:
                    options["INFERENCE_NUM_THREADS"] = value
            elif key.isupper() or key == _CONTEXT:
                options[key] = value
            else:
                raise OptionError(
                    f"openvino's configuration has no key {key!r}: it takes num_threads, {_CONTEXT}, and properties "
                    "of openvino, in capitals"
                )
        return options


def _is_virtual(device: str) -> bool:
    return device.partition(":")[0] in _VIRTUAL


def _named(device: str) -> list[str]:
    """Return the devices that a device string names: ``AUTO:GPU.1,CPU(2)`` → ``GPU.1``, ``CPU``; left-out ones not."""
    if not _is_virtual(device):
        return [device]
    listed = device.partition(":")[2].split(",")
    return [name.partition("(")[0] for name in listed if name and not name.startswith("-")]


def _threads(config: Mapping[str, object]) -> int:
    """Return how many threads openvino will compute with on the CPU, as far as that is known before."""
    asked = str(config.get("INFERENCE_NUM_THREADS") or config.get("num_threads") or 0)
    return int(asked) if asked.isdigit() and asked != "0" else os.cpu_count() or 1


def import_openvino() -> Any:
    """Import openvino without its usage-data sender.

    ``import openvino`` sends usage data from a forked child where the package openvino_telemetry is installed; that
    child keeps pipes open and may hang. While openvino is imported for the first time, that package looks as if it were
    not installed; afterwards it can be imported as before.

    Raises
    ------
    EngineMissing
        If openvino is not installed.
    """
    hide = "openvino" not in sys.modules and _TELEMETRY not in sys.modules
    if hide:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # None is how the import system spells "not there"
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise EngineMissing(
            f"openvino cannot be imported ({error}): pip install openvino, or plan without a device, which needs none"
        ) from error
    finally:
        if hide:
            del sys.modules[_TELEMETRY]
    return openvino


def _used(cut: Cut) -> set[str]:
    """Return the inputs of a cut that something in it reads."""
    return reads(cut.proto.graph) | {value.name for value in cut.proto.graph.output}


def _refused(stage: str, cut: Cut | None, error: Exception) -> CompileError:
    words = shortened(error)
    if cut is None:
        return CompileError(f"openvino refuses the model ({stage}): {words}", stage=stage)
    return CompileError(
        f"openvino refuses a cluster of {len(cut.node_names)} nodes ({stage}): {words}",
        stage=stage,
        node=node_in_words(str(error), cut),
    )
