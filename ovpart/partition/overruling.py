"""Why a node is not delegated although the device may take it: the word of whoever places nodes, not of the table."""

from __future__ import annotations

from dataclasses import dataclass

NOT_WORTH = "min_gain"
"""Rule of a node that the device would take, but that stays behind because handing it over does not pay."""
PARTITION = "partition"
"""Rule of a node that stays behind for the sake of the nodes around it, or that would compile without end."""
ENGINE = "engine"
"""Rule of a node that stays behind because the engine of its device is not there."""
FORK = "fork"
"""Rule of a node that stays behind because the engine of its device was loaded before this process was forked."""


@dataclass(frozen=True, slots=True)
class Overruling:
    """Why a node that may be delegated is not.

    Attributes
    ----------
    reason : str
        In words that are the same for all nodes that it holds for: reports group by them.
    rule : str
        :data:`NOT_WORTH`, :data:`PARTITION`, :data:`ENGINE` or :data:`FORK`.
    source : str
        How it is known: ``"predicted"``, ``"measured"`` or ``"partition"``.
    detail : str
        What holds for this node or its component alone: figures, names.
    """

    reason: str
    rule: str = PARTITION
    source: str = "partition"
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


def not_worth(detail: str, *, source: str) -> Overruling:
    """Return the word on nodes that do not pay."""
    return Overruling("not worth a cluster", NOT_WORTH, source, detail)
