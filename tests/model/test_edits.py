from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import ovpart
from ovpart.errors import ModelError, OvpartWarning
from ovpart.model.edits import Edits
from ovpart.model.read import read_model


def product(rows: str = "n") -> onnx.ModelProto:
    """y[n, 400] = x[n, 2] @ W, where W is large enough to lie outside of the skeleton."""
    weight = numpy_helper.from_array(np.ones((2, 400), np.float32), "W")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "W"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows, 400])],
        [weight],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_what_the_model_does_not_have_warns():
    with pytest.warns(OvpartWarning, match="no initializer 'V'"):
        read_model(product(), Edits({"V": np.ones(1, np.float32)}))


@pytest.mark.parametrize("options", [{"min_gain": 0}, {"exclude": "*"}])
def test_an_initializer_is_replaced_on_every_engine(options):
    other = np.arange(800, dtype=np.float32).reshape(2, 400)
    x = np.array([[1.0, 2.0]], np.float32)
    session = ovpart.Session(product(), edits=Edits(initializers={"W": other}), **options)
    np.testing.assert_allclose(session.run(None, {"x": x})[0], x @ other)


def test_edited_models_are_other_models():
    plain = read_model(product())
    prints = {
        read_model(product(), edits).fingerprint
        for edits in (
            Edits(),
            Edits(initializers={"W": np.zeros((2, 400), np.float32)}),
            Edits(initializers={"W": np.ones((2, 400), np.float32)}),
        )
    }
    assert len(prints) == 3
    assert plain.fingerprint in prints


def test_external_data_may_be_given_as_bytes_and_still_has_to_fit(tmp_path):
    onnx.save(product(), tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=100)
    proto, data = (tmp_path / "m.onnx").read_bytes(), (tmp_path / "w.bin").read_bytes()
    model = read_model(proto, Edits(files={"w.bin": data}))
    np.testing.assert_array_equal(model.weights.array("W"), np.ones((2, 400), np.float32))
    assert read_model(proto, Edits(folder=tmp_path)).weights.nbytes("W") == 3200
    with pytest.raises(ModelError, match="incomplete"):
        read_model(proto, Edits(files={"w.bin": data[:-1]}))
