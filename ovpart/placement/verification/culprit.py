"""Which node makes a cluster wrong: prefixes of it are compiled and held against onnxruntime, log2(nodes) of them.

Every piece that is tried gets onnxruntime's own values as its inputs, so that a piece is judged by what it computes and
not by what came before. What is found is then made smaller: to the node alone, or, where only a combination of nodes is
wrong as a broken fusion is, to the fewest nodes that still are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ovpart.backend.cut import make_cut
from ovpart.errors import CompileError, InputError, RunError
from ovpart.model.graph import Graph
from ovpart.partition.boundary import boundary
from ovpart.partition.plan import Cluster
from ovpart.placement.bisect import first_failing_prefix
from ovpart.placement.verification.case import Case
from ovpart.placement.verification.findings import FAILED, CheckedCluster, Culprit, in_words
from ovpart.placement.verification.judge import Judge, values_inside
from ovpart.placement.verification.measure import Difference, difference
from ovpart.placement.verification.oracle import run_executable
from ovpart.placement.verification.tolerance import bound_of, is_quantised, judged

NEAR_DB = 6.0
"""In a quantised cluster a step that falls the other way is no fault: a piece counts as wrong where it comes within so
many decibels of the error that was found."""
DROPPED_SINGLY = 24
"""Pieces of at most so many nodes are tried without each of them."""


def find_culprit(judge: Judge, cluster: Cluster, found: CheckedCluster) -> Culprit:
    """Search a wrong cluster for the node that makes it so.

    Parameters
    ----------
    judge : Judge
        With onnxruntime's values at the boundary.
    cluster : Cluster
        The cluster.
    found : CheckedCluster
        What is wrong with it.
    """
    trial = _Trial(judge, cluster, found)
    guilty = first_failing_prefix(cluster.nodes, trial.is_wrong)
    piece: Sequence[int] = (guilty,)
    if not trial.is_wrong(piece):
        before = cluster.nodes[: cluster.nodes.index(guilty) + 1]
        piece = _smaller(judge.model.graph, before, trial) if trial.is_wrong(before) else cluster.nodes
    node = judge.model.graph.nodes[piece[-1]]
    worst = trial.worst(piece)
    words = _words(worst, judge.tolerance, trial.said)
    case = trial.case(piece, words)
    return Culprit(cluster.id, node.label, node.key, node.op_id, tuple(piece), worst, words, case, cluster.label)


def _smaller(graph: Graph, nodes: Sequence[int], trial: _Trial) -> Sequence[int]:
    """Return fewer nodes, ending in the same one, that are still wrong."""
    guilty = nodes[-1]
    wrong_from, right_from = 0, len(nodes) - 1
    while right_from - wrong_from > 1:
        middle = (wrong_from + right_from) // 2
        if trial.is_wrong(nodes[middle:]):
            wrong_from = middle
        else:
            right_from = middle
    piece = list(nodes[wrong_from:])
    related = _ancestors(graph, guilty, piece)
    if len(related) < len(piece) and trial.is_wrong(related):
        piece = related
    if len(piece) <= DROPPED_SINGLY:
        for index in piece[:-1]:
            fewer = [other for other in piece if other != index]
            if trial.is_wrong(fewer):
                piece = fewer
    return piece


def _ancestors(graph: Graph, node: int, within: Iterable[int]) -> list[int]:
    inside = set(within)
    found, waiting = {node}, [node]
    while waiting:
        for value in graph.nodes[waiting.pop()].reads:
            producer = graph.producer.get(value)
            if producer in inside and producer not in found:
                found.add(producer)
                waiting.append(producer)
    return sorted(found)


class _Trial:
    """Compiles pieces of a cluster on its engine and tells which are wrong."""

    def __init__(self, judge: Judge, cluster: Cluster, found: CheckedCluster) -> None:
        self._judge = judge
        self._cluster = cluster
        self._fails = found.status == FAILED
        self._quantised = is_quantised(judge.model.graph, cluster.nodes)
        noise = [v.found.sqnr_db for v in found.values if v.status == "wrong" and v.found.sqnr_db is not None]
        self._enough_db = min(noise, default=math.inf) + NEAR_DB
        self._known: dict[tuple[int, ...], list[Difference] | None] = {}
        self.said = found.words

    def is_wrong(self, nodes: Sequence[int]) -> bool:
        """Whether a piece computes something else than onnxruntime, or fails where the cluster failed."""
        found = self._differences(tuple(nodes))
        if found is None:
            return self._fails
        return not self._fails and any(map(self._counts, found))

    def worst(self, nodes: Sequence[int]) -> Difference | None:
        """Return the largest difference of a piece; ``None`` where it fails."""
        found = self._differences(tuple(nodes))
        return None if found is None else max(found, key=lambda d: (bool(d.problem), d.relative), default=None)

    def case(self, nodes: Sequence[int], words: str) -> Case:
        """Return a piece with the input that shows most of what is wrong."""
        judge, label = self._judge, self._cluster.label
        inputs, outputs = boundary(judge.model.graph, nodes)
        cut = make_cut(judge.model, nodes, inputs, outputs)
        runs = []
        for values in values_inside(judge, self._cluster, (*inputs, *outputs)):
            given, wanted = ({name: values[name] for name in names} for names in (inputs, outputs))
            try:
                got = run_executable(judge.engines.compile(cut, label), given)
            except (CompileError, RunError, InputError):
                got = {}
            worst = max((_badness(difference(got[name], wanted[name])) for name in got), default=(True, math.inf))
            runs.append((worst, given, wanted, got))
        _, given, wanted, got = max(runs, key=lambda run: run[0])
        return Case(cut, label.engine, label.device, given, wanted, got, words)

    def _counts(self, found: Difference) -> bool:
        if judged(found, tolerance=self._judge.tolerance).is_right:
            return False
        near = found.sqnr_db is None or found.sqnr_db <= self._enough_db
        return bool(found.problem) or not self._quantised or near

    def _differences(self, nodes: tuple[int, ...]) -> list[Difference] | None:
        if nodes not in self._known:
            self._known[nodes] = self._measured(nodes)
        return self._known[nodes]

    def _measured(self, nodes: tuple[int, ...]) -> list[Difference] | None:
        """Return what a piece's outputs differ by; ``None`` where it fails to run; nothing where it is refused."""
        judge = self._judge
        inputs, outputs = boundary(judge.model.graph, nodes)
        outputs = tuple(name for name in outputs if name not in judge.random)
        try:
            executable = judge.engines.compile(make_cut(judge.model, nodes, inputs, outputs), self._cluster.label)
            request = executable.bind()
        except CompileError:
            return []
        found = []
        for values in values_inside(judge, self._cluster, (*inputs, *outputs)):
            try:
                for index, name in enumerate(inputs):
                    request.set_input(index, values[name])
                request.run()
                got = [request.take_output(index) for index in range(len(outputs))]
            except (RunError, InputError) as error:
                if self._fails:
                    self.said = str(error)
                return None
            found += [difference(value, values[name]) for name, value in zip(outputs, got, strict=True)]
        return found


def _badness(found: Difference) -> tuple[bool, float]:
    return bool(found.problem), found.relative


def _words(found: Difference | None, tolerance: float | None, said: str) -> str:
    """Say in one line what is wrong."""
    if found is None:
        return f"the engine fails: {said}" if said else "the engine fails"
    return in_words(found, bound_of(found, tolerance))
