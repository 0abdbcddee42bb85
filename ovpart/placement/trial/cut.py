"""A cut on its way to another process: weights that lie in a file go as a place in it, all others through a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ovpart.backend.base import Array, Cut, Port
from ovpart.model.types import dtype_of_array, numpy_dtype

_ALIGNMENT = 64  # bytes; what vector instructions of today want at most


@dataclass(frozen=True, slots=True)
class Place:
    """Where a constant lies.

    Attributes
    ----------
    path : str
        The file.
    offset : int
        Byte in the file at which it begins.
    dtype : str
        Short dtype name.
    shape : tuple of int
        Dims.
    """

    path: str
    offset: int
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PackedCut:
    """A :class:`ovpart.backend.base.Cut` that can be pickled, its large constants left where they are.

    Attributes
    ----------
    proto : bytes
        The skeleton.
    inputs, outputs, node_names : tuple
        As in the cut.
    places : mapping of str to Place
        Large constants that lie in files.
    loose : mapping of str to array
        Those that cannot: strings.
    """

    proto: bytes
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    node_names: tuple[str, ...]
    places: Mapping[str, Place]
    loose: Mapping[str, Array]


def pack(cut: Cut, folder: Path) -> PackedCut:
    """Make a cut ready to be sent.

    Parameters
    ----------
    cut : Cut
        The cut.
    folder : Path
        Where constants that lie in no file are written to; it must be there as long as the cut is used.
    """
    places: dict[str, Place] = {}
    loose: dict[str, Array] = {}
    homeless: list[str] = []
    for name, array in cut.weights.items():
        found = None if array.dtype == object else _place_of(array)
        if array.dtype == object:
            loose[name] = array
        elif found is None:
            homeless.append(name)
        else:
            places[name] = found
    if homeless:
        path = folder / f"weights-{len(list(folder.iterdir()))}.bin"
        with path.open("wb") as file:
            for name in homeless:
                array = cut.weights[name]
                file.write(b"\0" * (-file.tell() % _ALIGNMENT))
                places[name] = Place(str(path), file.tell(), dtype_of_array(array), tuple(array.shape))
                file.write(array.tobytes())
    return PackedCut(cut.proto.SerializeToString(), cut.inputs, cut.outputs, cut.node_names, places, loose)


def unpack(packed: PackedCut) -> Cut:
    """Return the cut that was packed, its constants mapped from the files that they lie in."""
    import numpy as np
    import onnx

    maps = {path: np.memmap(path, mode="c") for path in sorted({place.path for place in packed.places.values()})}
    weights: dict[str, Array] = dict(packed.loose)
    for name, place in packed.places.items():
        dtype = numpy_dtype(place.dtype)
        count = int(np.prod(place.shape, dtype=np.int64))
        data = maps[place.path][place.offset : place.offset + count * dtype.itemsize]
        weights[name] = np.asarray(data).view(dtype).reshape(place.shape)
    proto = onnx.ModelProto.FromString(packed.proto)
    return Cut(proto, packed.inputs, packed.outputs, weights, packed.node_names)


def _place_of(array: Array) -> Place | None:
    """Return where a view of a map of a file lies in the file; ``None`` for other arrays."""
    import mmap

    import numpy as np

    base = array
    while isinstance(base, np.ndarray) and not isinstance(base.base, mmap.mmap):
        base = base.base
    if not isinstance(base, np.memmap) or base.filename is None or not array.flags["C_CONTIGUOUS"]:
        return None
    ahead = array.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return Place(str(base.filename), base.offset + ahead, dtype_of_array(array), tuple(array.shape))
