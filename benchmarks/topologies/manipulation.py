"""Networks that make images: fast neural style transfer in its five styles, and a conditional GAN.

Styles differ in nothing but weights; each has its own seed.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.topologies.exporting import export, seeded
from benchmarks.topologies.topology import MANIPULATION, Array, Topology, pictures

STYLES = ("mosaic", "candy", "rain_princess", "pointilism", "udnie")
CLASSES = 10
LATENT = 100


def _transformer() -> Any:
    """Return the style network: two strides down, five residual blocks, two nearest upsamplings."""
    from torch import nn

    def conv(inward: int, outward: int, size: int, stride: int = 1) -> Any:
        return nn.Sequential(nn.ReflectionPad2d(size // 2), nn.Conv2d(inward, outward, size, stride))

    def normed(inward: int, outward: int, size: int, stride: int = 1) -> list[Any]:
        return [conv(inward, outward, size, stride), nn.InstanceNorm2d(outward, affine=True)]

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(*normed(128, 128, 3), nn.ReLU(), *normed(128, 128, 3))

        def forward(self, x: Any) -> Any:
            return self.inner(x) + x

    def upsampled(inward: int, outward: int) -> list[Any]:
        return [nn.Upsample(scale_factor=2, mode="nearest"), *normed(inward, outward, 3), nn.ReLU()]

    return nn.Sequential(
        *normed(3, 32, 9), nn.ReLU(), *normed(32, 64, 3, 2), nn.ReLU(), *normed(64, 128, 3, 2), nn.ReLU(),
        *(Residual() for _ in range(5)), *upsampled(128, 64), *upsampled(64, 32), conv(32, 3, 9),
    )  # fmt: skip


def _style(seed: int, path: Path) -> None:
    import torch

    picture = torch.randn(1, 3, 224, 224)
    export(seeded(_transformer(), seed), (picture,), path, opset=9, inputs=["input1"], outputs=["output1"])


def _generator() -> Any:
    """Return the generator of a conditional GAN on 28 × 28 digits: a label's embedding beside the noise."""
    import torch
    from torch import nn

    class Generator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.labels = nn.Embedding(CLASSES, CLASSES)
            widths, layers = (LATENT + CLASSES, 128, 256, 512, 1024), []
            for i, (inward, outward) in enumerate(pairwise(widths)):
                layers.append(nn.Linear(inward, outward))
                if i:
                    layers.append(nn.BatchNorm1d(outward, 0.8))
                layers.append(nn.LeakyReLU(0.2))
            self.model = nn.Sequential(*layers, nn.Linear(1024, 784), nn.Tanh())

        def forward(self, noise: Any, labels: Any) -> Any:
            joined = torch.cat((self.labels(labels), noise), -1)
            return self.model(joined).view(noise.size(0), 1, 28, 28)

    return Generator()


def _cgan(path: Path) -> None:
    import torch

    feeds = (torch.randn(4, LATENT), torch.arange(4))
    batch = {name: {0: "batch"} for name in ("noise", "labels", "image")}
    export(seeded(_generator()), feeds, path, opset=13, inputs=["noise", "labels"], outputs=["image"], dynamic=batch)


def _cgan_feeds(seed: int) -> dict[str, Array]:
    import numpy as np

    generator = np.random.default_rng(seed)
    noise = generator.standard_normal((16, LATENT)).astype(np.float32)
    return {"noise": noise, "labels": generator.integers(0, CLASSES, 16)}


TOPOLOGIES = (
    *(
        Topology(style, MANIPULATION, partial(_style, seed), pictures("input1", (1, 3, 224, 224)))
        for seed, style in enumerate(STYLES)
    ),
    Topology("cgan", MANIPULATION, _cgan, _cgan_feeds),
)
