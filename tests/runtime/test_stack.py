from __future__ import annotations

import numpy as np
import pytest

from ovpart.backend.base import Port
from ovpart.errors import RunError
from ovpart.runtime.stack import AT_ONCE, Stack

ROW = Port("row", "f32", (2, None))


@pytest.mark.parametrize("count", [None, 3, AT_ONCE], ids=["unknown", "known", "too many to allocate beforehand"])
@pytest.mark.parametrize("reverse", [False, True])
def test_slices_stand_in_their_order(count, reverse):
    slices = [np.full((2, 5), i, np.float32) for i in range(3)]
    stack = Stack(ROW, count, reverse=reverse)
    for value in slices:
        stack.add(value)
    wanted = np.stack(slices[::-1] if reverse else slices)
    assert np.array_equal(stack.result(), wanted)
    for axis in (1, 2, -1):
        result = stack.result(axis)
        assert np.array_equal(result, np.moveaxis(wanted, 0, axis))
        assert result.flags.c_contiguous


def test_slices_of_strings_and_scalars_are_stacked():
    texts = Stack(Port("text", "string", (2,)), 2)
    numbers = Stack(Port("number", "i64", ()))
    for i in range(2):
        texts.add(np.array(["a", str(i)], object))
        numbers.add(np.asarray(i))
    assert texts.result().tolist() == [["a", "0"], ["a", "1"]]
    assert numbers.result().tolist() == [0, 1]


def test_no_slices_give_what_is_known_of_their_sizes():
    assert Stack(ROW).result().shape == (0, 2, 0)
    assert Stack(Port("text", "string", None)).result().dtype == object


def test_a_slice_of_another_shape_is_refused():
    stack = Stack(ROW)
    stack.add(np.zeros((2, 1), np.float32))
    with pytest.raises(RunError, match=r"'row' of shape \[2, 2\]"):
        stack.add(np.zeros((2, 2), np.float32))
