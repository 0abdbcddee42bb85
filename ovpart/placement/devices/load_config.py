"""``load_config``: properties of openvino from a JSON file, device by device, checked against what each device has.

The rules are those of the provider's documents ("Loading Custom JSON OpenVINO Config"): a property that a device does
not have is ignored with a warning, one that can only be read is skipped with a warning, a bad value is an error.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovpart.errors import OptionError, OvpartWarning

if TYPE_CHECKING:
    from ovpart.placement.devices.settings import Properties

DEVICE_KEYS = ("CPU", "GPU", "NPU", "AUTO", "HETERO", "MULTI", "BATCH")
"""Devices that a file may speak of; ``GPU.1`` and the like too."""
NESTED = "DEVICE_PROPERTIES"
"""In the section of AUTO, HETERO or MULTI: properties of their devices."""


@dataclass(frozen=True, slots=True)
class Sections:
    """What a file says of each device.

    Attributes
    ----------
    by_device : mapping of str to mapping
        Device → property → value, as read.
    given : object
        What the user gave, for messages.
    """

    by_device: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    given: object = None

    def of(self, device: str, known: Mapping[str, str], engine: Properties) -> dict[str, object]:
        """Return the properties that hold for a device, its own section over that of its kind (``GPU.1`` over ``GPU``).

        Raises
        ------
        OptionError
            If a value is none that the property takes.

        Warns
        -----
        OvpartWarning
            For a property that the device does not have, or that can only be read.
        """
        kind = device.partition(".")[0]
        found: dict[str, object] = {}
        for section in dict.fromkeys((kind, device)):
            entries = {key: value for key, value in self.by_device.get(section, {}).items() if key != NESTED}
            found |= self._accepted(section, device, entries, known, engine)
        return found

    def nested(self, chooser: str, device: str, known: Mapping[str, str], engine: Properties) -> dict[str, object]:
        """Return what the section of AUTO, HETERO or MULTI says of one of its devices; raises and warns as `of`."""
        listed = self.by_device.get(chooser, {}).get(NESTED, {})
        entries = nested_properties(listed, self.given).get(device, {})
        return self._accepted(f"{chooser}/{NESTED}/{device}", device, entries, known, engine)

    def warn_of_idle(self, used: Iterable[str]) -> None:
        """Name the sections that speak of no device of this session, and those that speak of no device at all."""
        there = set(used) | {device.partition(".")[0] for device in used}
        for section in self.by_device:
            if section in there:
                continue
            kind = section.partition(".")[0]
            why = "the session does not use it" if kind in DEVICE_KEYS else f"devices are {', '.join(DEVICE_KEYS)}"
            _warn(f"load_config: what it says of {section!r} has no effect: {why}")

    def _accepted(
        self, section: str, device: str, entries: Mapping[str, Any], known: Mapping[str, str], engine: Properties
    ) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in entries.items():
            if key not in known:
                _warn(f"load_config: {section} {key}={value!r} is ignored: {device} has no property of that name")
            elif known[key] == "RO":
                _warn(f"load_config: {section} {key}={value!r} is skipped: {device} only lets it be read")
            elif isinstance(value, dict | list):
                raise OptionError(f"load_config: {section} {key} cannot be {value!r}: a value is a text or a number")
            else:
                found[key] = _spelt(value)
        refused = engine.refused(device, found) if found else None
        if refused is not None:
            key, words = refused
            raise OptionError(f"load_config: {section} {key} cannot be {found[key]!r}: {words}")
        return found


def read_sections(given: str | Mapping[str, object] | None) -> Sections:
    """Read the file, or take what would stand in it.

    Raises
    ------
    OptionError
        If the file cannot be read, is no JSON, or is not of the form ``{device: {property: value}}``.
    """
    if given is None:
        return Sections()
    data: Any = given
    if isinstance(given, str):
        try:
            data = json.loads(Path(given).read_text(encoding="utf-8"))
        except OSError as error:
            raise OptionError(f"load_config={given!r} cannot be read: {error.strerror or error}") from error
        except ValueError as error:
            raise OptionError(f"load_config={given!r} is no JSON: {error}") from error
    if not isinstance(data, Mapping) or not all(isinstance(section, Mapping) for section in data.values()):
        raise OptionError(
            f"load_config={given!r} is not of the form {{device: {{property: value}}}}, "
            'for example {"CPU": {"NUM_STREAMS": "2"}}'
        )
    return Sections({str(device): dict(section) for device, section in data.items()}, given)


def nested_properties(value: object, given: object = None) -> dict[str, dict[str, str]]:
    """Return properties by device: from a mapping, or from openvino's text ``{CPU:{NUM_STREAMS:3},GPU:{...}}``.

    Raises
    ------
    OptionError
        If it is neither.
    """
    if isinstance(value, Mapping):
        if not all(isinstance(entries, Mapping) for entries in value.values()):
            raise OptionError(f"load_config={given!r}: {NESTED} is not of the form {{device: {{property: value}}}}")
        return {str(d): {str(k): _spelt(v) for k, v in entries.items()} for d, entries in value.items()}
    text = str(value).strip()
    if not (text.startswith("{") and text.endswith("}")):
        raise _malformed(text)
    try:
        return nested_properties(json.loads(text), given)
    except json.JSONDecodeError:
        return _unquoted(text)


def _unquoted(text: str) -> dict[str, dict[str, str]]:
    """Return what openvino's own spelling says: JSON without quotes."""
    found: dict[str, dict[str, str]] = {}
    body = text[1:-1]
    while body:
        device, colon, rest = body.partition(":{")
        entries, brace, body = rest.partition("}")
        if not colon or not brace:
            raise _malformed(text)
        pairs = (entry.partition(":") for entry in entries.split(",") if entry.strip())
        found[device.strip(" ,")] = {name.strip(): value.strip() for name, _, value in pairs}
    return found


def _malformed(text: str) -> OptionError:
    return OptionError(f"load_config: {NESTED}={text!r} is not of the form {{CPU:{{NAME:VALUE,...}},...}}")


def _spelt(value: object) -> str:
    """Return a value as openvino spells it."""
    if isinstance(value, bool):
        return "YES" if value else "NO"
    return str(value)


def _warn(text: str) -> None:
    warnings.warn(text, OvpartWarning, stacklevel=6)
