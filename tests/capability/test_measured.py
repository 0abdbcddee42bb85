"""What differs between the machine that a table was measured on and the one at hand."""

from __future__ import annotations

import pytest

from ovpart.capability.measured import differences, instruction_set, this_machine

TABLE = {"openvino": "2026.4.1", "onnxruntime": "1.31.1", "onnx": "1.23.2", "isa": "avx512_bf16, measured again: avx2"}


@pytest.mark.parametrize(
    ("found", "names"),
    [
        ({"openvino": "2026.4.1", "onnxruntime": "1.31.1", "onnx": "1.23.2", "isa": "avx2"}, []),
        ({"openvino": "2026.4.0", "isa": "avx512_bf16"}, []),
        ({"openvino": "2026.5.0", "isa": "avx2"}, ["openvino"]),
        ({"openvino": "2025.4.1", "onnx": "1.19.0", "isa": "amx"}, ["openvino", "onnx", "isa"]),
        ({"isa": "avx512"}, ["isa"]),
        ({}, []),
    ],
)
def test_releases_and_instruction_sets_are_compared(found, names):
    assert [difference.what for difference in differences(TABLE, found)] == names


def test_a_difference_says_both_sides():
    (difference,) = differences(TABLE, {"openvino": "2025.4.1"})
    assert str(difference) == "openvino 2025.4.1 (the table was measured with 2026.4.1)"


def test_a_table_that_states_nothing_differs_in_nothing():
    assert differences({}) == ()


def test_this_machine_is_told():
    here = this_machine()
    assert here["isa"] == instruction_set() != ""
    assert here["onnx"].count(".") >= 1
