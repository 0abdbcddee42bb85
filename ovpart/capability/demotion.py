"""What a trial taught: a node that an engine refused or failed on, in the engine's own words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ovpart.capability.verdict import State, Verdict
from ovpart.model.graph import Graph


@dataclass(frozen=True, slots=True)
class Demotion:
    """A node moved away from an engine because a trial failed.

    Attributes
    ----------
    node : str
        The node's key.
    engine : str
        The backend that refused it.
    stage : str
        ``"read"``, ``"convert"``, ``"compile"``, ``"load"`` or ``"run"``; ``"verify"`` where it ran and was wrong.
    words : str
        What the engine said.
    device : str
        The device string of the label that refused it; ``""``: whichever it was.
    scope : tuple of str
        Where the node is: key of a node of control flow and name of its body, in turn, from the scope that is spoken of
        inwards; empty for a node of that scope itself. Keys are unique within a scope only.
    """

    node: str
    engine: str
    stage: str
    words: str
    device: str = ""
    scope: tuple[str, ...] = ()


def of_body(demotions: Iterable[Demotion], path: tuple[str, ...]) -> tuple[Demotion, ...]:
    """Return what is known of the body at a path and of the bodies in it, as that body sees it."""
    depth = len(path)
    return tuple(replace(d, scope=d.scope[depth:]) for d in demotions if d.scope and d.scope[:depth] == path)


def lay_over(
    verdicts: Sequence[Verdict], graph: Graph, demotions: Sequence[Demotion], engine: str, device: str = ""
) -> tuple[Verdict, ...]:
    """Return the verdicts with what trials on `engine` and `device` taught laid over them.

    A failed trial beats the table and a pin: the node cannot run there, whatever anybody says of it.
    """
    by_key: Mapping[str, Demotion] = {
        d.node: d for d in demotions if d.engine == engine and not d.scope and (not device or d.device in ("", device))
    }
    if not by_key:
        return tuple(verdicts)
    return tuple(
        verdict if (demotion := by_key.get(node.key)) is None else _demoted(verdict, demotion)
        for node, verdict in zip(graph.nodes, verdicts, strict=True)
    )


def _demoted(verdict: Verdict, demotion: Demotion) -> Verdict:
    told = f"{demotion.engine} failed at {demotion.stage}: "
    if demotion.stage == "verify":
        told = ""  # the words are ours, and say that it was wrong
    first_line = next(iter(demotion.words.strip().splitlines()), "no reason given")
    return replace(
        verdict,
        state=State.UNSUPPORTED,
        reason=f"{told}{first_line[:160]}",
        rule="evidence",
        hint="exclude the node to spare the trial",
        source="measured, on this machine",
        guard=None,
    )
