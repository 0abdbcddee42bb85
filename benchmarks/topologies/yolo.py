"""YOLO version 2 (tiny), 3 and 3 tiny, in the forms of the zoo: those that Keras' and CoreML's converters wrote.

Version 3 carries what such files are feared for: grids made by loops (opset 10 has no Range), shapes read at run time,
boxes selected by NonMaxSuppression, and open image sizes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.topologies.sketch import Sketch, info
from benchmarks.topologies.topology import Array

ANCHORS = ((116, 90), (156, 198), (373, 326)), ((30, 61), (62, 45), (59, 119)), ((10, 13), (16, 30), (33, 23))
TINY_ANCHORS = ((81, 82), (135, 169), (344, 319)), ((10, 14), (23, 27), (37, 58))
CLASSES = 80
SCORES = "scores"
THRESHOLD = 0.6


def tiny_v2(path: Path) -> None:
    """Write tiny YOLO 2: scaled picture in, 13 × 13 cells of 125 out, nothing decoded."""
    s = Sketch(8)
    x = s.add("Mul", "image", s.constant(np.full((1, 1, 1), 1 / 64, np.float32)))
    x = s.add("Add", x, s.constant(np.zeros((3, 1, 1), np.float32)))
    s.channels[x] = 3
    for i, width in enumerate((16, 32, 64, 128, 256, 512)):
        x = s.pool(s.conv(x, width, 3, same=True), 2, 1 if i == 5 else 2, same=True)
    x = s.conv(s.conv(x, 1024, 3, same=True), 1024, 3, same=True)
    grid = s.conv(x, 125, 1, act="", norm=False, same=True)
    s.add("Identity", grid, output="grid")
    s.save(path, [info("image", [None, 3, 416, 416])], [info("grid", [None, 125, 13, 13])])


def v3(path: Path) -> None:
    """Write YOLO 3 at half width: Darknet-53 and three scales."""
    s = Sketch(10, seed=3)
    s.channels["input_1"] = 3
    x = s.conv("input_1", 16, 3)
    kept = []
    for width, blocks in ((32, 1), (64, 2), (128, 8), (256, 8), (512, 4)):
        x = s.conv(x, width, 3, 2, pads=[1, 1, 0, 0])
        for _ in range(blocks):
            x = s.summed(x, s.conv(s.conv(x, width // 2, 1), width, 3, damped=0.4))
        kept.append(x)
    maps = []
    for i, width in enumerate((256, 128, 64)):
        if i:
            x = s.joined(_upsampled(s, s.conv(x, width, 1)), kept[-1 - i])
        for _ in range(2):
            x = s.conv(s.conv(x, width, 1), 2 * width, 3)
        x = s.conv(x, width, 1)
        maps.append(s.conv(s.conv(x, 2 * width, 3), 3 * (5 + CLASSES), 1, act="", norm=False))
    _finish(s, maps, ANCHORS, path)


def tiny_v3(path: Path) -> None:
    """Write tiny YOLO 3."""
    s = Sketch(11, seed=4)
    s.channels["input_1"] = 3
    x = "input_1"
    for width in (16, 32, 64, 128):
        x = s.pool(s.conv(x, width, 3), 2, 2, same=True)
    route = s.conv(x, 256, 3)
    x = s.pool(s.conv(s.pool(route, 2, 2, same=True), 512, 3), 2, 1, same=True)
    x = s.conv(s.conv(x, 1024, 3), 256, 1)
    out = 3 * (5 + CLASSES)
    coarse = s.conv(s.conv(x, 512, 3), out, 1, act="", norm=False)
    fine = s.conv(s.joined(_upsampled(s, s.conv(x, 128, 1)), route), 256, 3)
    _finish(s, [coarse, s.conv(fine, out, 1, act="", norm=False)], TINY_ANCHORS, path)


def _upsampled(s: Sketch, x: str) -> str:
    scales = s.constant([1.0, 1.0, 2.0, 2.0])
    roi = () if s.opset < 11 else (s.constant(np.zeros(0, np.float32)),)
    more = {} if s.opset < 11 else {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    y = s.add("Resize", x, *roi, scales, mode="nearest", **more)
    s.channels[y] = s.channels[x]
    return y


def _size(s: Sketch, x: str, axis: int) -> str:
    """Return a dimension as an int64 of shape [1], in the words of a TensorFlow converter."""
    shape = s.add("Cast", s.add("Shape", x), to=6)
    part = s.add("Slice", shape, s.constant([axis]), s.constant([axis + 1]), s.constant([0]))
    return s.add("Cast", part, to=7)


def _counted(s: Sketch, count: str) -> str:
    """Return 0, 1, … below `count` (an int64 of shape [1]) by a loop that hands out its own counter."""
    from onnx import TensorProto, helper

    index = helper.make_tensor_value_info("i", TensorProto.INT64, [])
    going = helper.make_tensor_value_info("going", TensorProto.BOOL, [])
    state = helper.make_tensor_value_info("state", TensorProto.FLOAT, [])
    name = s.name("count")
    nodes = [
        helper.make_node("Identity", ["going"], [f"{name}_going"]),
        helper.make_node("Add", ["state", f"{name}_one"], [f"{name}_next"]),
        helper.make_node("Identity", ["state"], [f"{name}_out"]),
    ]
    one = helper.make_tensor(f"{name}_one", TensorProto.FLOAT, [], [1.0])
    outputs = [
        helper.make_tensor_value_info(f"{name}_going", TensorProto.BOOL, []),
        helper.make_tensor_value_info(f"{name}_next", TensorProto.FLOAT, []),
        helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, []),
    ]
    body = helper.make_graph(nodes, name, [index, going, state], outputs, [one])
    trips = s.add("Squeeze", count, axes=[0])
    return s.many("Loop", trips, s.constant(True), s.constant(0.0), outputs=2, body=body)[1]


def _grid(s: Sketch, rows: str, columns: str) -> str:
    """Return the cells' corners, float32 of shape [rows, columns, 1, 2]: x before y."""
    one = s.constant([1])
    down = s.add("Reshape", _counted(s, rows), s.constant([-1, 1, 1, 1]))
    across = s.add("Reshape", _counted(s, columns), s.constant([1, -1, 1, 1]))
    down = s.add("Tile", down, s.add("Concat", one, columns, one, one, axis=0))
    across = s.add("Tile", across, s.add("Concat", rows, one, one, one, axis=0))
    return s.add("Concat", across, down, axis=3)


def _decoded(s: Sketch, x: str, anchors: tuple[tuple[int, int], ...]) -> tuple[str, str]:
    """Return boxes [1, cells, 4] in the picture that was given (top, left, bottom, right), scores [1, cells, 80]."""
    rows, columns = _size(s, x, 2), _size(s, x, 3)
    x = s.add("Transpose", x, perm=[0, 2, 3, 1])
    shape = s.add("Concat", s.constant([-1]), rows, columns, s.constant([len(anchors), 5 + CLASSES]), axis=0)
    x = s.add("Reshape", x, shape)

    def part(start: int, stop: int) -> str:
        return s.add("Slice", x, s.constant([start]), s.constant([stop]), s.constant([4]))

    cells = s.add("Cast", s.add("Concat", columns, rows, axis=0), to=1)
    centre = s.add("Div", s.add("Add", s.add("Sigmoid", part(0, 2)), _grid(s, rows, columns)), cells)
    picture = s.add("Cast", s.add("Concat", _size(s, "input_1", 3), _size(s, "input_1", 2), axis=0), to=1)
    size = s.add("Mul", s.add("Exp", part(2, 4)), s.constant(np.array(anchors, np.float32)[None, None, None]))
    size = s.add("Div", size, picture)
    flipped = [s.add("Gather", value, s.constant([1, 0]), axis=4) for value in (centre, size)]
    half = s.add("Mul", flipped[1], s.constant(0.5))
    scale = s.add("Reshape", "image_shape", s.constant([1, 1, 1, 1, 2]))
    corners = [s.add("Mul", s.add(op, flipped[0], half), scale) for op in ("Sub", "Add")]
    boxes = s.add("Reshape", s.add("Concat", *corners, axis=4), s.constant([1, -1, 4]))
    scores = s.add("Mul", s.add("Sigmoid", part(4, 5)), s.add("Sigmoid", part(5, 5 + CLASSES)))
    return boxes, s.add("Reshape", scores, s.constant([1, -1, CLASSES]))


def _finish(s: Sketch, maps: list[str], anchors: tuple[tuple[tuple[int, int], ...], ...], path: Path) -> None:
    """Decode the maps, select boxes and write the model."""
    picture = [info("input_1", [1, 3, "height", "width"])]
    s.level(maps, picture, {"input_1": v3_feeds(0)["input_1"]})
    found = [_decoded(s, x, boxes) for x, boxes in zip(maps, anchors, strict=True)]
    boxes = s.add("Concat", *(box for box, _ in found), axis=1, output="boxes")
    scores = s.add("Transpose", s.add("Concat", *(score for _, score in found), axis=1), perm=[0, 2, 1], output=SCORES)
    limits = (s.constant([20]), s.constant([0.5]), s.constant([THRESHOLD]))
    picked = s.add("NonMaxSuppression", boxes, scores, *limits)
    s.add("Cast", picked, to=6, output="indices")
    inputs = [*picture, info("image_shape", [1, 2])]
    outputs = [
        info("boxes", [1, "cells", 4]),
        info(SCORES, [1, CLASSES, "cells"]),
        info("indices", ["boxes", 3], "INT32"),
    ]
    s.save(path, inputs, outputs)


def v3_feeds(seed: int) -> dict[str, Array]:
    """Return a picture of 256 × 320 or of 320 × 256, by the seed, and the size of what it was made from."""
    from benchmarks.topologies.topology import pictures

    height, width = (256, 320) if seed % 2 == 0 else (320, 256)
    picture = pictures("input_1", (1, 3, height, width))(seed)
    return {**picture, "image_shape": np.array([[2 * height, 2 * width]], np.float32)}
