"""Backends are found by entry points, and load no engine until they are used."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from ovpart.backend import registry
from ovpart.backend.base import Backend
from ovpart.errors import OptionError, OvpartError


@pytest.fixture
def installed(monkeypatch):
    """Return a function that puts entry points beside those that are installed."""

    def install(*entries):
        found = [*registry.entry_points(group=registry.GROUP), *entries]
        monkeypatch.setattr(registry, "entry_points", lambda group: found)

    yield install
    registry.backend.cache_clear()


def test_the_four_are_there():
    assert set(registry.names()) >= {"openvino", "onnxruntime", "reference", "fake"}
    for name, backend in registry.backends().items():
        assert isinstance(backend, Backend)
        assert backend.name == name


def test_always_the_same_backend():
    assert registry.backend("openvino") is registry.backend("openvino")


def test_finding_them_loads_no_engine():
    code = """
import sys
from ovpart.backend.registry import backends
backends()
print({"openvino", "onnxruntime", "onnx", "numpy"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


def test_unknown_name_with_a_guess():
    with pytest.raises(OptionError, match=r"no backend 'openvin'. Did you mean 'openvino'\?"):
        registry.backend("openvin")


def test_missing_package_is_named(installed):
    installed(EntryPoint("other", "no_such_engine.adapter:Backend", registry.GROUP))
    with pytest.raises(OvpartError, match="needs the package 'no_such_engine', which is not installed"):
        registry.backend("other")


def test_broken_adapter_is_named(installed):
    installed(EntryPoint("other", "ovpart.backend.fake:NoSuchClass", registry.GROUP))
    with pytest.raises(OvpartError, match=r"'other' \(ovpart.backend.fake:NoSuchClass\) cannot be imported"):
        registry.backend("other")


def test_nobody_takes_the_place_of_ovparts_own(installed):
    installed(EntryPoint("openvino", "aaa.adapter:Backend", registry.GROUP))
    assert type(registry.backend("openvino")).__module__ == "ovpart.backend.openvino"
