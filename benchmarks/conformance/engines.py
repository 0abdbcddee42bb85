"""What the tests are run on: ovpart, and the engines beside it. Each is imported when asked for, and not before.

The provider comes in a package that takes onnxruntime's place, so that it has an environment of its own: nothing here
needs ovpart to be installed, unless ovpart is what is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import onnx

from benchmarks.conformance import values

NAMES = ("ovpart", "onnxruntime", "openvino", "provider")

_BEYOND_NUMPY = (
    "tensor(bfloat16",
    "tensor(float8",
    "tensor(float4",
    "tensor(int4",
    "tensor(uint4",
    "tensor(int2",
    "tensor(uint2",
)


class Prepared(Protocol):
    """A model that is ready to run."""

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """Compute all outputs of inputs by position."""

    def placement(self, inputs: Sequence[Any]) -> list[str] | None:
        """Return why nodes are not on the device, one line a node; None where that cannot be told."""


class Ovpart:
    """A session of ovpart, behind its backend interface."""

    def __init__(self, model: onnx.ModelProto, options: Mapping[str, Any]) -> None:
        from ovpart import onnx_backend

        self.prepared = onnx_backend.prepare(model, "CPU", **options)

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """Compute."""
        return self.prepared.run(inputs)

    def placement(self, inputs: Sequence[Any]) -> list[str]:
        """Return a line for each node that computes at each run and did not do so on the device."""
        from ovpart.runtime.guards import merge, violated

        session = self.prepared.session
        plan = session.plan
        delegated = {index for cluster in plan.delegated for index in cluster.nodes}
        feed = {argument.name: value for argument, value in zip(session.get_inputs(), inputs, strict=True)}
        unguarded = violated(merge(plan.guards), feed) if plan.guards else ()
        lines = []
        for node, verdict, place in zip(plan.graph.nodes, plan.verdicts, plan.places, strict=True):
            if place in ("constant", "dead") or (node.index in delegated and not (unguarded and verdict.guard)):
                continue
            why = plan.overruled.get(node.index) or verdict.reason
            if node.index in delegated:
                why = "an input has integers beyond 32 bits"
            lines.append(f"{node.op_id}: {why} ({verdict.rule})")
        return lines


class OnnxRuntime:
    """onnxruntime's CPU provider, or the provider of openvino in its package."""

    providers: Sequence[Any] = ("CPUExecutionProvider",)

    def __init__(self, model: onnx.ModelProto, options: Mapping[str, Any]) -> None:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=list(self.providers))

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """Compute."""
        names = [argument.name for argument in self.session.get_inputs()]
        feed = dict(zip(names, map(values.as_array, inputs), strict=True))
        plain = all(map(values.is_plain, feed.values())) and not any(
            argument.type.startswith(_BEYOND_NUMPY) for argument in self.session.get_outputs()
        )
        if plain:
            found: Sequence[Any] = self.session.run(None, feed)
            return found
        typed = {name: values.ort_value(value) for name, value in feed.items()}
        return [values.from_ort_value(value) for value in self.session.run_with_ort_values(None, typed)]

    def placement(self, inputs: Sequence[Any]) -> None:
        """Tell nothing."""


class Provider(OnnxRuntime):
    """openvino's provider for onnxruntime, in f32: its default on some processors is bf16."""

    providers = (
        ("OpenVINOExecutionProvider", {"device_type": "CPU", "precision": "FP32"}),
        "CPUExecutionProvider",
    )


class OpenVINO:
    """openvino alone, in f32, bound by position as a careful user would."""

    def __init__(self, model: onnx.ModelProto, options: Mapping[str, Any]) -> None:
        import openvino

        core = openvino.Core()
        read = core.read_model(model.SerializeToString())
        self.names = [value.name for value in model.graph.input]
        self.outputs = [value.name for value in model.graph.output]
        self.compiled = core.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        self.request = self.compiled.create_infer_request()

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """Compute; inputs that openvino dropped are left out."""
        memory: list[Any] = []  # openvino does not keep it alive
        for port in self.compiled.inputs:
            names = port.get_names()
            known = [name for name in self.names if name in names]
            # A graph that does nothing renames its input after its output.
            position = self.names.index(known[0]) if known else 0
            tensor, held = values.openvino_tensor(np.asarray(inputs[position]))
            memory.append(held)
            self.request.set_tensor(port, tensor)
        self.request.infer()
        return [self._output(name) for name in self.outputs]

    def _output(self, name: str) -> Any:
        port = next(port for port in self.compiled.outputs if name in port.get_names())
        return values.from_openvino_tensor(self.request.get_tensor(port))

    def placement(self, inputs: Sequence[Any]) -> None:
        """Tell nothing: it takes all or nothing."""


def prepare(name: str, model: onnx.ModelProto, options: Mapping[str, Any]) -> Prepared:
    """Make a model ready on an engine; raises whatever the engine does where it refuses."""
    makers: Mapping[str, Any] = {
        "ovpart": Ovpart, "onnxruntime": OnnxRuntime, "openvino": OpenVINO, "provider": Provider,
    }  # fmt: skip
    made: Prepared = makers[name](model, options)
    return made


def version(name: str) -> str:
    """Return the versions of an engine and of what is in it."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    parts = {
        "ovpart": ("ovpart", "openvino", "onnxruntime"),
        "onnxruntime": ("onnxruntime",),
        "openvino": ("openvino",),
        "provider": ("onnxruntime-openvino", "openvino"),
    }
    found = []
    for package in parts[name]:
        try:
            found.append(f"{package} {installed(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
