"""The user's word: which nodes must not go to the device (``exclude``), and which shall (``pin``).

A selector is one of:

* an operator: ``Resize`` (of whatever domain), ``com.microsoft.Gelu``, ``ai.onnx.Gelu``;
* a node: its name, or the name of its first output (its key);
* a glob over names and keys of nodes and over operators: ``/encoder/*``, ``Reduce*``;
* a region between values: ``a..b`` (all nodes on paths from ``a`` to ``b``), ``a..`` (all that depends on ``a``),
  ``..b`` (all that ``b`` depends on).
"""

from __future__ import annotations

import fnmatch
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ovpart.capability.spelling import did_you_mean
from ovpart.capability.verdict import State, Verdict
from ovpart.errors import OptionError, OvpartWarning

if TYPE_CHECKING:
    from ovpart.model.graph import Graph, Node

EXCLUDE = "exclude"
PIN = "pin"
MOST_NAMED = 3
"""How many nodes a warning names."""


def select(graph: Graph, selector: str, option: str) -> frozenset[int]:
    """Return the nodes of a scope that a selector means.

    Parameters
    ----------
    graph : Graph
        The scope.
    selector : str
        See the module.
    option : str
        Name of the option that it comes from, for errors.

    Returns
    -------
    frozenset of int
        Node indices, never empty.

    Raises
    ------
    OptionError
        Where it means no node; says what is close.
    """
    if not isinstance(selector, str) or not selector:
        raise OptionError(f"{option}={selector!r}: a selector is an operator, a node, a glob or a region a..b, as text")
    found = frozenset(node.index for node in graph.nodes if selector in _words(node))
    if not found and ".." in selector:
        found = _region(graph, selector, option)
    if not found and any(sign in selector for sign in "*?["):
        matches = re.compile(fnmatch.translate(selector)).match
        found = frozenset(node.index for node in graph.nodes if any(map(matches, _words(node))))
    if not found:
        known = dict.fromkeys(word for node in graph.nodes for word in _words(node))
        raise OptionError(f"{option}={selector!r} means no node of this model{did_you_mean(selector, known)}")
    return found


def means_in_bodies(node: Node, selectors: Sequence[str]) -> bool:
    """Whether a selector means a node in a body of `node`, at any depth."""
    if not selectors:
        return False
    for body in node.bodies.values():
        for selector in selectors:
            try:
                select(body, selector, "")
            except OptionError:
                continue
            return True
        if any(means_in_bodies(inner, selectors) for inner in body.nodes if inner.bodies):
            return True
    return False


def in_scope(graph: Graph, selectors: Sequence[str], option: str, *, inner: bool) -> tuple[str, ...]:
    """Return the selectors that mean nodes of a scope itself.

    Parameters
    ----------
    graph : Graph
        The scope.
    selectors : sequence of str
        See the module.
    option : str
        Name of the option that they come from, for errors.
    inner : bool
        Whether the scope is a body. In the main scope, a selector must mean something there or in a body.

    Raises
    ------
    OptionError
        Where a selector means nothing anywhere.
    """
    here = []
    for selector in selectors:
        try:
            select(graph, selector, option)
        except OptionError:
            if not inner and not any(means_in_bodies(node, (selector,)) for node in graph.nodes if node.bodies):
                raise
        else:
            here.append(selector)
    return tuple(here)


def _words(node: Node) -> tuple[str, ...]:
    """Return all that a selector may call a node."""
    whole = f"ai.onnx.{node.op_type}" if not node.domain else node.op_id
    return node.op_type, whole, node.name, node.key


def _region(graph: Graph, selector: str, option: str) -> frozenset[int]:
    """Return the nodes between two values; tries each ``..``, since names may have dots of their own."""
    values = {*graph.inputs, *graph.initializers, *graph.producer}
    wrong: list[str] = []
    for cut in re.finditer(r"(?=\.\.)", selector):
        start, end = selector[: cut.start()], selector[cut.start() + 2 :]
        wrong = [name for name in (start, end) if name and name not in values]
        if not wrong and (start or end):
            found = _after(graph, start) if start else None
            before = _before(graph, end) if end else None
            between = before if found is None else found if before is None else found & before
            if not between:
                raise OptionError(f"{option}={selector!r} means no node: no path leads from {start!r} to {end!r}")
            return frozenset(between)
    if not wrong:
        raise OptionError(f"{option}={selector!r}: a region is 'a..b', 'a..' or '..b' with names of values")
    raise OptionError(f"{option}={selector!r}: this model has no value {wrong[0]!r}{did_you_mean(wrong[0], values)}")


def _after(graph: Graph, value: str) -> set[int]:
    found = set(graph.consumers.get(value, ()))
    waiting = list(found)
    while waiting:
        for name in graph.nodes[waiting.pop()].outputs:
            fresh = set(graph.consumers.get(name, ())) - found
            found |= fresh
            waiting += fresh
    return found


def _before(graph: Graph, value: str) -> set[int]:
    found: set[int] = set()
    waiting = [value]
    while waiting:
        index = graph.producer.get(waiting.pop())
        if index is not None and index not in found:
            found.add(index)
            waiting += graph.nodes[index].reads
    return found


def _chosen(graph: Graph, selectors: Sequence[str], option: str) -> Iterator[tuple[str, list[int]]]:
    for selector in selectors:
        yield selector, sorted(select(graph, selector, option))


def apply_exclude(
    verdicts: Sequence[Verdict], graph: Graph, exclude: Sequence[str], pin: Sequence[str] = ()
) -> list[Verdict]:
    """Lay ``exclude`` over verdicts: it beats everything.

    Parameters
    ----------
    verdicts : sequence of Verdict
        Parallel to ``graph.nodes``.
    graph : Graph
        The main scope.
    exclude, pin : sequence of str
        Selectors.

    Raises
    ------
    OptionError
        Where a selector means no node.

    Warns
    -----
    OvpartWarning
        Where all that a pin means is excluded.
    """
    result = list(verdicts)
    excluded: set[int] = set()
    for selector, nodes in _chosen(graph, exclude, EXCLUDE):
        excluded.update(nodes)
        for index in nodes:
            if result[index].rule != EXCLUDE:
                result[index] = Verdict(State.UNSUPPORTED, f"excluded by {selector!r}", EXCLUDE, "", "user")
    if excluded:
        for selector, nodes in _chosen(graph, pin, PIN):
            if excluded.issuperset(nodes):
                _warn(f"pin={selector!r} has no effect: every node that it means is excluded too")
    return result


def apply_pin(verdicts: Sequence[Verdict], graph: Graph, pin: Sequence[str], device: str) -> list[Verdict]:
    """Lay ``pin`` over verdicts: it beats the table, with a warning.

    A node that the table supports keeps its verdict and its guard. A node whose rank is not known yet cannot be
    compiled by any device: its pin holds from the second plan on.

    Parameters
    ----------
    verdicts : sequence of Verdict
        Parallel to ``graph.nodes``.
    graph : Graph
        The main scope.
    pin : sequence of str
        Selectors.
    device : str
        The device, for the warning.

    Raises
    ------
    OptionError
        Where a selector means no node.

    Warns
    -----
    OvpartWarning
        Where a pin beats the table, must wait, or has no effect.
    """
    result = list(verdicts)
    for selector, nodes in _chosen(graph, pin, PIN):
        nodes = [i for i in nodes if i not in graph.constant and i not in graph.dead]
        waiting = [i for i in nodes if result[i].deferred]
        against = [i for i in nodes if result[i].state is not State.SUPPORTED and not result[i].deferred]
        if against:
            _warn(f"pin={selector!r} sends {_told(graph, result, against)} to {device} against the table")
        if waiting:
            _warn(f"pin={selector!r} must wait for the first run: {_told(graph, result, waiting)}")
        if not nodes:
            _warn(f"pin={selector!r} has no effect: it means constant or dead nodes only")
        for index in against:
            pinned = f"pinned by {selector!r}, although: {result[index].reason}"
            result[index] = replace(
                result[index], state=State.SUPPORTED, reason=pinned, rule=PIN, hint="", source="user", guard=None
            )
    return result


def _told(graph: Graph, verdicts: Sequence[Verdict], nodes: Sequence[int]) -> str:
    """Name a few nodes, each with what the table says of it."""
    named = [f"{graph.nodes[i].label!r} ({verdicts[i].reason}; {verdicts[i].rule})" for i in nodes[:MOST_NAMED]]
    more = f" and {len(nodes) - MOST_NAMED} more nodes" if len(nodes) > MOST_NAMED else ""
    return ", ".join(named) + more


def _warn(text: str) -> None:
    warnings.warn(text, OvpartWarning, stacklevel=5)
