from __future__ import annotations

from pathlib import Path

import pytest

from ovpart import conversions


def test_text_is_taken_as_provider_options_give_it():
    assert conversions.flag("True") is True
    assert conversions.flag("off") is False
    assert conversions.count("8") == 8
    assert conversions.address("0x10") == 16
    assert conversions.one_of("FP32", "ACCURACY")("accuracy") == "ACCURACY"


def test_a_path_or_what_stands_in_the_file():
    assert conversions.path_or_mapping(Path("a") / "b.json") == str(Path("a") / "b.json")
    assert conversions.path_or_mapping({"CPU": {}}) == {"CPU": {}}


@pytest.mark.parametrize(
    ("value", "engines"),
    [("True", ("openvino", "onnxruntime")), (False, ()), ("onnxruntime", ("onnxruntime",)),
     (["onnxruntime", "openvino"], ("openvino", "onnxruntime"))],
)  # fmt: skip
def test_engines_that_may_not_be_fallen_back_to(value, engines):
    assert conversions.fallback_words(value) == engines


@pytest.mark.parametrize(
    ("convert", "value"),
    [(conversions.flag, "perhaps"), (conversions.count, True), (conversions.count, 0), (conversions.address, 0),
     (conversions.microseconds, -1), (conversions.microseconds, float("nan")), (conversions.path, ""),
     (conversions.fallback_words, "tensorrt")],
)  # fmt: skip
def test_what_cannot_be_taken_is_a_value_error(convert, value):
    with pytest.raises(ValueError):  # noqa: PT011  (options.resolve gives the words)
        convert(value)
