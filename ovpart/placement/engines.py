"""The engines of a session: which backend, device and settings stand behind a label of the plan."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from ovpart.backend.base import Backend, Cut, Device, Executable
from ovpart.backend.registry import backend
from ovpart.errors import DeviceNotFound
from ovpart.model.graph import Model
from ovpart.options import Options
from ovpart.partition.plan import Label
from ovpart.planning import DEVICE_ENGINE, FALLBACK

EMULATING_DEVICE = "CPU"
"""The device that runs the clusters of a device that is emulated."""


@dataclass(frozen=True, slots=True)
class Engines:
    """What compiles the clusters of a session.

    Attributes
    ----------
    options : Options
        Of the session: threads, engine properties, emulation.
    backends : mapping of str to Backend
        Engine name → backend, for engines that are not to be had by entry point.
    """

    options: Options
    backends: Mapping[str, Backend] = field(default_factory=dict)

    def backend_of(self, label: Label) -> Backend:
        """Return the backend behind a label."""
        return self.backends.get(label.engine) or backend(label.engine)

    def device_of(self, label: Label) -> str:
        """Return the device that a label's clusters run on in fact."""
        return EMULATING_DEVICE if self.options.emulate and label.engine == DEVICE_ENGINE else label.device

    def version_of(self, label: Label) -> str:
        """Return the engine's build, driver and instruction set in one line."""
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
            settings.update(self.options.config)
        elif label == FALLBACK:
            if alone:
                settings["spinning"] = True
            if self.options.custom_op_libraries:
                settings["custom_op_libraries"] = self.options.custom_op_libraries
            settings.update(self.options.onnxruntime_config)
        return settings

    def compile(self, cut: Cut, label: Label, *, alone: bool = False) -> Executable:
        """Compile a cut for a label; raises :class:`ovpart.errors.CompileError`."""
        return self.backend_of(label).compile(cut, self.device_of(label), self.settings_of(label, alone=alone))

    def compile_whole(self, model: Model, label: Label) -> Executable:
        """Compile the untouched model for a label; raises :class:`ovpart.errors.CompileError`."""
        settings = self.settings_of(label, alone=True)
        return self.backend_of(label).compile_whole(model, self.device_of(label), settings)


def devices() -> tuple[Device, ...]:
    """Return the devices that models can be delegated to on this machine, as openvino names them."""
    return tuple(backend(DEVICE_ENGINE).devices())


def require_device(name: str, *, emulate: bool) -> None:
    """Raise where the device asked for is not on this machine.

    Raises
    ------
    DeviceNotFound
        With what is there and what can be done.
    """
    if emulate:
        return
    found = [device.name for device in devices()]
    if name in found or any(present.startswith(f"{name}.") for present in found):
        return
    close = difflib.get_close_matches(name.upper(), found, n=1)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    message = (
        f"device {name!r} is not on this machine; openvino offers: {', '.join(found) or 'none'}.{meant} "
        f"Install its driver, choose one of these, or pass emulate=True to plan for {name!r} and run on the CPU."
    )
    raise DeviceNotFound(message)
