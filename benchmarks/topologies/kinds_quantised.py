"""Kinds of quantised models: weights of 4 and 8 bits, bfloat16 and float8, QLinear operators, dynamic quantisation.

One network in each form of its weights: blocks of norm, matrix product, Gelu, matrix product, added to their input.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.topologies.sketch import Sketch, info
from benchmarks.topologies.topology import Array, floats

ROWS = 12
BLOCK = 32
"""Weights that share a scale."""

Product = Callable[[Sketch, str, Array], str]
"""How a matrix product with constant weights [K, N] is written."""


def feed_forward(product: Product, opset: int, path: Path, *, width: int = 256, layers: int = 4) -> None:
    """Write the network with its matrix products written as `product` does it."""
    s = Sketch(opset, seed=11, com_microsoft=1)
    x = "x"
    for _ in range(layers):
        gain = s.constant(s.random.uniform(0.7, 1.3, width).astype(np.float32))
        y = s.add("LayerNormalization", x, gain, s.constant(s.weights(width, std=0.1)), axis=-1)
        y = product(s, y, s.weights(width, 2 * width, std=1.2 / np.sqrt(width)))
        y = s.add("Add", y, s.constant(s.weights(2 * width, std=0.1)))
        half = s.add("Mul", y, s.constant(0.5))
        gate = s.add("Add", s.add("Erf", s.add("Mul", y, s.constant(0.5**0.5))), s.constant(1.0))
        y = product(s, s.add("Mul", half, gate), s.weights(2 * width, width, std=1.2 / np.sqrt(width)))
        x = s.add("Add", x, y)
    s.add("Identity", x, output="y")
    s.save(path, [info("x", ["rows", width])], [info("y", ["rows", width])])


def feeds(seed: int, width: int = 256) -> dict[str, Array]:
    """Return rows of normal numbers."""
    return floats(seed, x=(ROWS + seed, width))


def blocked(weights: Array, bits: int, *, signed: bool) -> tuple[Array, Array, Array]:
    """Return integers [K, N], scales [K / 32, N] and zero points, blocks running down the first axis.

    Signed: symmetric, zero points 0. Unsigned: the zero point shifts each block to where its values lie.
    """
    size, columns = weights.shape
    parts = weights.reshape(size // BLOCK, BLOCK, columns)
    top = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    if signed:
        scales, points = np.abs(parts).max(1) / top, np.zeros((size // BLOCK, columns))
    else:
        low, high = np.minimum(parts.min(1), 0), np.maximum(parts.max(1), 0)
        scales = (high - low) / top
        points = np.round(-low / scales)
    lowest = -top - 1 if signed else 0
    whole = np.clip(np.round(parts / scales[:, None]) + points[:, None], lowest, top)
    return whole.reshape(size, columns).astype(np.int32), scales.astype(np.float32), points.astype(np.int32)


def plain(s: Sketch, x: str, weights: Array) -> str:
    """Write a matrix product of floats."""
    return s.add("MatMul", x, s.constant(weights))


def n_bits(bits: int, s: Sketch, x: str, weights: Array) -> str:
    """Write MatMulNBits: blocks along K, packed two to a byte where they have 4 bits, with zero points."""
    size, columns = weights.shape
    whole, scales, points = blocked(weights, bits, signed=False)
    packed: Array = whole.T.reshape(columns, size // BLOCK, BLOCK).astype(np.uint8)
    zeros: Array = points.T.astype(np.uint8)
    if bits == 4:
        packed = packed[..., ::2] | (packed[..., 1::2] << 4)
        zeros = np.pad(zeros, ((0, 0), (0, zeros.shape[1] % 2)))
        zeros = zeros[:, ::2] | (zeros[:, 1::2] << 4)
    inputs = (s.constant(packed), s.constant(scales.T.reshape(-1)), s.constant(zeros.reshape(-1)))
    sizes: dict[str, Any] = {"K": size, "N": columns, "bits": bits, "block_size": BLOCK}
    return s.add("MatMulNBits", x, *inputs, domain="com.microsoft", **sizes)


def dequantised(kind: str, s: Sketch, x: str, weights: Array) -> str:
    """Write blocks of INT4 or UINT4, or columns of INT8, behind DequantizeLinear, then a matrix product."""
    from onnx import TensorProto, helper

    def tensor(name: str, array: Array) -> str:
        values = array.reshape(-1).tolist()
        s.initializers.append(helper.make_tensor(name, TensorProto.DataType.Value(kind), array.shape, values))
        return name

    if kind == "INT8":
        scales = (np.abs(weights).max(0) / 127).astype(np.float32)
        whole = np.round(weights / scales).astype(np.int8)
        w = s.add("DequantizeLinear", s.constant(whole), s.constant(scales), axis=1)
        return s.add("MatMul", x, w)
    whole, scales, points = blocked(weights, 4, signed=kind == "INT4")
    inputs = [tensor(s.name("whole"), whole), s.constant(scales)]
    if kind == "UINT4":
        inputs.append(tensor(f"{inputs[0]}_zero", points))
    return s.add("MatMul", x, s.add("DequantizeLinear", *inputs, axis=0, block_size=BLOCK))


def short(s: Sketch, x: str, weights: Array) -> str:
    """Write weights of bfloat16 that are cast to float32 where they are used."""
    import ml_dtypes

    return s.add("MatMul", x, s.add("Cast", s.constant(weights.astype(ml_dtypes.bfloat16)), to=1))


def float8(s: Sketch, x: str, weights: Array) -> str:
    """Write float8 on both sides: what comes in is quantised and dequantised, the weights are dequantised."""
    import ml_dtypes

    kind = ml_dtypes.float8_e4m3fn
    scale, zero = s.constant(0.02), s.constant(np.zeros((), kind))
    x = s.add("DequantizeLinear", s.add("QuantizeLinear", x, scale, zero), scale, zero)
    own = np.float32(np.abs(weights).max() / 448)
    w = s.add(
        "DequantizeLinear", s.constant((weights / own).astype(kind)), s.constant(own), s.constant(np.zeros((), kind))
    )
    return s.add("MatMul", x, w)


def convolutions(path: Path, *, width: int = 16, size: int = 32) -> None:
    """Write a small float network of what has a QLinear form: for the quantisers."""
    s = Sketch(13, seed=12)
    s.channels["x"] = 3

    def conv(x: str, outward: int, size: int, stride: int = 1, act: str = "Relu") -> str:
        return s.conv(x, outward, size, stride, act=act, norm=False)

    a = conv("x", width, 3, 2)
    b = s.summed(a, conv(conv(a, width, 3), width, 3, act="LeakyRelu"))
    c = s.joined(s.pool(b, 2, 2), conv(b, width, 3, 2, act="silu"))
    d = s.add("AveragePool", conv(c, 2 * width, 1), kernel_shape=[2, 2], strides=[2, 2])
    e = s.add("Flatten", s.add("GlobalAveragePool", d))
    logits = s.add("Gemm", e, s.constant(s.weights(2 * width, 10, std=0.3)), s.constant(s.weights(10, std=0.1)))
    s.add("MatMul", s.add("Sigmoid", logits), s.constant(s.weights(10, 6, std=0.5)), output="y")
    s.save(path, [info("x", ["batch", 3, size, size])], [info("y", ["batch", 6])])


def picture_feeds(seed: int, size: int = 32) -> dict[str, Array]:
    """Return a batch of pictures."""
    return floats(seed, x=(2, 3, size, size))


def qlinear(path: Path, *, width: int = 16, size: int = 32) -> None:
    """Write the convolutions in QLinear operators, as onnxruntime's quantiser does."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter([picture_feeds(seed, size) for seed in range(4)])

        def get_next(self) -> dict[str, Array] | None:
            return next(self.left, None)

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "float.onnx")
        convolutions(source, width=width, size=size)
        quantize_static(
            str(source), str(path), Reader(), quant_format=QuantFormat.QOperator, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip


def dynamic(path: Path, *, width: int = 256, layers: int = 4) -> None:
    """Write the blocks with MatMulInteger over DynamicQuantizeLinear, as onnxruntime's quantiser does."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "float.onnx")
        feed_forward(plain, 17, source, width=width, layers=layers)
        quantize_dynamic(str(source), str(path), weight_type=QuantType.QInt8)


def dynamic_convolutions(path: Path, *, width: int = 16, size: int = 32) -> None:
    """Write the convolutions with ConvInteger over DynamicQuantizeLinear."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "float.onnx")
        convolutions(source, width=width, size=size)
        quantize_dynamic(str(source), str(path), weight_type=QuantType.QUInt8)


FORMS: dict[str, tuple[Product, int]] = {
    "4-bit MatMulNBits": (partial(n_bits, 4), 18),
    "8-bit MatMulNBits": (partial(n_bits, 8), 18),
    "int4 blocks": (partial(dequantised, "INT4"), 21),
    "uint4 blocks": (partial(dequantised, "UINT4"), 21),
    "int8 weights": (partial(dequantised, "INT8"), 17),
    "bfloat16 weights": (short, 17),
    "float8 Q/DQ": (float8, 19),
}
"""Name → how its matrix products are written, and its opset."""
