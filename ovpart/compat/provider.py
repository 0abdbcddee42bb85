"""The options of onnxruntime's OpenVINO provider, in their old and new spellings, as options of a session.

The names and what they take are those of the provider's documents for onnxruntime 1.13 and 1.21. Each old spelling
still works, with a warning that names the new one and the version of ovpart in which the old one goes.
"""

from __future__ import annotations

import difflib
import re
import threading
from collections.abc import Callable, Mapping

from ovpart.compat.warn import warn
from ovpart.conversions import flag
from ovpart.errors import OptionError
from ovpart.options import declared

REMOVED_IN = "0.3.0"
"""The version of ovpart that no longer takes the old spellings."""
DEFAULT_BLOB_FOLDER = "ov_compiled_blobs"
"""Where ``use_compiled_network`` keeps blobs if ``blob_dump_path`` does not say."""

CURRENT: Mapping[str, str] = {
    "device_type": "device",
    "precision": "precision",
    "num_of_threads": "num_threads",
    "num_streams": "num_streams",
    "cache_dir": "cache_dir",
    "context": "context",
    "enable_opencl_throttling": "enable_opencl_throttling",
    "enable_qdq_optimizer": "enable_qdq_optimizer",
    "load_config": "load_config",
    "disable_dynamic_shapes": "disable_dynamic_shapes",
    "model_priority": "model_priority",
}
"""Option of the provider, as of onnxruntime 1.21 → option of a session."""
LEGACY = (
    "device_id", "enable_vpu_fast_compile", "use_compiled_network", "blob_dump_path", "enable_dynamic_shapes",
)  # fmt: skip
"""Options of the provider as of onnxruntime 1.13 that later ones took the place of."""

_WITH_PRECISION = re.compile(r"(?P<device>[A-Za-z]+(\.\d+)?)_(?P<precision>FP32|FP16|U8)")


def provider_options(options: Mapping[str, object]) -> dict[str, object]:
    """Return the keyword arguments of :class:`ovpart.Session` that provider options stand for.

    Parameters
    ----------
    options : mapping of str to object
        As in ``provider_options=[{...}]``: texts (``"True"``, ``"8"``) or values. Options of ovpart's own are handed
        through, so that ``{"device_type": "GPU", "min_gain": "0"}`` works.

    Returns
    -------
    dict of str to object
        Values that are texts are turned into their kind by the session.

    Raises
    ------
    OptionError
        If an option is unknown, or two of them contradict each other.

    Warns
    -----
    OvpartWarning
        For every old spelling, and for what has no effect.

    Examples
    --------
    >>> provider_options({"device_type": "GPU", "precision": "FP32", "num_of_threads": "8"})
    {'device': 'GPU', 'precision': 'FP32', 'num_threads': '8'}
    """
    own = declared()
    found: dict[str, object] = {}
    legacy: dict[str, object] = {}
    for name, value in options.items():
        if name in LEGACY:
            legacy[name] = value
        elif name in CURRENT or name in own:
            if value is not None and (value != "" or name not in _EMPTY_IS_UNSET):
                found[CURRENT.get(name, name)] = value
        else:
            raise OptionError(_unknown(name, [*CURRENT, *LEGACY, *own]))
    if isinstance(found.get("device"), str):
        _take_precision_off(found, "device_type", str(found["device"]))
    _take_legacy(found, legacy)
    if "device" not in found and (standing := _standing.get()):
        found["device"] = standing
        _take_precision_off(found, "set_openvino_device", standing)
    return found


_EMPTY_IS_UNSET = frozenset({"device_type", "cache_dir", "context", "load_config", "device", "precision"})
"""Options whose empty text means "not given": the provider's own examples pass it."""


def set_openvino_device(device: str) -> None:
    """Set the device of all sessions made from now on that do not say theirs; ``""`` takes it back.

    onnxruntime's OpenVINO provider had this function up to 1.13.

    Warns
    -----
    OvpartWarning
        Always: pass ``device_type`` (or ``ovpart.Session(device=...)``) instead.
    """
    _warn("set_openvino_device", device, "pass device_type with each session")
    _standing.set(device)


def get_openvino_device() -> str:
    """Return what :func:`set_openvino_device` set, ``""`` where nothing is set."""
    return _standing.get()


class _Standing:
    """The setting that holds until it is taken back: of the process, as the provider had it."""

    def __init__(self) -> None:
        self._device = ""
        self._lock = threading.Lock()

    def get(self) -> str:
        with self._lock:
            return self._device

    def set(self, device: str) -> None:
        with self._lock:
            self._device = device


_standing = _Standing()


def _take_precision_off(found: dict[str, object], option: str, device: str) -> None:
    """Turn ``GPU_FP32`` into a device and a precision."""
    match = _WITH_PRECISION.fullmatch(device)
    if match is None:
        return
    name, precision = match["device"], match["precision"]
    found["device"] = name
    given = found.get("precision")
    if given is not None and str(given).upper() != precision:
        raise OptionError(f"{option}={device!r} contradicts precision={given!r}: say device_type={name!r} and that one")
    if name == "CPU" and precision != "FP32":
        _warn(option, device, f"device_type={name!r}", "; the CPU computes in FP32 all the same")
        return
    _warn(option, device, f"device_type={name!r}, precision={precision!r}")
    found["precision"] = precision


def _take_legacy(found: dict[str, object], legacy: Mapping[str, object]) -> None:
    """Add what the old options stand for."""
    for name, take in _TAKERS.items():
        if name in legacy and legacy[name] not in (None, ""):
            take(found, legacy)


def _device_id(found: dict[str, object], legacy: Mapping[str, object]) -> None:
    device = str(legacy["device_id"])
    given = found.get("device")
    if given is not None and not device.startswith(f"{given}"):
        raise OptionError(f"device_id={device!r} contradicts device_type={given!r}: say device_type={device!r} alone")
    _warn("device_id", device, f"device_type={device!r}")
    found["device"] = device
    _take_precision_off(found, "device_id", device)


def _fast_compile(found: dict[str, object], legacy: Mapping[str, object]) -> None:
    _warn("enable_vpu_fast_compile", legacy["enable_vpu_fast_compile"], "", "; it was for Myriad and has no effect")
    _flag("enable_vpu_fast_compile", legacy["enable_vpu_fast_compile"])


def _compiled_network(found: dict[str, object], legacy: Mapping[str, object]) -> None:
    value = legacy["use_compiled_network"]
    if not _flag("use_compiled_network", value):
        _warn("use_compiled_network", value, "no cache_dir")
        return
    folder = legacy.get("blob_dump_path") or DEFAULT_BLOB_FOLDER
    _warn("use_compiled_network", value, f"cache_dir={folder!r}")
    found.setdefault("cache_dir", folder)


def _blob_path(found: dict[str, object], legacy: Mapping[str, object]) -> None:
    value = legacy["blob_dump_path"]
    used = legacy.get("use_compiled_network") not in (None, "") and _flag("", legacy["use_compiled_network"])
    why = "" if used else "; it has no effect without use_compiled_network"
    _warn("blob_dump_path", value, f"cache_dir={value!r}", why)


def _dynamic_shapes(found: dict[str, object], legacy: Mapping[str, object]) -> None:
    value = legacy["enable_dynamic_shapes"]
    disabled = not _flag("enable_dynamic_shapes", value)
    _warn("enable_dynamic_shapes", value, f"disable_dynamic_shapes={disabled}")
    found.setdefault("disable_dynamic_shapes", disabled)


_TAKERS: Mapping[str, Callable[[dict[str, object], Mapping[str, object]], None]] = {
    "device_id": _device_id,
    "enable_vpu_fast_compile": _fast_compile,
    "use_compiled_network": _compiled_network,
    "blob_dump_path": _blob_path,
    "enable_dynamic_shapes": _dynamic_shapes,
}


def _flag(name: str, value: object) -> bool:
    try:
        return flag(value)
    except (ValueError, TypeError) as error:
        raise OptionError(f"option {name!r} cannot be {value!r}: it takes true or false") from error


def _warn(name: str, value: object, new: str, more: str = "") -> None:
    instead = f": use {new}" if new else ""
    warn(f"{name}={value!r} is an old spelling, taken until ovpart {REMOVED_IN}{instead}{more}")


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(CURRENT)}"
    return f"the OpenVINO provider has no option {name!r}: {hint}"
