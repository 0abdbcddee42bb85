"""Measurements are kept: as lines while they are made, as a table afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ovpart.errors import OptionError
from ovpart.probe.case import NAN, Key
from ovpart.probe.measurement import Measurement, Outcome, Record, read_lines, read_record, to_line, write_record

MADE = [
    Measurement(Key("Relu", 14, "f32", "plain", "static"), Outcome.RIGHT),
    Measurement(Key("Relu", 14, "f16", "plain", "static"), Outcome.RIGHT),
    Measurement(Key("Relu", 14, "f32", "nan", "static"), Outcome.WRONG, NAN, "0.0 where nan is right"),
]
ABOUT = {"device": "CPU", "openvino": "2026.4.1"}


def test_a_table_of_measurements_reads_as_it_was_written(tmp_path: Path):
    path = tmp_path / "CPU.tsv"
    record = Record(ABOUT, {one.key: one for one in MADE})
    write_record(record, path)
    again = read_record(path)
    assert again.about == ABOUT
    assert dict(again.measurements) == dict(record.measurements)
    assert len(path.read_text().splitlines()) == 2 + 1 + 2  # about, heading, one line for both dtypes that are right


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path):
    path = tmp_path / "run.jsonl"
    lines = [json.dumps({"about": ABOUT}), *map(to_line, MADE)]
    path.write_text("\n".join(lines)[:-20])
    record = read_lines(path)
    assert record.about == ABOUT
    assert list(record.measurements) == [one.key for one in MADE[:-1]]


def test_a_file_that_is_no_record_is_refused(tmp_path: Path):
    path = tmp_path / "other.txt"
    path.write_text("once upon a time\nthere was no JSON\n")
    with pytest.raises(OptionError, match=r"other\.txt:1"):
        read_lines(path)
