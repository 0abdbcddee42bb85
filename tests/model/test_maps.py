"""Files that several models map once."""

from __future__ import annotations

import os

import numpy as np
import pytest

from ovpart.errors import ModelError
from ovpart.model.maps import Maps


def test_a_file_is_mapped_once_as_long_as_somebody_holds_it(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123")
    maps = Maps()
    first, there = maps.open(str(path), "the file")
    assert not there
    view = first[1:]
    del first
    again, there = maps.open(str(path), "the file")
    assert there
    assert np.shares_memory(again, view)
    del again, view
    assert maps.open(str(path), "the file")[1] is False


def test_other_names_of_a_file_lead_to_its_map(tmp_path):
    (tmp_path / "file").write_bytes(b"0123")
    os.link(tmp_path / "file", tmp_path / "other")
    maps = Maps()
    first, _ = maps.open(str(tmp_path / "file"), "the file")
    assert maps.open(str(tmp_path / "other"), "the file") == (first, True)


def test_a_file_that_was_changed_is_mapped_anew(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123")
    maps = Maps()
    first, _ = maps.open(str(path), "the file")
    os.utime(path, ns=(1, 1))
    second, there = maps.open(str(path), "the file")
    assert not there
    assert second is not first


def test_what_is_not_there_is_said_as_for_any_model(tmp_path):
    with pytest.raises(ModelError, match="the weights does not exist"):
        Maps().open(str(tmp_path / "none"), "the weights")
