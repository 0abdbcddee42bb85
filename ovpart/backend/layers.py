"""Nodes named by numbers, so that whatever an engine makes of a name, the node is found again.

Engines build the names of their layers from those of nodes: onnxruntime's ``mul/MatMulScaleFusion/``, openvino's
``relu_abcd_acdb_softmax`` and lists of fused names with commas in between. Names of a model may hold all of that
themselves. Where onnxruntime takes the name of an output instead (``OUTPUT_nchwc``), the output is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ovpart.backend.base import Cut

_TAG = re.compile(r"^n(\d+)n(?![A-Za-z0-9])")

_NCHWC = re.compile(r"_nchwc(_token_\d+)?$")
"""What onnxruntime 1.31 adds to an output's name; a value of the model may be called just so."""


def tag(position: int) -> str:
    """Return the name of the node at a position of a cut."""
    return f"n{position}n"


def tagged(cut: Cut) -> Cut:
    """Return a cut whose nodes are named by their positions."""
    import onnx

    proto = onnx.ModelProto()
    proto.CopyFrom(cut.proto)
    for position, node in enumerate(proto.graph.node):
        node.name = tag(position)
    return replace(cut, proto=proto)


def position_in(name: str) -> int | None:
    """Return the position that the name of a layer begins with.

    Examples
    --------
    >>> position_in("n12n_nchwc"), position_in("n3n/MatMulScaleFusion/"), position_in("Gather_token_5")
    (12, 3, None)
    """
    found = _TAG.match(name)
    return None if found is None else int(found[1])


def keys_of(positions: Iterable[int | None], cut: Cut) -> tuple[str, ...]:
    """Return the keys of the nodes at positions of a cut, in topological order; ``None`` and our own ones left out."""
    found = sorted({position for position in positions if position is not None})
    return tuple(cut.node_names[position] for position in found if cut.node_names[position])


def makers(cut: Cut) -> dict[str, int]:
    """Return value → position of the node of the model that makes it."""
    nodes = zip(cut.proto.graph.node, cut.node_names, strict=True)
    return {value: at for at, (node, key) in enumerate(nodes) if key for value in node.output if value}


def maker_in(name: str, made: Mapping[str, int]) -> int | None:
    """Return the node that makes the longest value with which the name of a layer begins, up to a ``_`` or ``/``.

    Examples
    --------
    >>> maker_in("r2_1_nchwc", {"r2": 0, "r2_1": 1}), maker_in("r22", {"r2": 0})
    (1, None)
    """
    name = _NCHWC.sub("", name)
    while name:
        if name in made:
            return made[name]
        name = name[: max(name.rfind("_"), name.rfind("/"), 0)]
    return None
