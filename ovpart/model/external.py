"""External data: which byte range of which file a tensor refers to, and whether it may.

A model is untrusted input. Its external data may lie in the model's own folder and below it, and nowhere else, symbolic
links followed; only regular files are opened, so that no pipe or device can make the reader wait.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ovpart.errors import ModelError
from ovpart.model.validate import check_text
from ovpart.model.weights import writeable

if TYPE_CHECKING:
    import numpy as np
    import onnx

MEMORY_TAG = "_ORT_MEM_ADDR_"
"""Marks an address in this process's memory as "location" (onnxruntime): never followed."""


OpenFile = Callable[[str, str], "np.ndarray"]
"""Called with a path and the subject of error messages; returns the file mapped (:func:`map_file`)."""
NO_CONTENTS: Mapping[str, bytes] = {}


class Files:
    """The external files of one model, each mapped once.

    Parameters
    ----------
    folder : Path or None
        The model's folder; ``None`` for models that come from memory, which have no place to look at.
    contents : mapping of str to bytes
        What stands in the files of some locations: those are not looked for.
    open_file : callable, optional
        Maps a file; by default each model has maps of its own.
    """

    def __init__(
        self, folder: Path | None, contents: Mapping[str, bytes] = NO_CONTENTS, open_file: OpenFile | None = None
    ) -> None:
        self.folder = folder
        self._open_file = open_file or map_file
        self._contents = {location: writeable(data) for location, data in contents.items()}
        self._maps: dict[str, np.ndarray] = {}

    def locate(self, tensor: onnx.TensorProto, nbytes: int) -> tuple[np.ndarray, int]:
        """Return the mapped file and the offset at which a tensor's data lies.

        Parameters
        ----------
        tensor : onnx.TensorProto
            With ``data_location`` EXTERNAL.
        nbytes : int
            How many bytes its dims and dtype ask for.

        Raises
        ------
        ModelError
            Where the location is empty, absolute, a memory address, outside of the folder, missing or no regular file;
            where offset or length is no number, negative, past the end, or not what the dims ask for.
        """
        entries = {e.key: e.value for e in tensor.external_data}
        if len(entries) < len(tensor.external_data):
            # Readers may follow different ones, so that what is checked would not be what is read.
            raise ModelError(f"the external data of tensor {tensor.name!r} says twice what its location or place is")
        check_text((*entries, *entries.values()), f"the external data of tensor {tensor.name!r}")
        location = entries.get("location", "")
        subject = f"the external data of tensor {tensor.name!r} (location {location!r})"
        if MEMORY_TAG in location:
            raise ModelError(
                f"{subject} is a memory address ({MEMORY_TAG}): no model from outside may refer to memory. "
                "Save the model with its weights in a file."
            )
        offset = _number(entries, "offset", subject) or 0
        length = _number(entries, "length", subject)
        # Writers leave the length out, or write 0, to mean all that the dims ask for.
        if length and length != nbytes:
            raise ModelError(f"{subject} has length {length}, but its dims and type take {nbytes} bytes")
        mapped = self._open(location, subject)
        if offset + nbytes > mapped.size:
            raise ModelError(
                f"{subject} needs bytes {offset} to {offset + nbytes}, but the file has {mapped.size} bytes: "
                "it is incomplete, or belongs to another model"
            )
        return mapped, offset

    def _open(self, location: str, subject: str) -> np.ndarray:
        if location in self._contents:
            return self._contents[location]
        if not location or "\0" in location:
            raise ModelError(f"{subject} names no file")
        if os.path.isabs(location) or location[0] in "/\\" or location[1:2] == ":":
            raise ModelError(f"{subject} is an absolute path; only files in the model's own folder are read")
        if self.folder is None:
            raise ModelError(
                f"{subject} cannot be found: a model given as bytes or ModelProto has no folder. "
                "Pass the path of the .onnx file, or load the data first (onnx.load does)."
            )
        root = os.path.realpath(self.folder)
        path = os.path.realpath(os.path.join(root, location))
        if os.path.commonpath([root, path]) != root:
            raise ModelError(
                f"{subject} leads out of the model's folder, to {path!r}; only files inside of {root!r} are read. "
                "Copy the file there if you trust it."
            )
        if path not in self._maps:
            self._maps[path] = self._open_file(path, subject)
        return self._maps[path]


def map_file(path: str, subject: str) -> np.ndarray:
    """Map a regular file as ``uint8``, copy on write: views of it are writeable, and the file never changes.

    Raises
    ------
    ModelError
        Where it is missing, not readable, a folder, a pipe or a device; the message begins with `subject`.
    """
    import numpy as np

    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ModelError(f"{subject} is no regular file: {path!r}")
        # A map keeps the name of a file opened by name; onnxruntime takes weights from a named file without a copy.
        file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115  (closed below; only the opening is guarded here)
    except FileNotFoundError:
        raise ModelError(f"{subject} does not exist: {path!r}") from None
    except OSError as error:
        raise ModelError(f"{subject} cannot be opened: {error.strerror or error} ({path!r})") from error
    with file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{subject} is no regular file: {path!r}")
        if status.st_size == 0:
            return np.empty(0, dtype=np.uint8)
        return np.memmap(file, dtype=np.uint8, mode="c")


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting for the other end, should a pipe stand there by now."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _number(entries: Mapping[str, str], key: str, subject: str) -> int | None:
    text = entries.get(key)
    if text is None or text == "":
        return None
    if not (text.isascii() and text.lstrip("-").isdigit()) or len(text) > 20:
        raise ModelError(f"{subject} has {key} {text!r}, which is no number")
    value = int(text)
    if value < 0:
        raise ModelError(f"{subject} has a negative {key}: {value}")
    return value
