"""Networks that find objects."""

from __future__ import annotations

from functools import partial

from benchmarks.topologies import region, yolo, yolo_later
from benchmarks.topologies.topology import DETECTION, Topology, pictures

PICTURE = pictures("images", (1, 3, 320, 320))

TOPOLOGIES = (
    Topology("tiny_yolov2", DETECTION, yolo.tiny_v2, pictures("image", (1, 3, 416, 416), 64.0)),
    Topology("yolov3", DETECTION, yolo.v3, yolo.v3_feeds, "half width, 256 × 320", selects=True),
    Topology("tiny_yolov3", DETECTION, yolo.tiny_v3, yolo.v3_feeds, "256 × 320", selects=True),
    Topology(
        "mask_rcnn",
        DETECTION,
        partial(region.build, masks=True),
        region.FEEDS,
        "torchvision's, 224 × 256",
        selects=True,
    ),
    Topology(
        "faster_rcnn",
        DETECTION,
        partial(region.build, masks=False),
        region.FEEDS,
        "torchvision's, 224 × 256",
        selects=True,
    ),
    Topology("yolov4", DETECTION, yolo_later.v4, pictures("input_1:0", (1, 320, 320, 3)), "half width, 320 × 320"),
    Topology("yolov5", DETECTION, yolo_later.v5, PICTURE, "YOLOv5s, 320 × 320"),
    Topology("yolov7", DETECTION, yolo_later.v7, PICTURE, "half width, 320 × 320, boxes selected", selects=True),
    Topology("tiny_yolov7", DETECTION, yolo_later.tiny_v7, PICTURE, "320 × 320"),
)
