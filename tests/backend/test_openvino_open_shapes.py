"""What openvino says of open shapes while it computes."""

from __future__ import annotations

import numpy as np
import onnx.parser

from ovpart.backend.openvino import OpenVINOBackend
from ovpart.model.read import read_model
from ovpart.placement.cutting import cut_of


def test_shapes_are_open_still_when_there_was_a_run():
    """A run over open shapes must not be cancelled; once there was one, openvino's runtime model looks static."""
    text = '<ir_version: 8, opset_import: ["": 17]> g (float[n, 3] x) => (float[n, 3] y) { h = Exp(x)\n y = Relu(h) }'
    executable = OpenVINOBackend().compile(cut_of(read_model(onnx.parser.parse_model(text)), (0, 1)), "CPU", {})
    assert executable.has_dynamic_shapes
    request = executable.bind()
    request.set_input(0, np.ones((2, 3), np.float32))
    request.run()
    assert not executable.compiled.get_runtime_model().is_dynamic()
    assert executable.has_dynamic_shapes
