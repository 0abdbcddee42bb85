"""The networks that the provider's documents list (releases of 2022 and of 2025, both), in their spelling and order."""

from __future__ import annotations

from benchmarks.topologies.topology import CLASSIFICATION, DETECTION, LANGUAGE, MANIPULATION, NPU, RECOGNITION

LISTED: dict[str, tuple[str, ...]] = {
    CLASSIFICATION: (
        "bvlc_alexnet", "bvlc_googlenet", "bvlc_reference_caffenet", "bvlc_reference_rcnn_ilsvrc13", "emotion ferplus",
        "densenet121", "inception_v1", "inception_v2", "mobilenetv2", "resnet18v1", "resnet34v1", "resnet101v1",
        "resnet152v1", "resnet18v2", "resnet34v2", "resnet101v2", "resnet152v2", "resnet50", "resnet50v2", "shufflenet",
        "squeezenet1.1", "vgg19", "vgg16", "zfnet512", "mxnet_arcface",
    ),
    RECOGNITION: ("mnist",),
    DETECTION: (
        "tiny_yolov2", "yolov3", "tiny_yolov3", "mask_rcnn", "faster_rcnn", "yolov4", "yolov5", "yolov7", "tiny_yolov7",
    ),
    MANIPULATION: ("mosaic", "candy", "cgan", "rain_princess", "pointilism", "udnie"),
    LANGUAGE: (
        "bert-squad", "bert-base-cased", "bert-base-chinese", "bert-base-japanese-char", "bert-base-multilingual-cased",
        "bert-base-uncased", "distilbert-base-cased", "distilbert-base-multilingual-cased", "distilbert-base-uncased",
        "distilbert-base-uncased-finetuned-sst-2-english", "gpt2", "roberta-base", "roberta-base-squad2", "t5-base",
        "twitter-roberta-base-sentiment", "xlm-roberta-base",
    ),
    NPU: (
        "yolov3", "microsoft_resnet-50", "realesrgan-x4", "timm_inception_v4.tf_in1k", "squeezenet1.0-qdq", "vgg16",
        "caffenet-qdq", "zfnet512", "shufflenet-v2", "zfnet512-qdq", "googlenet", "googlenet-qdq", "caffenet",
        "bvlcalexnet-qdq", "vgg16-qdq", "mnist", "ResNet101-DUC", "shufflenet-v2-qdq", "bvlcalexnet", "squeezenet1.0",
    ),
}  # fmt: skip
"""Group → names. A name in two groups is one network."""
