"""The grammar of patterns: from text to terms. What the signs mean: :mod:`ovpart.partition.pattern_rules`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

_TOKEN = re.compile(r"\s*([A-Za-z]+|[(),|#!~_<>])")

_SIGNS = {"#": "constant", "!": "computed", "_": "any"}


@dataclass(frozen=True, slots=True)
class Term:
    """A term of a rule.

    Attributes
    ----------
    sign : str
        ``"call"``, ``"rule"``, ``"value"`` (a letter), ``"over"`` (``~x``), ``"constant"`` (``#``), ``"computed"``
        (``!``), ``"any"`` (``_``) or ``"way"``.
    name : str
        Operator, rule or letter.
    terms : tuple of Term
        Operands of a call; of a way, where it leads to.
    ops : frozenset of str
        Operators that a way may go through.
    """

    sign: str
    name: str = ""
    terms: tuple[Term, ...] = ()
    ops: frozenset[str] = frozenset()


Rules = Mapping[str, tuple[Term, ...]]
"""Name of a rule → its alternatives."""


@cache
def rules_of(text: str) -> Rules:
    """Return the rules of a pattern, a line each: ``name = term | term``."""
    lines = [line.partition("=") for line in text.strip().splitlines()]
    names = frozenset(name.strip() for name, _, _ in lines)
    return {name.strip(): alternatives_of(rest, names) for name, _, rest in lines}


@cache
def alternatives_of(text: str, names: frozenset[str] = frozenset()) -> tuple[Term, ...]:
    """Return the alternatives of a rule; `names` are those of rules, all other words in lower case are values."""
    return _Reader(text, names).alternatives()


class _Reader:
    """Reads one rule from left to right."""

    def __init__(self, text: str, names: frozenset[str]) -> None:
        self._tokens: list[str] = [*_TOKEN.findall(text), ""]
        self._names = names

    def alternatives(self) -> tuple[Term, ...]:
        found = [self._term()]
        while self._tokens[0] == "|":
            self._next()
            found.append(self._term())
        return tuple(found)

    def _next(self) -> str:
        return self._tokens.pop(0)

    def _term(self) -> Term:
        word = self._next()
        if word == "<":
            ops = set()
            while (op := self._next()) != ">":
                ops.add(op)
            return Term("way", terms=self._operands(), ops=frozenset(ops))
        if word == "~":
            return Term("over", self._next())
        if word in _SIGNS:
            return Term(_SIGNS[word])
        if self._tokens[0] == "(":
            return Term("call", word, self._operands())
        return Term("rule" if word in self._names else "value", word)

    def _operands(self) -> tuple[Term, ...]:
        self._next()
        found = [self._term()]
        while self._next() == ",":
            found.append(self._term())
        return tuple(found)


def operators(rules: Rules) -> frozenset[str]:
    """Return all operators that a pattern names."""
    found: set[str] = set()
    waiting = [term for terms in rules.values() for term in terms]
    while waiting:
        term = waiting.pop()
        waiting.extend(term.terms)
        found |= term.ops
        if term.sign == "call":
            found.add(term.name)
    return frozenset(found)


def distance(rules: Rules, term: Term, op: str, way: int) -> int:
    """Return how many nodes at most a term's node is above one of an operator, -1 where it never is.

    Parameters
    ----------
    way : int
        What a way counts.
    """
    found = 0 if term.sign == "call" and term.name == op else -1
    inner = rules[term.name] if term.sign == "rule" else term.terms
    deepest = max((distance(rules, below, op, way) for below in inner), default=-1)
    if deepest >= 0:
        found = max(found, deepest + (1 if term.sign == "call" else way if term.sign == "way" else 0))
    return found
