"""YOLO versions 4, 5 and 7, in the forms of their own exporters.

Version 4 comes from TensorFlow (channels last outside, shapes at run time), 5 and 7 from torch (batch norm folded);
7 ends in a selection of boxes inside the file, as its exporter's ``--end2end`` makes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.topologies.sketch import Sketch, info
from benchmarks.topologies.topology import pictures

CLASSES = 80
VALUES = 5 + CLASSES
SIZE = 320
ANCHORS = (
    ((12, 16), (19, 36), (40, 28)),
    ((36, 75), (76, 55), (72, 146)),
    ((142, 110), (192, 243), (459, 401)),
)
V5_ANCHORS = (((10, 13), (16, 30), (33, 23)), ((30, 61), (62, 45), (59, 119)), ((116, 90), (156, 198), (373, 326)))
STRIDES = (8, 16, 32)


def _head(s: Sketch, x: str) -> str:
    return s.conv(x, 3 * VALUES, 1, act="", norm=False)


def _doubled(s: Sketch, x: str, **more: Any) -> str:
    """Return `x` at twice the size, by nearest neighbours."""
    scales = s.constant([1.0, 1.0, 2.0, 2.0])
    roi = s.constant(np.zeros(0, np.float32))
    y = s.add("Resize", x, roi, scales, mode="nearest", nearest_mode="floor", **more)
    s.channels[y] = s.channels[x]
    return y


# Version 4


def _cross_stage(s: Sketch, x: str, width: int, blocks: int) -> str:
    """Return a stage of CSPDarknet: half of the channels go round the residual blocks."""
    x = s.conv(x, width, 3, 2, act="mish", same=True)
    first = blocks == 1
    inner = width if first else width // 2
    beside = s.conv(x, inner, 1, act="mish")
    x = s.conv(x, inner, 1, act="mish")
    for _ in range(blocks):
        branch = s.conv(x, width // 2, 1, act="mish")
        x = s.summed(x, s.conv(branch, inner, 3, act="mish", damped=0.4))
    return s.conv(s.joined(s.conv(x, inner, 1, act="mish"), beside), width, 1, act="mish")


def _alternating(s: Sketch, x: str, width: int, count: int) -> str:
    for i in range(count):
        x = s.conv(x, 2 * width if i % 2 else width, 3 if i % 2 else 1)
    return x


def v4(path: Path) -> None:
    """Write YOLO 4 at half width: Mish backbone, spatial pyramid, paths up and down, decoded grids."""
    s = Sketch(11, seed=5)
    x = s.add("Transpose", "input_1:0", perm=[0, 3, 1, 2])
    s.channels[x] = 3
    x = s.conv(x, 16, 3, act="mish", same=True)
    kept = []
    for width, blocks in ((32, 1), (64, 2), (128, 8), (256, 8), (512, 4)):
        x = _cross_stage(s, x, width, blocks)
        kept.append(x)
    x = _alternating(s, x, 256, 3)
    x = s.joined(*(s.pool(x, size, 1, same=True) for size in (13, 9, 5)), x)
    deep = _alternating(s, x, 256, 3)
    middle = s.joined(s.conv(kept[3], 128, 1), _doubled(s, s.conv(deep, 128, 1)))
    middle = _alternating(s, middle, 128, 5)
    fine = s.joined(s.conv(kept[2], 64, 1), _doubled(s, s.conv(middle, 64, 1)))
    fine = _alternating(s, fine, 64, 5)
    maps = [_head(s, s.conv(fine, 128, 3))]
    middle = _alternating(s, s.joined(s.conv(fine, 128, 3, 2, same=True), middle), 128, 5)
    maps.append(_head(s, s.conv(middle, 256, 3)))
    deep = _alternating(s, s.joined(s.conv(middle, 256, 3, 2, same=True), deep), 256, 5)
    maps.append(_head(s, s.conv(deep, 512, 3)))
    picture = [info("input_1:0", ["batch", SIZE, SIZE, 3])]
    s.level(maps, picture, pictures("input_1:0", (1, SIZE, SIZE, 3))(0))
    outputs = []
    for i, (x, scale) in enumerate(zip(maps, (1.2, 1.1, 1.05), strict=True)):
        name, cells = f"Identity{f'_{i}' if i else ''}:0", SIZE // STRIDES[i]
        _v4_decoded(s, x, i, scale, name)
        outputs.append(info(name, ["batch", cells, cells, 3, VALUES]))
    s.save(path, picture, outputs)


def _v4_decoded(s: Sketch, x: str, level: int, scale: float, output: str) -> None:
    """Decode one grid, its batch read at run time and its cells' corners tiled to it."""
    cells = SIZE // STRIDES[level]
    x = s.add("Transpose", x, perm=[0, 2, 3, 1])
    batch = s.add("Slice", s.add("Shape", x), s.constant([0]), s.constant([1]), s.constant([0]))
    x = s.add("Reshape", x, s.add("Concat", batch, s.constant([cells, cells, 3, VALUES]), axis=0))
    xy, wh, rest = s.many("Split", x, outputs=3, axis=4, split=[2, 2, 1 + CLASSES])
    corners = np.stack(np.meshgrid(np.arange(cells), np.arange(cells)), -1)[None, :, :, None].astype(np.float32)
    grid = s.add("Tile", s.constant(corners), s.add("Concat", batch, s.constant([1, 1, 3, 1]), axis=0))
    xy = s.add("Mul", s.add("Sigmoid", xy), s.constant(scale))
    xy = s.add("Add", s.add("Sub", xy, s.constant(0.5 * (scale - 1))), grid)
    xy = s.add("Mul", xy, s.constant(float(STRIDES[level])))
    wh = s.add("Mul", s.add("Exp", wh), s.constant(np.array(ANCHORS[level], np.float32)))
    s.add("Concat", xy, wh, s.add("Sigmoid", rest), axis=4, output=output)


# Version 5


def _silu(s: Sketch, x: str, width: int, size: int, stride: int = 1, **more: Any) -> str:
    return s.conv(x, width, size, stride, act="silu", norm=False, **more)


def _c3(s: Sketch, x: str, width: int, blocks: int, *, residual: bool = True) -> str:
    """Return three convolutions with bottlenecks on one of two ways."""
    beside = _silu(s, x, width // 2, 1)
    x = _silu(s, x, width // 2, 1)
    for _ in range(blocks):
        branch = _silu(s, _silu(s, x, width // 2, 1), width // 2, 3)
        x = s.summed(x, branch) if residual else branch
    return _silu(s, s.joined(x, beside), width, 1)


def v5(path: Path) -> None:
    """Write YOLO 5, its small form (v5s), with one output of all boxes."""
    s = Sketch(12, seed=6)
    s.channels["images"] = 3
    x = _silu(s, "images", 32, 6, 2, pads=[2, 2, 2, 2])
    kept = []
    for width, blocks in ((64, 1), (128, 2), (256, 3), (512, 1)):
        x = _c3(s, _silu(s, x, width, 3, 2), width, blocks)
        kept.append(x)
    x = _silu(s, x, 256, 1)
    pooled = [x]
    for _ in range(3):
        pooled.append(s.pool(pooled[-1], 5, 1))
    top = _silu(s, _silu(s, s.joined(*pooled), 512, 1), 256, 1)
    x = _c3(s, s.joined(_doubled(s, top, coordinate_transformation_mode="asymmetric"), kept[2]), 256, 1, residual=False)
    middle = _silu(s, x, 128, 1)
    up = _doubled(s, middle, coordinate_transformation_mode="asymmetric")
    found = [_c3(s, s.joined(up, kept[1]), 128, 1, residual=False)]
    for width, beside in ((256, middle), (512, top)):
        x = _silu(s, found[-1], width // 2, 3, 2)
        found.append(_c3(s, s.joined(x, beside), width, 1, residual=False))
    maps = [_head(s, x) for x in found]
    picture = [info("images", [1, 3, SIZE, SIZE])]
    s.level(maps, picture, pictures("images", (1, 3, SIZE, SIZE))(0))
    parts = [_decoded(s, x, i, V5_ANCHORS, split=True) for i, x in enumerate(maps)]
    s.add("Concat", *parts, axis=1, output="output0")
    s.save(path, picture, [info("output0", [1, _cells(), VALUES])])


def _cells() -> int:
    return sum(3 * (SIZE // stride) ** 2 for stride in STRIDES)


def _decoded(s: Sketch, x: str, level: int, anchors: Sequence[Sequence[tuple[int, int]]], *, split: bool) -> str:
    """Return the boxes of one map, [1, cells, 85]: centre and size in pixels; parted by Split or by Slices."""
    cells = SIZE // STRIDES[level]
    x = s.add("Reshape", x, s.constant([1, 3, VALUES, cells, cells]))
    x = s.add("Sigmoid", s.add("Transpose", x, perm=[0, 1, 3, 4, 2]))
    if split:
        xy, wh, rest = s.many("Split", x, outputs=3, axis=4, split=[2, 2, 1 + CLASSES])
    else:
        bounds = ((0, 2), (2, 4), (4, VALUES))
        xy, wh, rest = (
            s.add("Slice", x, s.constant([a]), s.constant([b]), s.constant([4]), s.constant([1])) for a, b in bounds
        )
    corners = np.stack(np.meshgrid(np.arange(cells), np.arange(cells)), -1)[None, None].astype(np.float32) - 0.5
    xy = s.add("Add", s.add("Mul", xy, s.constant(2.0)), s.constant(corners))
    xy = s.add("Mul", xy, s.constant(float(STRIDES[level])))
    sizes = np.array(anchors[level], np.float32)[None, :, None, None]
    wh = s.add("Mul", s.add("Pow", s.add("Mul", wh, s.constant(2.0)), s.constant(2.0)), s.constant(sizes))
    return s.add("Reshape", s.add("Concat", xy, wh, rest, axis=4), s.constant([1, -1, VALUES]))


# Version 7


def _elan(s: Sketch, x: str, inner: int, outward: int, act: str, *, count: int = 4, wide: bool = False) -> str:
    """Return an aggregation block: a chain of 3 × 3, of which every second (all, if `wide`) is kept and joined."""
    first, second = s.conv(x, inner, 1, act=act, norm=False), s.conv(x, inner, 1, act=act, norm=False)
    chain = [second]
    for _ in range(count):
        chain.append(s.conv(chain[-1], inner // 2 if wide else inner, 3, act=act, norm=False))
    kept = chain[::-1] if wide or count == 2 else chain[::-2]
    return s.conv(s.joined(*kept, first), outward, 1, act=act, norm=False)


def _halved(s: Sketch, x: str, width: int, *beside: str) -> str:
    """Return a max pool and a strided convolution side by side."""
    pooled = s.conv(s.pool(x, 2, 2), width, 1, act="silu", norm=False)
    strided = s.conv(s.conv(x, width, 1, act="silu", norm=False), width, 3, 2, act="silu", norm=False)
    return s.joined(strided, pooled, *beside)


def _pyramid(s: Sketch, x: str, width: int) -> str:
    """Return spatial pyramid pooling across stages."""
    y = _silu(s, _silu(s, _silu(s, x, width, 1), width, 3), width, 1)
    y = s.joined(y, *(s.pool(y, size, 1) for size in (5, 9, 13)))
    y = _silu(s, _silu(s, y, width, 1), width, 3)
    return _silu(s, s.joined(y, _silu(s, x, width, 1)), width, 1)


def v7(path: Path) -> None:
    """Write YOLO 7 at half width, with its selection of boxes."""
    s = Sketch(12, seed=7)
    s.channels["images"] = 3
    x = _silu(s, _silu(s, _silu(s, "images", 16, 3), 32, 3, 2), 32, 3)
    x = _elan(s, _silu(s, x, 64, 3, 2), 32, 128, "silu")
    kept = []
    for width, inner, outward in ((64, 64, 256), (128, 128, 512), (256, 128, 512)):
        x = _elan(s, _halved(s, x, width), inner, outward, "silu")
        kept.append(x)
    top = _pyramid(s, x, 256)

    def joined(x: str, beside: str, width: int) -> str:
        up = _doubled(s, _silu(s, x, width, 1), coordinate_transformation_mode="asymmetric")
        return _elan(s, s.joined(_silu(s, beside, width, 1), up), 2 * width, width, "silu", wide=True)

    middle = joined(top, kept[1], 128)
    fine = joined(middle, kept[0], 64)
    lower = _elan(s, _halved(s, fine, 64, middle), 256 // 2, 128, "silu", wide=True)
    deep = _elan(s, _halved(s, lower, 128, top), 256, 256, "silu", wide=True)
    maps = [_head(s, _silu(s, x, width, 3)) for x, width in ((fine, 128), (lower, 256), (deep, 512))]
    picture = [info("images", [1, 3, SIZE, SIZE])]
    s.level(maps, picture, pictures("images", (1, 3, SIZE, SIZE))(0))
    found = s.add("Concat", *(_decoded(s, x, i, ANCHORS, split=False) for i, x in enumerate(maps)), axis=1)
    _selected(s, found)
    s.save(path, picture, [info("output", ["boxes", 7])])


def _selected(s: Sketch, found: str) -> None:
    """Add the selection: rows of picture, corners, class and score, boxes of different classes moved apart."""

    def columns(x: str, start: int, stop: int) -> str:
        return s.add("Slice", x, s.constant([start]), s.constant([stop]), s.constant([-1]))

    to_corners = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]], np.float32)
    boxes = s.add("MatMul", columns(found, 0, 4), s.constant(to_corners))
    scores = s.add("Mul", columns(found, 5, VALUES), columns(found, 4, 5))
    best = s.add("ReduceMax", scores, axes=[2], keepdims=1)
    kind = s.add("Cast", s.add("ArgMax", scores, axis=2, keepdims=1), to=1)
    moved = s.add("Add", boxes, s.add("Mul", kind, s.constant(640.0)))
    limits = (s.constant([30]), s.constant([0.45]), s.constant([0.25]))
    picked = s.add("NonMaxSuppression", moved, s.add("Transpose", best, perm=[0, 2, 1]), *limits)
    picture, index = (s.add("Gather", picked, s.constant([column]), axis=1) for column in (0, 2))
    where = s.add("Concat", picture, index, axis=1)
    rows = [s.add("GatherND", value, where) for value in (boxes, kind, best)]
    s.add("Concat", s.add("Cast", picture, to=1), rows[0], rows[1], rows[2], axis=1, output="output")


def tiny_v7(path: Path) -> None:
    """Write tiny YOLO 7 with its three maps decoded by themselves."""
    s = Sketch(12, seed=8)
    s.channels["images"] = 3

    def conv(x: str, width: int, size: int, stride: int = 1) -> str:
        return s.conv(x, width, size, stride, norm=False)

    def block(x: str, inner: int) -> str:
        return _elan(s, x, inner, 2 * inner, "LeakyRelu", count=2)

    x = block(conv(conv("images", 32, 3, 2), 64, 3, 2), 32)
    kept = []
    for inner in (64, 128, 256):
        x = block(s.pool(x, 2, 2), inner)
        kept.append(x)
    beside, y = conv(x, 256, 1), conv(x, 256, 1)
    pooled = s.joined(*(s.pool(y, size, 1) for size in (13, 9, 5)), y)
    top = conv(s.joined(conv(pooled, 256, 1), beside), 256, 1)

    def joined(x: str, beside: str, width: int) -> str:
        up = _doubled(s, conv(x, width, 1), coordinate_transformation_mode="asymmetric")
        return block(s.joined(conv(beside, width, 1), up), width // 2)

    middle = joined(top, kept[1], 128)
    fine = joined(middle, kept[0], 64)
    lower = block(s.joined(conv(fine, 128, 3, 2), middle), 64)
    deep = block(s.joined(conv(lower, 256, 3, 2), top), 128)
    maps = [_head(s, conv(x, width, 3)) for x, width in ((fine, 128), (lower, 256), (deep, 512))]
    picture = [info("images", [1, 3, SIZE, SIZE])]
    s.level(maps, picture, pictures("images", (1, 3, SIZE, SIZE))(0))
    outputs = []
    for i, x in enumerate(maps):
        name, cells = f"output{i}", SIZE // STRIDES[i]
        s.add("Identity", _decoded(s, x, i, ANCHORS, split=False), output=name)
        outputs.append(info(name, [1, 3 * cells * cells, VALUES]))
    s.save(path, picture, outputs)
