"""Whether the machine at hand is the one that a table was measured on: packages, and what the processor computes in."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

PACKAGES = ("openvino", "onnxruntime", "onnx")
"""Distributions whose versions a table names under ``measured_with``."""

# From the richest to the poorest: what engines choose their kernels by. The flags are Linux's.
_SETS = (
    ("amx", "amx_tile"),
    ("avx512_bf16", "avx512_bf16"),
    ("avx512_vnni", "avx512_vnni"),
    ("avx512", "avx512f"),
    ("avx2_vnni", "avx_vnni"),
    ("avx2", "avx2"),
    ("sse4.2", "sse4_2"),
)


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it was where the table was measured.

    Attributes
    ----------
    what : str
        ``"openvino"``, ``"onnxruntime"``, ``"onnx"`` or ``"isa"``.
    measured, found : str
        There and here.
    """

    what: str
    measured: str
    found: str

    def __str__(self) -> str:
        name = "instruction set" if self.what == "isa" else self.what
        return f"{name} {self.found} (the table was measured with {self.measured})"


def differences(measured_with: Mapping[str, object], found: Mapping[str, str] | None = None) -> tuple[Difference, ...]:
    """Return what differs between a table's ``measured_with`` and this machine.

    Packages that are not installed and facts that the table does not state are no differences.

    Parameters
    ----------
    measured_with : mapping
        As in a table. ``isa`` may list several instruction sets, with commas and words around them.
    found : mapping of str to str, optional
        In place of what this machine has.
    """
    here = found if found is not None else this_machine()
    out = []
    for what in (*PACKAGES, "isa"):
        measured, mine = str(measured_with.get(what, "")), here.get(what, "")
        if not measured or not mine:
            continue
        alike = mine in re.findall(r"[\w.]+", measured) if what == "isa" else release(measured) == release(mine)
        if not alike:
            out.append(Difference(what, measured, mine))
    return tuple(out)


def this_machine() -> Mapping[str, str]:
    """Return the versions of the packages that are installed, and the instruction set."""
    found = {name: version for name in PACKAGES if (version := installed(name)) is not None}
    return {**found, "isa": instruction_set()}


def installed(distribution: str) -> str | None:
    """Return the version of a distribution, ``None`` where it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def release(version: str) -> Sequence[str]:
    """Return the first two numbers of a version: what changes which operators an engine takes.

    Examples
    --------
    >>> release("2026.4.1") == release("2026.4.0")
    True
    """
    return version.split(".")[:2]


@cache
def instruction_set() -> str:
    """Return the richest instruction set of the processor that engines have kernels for: ``"avx2"``, ``"amx"`` ...

    The machine's architecture where the system does not tell (``"arm64"``).
    """
    info = Path("/proc/cpuinfo")
    if platform.machine().lower() in ("x86_64", "amd64") and info.is_file():
        text = info.read_text(encoding="utf-8", errors="replace")
        flags = next((set(line.split()) for line in text.splitlines() if line.startswith("flags")), set())
        return next((name for name, flag in _SETS if flag in flags), "x86-64")
    return platform.machine().lower()
