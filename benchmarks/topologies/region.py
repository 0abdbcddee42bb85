"""Faster R-CNN and Mask R-CNN: proposals, RoI alignment over a pyramid, selection per class; torchvision's, whole.

Such a file is what partitioners fear: hundreds of small integer nodes between the network's halves, shapes that only a
run shows, NonZero, TopK, NonMaxSuppression, and loops over pictures.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.topologies.exporting import export, seeded
from benchmarks.topologies.topology import pictures
from benchmarks.topologies.vision import torchvision

SIZE = (224, 256)
FEEDS = pictures("image", (3, *SIZE))
SPREADS = {
    "head.bbox_pred": 0.3, "head.cls_logits": 2.0, "box_predictor.cls_score": 2.0, "box_predictor.bbox_pred": 1.0,
    "mask_fcn_logits": 2.0,
}  # fmt: skip
"""Endings of heads' names → the spread of what they give."""
BOXES = {"boxes": {0: "found"}, "labels": {0: "found"}, "scores": {0: "found"}}


def _detector(masks: bool) -> Any:
    """Return the detector with seeded weights, its heads spread so that some boxes are surer than others."""
    import torch

    zoo = torchvision().models.detection
    make = zoo.maskrcnn_resnet50_fpn if masks else zoo.fasterrcnn_resnet50_fpn
    model = make(
        weights=None, weights_backbone=None, min_size=SIZE[0], max_size=SIZE[1], box_detections_per_img=20,
        rpn_pre_nms_top_n_test=60, rpn_post_nms_top_n_test=40, box_score_thresh=0.1,
    )  # fmt: skip
    seeded(model, 9)
    with torch.no_grad():
        for name, part in model.named_modules():
            if name.endswith("bn3") or ".downsample.1" in name:
                part.weight.mul_(0.5)
        _level(model)
    return model


def _level(model: Any) -> None:
    """Scale the heads by what they give on one picture, so that they neither vanish nor saturate."""
    import torch

    hooks: list[Any] = []
    levelled: set[int] = set()

    def scale(wanted: float, part: Any, _: Any, found: Any) -> Any:
        if id(part) in levelled:
            return None
        levelled.add(id(part))
        factor = wanted / found.std()
        part.weight.mul_(factor)
        part.bias.mul_(factor)
        return found * factor

    for name, part in model.named_modules():
        wanted = next((spread for ending, spread in SPREADS.items() if name.endswith(ending)), None)
        if wanted is not None:
            hooks.append(part.register_forward_hook(partial(scale, wanted)))
    model([torch.from_numpy(FEEDS(0)["image"])])
    for hook in hooks:
        hook.remove()


def build(path: Path, *, masks: bool) -> None:
    """Write the detector; `masks` adds the head that outlines what was found."""
    import torch

    model = _detector(masks)
    import_module("torchvision.ops._register_onnx_ops")._register_custom_op()

    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, image: Any) -> Any:
            (found,) = self.model([image])
            rest = (found["masks"],) if masks else ()
            return found["boxes"], found["labels"], found["scores"], *rest

    outputs = [*BOXES, *(["masks"] if masks else [])]
    axes = {name: {0: "found"} for name in outputs}
    image = torch.from_numpy(FEEDS(0)["image"])
    export(Flat(), (image,), path, opset=11, inputs=["image"], outputs=outputs, dynamic=axes)
