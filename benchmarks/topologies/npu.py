"""Networks that the documents list for the NPU, in the zoo's later opset, and their quantised forms."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.topologies import quantising, written
from benchmarks.topologies.classification import PICTURE, from_zoo
from benchmarks.topologies.exporting import export, seeded, settled
from benchmarks.topologies.topology import NPU, Array, Topology, pictures

_DUC_SIZE, _SMALL_SIZE = 224, 32
_ZFNET = {"gpu_0/fc6_w_0": 2048, "gpu_0/fc7_w_0": 2048}
_ALEXNET = {"fc6_w_0": 2048, "fc7_w_0": 2048}


def shufflenet(path: Path, opset: int = 12) -> None:
    """Write ShuffleNet v2, its channels dealt out by Reshape and Transpose."""
    import torch

    from benchmarks.topologies.nets.small import ShuffleNet

    net = settled(seeded(ShuffleNet(), 41), torch.randn(2, *PICTURE[1:]))
    export(net, (torch.zeros(PICTURE),), path, opset=opset, inputs=["input"], outputs=["output"])


def segmenter(path: Path) -> None:
    """Write ResNet101-DUC."""
    import torch

    from benchmarks.topologies.nets.gluon import Dense

    shape = (1, 3, _DUC_SIZE, _DUC_SIZE)
    net = settled(seeded(Dense(), 42), torch.randn(shape))
    for head in net.heads:
        head.weight.data *= 0.2  # four are summed, and softened into shares
    export(net, (torch.zeros(shape),), path, opset=12, inputs=["data"], outputs=["seg_loss"], keep_norms=True)


def enlarger(path: Path) -> None:
    """Write Real-ESRGAN's network, which enlarges four times."""
    import torch

    from benchmarks.topologies.nets.small import DenseBlock, Enlarger

    net = seeded(Enlarger(), 43)
    for part in net.modules():
        if isinstance(part, DenseBlock):
            for layer in part.convolutions:
                layer.weight.data *= 0.5
    example = torch.zeros(1, 3, _SMALL_SIZE, _SMALL_SIZE)
    export(net, (example,), path, opset=16, inputs=["image"], outputs=["upscaled"])


def inception(path: Path) -> None:
    """Write timm's Inception v4."""
    import torch

    from benchmarks.topologies.vision import torchvision

    torchvision()
    import timm

    shape = (1, 3, 299, 299)
    net = settled(seeded(timm.create_model("inception_v4", pretrained=False), 44), torch.randn(2, *shape[1:]))
    export(net, (torch.zeros(shape),), path, opset=17, inputs=["image"], outputs=["class_logits"])


def hub_resnet(path: Path) -> None:
    """Write ResNet-50 as transformers has it."""
    import torch

    from benchmarks.topologies.vision import torchvision

    torchvision()
    from transformers import ResNetConfig, ResNetForImageClassification

    net = settled(seeded(ResNetForImageClassification(ResNetConfig(num_labels=1000)), 45), torch.randn(2, *PICTURE[1:]))
    export(net, (torch.zeros(PICTURE),), path, opset=14, inputs=["pixel_values"], outputs=["logits"],
           dynamic={"pixel_values": {0: "batch"}, "logits": {0: "batch"}})  # fmt: skip


_alexnet = partial(from_zoo, name="bvlc_alexnet", seed=31, narrowed=_ALEXNET, opset=12)
_caffenet = partial(written.caffenet, opset=12, seed=32, width=2048)
_googlenet = partial(from_zoo, name="inception_v1", seed=33, opset=12)
_squeezenet = partial(written.squeezenet, opset=12)
_vgg = partial(written.vgg16, opset=12, seed=34)
_zfnet = partial(from_zoo, name="zfnet512", seed=35, narrowed=_ZFNET, opset=12)
_DATA_0, _ZFNET_DATA = pictures("data_0", PICTURE), pictures("gpu_0/data_0", PICTURE)
_HALF = "2,048 of 4,096 features in the fully connected layers"
_QUARTER = "1,024 of 4,096 features in the fully connected layers"


def _both(
    name: str, build: Callable[[Path], None], inputs: Callable[[int], dict[str, Array]], note: str = ""
) -> tuple[Topology, Topology]:
    return Topology(name, NPU, build, inputs, note), _quantised(name, build, inputs, note)


def _quantised(
    name: str, build: Callable[[Path], None], inputs: Callable[[int], dict[str, Array]], note: str = ""
) -> Topology:
    made = partial(quantising.by_onnxruntime, build=build, inputs=inputs)
    return Topology(f"{name}-qdq", NPU, made, inputs, note)


def _by_nncf(name: str, build: Callable[[Path], None], inputs: Callable[[int], dict[str, Array]]) -> Topology:
    made = partial(quantising.by_nncf, build=build, inputs=inputs)
    return Topology(f"{name}, NNCF", NPU, made, inputs, _NNCF)


_NNCF = "quantised by NNCF, which the documents name; not in their list"
_SHUFFLENET = pictures("input", PICTURE)
TOPOLOGIES = (
    Topology("microsoft_resnet-50", NPU, hub_resnet, pictures("pixel_values", PICTURE)),
    Topology(
        "realesrgan-x4", NPU, enlarger, pictures("image", (1, 3, _SMALL_SIZE, _SMALL_SIZE)),
        f"a picture of {_SMALL_SIZE} by {_SMALL_SIZE} in place of 128 by 128",
    ),
    Topology("timm_inception_v4.tf_in1k", NPU, inception, pictures("image", (1, 3, 299, 299))),
    *_both("squeezenet1.0", _squeezenet, _DATA_0),
    *_both("caffenet", _caffenet, _DATA_0, _HALF),
    *_both("shufflenet-v2", shufflenet, _SHUFFLENET),
    _quantised("zfnet512", _zfnet, _ZFNET_DATA, _HALF),
    *_both("googlenet", _googlenet, _DATA_0),
    *_both("bvlcalexnet", _alexnet, _DATA_0, _HALF),
    _quantised("vgg16", _vgg, pictures("data", PICTURE), _QUARTER),
    Topology(
        "ResNet101-DUC", NPU, segmenter, pictures("data", (1, 3, _DUC_SIZE, _DUC_SIZE)),
        f"a picture of {_DUC_SIZE} by {_DUC_SIZE} in place of 800 by 800",
    ),
    _by_nncf("squeezenet1.0", partial(written.squeezenet, opset=13), _DATA_0),
    _by_nncf("shufflenet-v2", partial(shufflenet, opset=13), _SHUFFLENET),
    _by_nncf("googlenet", partial(from_zoo, name="inception_v1", seed=33, opset=13), _DATA_0),
)  # fmt: skip
