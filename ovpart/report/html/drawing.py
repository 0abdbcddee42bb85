"""The clusters of a plan as a picture: boxes in layers, lines that only ever go down, nothing on top of anything else.

A layer is a topological generation of the quotient graph. A line that passes a layer has a place of its own there, one
for all readers of a cluster, so that lines go between boxes and never behind them. Units are those of the SVG.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovpart.partition.graphs import quotient

if TYPE_CHECKING:
    import networkx as nx

    from ovpart.partition.plan import Plan

INPUTS = "inputs"
"""Stands above all clusters, for the inputs of the graph. No cluster is called so: their ids are hashes."""
OUTPUTS = "outputs"
"""Stands below all clusters, for the outputs of the graph."""
MOST_BOXES = 120
"""Clusters that are drawn, the first ones in running order: more cannot be taken in, and each has its row below."""
MOST_TRACKS = 1_500
"""Places that lines may take up in layers that they pass."""
BOX_WIDTH, BOX_HEIGHT = 240, 62
_END_HEIGHT = 26
_TRACK_WIDTH = 6
_GAP = 22
_PITCH = 46  # between the lower edge of a layer and the upper edge of the next one
_MARGIN = 10
_SWEEPS = 3

_Slot = tuple[str, int]
"""A place in a layer: a box (its id, -1), or the lines of a cluster that pass (its id, the layer)."""


@dataclass(frozen=True, slots=True)
class Box:
    """A cluster, or the inputs or outputs of the graph.

    Attributes
    ----------
    id : str
        The cluster's; :data:`INPUTS` or :data:`OUTPUTS`.
    number : int
        Its position in running order; -1 for the ends.
    x, y, width, height : int
        Left and upper edge, and size.
    """

    id: str
    number: int
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Line:
    """What crosses from one box to others.

    Attributes
    ----------
    source, target : str
        Ids of boxes; `target` is empty for the part of a way that several readers share.
    values : tuple of str
        What crosses; empty for a shared part.
    points : tuple of (int, int)
        From the upper end to the lower one, never upwards.
    """

    source: str
    target: str
    values: tuple[str, ...]
    points: tuple[tuple[int, int], ...]

    @property
    def path(self) -> str:
        """The line as the ``d`` of an SVG path: soft between layers, straight where it passes one."""
        (x, y), *rest = self.points
        drawn = [f"M{x} {y}"]
        for to_x, to_y in rest:
            middle = (y + to_y) // 2
            drawn.append(f"V{to_y}" if x == to_x else f"C{x} {middle} {to_x} {middle} {to_x} {to_y}")
            x, y = to_x, to_y
        return "".join(drawn)


@dataclass(frozen=True, slots=True)
class Drawing:
    """The picture.

    Attributes
    ----------
    width, height : int
        Of the whole.
    boxes : tuple of Box
        Inputs and outputs among them, where something is read or made.
    lines : tuple of Line
        Lines.
    boxes_left_out, lines_left_out : int
        Clusters, and ways from cluster to cluster, that would be too many.
    """

    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    boxes_left_out: int
    lines_left_out: int


def draw(plan: Plan) -> Drawing:
    """Lay out the clusters of a plan's main scope.

    Parameters
    ----------
    plan : Plan
        The plan.
    """
    numbers = {cluster.id: position for position, cluster in enumerate(plan.clusters[:MOST_BOXES])}
    graph = _with_ends(plan, quotient(plan).subgraph(numbers).copy())
    layer_of, layers = _layers(graph, numbers)
    kept, left_out = _ways(graph, layer_of)
    rows = _ordered(layers, layer_of, kept)
    places, boxes, width, height = _placed(rows, numbers)
    return Drawing(
        width,
        height,
        boxes,
        tuple(_lines(graph, kept, layer_of, places)),
        len(plan.clusters) - len(numbers),
        left_out,
    )


def _with_ends(plan: Plan, graph: nx.DiGraph) -> nx.DiGraph:
    """Add the inputs and the outputs of the model, where a cluster that is drawn reads or makes some."""
    inputs, outputs = set(plan.graph.inputs), set(plan.graph.outputs)
    for cluster in plan.clusters:
        if cluster.id not in graph:
            continue
        if read := inputs.intersection(cluster.inputs):
            graph.add_edge(INPUTS, cluster.id, values=tuple(sorted(read)))
        if made := outputs.intersection(cluster.outputs):
            graph.add_edge(cluster.id, OUTPUTS, values=tuple(sorted(made)))
    return graph


def _layers(graph: nx.DiGraph, numbers: Mapping[str, int]) -> tuple[dict[str, int], list[list[str]]]:
    """Return the layer of each box, and the boxes of each layer in running order."""
    import networkx as nx

    middle = graph.subgraph(set(graph) - {INPUTS, OUTPUTS})
    layers = [sorted(generation, key=numbers.__getitem__) for generation in nx.topological_generations(middle)]
    layers = [[INPUTS]] * (INPUTS in graph) + layers + [[OUTPUTS]] * (OUTPUTS in graph)
    return {box: level for level, layer in enumerate(layers) for box in layer}, layers


def _ways(graph: nx.DiGraph, layer_of: Mapping[str, int]) -> tuple[dict[str, list[str]], int]:
    """Return the readers of each box to which a line is drawn, nearer ones first, and how many ways are left out."""
    ways = sorted((layer_of[b] - layer_of[a], layer_of[a], a, b) for a, b in graph.edges)
    reach: dict[str, int] = {}
    kept: dict[str, list[str]] = {}
    tracks = left_out = 0
    for span, _, maker, reader in ways:
        more = max(0, span - 1 - reach.get(maker, 0))
        if tracks + more > MOST_TRACKS:
            left_out += 1
            continue
        tracks += more
        reach[maker] = max(reach.get(maker, 0), span - 1)
        kept.setdefault(maker, []).append(reader)
    return kept, left_out


def _ordered(
    layers: Sequence[Sequence[str]], layer_of: Mapping[str, int], kept: Mapping[str, Sequence[str]]
) -> list[list[_Slot]]:
    """Return the slots of each layer from left to right, with few crossings: each near the mean of those above it."""
    rows: list[list[_Slot]] = [[(box, -1) for box in layer] for layer in layers]
    above: dict[_Slot, list[_Slot]] = {}
    for maker, readers in kept.items():
        before: list[_Slot] = [(maker, -1)]
        far = max(layer_of[reader] for reader in readers)
        for level in range(layer_of[maker] + 1, far):
            rows[level].append((maker, level))
            above.setdefault((maker, level), []).append(before[-1])
            before.append((maker, level))
        for reader in readers:
            above.setdefault((reader, -1), []).append(before[layer_of[reader] - layer_of[maker] - 1])
    below: dict[_Slot, list[_Slot]] = {}
    for slot, sources in above.items():
        for source in sources:
            below.setdefault(source, []).append(slot)
    for sweep in range(_SWEEPS):
        neighbours, order = (above, rows[1:]) if sweep % 2 == 0 else (below, rows[-2::-1])
        at = {slot: position / max(1, len(row) - 1) for row in rows for position, slot in enumerate(row)}
        for row in order:
            mean = {s: _mean([at[n] for n in neighbours[s]]) if s in neighbours else at[s] for s in row}
            row.sort(key=mean.__getitem__)
            at.update({slot: position / max(1, len(row) - 1) for position, slot in enumerate(row)})
    return rows


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _placed(
    rows: Sequence[Sequence[_Slot]], numbers: Mapping[str, int]
) -> tuple[dict[_Slot, tuple[int, int, int]], tuple[Box, ...], int, int]:
    """Return centre, upper and lower edge of each slot; the boxes; and the size of all."""
    widths = [[BOX_WIDTH if level < 0 else _TRACK_WIDTH for _, level in row] for row in rows]
    room = max((sum(row) + _GAP * (len(row) - 1) for row in widths), default=0)
    places: dict[_Slot, tuple[int, int, int]] = {}
    boxes = []
    y = _MARGIN
    for row, sizes in zip(rows, widths, strict=True):
        height = _END_HEIGHT if row[0][0] in (INPUTS, OUTPUTS) and row[0][1] < 0 else BOX_HEIGHT
        x = _MARGIN + (room - sum(sizes) - _GAP * (len(sizes) - 1)) // 2
        for slot, size in zip(row, sizes, strict=True):
            places[slot] = (x + size // 2, y, y + height)
            if slot[1] < 0:
                boxes.append(Box(slot[0], numbers.get(slot[0], -1), x, y, size, height))
            x += size + _GAP
        y += height + _PITCH
    return places, tuple(boxes), room + 2 * _MARGIN, max(0, y - _PITCH) + _MARGIN


def _lines(
    graph: nx.DiGraph,
    kept: Mapping[str, Sequence[str]],
    layer_of: Mapping[str, int],
    places: Mapping[_Slot, tuple[int, int, int]],
) -> list[Line]:
    """Return the shared way of each box's lines, and from there one line to each reader."""
    lines = []
    for maker, readers in kept.items():
        first, far = layer_of[maker], max(layer_of[reader] for reader in readers)
        x, _, bottom = places[maker, -1]
        trunk = [(x, bottom)]
        ends = [trunk[0]]
        for level in range(first + 1, far):
            x, top, bottom = places[maker, level]
            trunk += [(x, top), (x, bottom)]
            ends.append((x, bottom))
        if len(trunk) > 1:
            lines.append(Line(maker, "", (), tuple(trunk)))
        for reader in readers:
            x, top, _ = places[reader, -1]
            start = ends[layer_of[reader] - first - 1]
            lines.append(Line(maker, reader, graph.edges[maker, reader]["values"], (start, (x, top))))
    return lines
