"""Networks that classify and recognise pictures."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from benchmarks.topologies import written, zoo
from benchmarks.topologies.exporting import export, seeded, settled
from benchmarks.topologies.topology import CLASSIFICATION, RECOGNITION, Topology, pictures

PICTURE = (1, 3, 224, 224)
_NARROW = "{} of 4,096 features in the fully connected layers"


def from_zoo(
    path: Path, name: str, seed: int, narrowed: Mapping[str, int] | None = None, opset: int | None = None
) -> None:
    """Write a graph that the onnx package has, with weights; raised to an opset where one is named."""
    import onnx

    model = zoo.weighted(zoo.light(name), seed, narrowed)
    onnx.save(model if opset is None else zoo.raised(model, opset), path)


def resnet(path: Path, depth: int, version: int, opset: int | None = None) -> None:
    """Write a residual network of gluon's."""
    import torch

    from benchmarks.topologies.nets.gluon import ResNet

    net = settled(seeded(ResNet(depth, version), depth + version), torch.randn(2, *PICTURE[1:]))
    export(net, (torch.zeros(PICTURE),), path, opset=opset or 7 + version % 2, inputs=["data"], outputs=["logits"],
           dynamic={"data": {0: "N"}, "logits": {0: "N"}}, keep_norms=True)  # fmt: skip


def mobilenet(path: Path) -> None:
    """Write MobileNet v2, with the Clip of old opsets."""
    import torch

    from benchmarks.topologies.nets.small import MobileNet

    net = settled(seeded(MobileNet(), 17), torch.randn(2, *PICTURE[1:]))
    export(net, (torch.zeros(PICTURE),), path, opset=10, inputs=["data"], outputs=["logits"],
           dynamic={"data": {0: "batch_size"}, "logits": {0: "batch_size"}}, keep_norms=True)  # fmt: skip


def arcface(path: Path) -> None:
    """Write LResNet100E-IR."""
    import torch

    from benchmarks.topologies.nets.gluon import Face

    net = settled(seeded(Face(), 19), torch.rand(2, 3, 112, 112) * 255)
    export(net, (torch.zeros(1, 3, 112, 112),), path, opset=8, inputs=["data"], outputs=["fc1"], keep_norms=True)


def _of_zoo(name: str, graph: str, seed: int, feed: str = "data_0", narrowed: dict[str, int] | None = None) -> Topology:
    note = _NARROW.format(f"{next(iter(narrowed.values())):,}") if narrowed else ""
    build = partial(from_zoo, name=graph, seed=seed, narrowed=narrowed)
    return Topology(name, CLASSIFICATION, build, pictures(feed, PICTURE, 3.0), note)


def _resnet(depth: int, version: int) -> Topology:
    build = partial(resnet, depth=depth, version=version)
    return Topology(f"resnet{depth}v{version}", CLASSIFICATION, build, pictures("data", PICTURE))


_CAFFENET = pictures("data_0", PICTURE)
TOPOLOGIES = (
    _of_zoo("bvlc_alexnet", "bvlc_alexnet", 1),
    _of_zoo("bvlc_googlenet", "inception_v1", 2),
    Topology("bvlc_reference_caffenet", CLASSIFICATION, partial(written.caffenet, opset=8), _CAFFENET),
    Topology(
        "bvlc_reference_rcnn_ilsvrc13", CLASSIFICATION,
        partial(written.caffenet, opset=7, classes=200, softmax=False, seed=4), _CAFFENET,
    ),
    Topology(
        "emotion ferplus", CLASSIFICATION, partial(written.ferplus, opset=8),
        lambda seed: {name: value * 40 + 120 for name, value in pictures("Input3", (1, 1, 64, 64))(seed).items()},
    ),
    _of_zoo("densenet121", "densenet121", 21),
    _of_zoo("inception_v1", "inception_v1", 22),
    _of_zoo("inception_v2", "inception_v2", 23),
    Topology("mobilenetv2", CLASSIFICATION, mobilenet, pictures("data", PICTURE)),
    *(_resnet(depth, 1) for depth in (18, 34, 101, 152)),
    *(_resnet(depth, 2) for depth in (18, 34, 101, 152)),
    _of_zoo("resnet50", "resnet50", 24, "gpu_0/data_0"),
    _resnet(50, 2),
    _of_zoo("shufflenet", "shufflenet", 25, "gpu_0/data_0"),
    _of_zoo("squeezenet1.1", "squeezenet", 26),
    _of_zoo("vgg19", "vgg19", 27, narrowed={"fc6_w_0": 1024, "fc7_w_0": 1024}),
    Topology(
        "vgg16", CLASSIFICATION, partial(written.vgg16, opset=7), pictures("data", PICTURE), _NARROW.format("1,024")
    ),
    _of_zoo(
        "zfnet512", "zfnet512", 28, "gpu_0/data_0", narrowed={"gpu_0/fc6_w_0": 2048, "gpu_0/fc7_w_0": 2048}
    ),
    Topology(
        "mxnet_arcface", CLASSIFICATION, arcface,
        lambda seed: {name: value * 40 + 127 for name, value in pictures("data", (1, 3, 112, 112))(seed).items()},
    ),
    Topology("mnist", RECOGNITION, partial(written.mnist, opset=8), pictures("Input3", (1, 1, 28, 28))),
)  # fmt: skip
