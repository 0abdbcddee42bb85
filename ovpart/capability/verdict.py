"""The answer of the capability checker for one node."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What a table entry, or the checker, says of a node on a device."""

    SUPPORTED = "supported"
    UNSUPPORTED = "unsupported"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition on graph inputs under which a verdict holds, checked at each run.

    Attributes
    ----------
    kind : str
        ``"int32_range"``: every element of each input lies within ``[-bound, bound]``.
    inputs : tuple of str
        Names of main-scope graph inputs (integer), sorted.
    bound : int
        At most 2**31 - 1; smaller where arithmetic on the inputs must not leave 32 bits either, or where the inputs are
        indices.
    """

    kind: str
    inputs: tuple[str, ...]
    bound: int = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to "may this node run on the device asked for?".

    Attributes
    ----------
    state : State
        The answer. A verdict has no truth value: ask for the state.
    reason : str
        Always filled, for a yes too, in words that fit the column of a report: ``"antialias is not honoured"``.
    rule : str
        Who says so: ``"op_support.yaml:212"``, an overlay's file and line, ``"exclude"``, ``"pin"``, ``"evidence"``,
        ``"no engine known"``.
    hint : str
        What the user can do about it; empty where there is nothing to do.
    source : str
        Where the table has it from: ``"measured"``, ``"plugin answer"``, ``"document"``, ``"user"``, ...
    guard : Guard or None
        Where the answer holds for a range of values only.
    deferred : bool
        The rank of an input is not known yet; the node is on onnxruntime until the first run has shown it.
    """

    state: State
    reason: str
    rule: str
    hint: str = ""
    source: str = ""
    guard: Guard | None = None
    deferred: bool = False

    def __bool__(self) -> bool:
        raise TypeError("a Verdict has no truth value: compare verdict.state with State.SUPPORTED")
