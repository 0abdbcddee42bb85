from __future__ import annotations

import pytest

from ovpart.capability.source import MAX_BYTES, read_yaml
from ovpart.errors import TableError


def test_words_of_yaml_1_1_stay_words() -> None:
    data, _ = read_yaml("{a: no, b: on, c: 18.., d: 2026.4.1, e: 1e-3, f: ~, g: true, h: 0x10, 1: x}", "t")
    assert data == {
        "a": "no",
        "b": "on",
        "c": "18..",
        "d": "2026.4.1",
        "e": 1e-3,
        "f": None,
        "g": True,
        "h": "0x10",
        "1": "x",
    }


def test_quoted_scalars_are_text() -> None:
    assert read_yaml("['1', \"true\", '']", "t")[0] == ["1", "true", ""]


def test_lines_are_kept() -> None:
    data, lines = read_yaml("a:\n  b:\n  - {c: 1}\n  - {c: 2,\n     d: 3}\n", "t")
    assert data == {"a": {"b": [{"c": 1}, {"c": 2, "d": 3}]}}
    assert lines.at(["a", "b", 0]) == 3
    assert lines.at(["a", "b", 1]) == 4
    assert lines.at(["a", "b", 1, "d"], key=True) == 5
    assert lines.at([]) == 1


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: *x\n", 2, "aliases"),
        ("a: &x 1\n", 1, "anchors"),
        ("a: 1\nb: !!python/object/apply:os.system ['true']\n", 2, "tags"),
        ("a: !!int '1'\n", 1, "tags"),
        ("a: 1\na: 2\n", 2, "stands twice (first on line 1)"),
        ("a: 1\n<<: {b: 1}\n? [x]\n: 1\n", 3, "a key must be a word"),
        ("a: 1\n---\nb: 1\n", 2, "second"),
        ("a: [1\nb: 2\n", 2, "not YAML"),
        ("a: 1\nb: \x07\n", 2, "not YAML"),
        ("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", 1, "deeper"),
    ],
)
def test_what_a_table_may_not_hold_is_named_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(TableError, match=rf"^t:{line}: ") as caught:
        read_yaml(text, "t")
    assert words in str(caught.value)


def test_huge_text_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(TableError, match="larger than"):
        read_yaml(" " * (MAX_BYTES + 1), "t")


def test_a_bomb_of_aliases_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    with pytest.raises(TableError, match=r"^t:1: anchors"):
        read_yaml("\n".join(lines), "t")
