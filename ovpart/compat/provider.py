"""Options of onnxruntime's OpenVINO execution provider, as options of a session."""

from __future__ import annotations

from collections.abc import Mapping

from ovpart.compat.warn import warn


def provider_options(options: Mapping[str, object]) -> dict[str, object]:
    """Translate provider options into keywords of :class:`ovpart.Session`.

    Parameters
    ----------
    options : mapping
        As given beside ``"OpenVINOExecutionProvider"``; values may be text, as the provider takes them.

    Returns
    -------
    dict
        Keywords of a session. What cannot take effect is left out, with a warning that names option and value.
    """
    keywords: dict[str, object] = {}
    for name, value in options.items():
        if name == "device_type":
            keywords["device"] = str(value)
        else:
            warn(f"the provider option {name}={value!r} has no effect")
    return keywords
