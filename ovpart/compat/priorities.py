"""The ``providers`` of a session: names in order of priority, with options, checked with onnxruntime's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ovpart.compat.provider import provider_options
from ovpart.compat.warn import warn
from ovpart.errors import OptionError

OPENVINO = "OpenVINOExecutionProvider"
CPU = "CPUExecutionProvider"
AVAILABLE = (OPENVINO, CPU)
"""What a session here can be asked for, by default in this order."""

Providers: TypeAlias = "Sequence[str | tuple[str, Mapping[Any, Any]]] | None"


class UnknownProvider(OptionError, RuntimeError):  # noqa: N818  (RuntimeError is what onnxruntime raises)
    """A name that is no execution provider of any build of onnxruntime."""


@dataclass(frozen=True, slots=True)
class Priorities:
    """The providers that take part.

    Attributes
    ----------
    options : mapping of str to mapping
        Provider → its options as text, in order of priority; the CPU provider is the last resort of every session.
    keywords : mapping
        What they come to as keywords of :class:`ovpart.Session`.
    """

    options: Mapping[str, Mapping[str, str]]
    keywords: Mapping[str, Any]


def check_and_normalize_provider_args(
    providers: Providers,
    provider_options: Sequence[Mapping[Any, Any]] | None,
    available_provider_names: Sequence[str],
) -> tuple[list[str], list[dict[str, str]]]:
    """Check ``providers`` and ``provider_options``; the name, the arguments and the words are onnxruntime's.

    Returns
    -------
    tuple of lists
        Names, and for each the options as text. A provider that is named twice counts once.

    Raises
    ------
    OptionError
        If they are of other types than these, or do not fit together.
    """
    if providers is None:
        return [], []
    found: dict[str, dict[str, str]] = {}
    for name, options in _pairs(providers, provider_options):
        if name not in available_provider_names:
            warn(
                f"Specified provider '{name}' is not in available provider names. "
                f"Available providers: '{', '.join(available_provider_names)}'"
            )
        if name in found:
            warn(f"Duplicate provider '{name}' encountered, ignoring.")
            continue
        found[name] = {str(key): str(value) for key, value in options.items()}
    return list(found), list(found.values())


def prioritise(providers: Providers, options: Sequence[Mapping[Any, Any]] | None) -> Priorities:
    """Turn the providers of a session into keywords.

    Parameters
    ----------
    providers : sequence, optional
        Names, or pairs of a name and its options. Those of other builds of onnxruntime are left out, with a warning.
        Without any, the device of openvino comes first.
    options : sequence of mapping, optional
        One a provider, where `providers` are names alone.

    Raises
    ------
    OptionError
        If they are not well formed.
    UnknownProvider
        If onnxruntime knows no such provider.
    """
    names, given = check_and_normalize_provider_args(providers, options, AVAILABLE)
    _refuse_unknown(names)
    taken = {name: values for name, values in zip(names, given, strict=True) if name in AVAILABLE}
    if not names:
        taken = {OPENVINO: {}}
    taken.setdefault(CPU, {})
    if taken[CPU]:
        _warn_of_cpu_options(taken[CPU])
    # Every node runs on the CPU provider, so that what is named after it gets none.
    keywords: Mapping[str, Any] = {"exclude": ("*",)} if next(iter(taken)) == CPU else provider_options(taken[OPENVINO])
    return Priorities(taken, keywords)


def _pairs(
    providers: Providers, provider_options: Sequence[Mapping[Any, Any]] | None
) -> list[tuple[str, Mapping[Any, Any]]]:
    if isinstance(providers, str) or not isinstance(providers, Sequence):
        raise OptionError("'providers' should be a sequence.")
    if provider_options is not None:
        if not isinstance(provider_options, Sequence):
            raise OptionError("'provider_options' should be a sequence.")
        if len(providers) != len(provider_options):
            raise OptionError("'providers' and 'provider_options' should be the same length if both are given.")
        if not all(isinstance(options, Mapping) for options in provider_options):
            raise OptionError("'provider_options' values must be dicts.")
        names = [provider for provider in providers if isinstance(provider, str)]
        if len(names) != len(providers):
            raise OptionError("Only string values for 'providers' are supported if 'provider_options' is given.")
        return list(zip(names, provider_options, strict=True))
    return [_pair(provider) for provider in providers]


def _pair(provider: object) -> tuple[str, Mapping[Any, Any]]:
    if isinstance(provider, str):
        return provider, {}
    if isinstance(provider, tuple) and len(provider) == 2:
        name, options = provider
        if isinstance(name, str) and isinstance(options, Mapping):
            return name, options
    raise OptionError("'providers' values must be either strings or (string, dict) tuples.")


def _refuse_unknown(names: Sequence[str]) -> None:
    from ovpart.backend.onnxruntime import import_onnxruntime

    known = import_onnxruntime().get_all_providers()
    for name in names:
        if name not in known:
            raise UnknownProvider(f"Unknown Provider Type: {name}. There are: {', '.join(AVAILABLE)}.")


def _warn_of_cpu_options(options: Mapping[str, str]) -> None:
    for name, value in options.items():
        warn(f"the option {name}={value!r} of {CPU} has no effect: set it in the session options")
