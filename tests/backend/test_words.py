"""Engines' messages are translated back to the nodes they speak of."""

from __future__ import annotations

import onnx.helper
import pytest

from ovpart.backend.words import node_in_words, shortened
from ovpart.testing.cuts import cut_of


@pytest.fixture
def cut():
    """Neg -> If (with a Conv inside) -> Relu; the nodes' names differ from their keys."""
    inner = onnx.helper.make_node("Conv", ["h", "w"], ["inner_out"], name="inner_conv")
    body = onnx.helper.make_graph([inner], "b", [], [onnx.helper.make_tensor_value_info("inner_out", 1, None)])
    nodes = [
        onnx.helper.make_node("Neg", ["x"], ["h"], name="negate"),
        onnx.helper.make_node("If", ["c"], ["i"], name="choose", then_branch=body, else_branch=body),
        onnx.helper.make_node("Relu", ["i"], ["y"], name="/layer/Relu"),
    ]
    return cut_of(nodes, {"x": ("f32", (2,)), "c": ("bool", ())}, {"y": ("f32", None)})


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ("While validating ONNX node '<Node(Neg): negate>': Check 'x' failed", "h"),
        ("Non-zero status code returned while running Relu node. Name:'/layer/Relu' Status Message: no", "y"),
        ("[CPU] Relu node with name 'y' Check 'a == b' failed", "y"),
        ("Could not find an implementation for Neg(6) node with name 'negate'", "h"),
        ("Type Error: Type parameter (T) bound to different types in node (negate).", "h"),
        ("Unexpected: CPU plug-in doesn't support it. Operation name: y\n\n", "y"),
        ("While validating node 'opset1::Convolution Conv_1 (...)' with friendly_name 'inner_conv':", "i"),
        ("'<Node(Conv): inner_out>': rank", "i"),
        ("No conversion rule found for operations: Relu, my.Op\nTo facilitate", "y"),
        ("-- Conversion is failed for: Neg-17, Foo-3\n", "h"),
        ("something else went wrong with 'nobody'", None),
        ("", None),
    ],
)
def test_node_that_a_message_names(cut, words, key):
    assert node_in_words(words, cut) == key


def test_operator_that_the_cut_has_twice_names_nobody():
    nodes = [onnx.helper.make_node("Neg", ["x"], ["h"]), onnx.helper.make_node("Neg", ["h"], ["y"])]
    twice = cut_of(nodes, {"x": ("f32", (2,))}, {"y": ("f32", (2,))})
    assert node_in_words("No conversion rule found for operations: Neg\n", twice) is None


def test_long_messages_become_one_short_paragraph():
    words = "Exception from src/core.cpp:105:\nCheck failed:\n\n  shape is wrong\n" + "x" * 5000
    text = shortened(RuntimeError(words))
    assert text.startswith("Check failed:; shape is wrong; xxx")
    assert "\n" not in text
    assert len(text) < 2100
