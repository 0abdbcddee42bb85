"""Real models are read, and typed at least as well as onnx alone types them."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
import pytest

from ovpart.model.read import read_model, unknown_operators
from ovpart.model.types import ValueType

FOLDER = Path(os.environ.get("OVPART_MODELS", Path.home() / ".cache" / "ovpart-models"))
PATHS = sorted(FOLDER.glob("*/model.onnx"))

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not PATHS, reason=f"no models in {FOLDER}: fetch them with `make models`"),
]


def by_onnx(path):
    """Return what onnx's own inference says of the values of a model."""
    proto = onnx.shape_inference.infer_shapes(onnx.load(path), data_prop=True)
    return {v.name: v.type for v in proto.graph.value_info if v.type.HasField("tensor_type")}


def says_as_much(ours: ValueType, theirs: onnx.TypeProto) -> bool:
    tensor = theirs.tensor_type
    if tensor.elem_type and ours.dtype is None:
        return False
    return not tensor.HasField("shape") or ours.rank == len(tensor.shape.dim)


@pytest.mark.parametrize("path", PATHS or [None], ids=lambda path: path.parent.name if path else "none")
def test_a_real_model_is_read_and_typed(path):
    model = read_model(path)
    graph = model.graph
    assert not unknown_operators(model)
    for name, theirs in by_onnx(path).items():
        if name in graph.producer:
            assert says_as_much(graph.type_of(name), theirs), f"{name}: {graph.type_of(name)}, onnx says {theirs}"
    for name in graph.producer:
        assert graph.type_of(name).kind != "unknown"


@pytest.mark.parametrize("path", PATHS or [None], ids=lambda path: path.parent.name if path else "none")
def test_every_weight_of_a_real_model_is_what_onnx_loads(path):
    import numpy as np

    model = read_model(path)
    for tensor in onnx.load(path).graph.initializer:
        want = onnx.numpy_helper.to_array(tensor)
        got = model.weights.array(tensor.name)
        assert got.dtype == want.dtype
        assert got.shape == want.shape
        assert got.tobytes() == want.tobytes() or np.array_equal(got, want)
