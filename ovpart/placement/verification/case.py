"""A wrong answer as files fit for a bug report: the few nodes, their weights, inputs, what is wanted and what came."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ovpart.backend.base import Array, Cut

if TYPE_CHECKING:
    import numpy as np
    import onnx

INSIDE_BYTES = 1 << 30
"""Weights of more bytes than this go into a file of their own: protobuf ends at 2 GB."""

_SCRIPT = '''\
"""{words}

python {name}: needs numpy, onnxruntime and openvino. Written by `ovpart bisect`.
"""

import os

import numpy as np
import onnxruntime
import openvino

here = os.path.dirname(os.path.abspath(__file__))
model = os.path.join(here, {model!r})
data = np.load(os.path.join(here, {data!r}), allow_pickle=False)
inputs = {inputs!r}
outputs = {outputs!r}
given = [data[f"input_{{i}}"] for i in range(len(inputs))]

options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
wanted = onnxruntime.InferenceSession(model, options).run(None, dict(zip(inputs, given)))

core = openvino.Core()
compiled = core.compile_model(core.read_model(model), {device!r}, {config!r})
results = compiled(dict(enumerate(given)))
print("onnxruntime", onnxruntime.__version__, "openvino", openvino.get_version())
for i, name in enumerate(outputs):
    error = np.abs(results[i].astype(np.float64) - wanted[i].astype(np.float64))
    print(name, "max error", error.max(), "of", np.abs(wanted[i].astype(np.float64)).max())
'''
_CONFIG = {"INFERENCE_PRECISION_HINT": "f32", "LP_TRANSFORMS_MODE": "NO"}
"""What the CPU is told in a session too, as far as it changes answers."""


@dataclass(frozen=True, slots=True)
class Case:
    """Nodes that an engine computes wrongly, with one input that shows it.

    Attributes
    ----------
    cut : Cut
        The nodes, over their weights.
    engine, device : str
        What computes them wrongly.
    inputs, wanted : mapping of str to array
        What goes in, and what onnxruntime makes of it.
    got : mapping of str to array
        What the engine makes of it; empty where it fails.
    words : str
        What is wrong, in one line.
    """

    cut: Cut
    engine: str
    device: str
    inputs: Mapping[str, Array]
    wanted: Mapping[str, Array]
    got: Mapping[str, Array]
    words: str

    def model(self) -> onnx.ModelProto:
        """Return the nodes as a model that stands alone, weights inside."""
        import onnx
        from onnx import numpy_helper

        proto = onnx.ModelProto()
        proto.CopyFrom(self.cut.proto)
        del proto.graph.input[len(self.cut.inputs) :]
        proto.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in self.cut.weights.items())
        proto.doc_string = f"{self.engine} on {self.device}: {self.words}"
        return proto

    def save(self, path: Path) -> list[Path]:
        """Write ``PATH`` (the model), ``.npz`` (arrays) and ``.py`` (runs both engines and prints the error) beside it.

        The arrays are ``input_0`` …, ``expected_0`` …, ``got_0`` …, in the order of the model's inputs and outputs;
        those of types that numpy lacks (bfloat16) are written as float32.

        Returns
        -------
        list of Path
            The files written.
        """
        import numpy as np
        import onnx

        path.parent.mkdir(parents=True, exist_ok=True)
        large = sum(array.nbytes for array in self.cut.weights.values()) > INSIDE_BYTES
        onnx.save(self.model(), path, save_as_external_data=large, location=f"{path.stem}.data" if large else None)
        groups = {"input": self.inputs, "expected": self.wanted, "got": self.got}
        arrays = {
            f"{group}_{position}": _plain(value)
            for group, values in groups.items()
            for position, value in enumerate(values.values())
            if isinstance(value, np.ndarray)
        }
        data = path.with_suffix(".npz")
        np.savez(data, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the mapping for allow_pickle
        script = path.with_suffix(".py")
        script.write_text(self._script(path, data, script), encoding="utf-8")
        return [path, data, script]

    def _script(self, path: Path, data: Path, script: Path) -> str:
        return _SCRIPT.format(
            words="\n".join(textwrap.wrap(self.words.replace('"', "'").replace("\\", "/"), 100)),
            name=script.name,
            model=path.name,
            data=data.name,
            inputs=list(self.inputs),
            outputs=list(self.wanted),
            device=self.device,
            config=_CONFIG if self.device == "CPU" else {},
        )


def _plain(array: np.ndarray) -> np.ndarray:
    import numpy as np

    if array.dtype == object:
        return array.astype(str)
    return array if array.dtype.isbuiltin == 1 else array.astype(np.float32)
