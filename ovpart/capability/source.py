"""Reads the text of a support table into plain data that remembers its lines.

A table may come from anyone, so this takes a small, harmless part of YAML only: one document of mappings, lists and
scalars. Tags, anchors, aliases (an alias can grow a line into gigabytes), duplicate keys, very deep or very large files
are errors. Scalars follow YAML 1.2's core schema, not 1.1: ``no``, ``on`` and ``yes`` are words, not truth values,
since attribute values and operator names may be such words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ovpart.errors import TableError

MAX_BYTES = 16 * 2**20
"""Largest table that is read, in bytes: 20 times the shipped one."""
MAX_DEPTH = 12
"""Deepest nesting that is read; the format itself needs 7."""
MAX_TOKENS = 2_000_000
"""Most scalars and collections that are read."""

_INT = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_WORDS = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None, "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False, ".inf": float("inf"), "+.inf": float("inf"),
    "-.inf": float("-inf"), ".nan": float("nan"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lines:
    """Line numbers of a piece of data, in the same shape as the data.

    Attributes
    ----------
    line : int
        Line on which the piece begins, 1-based.
    keys : mapping
        For a mapping: key → line of the key.
    items : mapping
        Key or index → lines of what stands there.
    """

    line: int
    keys: Mapping[Any, int]
    items: Mapping[Any, Lines]

    def at(self, path: list[Any], *, key: bool = False) -> int:
        """Return the line of what stands at `path`; of its key if `key`."""
        here = self
        for step in path[:-1]:
            here = here.items.get(step, here)
        if not path:
            return here.line
        if key and path[-1] in here.keys:
            return here.keys[path[-1]]
        last = here.items.get(path[-1])
        return last.line if last is not None else here.line


def read_yaml(text: str, name: str) -> tuple[Any, Lines]:
    """Read one YAML document.

    Parameters
    ----------
    text : str
        The document.
    name : str
        What errors call the file.

    Returns
    -------
    data : object
        dict, list, str, int, float, bool or None.
    lines : Lines
        Where each piece stands.

    Raises
    ------
    TableError
        Where the text is no YAML, or uses what a table may not; starts with ``name:line:``.
    """
    import yaml

    if len(text) > MAX_BYTES:
        raise TableError(f"{name}:1: the table is larger than {MAX_BYTES // 2**20} MB")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Reader(iter(yaml.parse(text, Loader=loader)), name).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise TableError(f"{name}:{line}: not YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:  # a character that YAML does not allow: it carries no line
        position = getattr(error, "position", None)
        line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 1
        raise TableError(f"{name}:{line}: not YAML: {error}") from error


class _Reader:
    """Builds data and lines from parser events: no YAML object is ever constructed."""

    def __init__(self, events: Iterator[Any], name: str) -> None:
        self.events = events
        self.name = name
        self.tokens = 0

    def document(self) -> tuple[Any, Lines]:
        import yaml

        result: tuple[Any, Lines] | None = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if result is not None:
                    raise self.error(event, "a table is one YAML document, here begins a second")
                result = self.piece(next(self.events), 0)
        return result if result is not None else (None, Lines(1, {}, {}))

    def piece(self, event: Any, depth: int) -> tuple[Any, Lines]:
        import yaml

        self.tokens += 1
        if self.tokens > MAX_TOKENS:
            raise self.error(event, f"more than {MAX_TOKENS} entries and words in one table")
        if depth > MAX_DEPTH:
            raise self.error(event, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            raise self.error(event, f"aliases (*{event.anchor}) are not allowed in a table: repeat the text")
        if event.anchor is not None:
            raise self.error(event, f"anchors (&{event.anchor}) are not allowed in a table: repeat the text")
        # An explicit tag leaves its name; a quoted scalar has the tag "!" in some parsers and none in others.
        if event.tag not in (None, "!"):
            raise self.error(event, f"tags ({event.tag}) are not allowed in a table")
        line = _line(event)
        if isinstance(event, yaml.ScalarEvent):
            return (_resolve(event.value) if event.implicit[0] else event.value), Lines(line, {}, {})
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(line, depth)
        return self.mapping(line, depth)

    def sequence(self, line: int, depth: int) -> tuple[Any, Lines]:
        import yaml

        data: list[Any] = []
        items: dict[Any, Lines] = {}
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            value, where = self.piece(event, depth + 1)
            items[len(data)] = where
            data.append(value)
        return data, Lines(line, {}, items)

    def mapping(self, line: int, depth: int) -> tuple[Any, Lines]:
        import yaml

        data: dict[str, Any] = {}
        keys: dict[Any, int] = {}
        items: dict[Any, Lines] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self.piece(event, depth + 1)  # says so first where it is an alias or a tag
                raise self.error(event, "a key must be a word")
            self.piece(event, depth + 1)
            key = event.value  # a key is text, whatever it looks like
            if key in data:
                raise self.error(event, f"{key!r} stands twice (first on line {keys[key]})")
            keys[key] = _line(event)
            data[key], items[key] = self.piece(next(self.events), depth + 1)
        return data, Lines(line, keys, items)

    def error(self, event: Any, words: str) -> TableError:
        return TableError(f"{self.name}:{_line(event)}: {words}")


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _resolve(text: str) -> Any:
    """Give a plain scalar its YAML 1.2 meaning."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.match(text) and len(text) <= 64:
        return int(text)
    if _FLOAT.match(text):
        return float(text)
    return text


def lines_of(data: Any, line: int = 1) -> Lines:
    """Return lines for data that has none: everything stands on `line`."""
    if isinstance(data, dict):
        return Lines(line, dict.fromkeys(data, line), {k: lines_of(v, line) for k, v in data.items()})
    if isinstance(data, list):
        return Lines(line, {}, {k: lines_of(v, line) for k, v in enumerate(data)})
    return Lines(line, {}, {})
