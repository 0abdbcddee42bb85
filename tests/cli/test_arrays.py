"""Arrays of the command line: names that a model chose are not trusted as file names, pickles are not loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass

import click
import numpy as np
import pytest

from ovpart.cli.arrays import describe, load_inputs, parse_shapes, random_inputs, save_outputs


@dataclass(frozen=True)
class Argument:
    name: str
    type: str
    shape: list[int | str | None]


def test_output_names_never_leave_the_folder(tmp_path):
    folder = tmp_path / "out"
    names = ["../../evil", "/etc/passwd", "a/b:0", "a_b:0", "..", "", "CON" * 80]
    written = save_outputs({name: np.zeros(1) for name in names}, folder)
    files = [file for paths in written.values() for file in paths]
    assert len(set(files)) == len(names)
    assert sorted(map(str, folder.iterdir())) == sorted(files)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_sequences_maps_and_nothing_are_written_each_in_its_form(tmp_path):
    outputs = {"items": [np.zeros(2), np.ones(3)], "odds": [{"cat": 0.25, "dog": 0.75}], "gone": None}
    written = save_outputs(outputs, tmp_path)
    assert [np.load(file).shape for file in written["items"]] == [(2,), (3,)]
    with open(written["odds"][0], encoding="utf-8") as file:
        assert json.load(file) == {"cat": 0.25, "dog": 0.75}
    assert (tmp_path / "gone.json").read_text() == "null"


def test_pickled_arrays_are_refused(tmp_path):
    np.save(tmp_path / "pickled.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(click.BadParameter, match="pickled"):
        load_inputs({"x": str(tmp_path / "pickled.npy")})


def test_texts_come_in_as_strings(tmp_path):
    np.save(tmp_path / "texts.npy", np.array(["a", "bc"]))
    (loaded,) = load_inputs({"x": str(tmp_path / "texts.npy")}).values()
    assert loaded.dtype == object
    assert loaded.tolist() == ["a", "bc"]


@pytest.mark.parametrize(("text", "shape"), [("1,3,8", (1, 3, 8)), ("1x3x8", (1, 3, 8)), ("", ()), ("0", (0,))])
def test_shapes_are_read(text, shape):
    assert parse_shapes({"x": text}) == {"x": shape}


@pytest.mark.parametrize("text", ["a", "1,-2", "1.5"])
def test_what_is_no_shape_is_refused(text):
    with pytest.raises(click.BadParameter, match="no shape"):
        parse_shapes({"x": text})


@pytest.mark.parametrize(
    ("element", "dtype"),
    [("float", "float32"), ("double", "float64"), ("float16", "float16"), ("bfloat16", "bfloat16"), ("bool", "bool"),
     ("int64", "int64"), ("uint8", "uint8"), ("string", "object")],
)  # fmt: skip
def test_random_inputs_have_the_dtype_and_the_declared_shape(element, dtype):
    (made,) = random_inputs([Argument("x", f"tensor({element})", ["N", 3, None])], {}, {}, 0).values()
    assert (str(made.dtype), made.shape) == (dtype, (1, 3, 1))


def test_random_inputs_leave_given_ones_alone_and_refuse_what_is_no_tensor():
    needed = [Argument("x", "tensor(float)", [2]), Argument("s", "seq(tensor(float))", [])]
    assert random_inputs(needed[:1], {"x": np.zeros(2)}, {}, 0) == {}
    with pytest.raises(click.UsageError, match="seq"):
        random_inputs(needed, {}, {}, 0)


def test_descriptions_hold_what_an_output_is():
    assert describe(np.array([1.0, 3.0], np.float32)) == {
        "dtype": "float32", "shape": [2], "min": 1.0, "max": 3.0, "mean": 2.0,
    }  # fmt: skip
    assert describe(np.array(["a"], dtype=object)) == {"dtype": "object", "shape": [1]}
    assert describe([1, 2]) == {"kind": "list", "length": 2}
