"""A run that is ended halfway."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import ovpart
from ovpart.compat.run_options import RunOptions
from ovpart.errors import RunError
from tests.runtime.slow import rows, slow_model


def test_trap_33_a_cancelled_run_leaves_nothing_behind():
    session = ovpart.Session(slow_model(), num_threads=1, min_gain=0)
    np.testing.assert_array_equal(session.run(None, {"x": rows(50)})[0], rows(50))
    options = RunOptions()
    threading.Timer(0.05, setattr, (options, "terminate", True)).start()
    with pytest.raises(RunError, match="terminate"):
        session.run(None, {"x": rows(4000)}, options)
    (y,) = session.run(None, {"x": rows(50, 2.0)})
    np.testing.assert_array_equal(y, rows(50, 2.0))
    assert not session.report.demotions


def test_trap_33_openvino_still_has_it():
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(core.read_model(slow_model()), "CPU", {"INFERENCE_NUM_THREADS": 1})
    request = compiled.create_infer_request()
    request.infer([rows(50)])
    request.set_input_tensor(0, openvino.Tensor(rows(4000)))
    request.start_async()
    threading.Timer(0.05, request.cancel).start()
    with pytest.raises(RuntimeError, match="cancel"):
        request.wait()
    fresh = compiled.create_infer_request()
    fresh.infer([rows(50, 2.0)])
    assert fresh.get_output_tensor(0).shape != [50, 400]
