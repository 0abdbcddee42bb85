"""torchvision, also where its compiled operators do not fit the torch that is installed.

A torchvision built for another torch cannot be imported: its operators are missing. What tracing a detector needs of
them, non-maximum suppression and RoI alignment, is defined here in torch; transformers and timm only need the import.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any
from unittest import mock

NMS = "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
ALIGN = (
    "roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, "
    "int sampling_ratio, bool aligned) -> Tensor"
)

_KEPT: list[Any] = []
"""The library of operators: they vanish with it."""


def torchvision() -> Any:
    """Return torchvision, with stand-ins for its compiled operators where those are missing."""
    try:
        import torchvision as module
    except RuntimeError:
        _define()
        with mock.patch("torch.library.register_fake", return_value=lambda function: function):
            import torchvision as module
        for part in ("torchvision.extension", "torchvision.ops.roi_align"):
            stubbed: Any = import_module(part)
            stubbed._has_ops = _has_operators
    return module


def _has_operators() -> bool:
    """Stand for torchvision's own question, in a form that TorchScript compiles."""
    return True


def _define() -> None:
    import sys

    import torch

    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    library.define(NMS)
    library.define(ALIGN)
    library.impl("nms", _nms, "CPU")
    library.impl("roi_align", _align, "CPU")
    _KEPT.append(library)


def _nms(boxes: Any, scores: Any, threshold: float) -> Any:
    """Return the kept boxes' indices, best first."""
    import torch
    from torchvision.ops import box_iou

    overlaps, kept = box_iou(boxes, boxes), []
    alive = torch.ones(len(boxes), dtype=torch.bool)
    for i in scores.argsort(descending=True).tolist():
        if alive[i]:
            kept.append(i)
            alive &= overlaps[i] <= threshold
    return torch.tensor(kept, dtype=torch.int64)


def _align(x: Any, rois: Any, scale: float, height: int, width: int, ratio: int, aligned: bool) -> Any:
    kernel = import_module("torchvision.ops.roi_align")._roi_align
    return getattr(kernel, "__wrapped__", kernel)(x, rois, scale, height, width, ratio, aligned)
