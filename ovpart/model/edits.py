"""What a user changes about a model while it is read: values of initializers, where files lie."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ovpart.errors import OvpartWarning

if TYPE_CHECKING:
    import numpy as np
    import onnx


@dataclass(frozen=True, slots=True)
class Edits:
    """Changes to a model that is about to be read.

    Attributes
    ----------
    initializers : mapping of str to numpy.ndarray
        Values that take the place of initializers.
    files : mapping of str to bytes
        Contents of external data files, by the location that the model gives.
    folder : Path or None
        Where other external data lies; by default the folder of the file.
    """

    initializers: Mapping[str, np.ndarray] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    folder: Path | None = None

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.initializers or self.files or self.folder is not None)

    def digest(self) -> bytes:
        """Return a hash of what makes another model of it."""
        import hashlib

        digest = hashlib.blake2b()
        for name, array in sorted(self.initializers.items()):
            digest.update(f"{name}{array.dtype}{array.shape}".encode())
            digest.update(array.tobytes())
        for name, data in sorted(self.files.items()):
            digest.update(name.encode() + data)
        return digest.digest()


NO_EDITS = Edits()


def edit(proto: onnx.ModelProto, edits: Edits) -> None:
    """Change a skeleton that was just made.

    Warns
    -----
    OvpartWarning
        For an initializer that the model does not have.
    """
    from onnx import numpy_helper

    missing = dict(edits.initializers)
    for tensor in proto.graph.initializer:
        array = missing.pop(tensor.name, None)
        if array is not None:
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for name in missing:
        message = f"the model has no initializer {name!r}: the value given for it has no effect"
        warnings.warn(message, OvpartWarning, stacklevel=2)
