"""An engine's words, translated back: the node of a cut that an error message speaks of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

    from ovpart.backend.base import Cut

# Where engines put a node's name, most telling first. openvino 2026.4 (front end, core, CPU plugin), onnxruntime 1.31.
_PLACES = (
    r"<Node\([^)]*\): (?P<name>.+?)>",
    r"Name:'(?P<name>[^']+)'",
    r"node with name '(?P<name>[^']+)'",
    r"Operation name: (?P<name>\S+)",
    r"friendly_name '(?P<name>[^']+)'",
    r"[Nn]ode:? ?\((?P<name>[^()\s]+)\)",
    r"Node '(?P<name>[^']+)'",
    r"'(?P<name>[^']+)'",
    r"\"(?P<name>[^\"]+)\"",
)
_OPERATORS = re.compile(
    r"(?:No conversion rule found for operations|Conversion is failed for"
    r"|does not support the following ONNX operations): ([^\n]+)"
)
_LONGEST = 2000  # characters of an engine's message that are repeated; stack traces behind that help nobody


def node_in_words(words: str, cut: Cut) -> str | None:
    """Return the key of the node of `cut` that an engine's message names, ``None`` where it names none.

    Looked for are, in this order: a node's name, the name of one of its outputs, the same of a node in its bodies, its
    operator where the message lists operators and the cut has only one node of that kind.

    Parameters
    ----------
    words : str
        The message as the engine gave it, lines and all.
    cut : Cut
        What the engine was given.
    """
    names = dict(_names(cut))
    for place in _PLACES:
        for match in re.finditer(place, words):
            key = names.get(match["name"])
            if key is not None:
                return key
    for match in _OPERATORS.finditer(words):
        for listed in match[1].split(", "):
            found = [key for op, key in _operators(cut) if op == re.sub(r"-\d+$", "", listed.strip())]
            if len(found) == 1:
                return found[0]
    return None


def shortened(words: object) -> str:
    """Return an engine's message in one paragraph: blank lines and call sites dropped, 2,000 characters at most."""
    lines = (line.strip() for line in str(words).splitlines())
    text = "; ".join(line for line in lines if line and not line.startswith("Exception from "))
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"


def _names(cut: Cut) -> Iterator[tuple[str, str]]:
    """Yield (name in the cut, key of a node), the more telling later."""
    for node, key in zip(cut.proto.graph.node, cut.node_names, strict=True):
        if key:
            yield from ((name, key) for name in _inner_names(node))
    for node, key in zip(cut.proto.graph.node, cut.node_names, strict=True):
        if key:
            yield from ((output, key) for output in node.output if output)
    for node, key in zip(cut.proto.graph.node, cut.node_names, strict=True):
        if key and node.name:
            yield node.name, key


def _inner_names(node: onnx.NodeProto) -> Iterator[str]:
    for attribute in node.attribute:
        for body in (attribute.g, *attribute.graphs):
            for inner in body.node:
                yield from (name for name in (inner.name, *inner.output) if name)
                yield from _inner_names(inner)


def _operators(cut: Cut) -> Iterator[tuple[str, str]]:
    for node, key in zip(cut.proto.graph.node, cut.node_names, strict=True):
        if key:
            yield (f"{node.domain}.{node.op_type}" if node.domain else node.op_type), key
