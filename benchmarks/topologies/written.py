"""The old networks that are written node by node: CaffeNet and its R-CNN, VGG-16, SqueezeNet 1.0, FER+, MNIST."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.topologies.writer import Writer

_PICTURE = (1, 3, 224, 224)


def caffenet(
    path: Path, opset: int, classes: int = 1000, softmax: bool = True, seed: int = 3, width: int = 4096
) -> None:
    """Write CaffeNet, which pools before it normalises and convolves in two groups; R-CNN is it with another head."""
    net = Writer(opset, "data_0", _PICTURE)
    for inputs, outputs, size, stride, pad, group in ((3, 96, 11, 4, 0, 1), (96, 256, 5, 1, 2, 2)):
        net.conv(inputs, outputs, size, stride, pad, group)
        net.relu()
        net.pool(3, 2)
        net.norm()
    for inputs, outputs, group in ((256, 384, 1), (384, 384, 2), (384, 256, 2)):
        net.conv(inputs, outputs, 3, 1, 1, group)
        net.relu()
    net.pool(3, 2, (0, 0, 1, 1))
    net.reshape(1, 256 * 36)
    for inputs in (256 * 36, width):
        net.dense(inputs, width)
        net.relu()
        net.dropout()
    net.dense(width, classes)
    if softmax:
        net.softmax()
    net.write(path, (1, classes), seed)


def vgg16(path: Path, opset: int, width: int = 1024, seed: int = 5) -> None:
    """Write VGG-16 with fully connected layers of `width`."""
    net = Writer(opset, "data", _PICTURE)
    inputs = 3
    for outputs, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            net.conv(inputs, outputs, 3, 1, 1)
            net.relu()
            inputs = outputs
        net.pool(2, 2)
    net.node("Flatten", axis=1)
    for inputs in (512 * 49, width):
        net.dense(inputs, width)
        net.relu()
        net.dropout()
        net.node("Flatten", axis=1)
    net.dense(width, 1000)
    net.write(path, (1, 1000), seed)


def squeezenet(path: Path, opset: int, seed: int = 7) -> None:
    """Write SqueezeNet 1.0: its first convolution is 7 by 7, and it pools late."""
    net = Writer(opset, "data_0", _PICTURE)
    net.conv(3, 96, 7, 2)
    net.relu()
    net.pool(3, 2)
    inputs = 96
    for position, (squeezed, wide) in enumerate(
        ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
    ):
        net.conv(inputs, squeezed, 1)
        small = net.relu()
        net.conv(squeezed, wide, 1)
        left = net.relu()
        net.top = small
        net.conv(squeezed, wide, 3, 1, 1)
        net.node("Concat", left, net.relu(), axis=1)
        inputs = 2 * wide
        if position in (2, 6):
            net.pool(3, 2)
    net.dropout()
    net.conv(inputs, 1000, 1)
    net.relu()
    net.node("GlobalAveragePool")
    net.softmax()
    net.write(path, (1, 1000, 1, 1), seed)


def _cntk_conv(net: Writer, inputs: int, outputs: int, size: int) -> None:
    """Add a convolution as CNTK writes it: padded by name, and the bias in a node of its own."""
    net.node(
        "Conv", net.top, net.weight(outputs, inputs, size, size), kernel_shape=[size] * 2, strides=[1, 1],
        dilations=[1, 1], group=1, auto_pad="SAME_UPPER",
    )  # fmt: skip
    net.node("Add", net.top, net.weight(outputs, 1, 1))
    net.relu()


def _cntk_pool(net: Writer, size: int) -> None:
    net.node("MaxPool", kernel_shape=[size] * 2, strides=[size] * 2, pads=[0] * 4, auto_pad="NOTSET")


def _cntk_dense(net: Writer, inputs: Sequence[int], outputs: int) -> None:
    """Add a matrix product whose weight has the shape of what it reads, and is reshaped first."""
    size = int(np.prod(inputs))
    net.reshape(1, size)
    read = net.top
    weight = net.node("Reshape", net.weight(*inputs, outputs), net.constant(np.array([size, outputs], np.int64)))
    net.node("MatMul", read, weight)
    net.node("Add", net.top, net.weight(1, outputs))


def mnist(path: Path, opset: int, seed: int = 11) -> None:
    """Write the network of CNTK's tutorial for digits."""
    net = Writer(opset, "Input3", (1, 1, 28, 28))
    _cntk_conv(net, 1, 8, 5)
    _cntk_pool(net, 2)
    _cntk_conv(net, 8, 16, 5)
    _cntk_pool(net, 3)
    _cntk_dense(net, (16, 4, 4), 10)
    net.write(path, (1, 10), seed)


def ferplus(path: Path, opset: int, seed: int = 13) -> None:
    """Write the VGG-13 for eight emotions, from CNTK; levels of 0 to 255 are scaled within."""
    net = Writer(opset, "Input3", (1, 1, 64, 64))
    net.node("Sub", net.top, net.constant(np.array(127.5, np.float32)))
    net.node("Div", net.top, net.constant(np.array(127.5, np.float32)))
    inputs = 1
    for outputs, count in ((64, 2), (128, 2), (256, 3), (256, 3)):
        for _ in range(count):
            _cntk_conv(net, inputs, outputs, 3)
            inputs = outputs
        _cntk_pool(net, 2)
        _cntk_dropout(net, 0.25)
    _cntk_dense(net, (256, 4, 4), 1024)
    net.relu()
    _cntk_dropout(net, 0.5)
    _cntk_dense(net, (1024,), 1024)
    net.relu()
    _cntk_dropout(net, 0.5)
    _cntk_dense(net, (1024,), 8)
    net.write(path, (1, 8), seed)


def _cntk_dropout(net: Writer, ratio: float) -> Any:
    net.node("Dropout", ratio=ratio)
