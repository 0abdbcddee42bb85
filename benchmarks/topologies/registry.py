"""Every topology that can be built, by name, and why the others cannot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from types import MappingProxyType

from benchmarks.topologies.topology import Topology

MODULES: tuple[str, ...] = ("classification", "detection", "manipulation", "language", "npu", "kinds")
"""Modules of this package that have a ``TOPOLOGIES`` (a tuple), in the order of the page."""


def _collected(names: Iterable[str]) -> Mapping[str, Topology]:
    found: dict[str, Topology] = {}
    for module in names:
        for topology in import_module(f"benchmarks.topologies.{module}").TOPOLOGIES:
            if topology.name in found:
                raise ValueError(f"two topologies are called {topology.name!r}, one of them in {module}")
            found[topology.name] = topology
    return MappingProxyType(found)


TOPOLOGIES: Mapping[str, Topology] = _collected(MODULES)
UNAVAILABLE: Mapping[str, str] = MappingProxyType({})
"""Name → why it cannot be built here."""
