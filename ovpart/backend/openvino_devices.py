"""The devices of openvino: which are there, what each can be told, and how it is told what ovpart means."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ovpart.backend.base import Device
from ovpart.backend.forks import Held, Process, this_process
from ovpart.backend.openvino_remote import OpenVINOMemory, opencl_context
from ovpart.backend.openvino_types import THROWN
from ovpart.backend.words import shortened
from ovpart.errors import DeviceNotFound, EngineForked, EngineMissing, InputError, OptionError

if TYPE_CHECKING:
    import openvino

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
CONTEXT = "context"  # key of ours: the address of a cl_context
_VIRTUAL = frozenset({"AUTO", "MULTI", "HETERO", "BATCH"})  # openvino's own choosers among devices
_TELEMETRY = "openvino_telemetry"


class OpenVINODevices:
    """openvino's Core, asked about devices and properties.

    Parameters
    ----------
    core : openvino.Core, optional
        One that is set up already; by default one is made at first use.
    """

    def __init__(self, core: openvino.Core | None = None) -> None:
        self._given = core
        self._held = Held(core)
        self._lock = threading.Lock()
        self._started_in: Process | None = None
        self._fingerprints: dict[str, str] = {}
        self._contexts: dict[tuple[str, int], Any] = {}

    @property
    def core(self) -> openvino.Core:
        """The Core, made at first use.

        Raises
        ------
        EngineMissing
            If openvino is not installed.
        EngineForked
            If this process was forked from one in which openvino had compiled something.
        """
        if self._started_in is not None and self._started_in.is_past:
            raise EngineForked(
                f"openvino was loaded in process {self._started_in.pid} and cannot be used in process {os.getpid()}, "
                "which was forked from it: its threads stay behind in a fork. Open no session on openvino before it, "
                "or start processes with multiprocessing's 'spawn' or 'forkserver' method."
            )
        with self._lock:
            if self._given is None:
                self._given = import_openvino().Core()
                self._held = Held(self._given)
            return self._given

    def started(self) -> openvino.Core:
        """Return the Core for what starts its threads: from now on it is this process's alone."""
        core = self.core
        self._started_in = this_process()
        return core

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
                self.started().compile_model(Model([relu(x)], [x]), device, {key: value})
            except THROWN as error:
                return key, shortened(error)
        return None

    def context(self, device: str, address: int | None) -> Any:
        """Return openvino's context of a GPU, always the same one: memory of another is refused.

        Parameters
        ----------
        device : str
            ``"GPU"``, ``"GPU.1"``.
        address : int or None
            Of a ``cl_context`` of the caller's; the plugin's own if ``None``.
        """
        core = self.started()
        if address is None:
            return core.get_default_context(device)
        with self._lock:
            found = self._contexts.get((device, address))
            if found is None:
                found = self._contexts[device, address] = core.create_context(device, opencl_context(address))
        return found

    def memory(self, device: str, config: Mapping[str, object]) -> OpenVINOMemory:
        """Return the memory of a GPU, in the context that `config` names, or the plugin's own.

        Raises
        ------
        DeviceNotFound
            If openvino has no such device.
        InputError
            If the device is no GPU, or openvino has no context there.
        """
        self._check_device(device)
        if device.partition(".")[0] != "GPU":
            raise InputError(f"openvino reaches into the memory of GPUs only, not of {device}: pass an array")
        address = config.get(CONTEXT)
        try:
            return OpenVINOMemory(self.context(device, None if address is None else int(str(address))))
        except THROWN as error:
            raise InputError(f"openvino has no context on {device}: {shortened(error)}") from error

    def fingerprint(self, device: str) -> str:
        """Return openvino's build, the device's full name, what it can compute in, and the driver where it has one."""
        found = self._fingerprints.get(device)
        if found is None:
            self._check_device(device)
            names = _named(device) or list(self.core.available_devices)
            found = " | ".join([f"openvino {import_openvino().get_version()}", *(self._facts(name) for name in names)])
            self._fingerprints[device] = found
        return found

    def _facts(self, device: str) -> str:
        facts = [str(self.core.get_property(device, "FULL_DEVICE_NAME"))]
        known = self._properties(device)
        for name in ("OPTIMIZATION_CAPABILITIES", "DEVICE_ARCHITECTURE", "NPU_DRIVER_VERSION", "GPU_DRIVER_VERSION"):
            if name in known:
                value = self.core.get_property(device, name)
                facts.append(" ".join(sorted(value)) if isinstance(value, list) else str(value))
        return " | ".join(facts)

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
            elif key.isupper() or key == CONTEXT:
                options[key] = value
            else:
                raise OptionError(
                    f"openvino's configuration has no key {key!r}: it takes num_threads, {CONTEXT}, and properties "
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
