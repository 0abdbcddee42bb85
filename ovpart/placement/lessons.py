"""What trials have taught of a scope and of the bodies in it, and where what they teach goes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from ovpart.capability.demotion import Demotion, of_body
from ovpart.partition.plan import Label, Plan

Learn = Callable[[Iterable[Demotion], Iterable[tuple[str, Label]]], None]
"""Told demotions, old ones among them, and clusters (id and label) that have stood their trial."""


class Lessons:
    """Of one scope; those of a body hand on to those of the scope around it what they learn.

    Parameters
    ----------
    known : sequence of Demotion
        What earlier sessions have learnt of the scope and of those within it.
    keep : callable, optional
        Told what is new.

    Attributes
    ----------
    here : tuple of Demotion
        What was known of the scope itself.
    """

    def __init__(self, known: Sequence[Demotion] = (), keep: Learn | None = None) -> None:
        self.here = tuple(demotion for demotion in known if not demotion.scope)
        self._inside = tuple(demotion for demotion in known if demotion.scope)
        self._keep = keep
        self._lock = threading.Lock()

    def of_all(self, here: Sequence[Demotion]) -> tuple[Demotion, ...]:
        """Return what a plan of the scope should heed: what is known of it by now, and of the bodies in it."""
        return (*here, *self._inside)

    def learn(self, demotions: Iterable[Demotion], passed: Iterable[tuple[str, Label]] = ()) -> None:
        """Hand on what is new."""
        if self._keep is not None:
            self._keep(demotions, passed)

    def of_body(self, path: tuple[str, str]) -> Lessons:
        """Return those of a body: the key of its node, and its name."""

        def keep(demotions: Iterable[Demotion], passed: Iterable[tuple[str, Label]]) -> None:
            fresh = [replace(demotion, scope=(*path, *demotion.scope)) for demotion in demotions]
            with self._lock:
                self._inside = tuple(dict.fromkeys((*self._inside, *fresh)))
            self.learn(fresh, passed)

        return Lessons(of_body(self._inside, path), keep)


def heeds(plan: Plan, demotions: Iterable[Demotion]) -> bool:
    """Return whether a plan puts no node where a trial has shown that it cannot be."""
    labels = {plan.graph.nodes[index].key: cluster.label for cluster in plan.clusters for index in cluster.nodes}
    at = ((labels.get(demotion.node), demotion) for demotion in demotions)
    return not any(label and label.engine == d.engine and d.device in ("", label.device) for label, d in at)
