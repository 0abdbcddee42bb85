"""From what a user gives for an option to its value: one converter a kind, each raises where it cannot.

Converters raise ``ValueError`` or ``TypeError``; :func:`ovpart.options.resolve` turns that into an error that names the
option and what it takes. Text is taken as the command line and onnxruntime's provider options give it: ``"True"``,
``"8"``, ``"0x7f00"``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

_FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def text(value: Any) -> str:
    """Take a text and nothing else."""
    if not isinstance(value, str):
        raise TypeError
    return value


def one_of(*names: str) -> Callable[[Any], str]:
    """Return a converter that takes one of some words, in whatever case, and returns it as written here."""
    by_lower = {name.lower(): name for name in names}

    def convert(value: Any) -> str:
        found = by_lower.get(text(value).lower())
        if found is None:
            raise ValueError
        return found

    return convert


def flag(value: Any) -> bool:
    """Take a bool, or a word for one."""
    if isinstance(value, bool):
        return value
    if text(value).lower() not in _FLAGS:
        raise ValueError
    return _FLAGS[value.lower()]


def microseconds(value: Any) -> float:
    """Take a number that is not negative."""
    number = float(value)
    if not number >= 0:
        raise ValueError
    return number


def seconds(value: Any) -> float:
    """Take a number above 0."""
    number = float(value)
    if isinstance(value, bool) or not 0 < number < float("inf"):
        raise ValueError
    return number


def count(value: Any) -> int:
    """Take a whole number from 1 up."""
    if isinstance(value, bool) or int(value) != float(value) or int(value) < 1:
        raise ValueError
    return int(value)


def address(value: Any) -> int:
    """Take the address of an object of another library: a number, or its text (``"0x7f00"``)."""
    if isinstance(value, bool):
        raise TypeError
    number = int(value, 0) if isinstance(value, str) else int(value)
    if number <= 0:
        raise ValueError
    return number


def texts(value: Any) -> tuple[str, ...]:
    """Take one text or several."""
    return (value,) if isinstance(value, str) else tuple(text(item) for item in value)


def tables(value: Any) -> tuple[Any, ...]:
    """Take one overlay or several: paths or mappings."""
    one = isinstance(value, (str, os.PathLike, Mapping))
    return (value,) if one else tuple(value)


def path(value: Any) -> str:
    """Take a path."""
    found = os.fspath(value)
    if not found or not isinstance(found, str):
        raise ValueError
    return found


def evidence(value: Any) -> Any:
    """Take ``"auto"``, ``"off"``, a path, or a record itself."""
    if isinstance(value, str) and value.lower() in ("auto", "off"):
        return value.lower()
    return value if hasattr(value, "demotions") else path(value)


def paths(value: Any) -> tuple[str, ...]:
    """Take one path or several."""
    several = (value,) if isinstance(value, (str, os.PathLike)) else tuple(value)
    return tuple(path(item) for item in several)


def extensions(value: Any) -> tuple[Any, ...]:
    """Take one extension or several: paths, or objects of openvino, which openvino looks at."""
    several = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return tuple(path(item) if isinstance(item, (str, os.PathLike)) else item for item in several)


def mapping(value: Any) -> Mapping[str, object]:
    """Take a mapping of texts to anything."""
    return {text(key): item for key, item in dict(value).items()}


def sizes(value: Any) -> Mapping[str, int]:
    """Take a mapping of texts to whole numbers from 1 up."""
    return {name: count(size) for name, size in mapping(value).items()}


def path_or_mapping(value: Any) -> str | Mapping[str, object]:
    """Take the path of a JSON file, or what stands in one."""
    return mapping(value) if isinstance(value, Mapping) else path(value)


def fallback_words(value: Any) -> tuple[str, ...]:
    """Take a flag for all engines, or the names of some: what ``disable_fallback`` says."""
    engines = ("openvino", "onnxruntime")
    if isinstance(value, bool) or (isinstance(value, str) and value.lower() in _FLAGS):
        return engines if flag(value) else ()
    found = tuple(word.strip() for part in texts(value) for word in part.split(","))
    if not set(found) <= set(engines):
        raise ValueError
    return tuple(engine for engine in engines if engine in found)


def fallback_engines(value: Any) -> tuple[str, ...]:
    """Take names of engines, one by one or with commas: what ``fallback`` says; onnxruntime is always among them."""
    engines = ("onnxruntime", "reference")
    found = tuple(word.strip() for part in texts(value) for word in part.split(","))
    if engines[0] not in found or not set(found) <= set(engines):
        raise ValueError
    return tuple(engine for engine in engines if engine in found)
