"""Feeds: what onnxruntime takes we take, what it refuses we refuse in its words, for the same reason."""

from __future__ import annotations

from collections import UserDict
from typing import Any

import ml_dtypes
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from ovpart.backend.base import Port
from ovpart.errors import InputError
from ovpart.model.types import dtype_number
from ovpart.runtime.feed import FeedCheck, check_feed, normalise

F = np.float32
X, Y = Port("x", "f32", (2, "N")), Port("y", "f32", ("N",))
W = Port("w", "f32", (2,))


def session(ports: list[Port], overridable: list[Port] = []) -> onnxruntime.InferenceSession:  # noqa: B006
    infos = [
        helper.make_tensor_value_info(p.name, dtype_number(p.dtype or ""), p.shape) for p in [*ports, *overridable]
    ]
    outs = [helper.make_tensor_value_info(f"{p.name}_out", dtype_number(p.dtype or ""), p.shape) for p in ports]
    nodes = [helper.make_node("Identity", [p.name], [f"{p.name}_out"]) for p in ports]
    defaults = [helper.make_tensor(p.name, TensorProto.FLOAT, p.shape, [0.0] * p.shape[0]) for p in overridable]
    graph = helper.make_graph(nodes, "identities", infos, outs, defaults)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def zeros(*shape: int, dtype: Any = F) -> np.ndarray:
    return np.zeros(shape, dtype)


GOOD = {"x": zeros(2, 3), "y": zeros(3)}

REFUSED = {
    "missing": ([X, Y], {"y": zeros(3)}),
    "nothing given": ([X, Y], {}),
    "missing and unknown": ([X, Y], {"x": zeros(2, 3), "z": zeros(3)}),
    "unknown": ([X, Y], {**GOOD, "z": zeros(3)}),
    "dtype": ([X, Y], {"x": zeros(2, 3, dtype=np.float64), "y": zeros(3)}),
    "integer for float": ([Y], {"y": zeros(3, dtype=np.int32)}),
    "narrower integer": ([Port("i", "i64", (2,))], {"i": zeros(2, dtype=np.int32)}),
    "bool for bytes": ([Port("i", "u8", (2,))], {"i": zeros(2, dtype=bool)}),
    "bits of a bfloat16": ([Port("b", "bf16", (2,))], {"b": zeros(2, dtype=np.uint16)}),
    "float for bfloat16": ([Port("b", "bf16", (2,))], {"b": zeros(2)}),
    "rank": ([X, Y], {"x": zeros(2, 3, 4), "y": zeros(3)}),
    "rank too low": ([X, Y], {"x": zeros(2), "y": zeros(3)}),
    "dim": ([X, Y], {"x": zeros(3, 3), "y": zeros(3)}),
    "two dims": ([Port("x", "f32", (2, 3, 4))], {"x": zeros(5, 3, 6)}),
    "empty dim": ([Port("x", "f32", (0, 3))], {"x": zeros(2, 3)}),
    "first in the order of the feed": ([X, Y], {"y": zeros(3, dtype=np.float64), "x": zeros(9, 9)}),
    "list of wrong rank": ([X], {"x": [1.0, 2.0]}),
    "words for numbers": ([Y], {"y": ["a", "b"]}),
    "ragged": ([X], {"x": [[1.0, 2.0], [3.0]]}),
    "an object": ([Y], {"y": object()}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_onnxruntimes_words(case: str) -> None:
    ports, feed = REFUSED[case]
    with pytest.raises(Exception) as theirs:  # noqa: PT011  (their classes have no common base)
        session(ports).run(None, feed)
    with pytest.raises(InputError) as ours:
        check_feed(ports, [], feed)
    words = str(theirs.value).partition("INVALID_ARGUMENT : ")[2] or str(theirs.value)
    if case in ("words for numbers", "ragged"):
        words = "Could not create tensor from given input list"
    assert words.rstrip(".") in str(ours.value)


@pytest.mark.parametrize("wrong", [256, -1, 2**40, 2**70])
def test_integers_out_of_range_are_refused_whatever_numpy_does(wrong: int) -> None:
    """With numpy 2 onnxruntime says so too; with numpy 1 it takes what is left of the integer."""
    with pytest.raises(InputError, match="Could not create tensor from given input list"):
        check_feed([Port("i", "u8", (2,))], [], {"i": [1, wrong]})


ACCEPTED = {
    "arrays": ([X, Y], GOOD),
    "dims that share a symbol and differ": ([X, Y], {"x": zeros(2, 3), "y": zeros(4)}),
    "another order": ([X, Y], dict(reversed(GOOD.items()))),
    "empty": ([X], {"x": zeros(2, 0)}),
    "list": ([X], {"x": [[1, 2], [3.5, 4]]}),
    "floats for integers": ([Port("i", "i64", (2,))], {"i": [1.5, -2.5]}),
    "bools for integers": ([Port("i", "i64", (2,))], {"i": [True, False]}),
    "numbers for bools": ([Port("b", "bool", (2,))], {"b": [1, 0]}),
    "numbers for halves": ([Port("h", "f16", (2,))], {"h": [1, 2]}),
    "long long": ([Port("i", "i64", (2,))], {"i": zeros(2, dtype=np.longlong)}),
    "strings": ([Port("s", "string", (2,))], {"s": ["a", "ü"]}),
    "fixed-width strings": ([Port("s", "string", (2,))], {"s": np.array(["a", "bc"])}),
    "objects": ([Port("s", "string", (2,))], {"s": np.array(["a", "bc"], object)}),
    "strided": ([Y], {"y": np.arange(8, dtype=F)[::2]}),
    "a subclass": ([Y], {"y": np.ma.masked_array(np.arange(3, dtype=F), [0, 1, 0])}),
    "scalar declared": ([Port("k", "f32", ())], {"k": np.array(2, F)}),
    "any rank where [] is declared": ([Port("k", "f32", ())], {"k": zeros(2, 3)}),
    "unknown rank": ([Port("k", "f32", None)], {"k": zeros(2, 3)}),
    "an OrtValue": ([Y], {"y": onnxruntime.OrtValue.ortvalue_from_numpy(np.arange(3, dtype=F))}),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted_and_read_as_onnxruntime_does(case: str) -> None:
    ports, feed = ACCEPTED[case]
    engine = session(ports)
    theirs = engine.run(None, feed)
    ours = check_feed(ports, [], feed)
    assert set(ours) == set(feed)
    for port, value in zip(ports, theirs, strict=True):
        array = ours[port.name]
        assert type(array) is np.ndarray
        assert array.dtype == value.dtype
        assert array.dtype.char not in "qQ"
        np.testing.assert_array_equal(array, value)


def test_a_good_feed_is_given_back_itself() -> None:
    check = FeedCheck([X, Y])
    assert check(GOOD) is GOOD
    wrapped = UserDict(GOOD)
    assert check(wrapped) is wrapped


def test_big_endian_arrays_are_turned_where_onnxruntime_reads_noise() -> None:
    array = check_feed([Y], [], {"y": np.arange(3, dtype=">f4")})["y"]
    assert array.dtype.isnative
    assert array.tolist() == [0, 1, 2]


def test_memory_is_shared_where_nothing_must_be_converted() -> None:
    array = np.arange(3, dtype=np.longlong)
    assert np.shares_memory(check_feed([Port("i", "i64", ("N",))], [], {"i": array})["i"], array)
    dtype = np.dtype("f4", copy=True)  # equal to numpy's own, but another object, as out of a pickle
    array = np.zeros(3, dtype)
    assert np.shares_memory(check_feed([Y], [], {"y": array})["y"], array)


@pytest.mark.parametrize("value", [2, 2.0, F(2), np.array(2, F), True])
def test_numbers_are_scalars(value: Any) -> None:
    array = check_feed([Port("k", "f32", ())], [], {"k": value})["k"]
    assert (array.dtype, array.shape) == (F, ())
    with pytest.raises(InputError, match=r"Invalid rank for input: y Got: 0 Expected: 1"):
        check_feed([Y], [], {"y": value})


def test_tuples_and_objects_that_can_become_arrays_are_taken() -> None:
    class Tensor:
        def numpy(self) -> np.ndarray:
            return np.ones(3, F)

    class Arrayish:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return np.ones(3, F)

    for value in (Tensor(), Arrayish(), (1, 1, 1)):
        assert check_feed([Y], [], {"y": value})["y"].tolist() == [1, 1, 1]

    class OnDevice:
        def numpy(self) -> np.ndarray:
            raise TypeError("can't convert a device tensor to numpy")

    with pytest.raises(InputError, match=r"Input 'y' \(float32\[N\]\).*can't convert a device tensor"):
        check_feed([Y], [], {"y": OnDevice()})


def test_bytes_are_utf8() -> None:
    port = Port("s", "string", ("N",))
    assert check_feed([port], [], {"s": np.array(["ü".encode(), b"b"])})["s"].tolist() == ["ü", "b"]
    with pytest.raises(InputError, match=r"Input 's' .*not UTF-8"):
        check_feed([port], [], {"s": np.array([b"\xff"])})


def test_types_that_numpy_lacks() -> None:
    port = Port("b", "bf16", ("N",))
    feed = {"b": np.ones(2, ml_dtypes.bfloat16)}
    assert FeedCheck([port])(feed) is feed
    with pytest.raises(InputError, match=r"\.astype\(ml_dtypes\.bfloat16\)"):
        check_feed([port], [], {"b": zeros(2)})


def test_our_words_say_which_input_what_was_expected_and_what_to_do() -> None:
    with pytest.raises(InputError) as caught:
        check_feed([X, Y], [], {"x": zeros(2, 3, dtype=np.float64), "y": zeros(3)})
    assert str(caught.value) == (
        "Unexpected input data type. Actual: (tensor(double)) , expected: (tensor(float)). "
        "Input 'x' was given as float64, the model declares float32[2, N]: convert it, .astype(numpy.float32)."
    )
    with pytest.raises(InputError) as caught:
        check_feed([X, Y], [], {"x": zeros(3, 3), "y": zeros(3)})
    assert str(caught.value) == (
        "Got invalid dimensions for input: x for the following indices\n index: 0 Got: 3 Expected: 2\n "
        "Please fix either the inputs/outputs or the model. "
        "The model declares float32[2, N], the shape given is [3, 3]."
    )


def test_did_you_mean() -> None:
    ports = [Port("input_ids", "i64", (None,)), Port("attention_mask", "i64", (None,))]
    ids = zeros(1, dtype=np.int64)
    with pytest.raises(InputError, match=r"missing from input feed .* Did you give 'inputs_ids' for 'input_ids'\?"):
        check_feed(ports, [], {"inputs_ids": ids, "attention_mask": ids})
    with pytest.raises(InputError, match=r"Invalid input name: attention_msk. Did you mean 'attention_mask'\?"):
        check_feed(ports, [], {"input_ids": ids, "attention_mask": ids, "attention_msk": ids})
    with pytest.raises(InputError, match=r"Invalid input name: 1. The inputs of the model are"):
        check_feed(ports, [], {"input_ids": ids, "attention_mask": ids, 1: ids})  # type: ignore[dict-item]


def test_what_is_no_mapping_is_refused() -> None:
    for feed in ([zeros(2, 3), zeros(3)], None, zeros(2)):
        with pytest.raises(InputError, match="must be a mapping of input names to arrays"):
            check_feed([X, Y], [], feed)  # type: ignore[arg-type]


def test_none_for_a_tensor_is_refused_and_for_what_is_no_tensor_taken() -> None:
    with pytest.raises(InputError, match=r"Input 'y' is None\. Give an array: float32\[N\]"):
        check_feed([Y], [], {"y": None})
    optional = Port("o", None, None)
    assert check_feed([Y, optional], [], {"y": zeros(3), "o": None})["o"] is None
    sequence = [zeros(1), zeros(2)]
    assert check_feed([Y, optional], [], {"y": zeros(3), "o": sequence})["o"] is sequence
    with pytest.raises(InputError, match="missing"):
        check_feed([Y, optional], [], {"y": zeros(3)})
    with pytest.raises(InputError, match="missing"):
        check_feed([Y, optional], [], {"y": zeros(3), "z": zeros(3)})


def test_inputs_with_a_default_may_be_left_out_or_none() -> None:
    engine = session([X], [W])
    check = FeedCheck([X], [W])
    for feed in ({"x": zeros(2, 3)}, {"x": zeros(2, 3), "w": zeros(2)}, {"x": zeros(2, 3), "w": None}):
        engine.run(None, feed)
        checked = check(feed)
        assert check.overridden(feed) == ({"w"} if feed.get("w") is not None else set())
        assert ("w" in checked) == (feed.get("w") is not None)
    for wrong in (zeros(3), zeros(2, dtype=np.float64)):
        with pytest.raises(Exception) as theirs:  # noqa: PT011  (their classes have no common base)
            engine.run(None, {"x": zeros(2, 3), "w": wrong})
        with pytest.raises(InputError) as ours:
            check({"x": zeros(2, 3), "w": wrong})
        assert str(theirs.value).partition("INVALID_ARGUMENT : ")[2] in str(ours.value)


def test_every_dtype_of_the_model_has_onnxruntimes_name_for_it() -> None:
    from ovpart.model.types import DTYPES
    from ovpart.runtime.feed import _TENSOR_NAMES

    assert set(_TENSOR_NAMES) == set(DTYPES) - {"undefined"}


def test_normalise_leaves_native_arrays_alone() -> None:
    array = np.arange(4, dtype=F)
    assert normalise(array) is array
    assert normalise(array[::2]).base is array
