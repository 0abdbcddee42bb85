"""Which of the devices asked for are on this machine, and what to say where they are not."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Sequence

from ovpart.capability.target import CHOOSERS, Target, asked_target
from ovpart.errors import DeviceNotFound, OvpartWarning


def present(text: str, found: Sequence[str]) -> Target:
    """Return the target with the devices that are there.

    openvino's AUTO, HETERO and MULTI fail as a whole where the library of one device is missing (2026.4); here the
    others go on.

    Parameters
    ----------
    text : str
        What the user asks for.
    found : sequence of str
        The devices of this machine.

    Raises
    ------
    DeviceNotFound
        If none of them is there; says what is, and what can be done.
    OptionError
        If the text is no device string.

    Warns
    -----
    OvpartWarning
        Where some are not there and the others go on.
    """
    target = asked_target(text)
    if not target.devices:
        target = target.only(tuple(found))
    there = tuple(name for name in target.devices if is_there(name, found))
    if not there:
        raise DeviceNotFound(_absent(text, target, found))
    absent = [name for name in target.devices if name not in there]
    if absent:
        left = target.only(there)
        listed = ", ".join(repr(name) for name in absent)
        warnings.warn(
            f"device {text!r}: {listed} {'is' if len(absent) == 1 else 'are'} not on this machine; going on with "
            f"{str(left)!r}",
            OvpartWarning,
            stacklevel=3,
        )
        return left
    return target


def is_there(name: str, found: Sequence[str]) -> bool:
    """Whether a device is among those found: ``GPU`` where ``GPU.0`` is, ``GPU.0`` where the only one is ``GPU``."""
    if name in found or any(one.startswith(f"{name}.") for one in found):
        return True
    base, _, number = name.partition(".")
    return number == "0" and base != "CPU" and base in found


def _absent(text: str, target: Target, found: Sequence[str]) -> str:
    close = difflib.get_close_matches(target.devices[0].upper(), found, n=1) if len(target.devices) == 1 else []
    meant = f" Did you mean {close[0]!r}?" if close else ""
    emulation = (
        ""
        if target.chooser in CHOOSERS and not target.devices
        else (f", or pass emulate=True to plan for {text!r} and run on the CPU")
    )
    return (
        f"device {text!r} is not on this machine; openvino offers: {', '.join(found) or 'none'}.{meant} "
        f"Install its driver, choose one of these{emulation}."
    )
