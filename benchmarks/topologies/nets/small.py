"""MobileNet v2 (Sandler et al.), ShuffleNet v2 (Ma et al.) and Real-ESRGAN's RRDBNet (Wang et al.)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def normed(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Return a convolution and its norm."""
    return [
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]


class Inverted(nn.Module):
    """A residual that is wide within and narrow without."""

    def __init__(self, inputs: int, outputs: int, stride: int, factor: int) -> None:
        super().__init__()
        wide = inputs * factor
        before = [] if factor == 1 else [*normed(inputs, wide, 1), nn.ReLU6()]
        self.body = nn.Sequential(*before, *normed(wide, wide, 3, stride, wide), nn.ReLU6(), *normed(wide, outputs, 1))
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, plus its input where they have one shape."""
        computed: Tensor = self.body(x)
        return x + computed if self.is_residual else computed


class MobileNet(nn.Module):
    """MobileNet v2 at width 1."""

    def __init__(self) -> None:
        super().__init__()
        parts: list[nn.Module] = [*normed(3, 32, 3, 2), nn.ReLU6()]
        inputs = 32
        for factor, outputs, count, stride in (
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
        ):  # fmt: skip
            for position in range(count):
                parts.append(Inverted(inputs, outputs, 1 if position else stride, factor))
                inputs = outputs
        parts += [*normed(320, 1280, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)]
        self.layers = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.layers(x)
        return logits


class Unit(nn.Module):
    """A unit of ShuffleNet v2: half the channels pass by, or at a stride both halves are computed, then they mix."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        into = inputs if stride > 1 else half
        self.stride = stride
        self.beside = nn.Sequential(*normed(inputs, inputs, 3, stride, inputs), *normed(inputs, half, 1), nn.ReLU())
        if stride == 1:
            self.beside = nn.Sequential()
        self.body = nn.Sequential(
            *normed(into, half, 1), nn.ReLU(), *normed(half, half, 3, stride, half), *normed(half, half, 1), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the halves, their channels taken in turn."""
        if self.stride == 1:
            kept, computed = x.chunk(2, dim=1)
            both = torch.cat((kept, self.body(computed)), 1)
        else:
            both = torch.cat((self.beside(x), self.body(x)), 1)
        batch, channels, height, width = both.shape
        return both.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(batch, -1, height, width)


class ShuffleNet(nn.Module):
    """ShuffleNet v2 at width 1."""

    def __init__(self) -> None:
        super().__init__()
        parts: list[nn.Module] = [*normed(3, 24, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        inputs = 24
        for outputs, count in ((116, 4), (232, 8), (464, 4)):
            for position in range(count):
                parts.append(Unit(inputs, outputs, 1 if position else 2))
                inputs = outputs
        self.layers = nn.Sequential(*parts, *normed(464, 1024, 1), nn.ReLU())
        self.last = nn.Linear(1024, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.last(self.layers(x).mean([2, 3]))
        return logits


class DenseBlock(nn.Module):
    """Five convolutions, each of which reads all before it."""

    def __init__(self, width: int = 64, growth: int = 32) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(width + k * growth, width if k == 4 else growth, 3, padding=1) for k in range(5)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus a fifth of what the block adds."""
        known = [x]
        for layer in self.convolutions[:-1]:
            known.append(functional.leaky_relu(layer(torch.cat(known, 1)), 0.2))
        added: Tensor = self.convolutions[-1](torch.cat(known, 1))
        return added * 0.2 + x


class Enlarger(nn.Module):
    """RRDBNet with 23 blocks of three, which makes a picture four times as wide and high."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 64, 3, padding=1)
        self.body = nn.ModuleList(nn.Sequential(*(DenseBlock() for _ in range(3))) for _ in range(23))
        self.after = nn.Conv2d(64, 64, 3, padding=1)
        self.wider = nn.ModuleList(nn.Conv2d(64, 64, 3, padding=1) for _ in range(3))
        self.last = nn.Conv2d(64, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the larger picture."""
        first = self.first(x)
        features = first
        for block in self.body:
            features = block(features) * 0.2 + features
        features = first + self.after(features)
        for layer in self.wider[:2]:
            enlarged = functional.interpolate(features, scale_factor=2, mode="nearest")
            features = functional.leaky_relu(layer(enlarged), 0.2)
        picture: Tensor = self.last(functional.leaky_relu(self.wider[2](features), 0.2))
        return picture
