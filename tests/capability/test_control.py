from __future__ import annotations

import pytest
from onnx import helper

from ovpart.capability.control import select
from ovpart.errors import OptionError
from ovpart.model.graph import Model
from tests.capability.small import build, value


def model() -> Model:
    """Draw two chains, one of them with a diamond.

    x -> Relu -a-> Abs -b-> Add -d-> Relu -> y        z -> QuickGelu -> w..1
                 > Neg -c-^
    """
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="/encoder/relu"),
        helper.make_node("Abs", ["a"], ["b"], name="/encoder/abs"),
        helper.make_node("Neg", ["a"], ["c"], name="/decoder/neg"),
        helper.make_node("Add", ["b", "c"], ["d"], name="/decoder/add"),
        helper.make_node("Relu", ["d"], ["y"], name="node[0]"),
        helper.make_node("QuickGelu", ["z"], ["w..1"], domain="com.microsoft"),
    ]
    return build(nodes, [value("x"), value("z")], ["y", value("w..1")], com_microsoft=1)


@pytest.mark.parametrize(
    ("selector", "keys"),
    [
        ("Relu", "a y"),
        ("ai.onnx.Relu", "a y"),
        ("QuickGelu", "w..1"),
        ("com.microsoft.QuickGelu", "w..1"),
        ("/encoder/abs", "b"),
        ("c", "c"),  # a key: the first output
        ("node[0]", "y"),  # a name that looks like a glob
        ("/encoder/*", "a b"),
        ("*coder/[ar]*", "a b d"),
        ("Re*", "a y"),
        ("com.microsoft.*", "w..1"),
        ("w..1", "w..1"),  # a key that looks like a region
        ("a..d", "b c d"),
        ("b..y", "d y"),
        ("x..y", "a b c d y"),
        ("a..", "b c d y"),
        ("..c", "a c"),
        ("..w..1", "w..1"),  # dots of its own
        ("z..w..1", "w..1"),
    ],
)
def test_selectors(selector: str, keys: str) -> None:
    graph = model().graph
    assert {graph.nodes[i].key for i in select(graph, selector, "exclude")} == set(keys.split())


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ("Rleu", "did you mean 'Relu'?"),
        ("/encoder/abss", "did you mean '/encoder/abs'?"),
        ("/nothing/*", "means no node of this model"),
        ("relu", "did you mean 'Relu'?"),
        ("b..c", "no path leads from 'b' to 'c'"),
        ("y..", "means no node"),
        ("..x", "means no node"),
        ("a..dd", "this model has no value 'dd'; did you mean 'd'?"),
        ("..", "a region is"),
        ("", "a selector is"),
        ("com.microsoft.Relu", "means no node"),
    ],
)
def test_a_selector_that_means_nothing_is_an_error(selector: str, words: str) -> None:
    with pytest.raises(OptionError) as caught:
        select(model().graph, selector, "pin")
    assert str(caught.value).startswith(f"pin={selector!r}")
    assert words in str(caught.value)


def test_a_region_goes_through_captures() -> None:
    branches = {
        name: helper.make_graph([helper.make_node("Abs", ["a"], [name])], name, [], [value(name)])
        for name in ("then_branch", "else_branch")
    }
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("If", ["c"], ["y"], **branches)]
    graph = build(nodes, [value("x"), value("c", "bool", ())], [value("y")]).graph
    assert {graph.nodes[i].key for i in select(graph, "x..y", "pin")} == {"a", "y"}
    assert {graph.nodes[i].key for i in select(graph, "..y", "pin")} == {"a", "y"}
