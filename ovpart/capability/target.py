"""What a device string asks for: one device, several in order of priority, or one of openvino's own choosers.

``HETERO:GPU,CPU`` is ours: each node goes to the first device that takes it, in one plan. ``AUTO:``, ``MULTI:`` and
``BATCH:`` are openvino's: a cluster is handed to them whole, so that each device that they name must take its nodes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ovpart.errors import DeviceNotFound, OptionError

PRIORITIES = "HETERO"
CHOOSERS = ("AUTO", "MULTI", "BATCH")
"""Devices of openvino that choose among others."""
BEHIND: dict[str, tuple[str, ...]] = {"NPU": ("CPU",)}
"""Devices that take what another one cannot, without being asked for (the provider's documents, on NPU)."""
GONE: dict[str, str] = {
    "FPGA": "openvino dropped FPGAs in 2020.4; use 'CPU' or 'GPU'",
    "MYRIAD": "openvino dropped Myriad in 2023.0; its successor is the 'NPU' of Core Ultra processors, else use 'CPU'",
    "VPU": "a VPU is called 'NPU' today; Myriad sticks are no longer driven by openvino",
    "HDDL": "openvino dropped HDDL boards in 2023.0; use 'GPU' or 'NPU'",
    "VAD-M": "openvino dropped HDDL boards in 2023.0; use 'GPU' or 'NPU'",
    "VAD-F": "openvino dropped FPGAs in 2020.4; use 'CPU' or 'GPU'",
    "GNA": "openvino dropped GNA in 2024.0; use 'NPU' or 'CPU'",
}
"""Devices of old, and what to use today."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_]+)*")
_BATCH = re.compile(r"(?P<name>[^(]+)(\(\d+\))?")


@dataclass(frozen=True, slots=True)
class Target:
    """A device string, taken apart.

    Attributes
    ----------
    chooser : str
        ``""`` for a device by itself, ``"HETERO"``, or one of `CHOOSERS`.
    devices : tuple of str
        The devices named, in their order; empty for ``AUTO`` by itself: whatever the machine has.
    batch : str
        ``"(4)"`` of ``BATCH:GPU(4)``.
    """

    chooser: str
    devices: tuple[str, ...]
    batch: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Device strings of the clusters, the most wanted first."""
        if self.chooser in CHOOSERS:
            return (str(self),)
        behind = [name for device in self.devices[-1:] for name in BEHIND.get(device, ()) if not self.chooser]
        return (*self.devices, *behind)

    def only(self, devices: tuple[str, ...]) -> Target:
        """Return the target with some of its devices; one that is left alone needs nobody to choose, BATCH apart."""
        chooser = self.chooser if len(devices) > 1 or self.chooser != PRIORITIES else ""
        return replace(self, chooser=chooser, devices=devices)

    def __str__(self) -> str:
        listed = ",".join(self.devices) + self.batch
        return f"{self.chooser}:{listed}" if self.chooser and listed else self.chooser or listed


def asked_target(text: str) -> Target:
    """Take apart what a user asks for: as :func:`parse_target`, and a chooser must have something to choose from.

    Raises
    ------
    OptionError
        As there, and if AUTO, MULTI or HETERO is given one device only.
    DeviceNotFound
        As there.
    """
    target = parse_target(text)
    if target.chooser in ("AUTO", "MULTI", PRIORITIES) and len(target.devices) == 1:
        raise OptionError(_wrong_number(text, target.chooser, target.devices))
    return target


def parse_target(text: str) -> Target:
    """Take a device string apart.

    Parameters
    ----------
    text : str
        ``"CPU"``, ``"GPU.1"``, ``"HETERO:GPU,CPU"``, ``"AUTO"``, ``"MULTI:GPU,CPU"``, ``"BATCH:GPU(8)"``; also
        ``"AUTO:CPU"``, which is what is left of a longer list where a device is not there.

    Raises
    ------
    OptionError
        If it names no device, one twice, or too few for what it asks.
    DeviceNotFound
        If it names a kind of device that openvino drives no more.
    """
    head, colon, rest = text.partition(":")
    if head == "AUTO" and not rest:
        return Target(head, ())
    known = head in (PRIORITIES, *CHOOSERS)
    if colon and not known:
        raise OptionError(
            f"device {text!r}: {head!r} is none of {PRIORITIES}, {', '.join(CHOOSERS)}, which take devices after a ':'"
        )
    listed = tuple(name.strip() for name in (rest if known else text).split(",") if name.strip())
    batch = ""
    if head == "BATCH" and len(listed) == 1 and (match := _BATCH.fullmatch(listed[0])):
        listed, batch = (match["name"],), match[2] or ""
    _check_names(text, listed)
    if not listed or (len(listed) > 1 and (not known or head == "BATCH")):
        raise OptionError(_wrong_number(text, head if known else "", listed))
    return Target(head if known else "", listed, batch)


def _check_names(text: str, listed: tuple[str, ...]) -> None:
    for name in listed:
        today = GONE.get(name.partition(".")[0].partition("_")[0].upper())
        if today is not None:
            raise DeviceNotFound(f"device {name!r} cannot be used: {today}.")
        if not _NAME.fullmatch(name):
            raise OptionError(f"device {text!r}: {name!r} is no name of a device; write for example 'GPU' or 'GPU.1'")
        if name in (PRIORITIES, *CHOOSERS):
            raise OptionError(f"device {text!r}: {name} chooses among devices, it is none that another can choose")
        if listed.count(name) > 1:
            raise OptionError(f"device {text!r} names {name!r} twice")


def _wrong_number(text: str, head: str, listed: tuple[str, ...]) -> str:
    if not head:
        several = f": for several in order of priority write '{PRIORITIES}:{','.join(listed)}'" if listed else ""
        return f"device {text!r} is not the name of one device{several}"
    if head == "BATCH":
        return f"device {text!r}: BATCH takes one device, for example 'BATCH:GPU' or 'BATCH:GPU(8)'"
    other = "GPU" if "CPU" in listed else "CPU"
    alone = f", or {listed[0]!r} alone" if listed else ""
    return (
        f"device {text!r}: {head} chooses among two devices at least; write for example "
        f"'{head}:{','.join((*listed, other))}'{alone}"
    )
