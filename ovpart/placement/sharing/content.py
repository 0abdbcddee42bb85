"""When two compiled clusters are the same: what they compute, to the bit, and where."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ovpart.backend.onnxruntime_weights import file_of
from ovpart.model.maps import Stamp, stamp_of

if TYPE_CHECKING:
    from ovpart.backend.base import Array, Cut
    from ovpart.model.graph import Model

Weights = Mapping[str, "Array"]
BUT_FOR = "the same clusters are compiled"
"""How the word begins on clusters that are the same but for where, and with which settings, they are compiled."""
_CHUNK_BYTES = 1 << 24  # compared at a time: a difference is mostly found early


@dataclass(frozen=True, slots=True)
class Place:
    """Where a cluster is compiled: what must be the same beside its content.

    Attributes
    ----------
    engine, device : str
        Names.
    backend : int
        Identity of the backend.
    settings : tuple
        What the engine is told, sorted by name, values as text.
    """

    engine: str
    backend: int
    device: str
    settings: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Content:
    """What a cluster computes.

    Attributes
    ----------
    form : hashable
        Its graph and ports, as a hash.
    weights : mapping of str to array
        Its large constants, or its blob: compared byte by byte where they do not lie at the same address.
    """

    form: Hashable
    weights: Weights


def place_of(engine: str, backend: object, device: str, settings: Mapping[str, object]) -> Place:
    """Return where a cluster is compiled."""
    told = tuple(sorted((key, _as_text(value)) for key, value in settings.items()))
    return Place(engine, id(backend), device, told)


def content_of_cut(cut: Cut, blob: Array | None = None) -> Content:
    """Return what a cut computes; one that stands for a blob computes what the blob does."""
    digest = hashlib.blake2b(cut.proto.SerializeToString(deterministic=True), digest_size=16)
    digest.update(
        repr((cut.inputs, cut.outputs, cut.node_names, sorted(cut.weights))).encode("utf-8", "backslashreplace")
    )
    weights = dict(cut.weights) if blob is None else {**cut.weights, "": blob}
    return Content((blob is None, digest.digest()), weights)


def content_of_model(model: Model) -> Content | None:
    """Return what an untouched model computes; ``None`` where that cannot be told from a look at its file."""
    weights = model.weights
    # What bodies hold outside of the model's file is not listed; a file that is gone has no stamp.
    if any(node.bodies for node in model.graph.nodes) or not isinstance(model.source, Path):
        return None
    stamp = stamp_of(model.source)
    if stamp is None:
        return None
    form = ("whole", str(model.source.resolve()), stamp, model.fingerprint)
    return Content(form, {name: weights.array(name) for name in weights if weights.is_mapped(name)})


def content_of_file(path: Path, cut: Cut) -> Content:
    """Return what a model in openvino's own format computes."""
    stamps = (stamp_of(path), stamp_of(path.with_suffix(".bin")))
    return Content(("file", str(path.resolve()), stamps, repr((cut.inputs, cut.outputs))), {})


def _as_text(value: object) -> str:
    if isinstance(value, Mapping):
        return repr(sorted((str(key), _as_text(inner)) for key, inner in value.items()))
    return repr(value)


def difference(made: Place, asked: Place) -> str:
    """Say in which way two places differ."""
    if made.device != asked.device or made.engine != asked.engine:
        return f"{BUT_FOR} for {made.engine} {made.device}, not {asked.engine} {asked.device}"
    names = sorted({key for key, _ in set(made.settings) ^ set(asked.settings)})
    return f"{BUT_FOR} with other settings ({', '.join(names) or 'another backend'})"


def stamps_of(weights: Weights) -> dict[str, Stamp | None]:
    """Return the stamps of the files that weights lie in: what was compiled is of what they held then."""
    paths = {place[0] for array in weights.values() if (place := file_of(array)) is not None}
    return {path: stamp_of(path) for path in sorted(paths)}


def unchanged(stamps: Mapping[str, Stamp | None]) -> bool:
    """Whether files hold still what they held when their stamps were taken."""
    return all(stamp is not None and stamp_of(path) == stamp for path, stamp in stamps.items())


def same(one: Weights, other: Weights) -> bool:
    """Whether two sets of constants are the same, to the bit."""
    return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one)


def _equal(one: Array, other: Array) -> bool:
    import numpy as np

    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if one.ctypes.data == other.ctypes.data and one.strides == other.strides:
        return True
    mine, theirs = (np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in (one, other))
    steps = range(0, mine.size, _CHUNK_BYTES)
    return all(np.array_equal(mine[at : at + _CHUNK_BYTES], theirs[at : at + _CHUNK_BYTES]) for at in steps)
