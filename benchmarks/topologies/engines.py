"""The engines that run a topology from its file, each in f32 and with all threads; imported when asked for only.

The provider comes in a package that takes onnxruntime's place, so that it has an environment of its own: nothing here
needs ovpart to be installed, unless ovpart is what is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

NAMES = ("plain", "onnxruntime", "openvino", "provider", "ovpart", "ovpart-all")
"""``plain`` is onnxruntime without optimisations: what is right. ``all`` delegates all that may be (``min_gain=0``)."""

Outputs = dict[str, Any]


class Engine(Protocol):
    """A model that is ready to run."""

    def run(self, feeds: Mapping[str, Any]) -> Outputs:
        """Compute all outputs, by name."""

    def told(self) -> dict[str, Any]:
        """Return what the engine tells about where things run."""


class OnnxRuntime:
    """onnxruntime's CPU provider, or the provider of openvino in its package."""

    providers: tuple[Any, ...] = ("CPUExecutionProvider",)
    optimised = True

    def __init__(self, path: Path) -> None:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        if not self.optimised:
            settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self.session = onnxruntime.InferenceSession(str(path), settings, providers=list(self.providers))
        self.names = [argument.name for argument in self.session.get_outputs()]

    def run(self, feeds: Mapping[str, Any]) -> Outputs:
        """Compute."""
        return dict(zip(self.names, self.session.run(None, dict(feeds)), strict=True))

    def told(self) -> dict[str, Any]:
        """Tell nothing."""
        return {}


class Plain(OnnxRuntime):
    """onnxruntime without optimisations."""

    optimised = False


class Provider(OnnxRuntime):
    """openvino's provider for onnxruntime, in f32: its default on some processors is bf16."""

    providers = (("OpenVINOExecutionProvider", {"device_type": "CPU", "precision": "FP32"}), "CPUExecutionProvider")


class OpenVINO:
    """openvino alone, in f32, with one request that is kept."""

    def __init__(self, path: Path) -> None:
        import onnx
        import openvino

        core = openvino.Core()
        graph = onnx.load(path, load_external_data=False).graph
        stored = {tensor.name for tensor in graph.initializer}
        self.inputs = [value.name for value in graph.input if value.name not in stored]
        self.outputs = [value.name for value in graph.output]
        self.compiled = core.compile_model(core.read_model(str(path)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        self.request = self.compiled.create_infer_request()
        # A graph that does nothing renames its input after its output.
        self.ports = [
            (port, next((name for name in self.inputs if name in port.get_names()), self.inputs[position]))
            for position, port in enumerate(self.compiled.inputs)
        ]

    def run(self, feeds: Mapping[str, Any]) -> Outputs:
        """Compute; inputs that openvino dropped are left out."""
        import openvino

        arrays = [(port, np.ascontiguousarray(feeds[name])) for port, name in self.ports]
        for port, array in arrays:
            self.request.set_tensor(port, openvino.Tensor(array, shared_memory=bool(array.size)))
        self.request.infer()
        return {name: self._output(name) for name in self.outputs}

    def _output(self, name: str) -> Any:
        port = next(port for port in self.compiled.outputs if name in port.get_names())
        return np.array(self.request.get_tensor(port).data)

    def told(self) -> dict[str, Any]:
        """Tell nothing: it takes all or nothing."""
        return {}


class Ovpart:
    """A session of ovpart with its defaults, that has learned nothing from runs before."""

    options: Mapping[str, Any] = {}

    def __init__(self, path: Path) -> None:
        import ovpart

        self.session = ovpart.Session(path, evidence="off", **self.options)

    def run(self, feeds: Mapping[str, Any]) -> Outputs:
        """Compute."""
        names = [argument.name for argument in self.session.get_outputs()]
        return dict(zip(names, self.session.run(None, dict(feeds)), strict=True))

    def settle(self) -> None:
        """Wait until what the first runs began is compiled."""
        self.session.settle(300)

    def told(self) -> dict[str, Any]:
        """Return the figures of the report, and the reasons for what is not delegated."""
        report = self.session.report
        return {
            "nodes": report.nodes,
            "coverage": report.coverage,
            "coverage_flops": report.coverage_flops,
            "clusters": report.delegated_count,
            "islands": report.island_count,
            "fallbacks": [f"{fallback.count} × {fallback.reason}" for fallback in report.fallbacks[:4]],
            "demotions": [str(demotion)[:300] for demotion in report.demotions],
        }


class OvpartAll(Ovpart):
    """A session that delegates all that may be."""

    options: Mapping[str, Any] = {"min_gain": 0}


def prepare(name: str, path: Path) -> Engine:
    """Make a model ready on an engine; raises whatever the engine does where it refuses."""
    makers: Mapping[str, Callable[[Path], Engine]] = {
        "plain": Plain, "onnxruntime": OnnxRuntime, "openvino": OpenVINO, "provider": Provider, "ovpart": Ovpart,
        "ovpart-all": OvpartAll,
    }  # fmt: skip
    return makers[name](path)


def versions(name: str) -> str:
    """Return the versions of the packages behind an engine."""
    from importlib.metadata import PackageNotFoundError, version

    packages = {"openvino": ("openvino",), "provider": ("onnxruntime-openvino", "openvino")}
    found = []
    for package in packages.get(name, ("onnxruntime",)):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
