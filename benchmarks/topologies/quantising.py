"""Makes a quantised network of a float one: with onnxruntime's quantiser, or with NNCF."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.topologies.topology import Array

CALIBRATION = range(100, 104)
"""Seeds of the inputs from which the ranges of activations are taken; no run is fed with them."""

Build = Callable[[Path], None]
Inputs = Callable[[int], dict[str, Array]]


def by_onnxruntime(path: Path, build: Build, inputs: Inputs) -> None:
    """Write the form with QuantizeLinear and DequantizeLinear around each operator, one scale a tensor.

    As the zoo's: activations unsigned, weights signed, both of 8 bits.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.feeds = iter([inputs(seed) for seed in CALIBRATION])

        def get_next(self) -> dict[str, Array] | None:
            return next(self.feeds, None)

    float_path = path.with_name("float.onnx")
    build(float_path)
    quantize_static(
        str(float_path), str(path), Reader(), quant_format=QuantFormat.QDQ, per_channel=False,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    float_path.unlink()


def by_nncf(path: Path, build: Build, inputs: Inputs) -> None:
    """Write what NNCF makes with its defaults: fake-quantised activations, a scale for each channel of weights."""
    import nncf
    import onnx

    float_path = path.with_name("float.onnx")
    build(float_path)
    feeds = [inputs(seed) for seed in CALIBRATION]
    made: Any = nncf.quantize(onnx.load(float_path), nncf.Dataset(feeds), subset_size=len(feeds))
    onnx.save(made, path)
    float_path.unlink()
