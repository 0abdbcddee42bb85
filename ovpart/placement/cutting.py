"""From nodes of a model to a cut with the boundary that they have."""

from __future__ import annotations

from collections.abc import Sequence

from ovpart.backend.base import Cut
from ovpart.backend.cut import make_cut
from ovpart.model.graph import Model
from ovpart.partition.boundary import boundary


def cut_of(model: Model, nodes: Sequence[int]) -> Cut:
    """Return nodes made ready for an engine, with all that crosses their boundary as inputs and outputs."""
    inputs, outputs = boundary(model.graph, nodes)
    return make_cut(model, nodes, inputs, outputs)
