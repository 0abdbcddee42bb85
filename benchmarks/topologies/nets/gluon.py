"""The residual networks of gluon's model zoo, from which onnx's are exported: v1, v2 (norms first), and two relatives.

He, Zhang, Ren, Sun: Deep residual learning (v1), Identity mappings (v2). ArcFace's is Deng et al.'s LResNet-IR, and
the segmenter is Wang et al.'s dense upsampling convolution on a dilated ResNet-101.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

DEPTHS = {
    18: (False, (2, 2, 2, 2)),
    34: (False, (3, 4, 6, 3)),
    50: (True, (3, 4, 6, 3)),
    101: (True, (3, 4, 23, 3)),
    152: (True, (3, 8, 36, 3)),
}
"""Depth → whether blocks are bottlenecks, and how many a stage has."""


def conv(inputs: int, outputs: int, size: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """Return a convolution without bias that keeps the size but for its stride."""
    return nn.Conv2d(inputs, outputs, size, stride, size // 2 * dilation, dilation, bias=False)


class Block1(nn.Module):
    """A block of v1: the norm after the convolution, the ReLU after the sum."""

    def __init__(self, inputs: int, outputs: int, stride: int, bottleneck: bool, dilation: int = 1) -> None:
        super().__init__()
        width = outputs // 4 if bottleneck else outputs
        first = (1, stride) if bottleneck else (3, stride)  # gluon strides in the first, 1x1 convolution
        parts: list[nn.Module] = [conv(inputs, width, *first), nn.BatchNorm2d(width), nn.ReLU()]
        parts += [conv(width, width, 3, 1, dilation), nn.BatchNorm2d(width)]
        if bottleneck:
            parts += [nn.ReLU(), conv(width, outputs, 1), nn.BatchNorm2d(outputs)]
        self.body = nn.Sequential(*parts)
        same = inputs == outputs and stride == 1
        self.shortcut = (
            nn.Identity() if same else nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's sum, rectified."""
        return torch.relu(self.body(x) + self.shortcut(x))


class Block2(nn.Module):
    """A block of v2: norm and ReLU before each convolution, nothing after the sum."""

    def __init__(self, inputs: int, outputs: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        width = outputs // 4 if bottleneck else outputs
        self.first = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU())
        if bottleneck:
            self.body = nn.Sequential(
                conv(inputs, width, 1), nn.BatchNorm2d(width), nn.ReLU(), conv(width, width, 3, stride),
                nn.BatchNorm2d(width), nn.ReLU(), conv(width, outputs, 1),
            )  # fmt: skip
        else:
            self.body = nn.Sequential(
                conv(inputs, width, 3, stride), nn.BatchNorm2d(width), nn.ReLU(), conv(width, outputs, 3)
            )
        self.shortcut = None if inputs == outputs and stride == 1 else conv(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's sum."""
        normed = self.first(x)
        beside = x if self.shortcut is None else self.shortcut(normed)
        total: Tensor = self.body(normed) + beside
        return total


class ResNet(nn.Module):
    """A network of either version for pictures of 3 channels."""

    def __init__(self, depth: int, version: int, classes: int = 1000) -> None:
        super().__init__()
        bottleneck, counts = DEPTHS[depth]
        kind = Block1 if version == 1 else Block2
        parts: list[nn.Module] = [] if version == 1 else [nn.BatchNorm2d(3, affine=False)]
        parts += [conv(3, 64, 7, 2), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        inputs = 64
        for stage, count in enumerate(counts):
            outputs = 64 * 2**stage * (4 if bottleneck else 1)
            for position in range(count):
                stride = 2 if stage and not position else 1
                parts.append(kind(inputs, outputs, stride, bottleneck))
                inputs = outputs
        if version == 2:
            parts += [nn.BatchNorm2d(inputs), nn.ReLU()]
        parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes)]
        self.layers = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.layers(x)
        return logits


class FaceBlock(nn.Module):
    """A block of LResNet-IR: norm, convolution, norm, PReLU, convolution, norm, and a sum."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs), conv(inputs, outputs, 3), nn.BatchNorm2d(outputs), nn.PReLU(outputs),
            conv(outputs, outputs, 3, stride), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        same = inputs == outputs and stride == 1
        self.shortcut = (
            nn.Identity() if same else nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's sum."""
        total: Tensor = self.body(x) + self.shortcut(x)
        return total


class Face(nn.Module):
    """LResNet100E-IR, which makes 512 numbers of a face of 112 by 112 pixels."""

    def __init__(self) -> None:
        super().__init__()
        parts: list[nn.Module] = [conv(3, 64, 3), nn.BatchNorm2d(64), nn.PReLU(64)]
        inputs = 64
        for stage, count in enumerate((3, 13, 30, 3)):
            for position in range(count):
                parts.append(FaceBlock(inputs, 64 * 2**stage, 1 if position else 2))
                inputs = 64 * 2**stage
        parts += [nn.BatchNorm2d(512), nn.Dropout(0.4), nn.Flatten(), nn.Linear(512 * 7 * 7, 512)]
        parts.append(nn.BatchNorm1d(512))
        self.layers = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        """Return what describes the face; the picture has levels of 0 to 255."""
        described: Tensor = self.layers((x - 127.5) * 0.0078125)
        return described


class Dense(nn.Module):
    """ResNet101-DUC-HDC for the 19 classes of street scenes: each cell becomes 4 by 4 pixels of half the size."""

    CLASSES, CELL = 19, 4

    def __init__(self) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for inputs, outputs, stride in ((3, 64, 2), (64, 64, 1), (64, 128, 1)):
            parts += [conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs), nn.ReLU()]
        parts.append(nn.MaxPool2d(3, 2, 1))
        inputs = 128
        hybrid = ((1,), (1,), (1, 2, 5, 9), (5, 9, 17))  # dilations, in turn
        for stage, count in enumerate((3, 4, 23, 3)):
            for position in range(count):
                dilation = hybrid[stage][position % len(hybrid[stage])]
                parts.append(Block1(inputs, 256 * 2**stage, 2 if stage == 1 and not position else 1, True, dilation))
                inputs = 256 * 2**stage
        self.body = nn.Sequential(*parts)
        outputs = self.CLASSES * self.CELL**2
        self.heads = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation) for dilation in (6, 12, 18, 24)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the shares of the classes: shape (1, 19, pixels)."""
        features = self.body(x)
        cells = sum(head(features) for head in self.heads)
        assert isinstance(cells, Tensor)
        _, _, height, width = cells.shape
        apart = cells.reshape(1, self.CLASSES, self.CELL, self.CELL, height, width)
        pixels = apart.permute(0, 1, 4, 2, 5, 3).reshape(1, self.CLASSES, -1)
        return torch.softmax(pixels, 1)
