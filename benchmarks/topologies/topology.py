"""What a topology is: how it is built and fed, and where its file lies."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

CLASSIFICATION = "Image classification"
RECOGNITION = "Image recognition"
DETECTION = "Object detection"
MANIPULATION = "Image manipulation"
LANGUAGE = "Language"
NPU = "NPU"
KINDS = "Generated kinds"
GROUPS = (CLASSIFICATION, RECOGNITION, DETECTION, MANIPULATION, LANGUAGE, NPU, KINDS)
"""In the order of the page."""


@dataclass(frozen=True, slots=True)
class Topology:
    """One network of the documents.

    Attributes
    ----------
    name : str
        As the documents spell it.
    group : str
        One of :data:`GROUPS`.
    build : callable
        Writes the model to a path that it is given (its folder is there), with seeded random weights; runs where torch
        is installed. Files beside the path (external data, a float model on the way) are its own affair.
    inputs : callable
        Seed → feeds by name; numpy only.
    note : str
        What differs from the original (width, input size), in a few words; empty where nothing does.
    selects : bool
        Whether the outputs are a selection (boxes by score), of which a different but equally good one may be shorter
        or in another order where two candidates are equal up to rounding.
    """

    name: str
    group: str
    build: Callable[[Path], None]
    inputs: Callable[[int], dict[str, Array]]
    note: str = ""
    selects: bool = False


def folder() -> Path:
    """Return the folder of the built files: OVPART_TOPOLOGIES, or one in the user's cache."""
    named = os.environ.get("OVPART_TOPOLOGIES")
    return Path(named) if named else Path.home() / ".cache" / "ovpart-topologies"


def model_path(name: str) -> Path:
    """Return where a topology's model lies once it is built."""
    return folder() / name.replace("/", "_") / "model.onnx"


def floats(seed: int, **shapes: tuple[int, ...]) -> dict[str, Array]:
    """Return float32 feeds by name, normally distributed: what a picture is once its mean is taken off."""
    generator = np.random.default_rng(seed)
    return {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def pictures(name: str, shape: tuple[int, ...], scale: float = 1.0) -> Callable[[int], dict[str, Array]]:
    """Return the ``inputs`` of a network that reads one picture: smooth float32 fields of unit spread times `scale`.

    Smooth, because max pools and strides over white noise leave little of it after some layers.
    """

    def feeds(seed: int) -> dict[str, Array]:
        generator = np.random.default_rng(seed)
        picture = generator.standard_normal(shape)
        for axis in (-1, -2):
            picture = (picture + np.roll(picture, 1, axis) + np.roll(picture, 2, axis)) / np.sqrt(3)
        return {name: (picture * scale).astype(np.float32)}

    return feeds
