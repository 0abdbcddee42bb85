from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from ovpart.errors import OptionError
from ovpart.options import Options, declared, resolve

DOCS = Path(__file__).parent.parent / "docs"


def test_nothing_given_is_the_defaults():
    assert resolve({}) == Options()


def test_none_means_not_given():
    chosen = resolve({"min_gain": None, "device": None})
    assert chosen == Options()
    assert chosen.given == frozenset()


def test_strings_are_taken_as_the_command_line_gives_them():
    chosen = resolve({"min_gain": "0", "emulate": "True", "num_threads": "2", "exclude": "Resize"})
    assert (chosen.min_gain, chosen.emulate, chosen.num_threads, chosen.exclude) == (0.0, True, 2, ("Resize",))


def test_unknown_option_is_met_with_the_nearest_name():
    with pytest.raises(OptionError, match=r"'mingain': did you mean 'min_gain'"):
        resolve({"mingain": 0})


def test_session_option_is_refused_for_a_plan():
    with pytest.raises(OptionError, match="give it to ovpart.Session"):
        resolve({"strict": True}, planning_only=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [("min_gain", -1), ("min_gain", "much"), ("join", "loose"), ("num_threads", 0), ("num_threads", 1.5),
     ("emulate", "perhaps"), ("unknown", "guess"), ("device", 3), ("config", 5), ("exclude", 7)],
)  # fmt: skip
def test_bad_value_is_named_with_what_the_option_takes(name, value):
    with pytest.raises(OptionError) as caught:
        resolve({name: value})
    assert repr(name) in str(caught.value)
    assert declared()[name].expects in str(caught.value)


def test_echo_tells_origin():
    rows = {name: (value, origin) for name, value, origin in resolve({"join": "connected"}).echo()}
    assert rows["join"] == ("connected", "given")
    assert rows["device"] == ("CPU", "default")
    assert set(rows) == set(declared())


def test_options_page_is_what_the_declarations_say():
    spec = importlib.util.spec_from_file_location("generate_options", DOCS / "generate_options.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (DOCS / "options.md").read_text() == module.page()
