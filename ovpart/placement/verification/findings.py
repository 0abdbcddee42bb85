"""What a verification found, as data: each value, each cluster, the outputs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ovpart.partition.plan import Label
from ovpart.placement.verification.case import Case
from ovpart.placement.verification.measure import Difference
from ovpart.placement.verification.tolerance import Judgement, Spread

RIGHT = "right"
WRONG = "wrong"
FAILED = "failed"
"""The engine raised instead of answering."""
RANDOM = "random"
"""onnxruntime itself gives another answer each time: nothing to compare with."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One value, held against onnxruntime's.

    Attributes
    ----------
    name : str
        Of the value.
    found : Difference
        The worst over all inputs and repeats.
    judgement : Judgement
        Whether that is right.
    spread : Spread or None
        What onnxruntime's own optimisation levels differ by, where that was asked.
    status : str
        ``"right"``, ``"wrong"`` or ``"random"``.
    """

    name: str
    found: Difference
    judgement: Judgement
    spread: Spread | None = None
    status: str = RIGHT


@dataclass(frozen=True, slots=True)
class CheckedCluster:
    """One cluster, fed with onnxruntime's own boundary values.

    Attributes
    ----------
    id : str
        As in the plan.
    label : Label
        Where it runs.
    nodes : int
        How many.
    values : tuple of Checked
        Its outputs.
    status : str
        ``"right"``, ``"wrong"``, ``"failed"`` or ``"random"``.
    words : str
        What the engine said, where it failed.
    """

    id: str
    label: Label
    nodes: int
    values: tuple[Checked, ...]
    status: str
    words: str = ""

    @property
    def worst(self) -> Checked | None:
        """The value that is furthest out; ``None`` where there is none to compare."""
        return max(self.values, key=_badness, default=None)


@dataclass(frozen=True, slots=True)
class Culprit:
    """The node, or the few nodes, that make a cluster wrong.

    Attributes
    ----------
    cluster : str
        The cluster's id.
    node : str
        Label of the node whose arrival makes it wrong.
    key : str
        The node's key.
    op : str
        Its operator.
    indices : tuple of int
        The fewest nodes found that are wrong by themselves, the culprit last; more than one where only their
        combination is (a fusion).
    found : Difference or None
        Of these nodes; ``None`` where the engine fails on them.
    words : str
        What is wrong, in one line.
    case : Case or None
        These nodes with an input that shows it: ``culprit.case.save(Path("repro.onnx"))``.
    label : Label or None
        Where the cluster runs.
    """

    cluster: str
    node: str
    key: str
    op: str
    indices: tuple[int, ...]
    found: Difference | None
    words: str
    case: Case | None = None
    label: Label | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """A plan held against onnxruntime on given inputs.

    Attributes
    ----------
    model, device : str
        What was verified, and for which device.
    inputs : str
        Whose inputs: ``"given"``, or how they were made up.
    feeds, repeats : int
        How many inputs, and how often each was run.
    clusters : tuple of CheckedCluster
        In running order.
    outputs : tuple of Checked
        Of the whole, from input to output as a session runs it, against the untouched model.
    culprits : tuple of Culprit
        One a wrong cluster, where it was bisected.
    quantised : bool
        Whether the model computes with quantised numbers.
    notes : tuple of str
        What could not be compared, and why.
    """

    model: str
    device: str
    inputs: str
    feeds: int
    repeats: int
    clusters: tuple[CheckedCluster, ...]
    outputs: tuple[Checked, ...]
    culprits: tuple[Culprit, ...] = ()
    quantised: bool = False
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def is_right(self) -> bool:
        """Whether every cluster and every output is right."""
        return not self.wrong and all(value.status != WRONG for value in self.outputs)

    @property
    def wrong(self) -> tuple[CheckedCluster, ...]:
        """The clusters that are not right."""
        return tuple(cluster for cluster in self.clusters if cluster.status in (WRONG, FAILED))

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain data for JSON; infinities are ``null``."""
        return {
            "model": self.model,
            "device": self.device,
            "right": self.is_right,
            "inputs": {"origin": self.inputs, "feeds": self.feeds, "repeats": self.repeats},
            "quantised": self.quantised,
            "clusters": [
                {
                    "id": c.id,
                    "engine": c.label.engine,
                    "device": c.label.device,
                    "nodes": c.nodes,
                    "status": c.status,
                    "words": c.words,
                    "values": [_value(v) for v in c.values],
                }
                for c in self.clusters
            ],
            "outputs": [_value(v) for v in self.outputs],
            "culprits": [
                {
                    "cluster": c.cluster,
                    "node": c.node,
                    "key": c.key,
                    "op": c.op,
                    "nodes": len(c.indices),
                    "words": c.words,
                }
                for c in self.culprits
            ],
            "notes": list(self.notes),
        }

    def to_json(self) -> str:
        """Return :meth:`to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def __str__(self) -> str:
        from ovpart.placement.verification.text import render

        return render(self)


def summary(value: Checked) -> str:
    """Say in one line how far a value is out."""
    return in_words(value.found, value.judgement.bound)


def in_words(found: Difference, bound: float) -> str:
    """Say in one line what a difference is."""
    if found.problem:
        return found.problem
    if found.kind == "exact":
        return f"{found.relative:.2%} of the elements differ, by up to {found.max_error:.6g}"
    if found.kind == "integer":
        return f"max error {found.max_error:.6g} steps"
    return f"max error {found.max_error:.3g}, {found.relative:.2g} of the range (bound {bound:.2g})"


def _badness(value: Checked) -> tuple[bool, bool, float]:
    bound = value.judgement.bound or 1.0
    return value.status == WRONG, bool(value.found.problem), value.found.relative / bound


def _value(value: Checked) -> dict[str, Any]:
    found = value.found
    spread: Mapping[str, Any] | None = None
    if value.spread is not None:
        spread = {"relative": _number(value.spread.relative), "sqnr_db": _number(value.spread.sqnr_db)}
    return {
        "name": value.name,
        "status": value.status,
        "dtype": found.dtype,
        "shape": None if found.shape is None else list(found.shape),
        "problem": found.problem,
        "max_error": _number(found.max_error),
        "mean_error": _number(found.mean_error),
        "p99_error": _number(found.p99_error),
        "relative": _number(found.relative),
        "bound": value.judgement.bound,
        "by": value.judgement.by,
        "sqnr_db": _number(found.sqnr_db),
        "cosine": _number(found.cosine),
        "spread": spread,
    }


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
