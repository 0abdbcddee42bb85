"""A run of the probe keeps what it measured, and goes on where it was interrupted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ovpart.errors import DeviceNotFound, OptionError
from ovpart.probe.cases import cases
from ovpart.probe.measurement import Outcome, read_lines
from ovpart.probe.run import check_device, chosen, job_of, run

SOME = {case.key: case for case in cases(["Abs"], tags=["plain"]) if case.key.dtype in ("f32", "i8")}


def test_an_interrupted_run_is_taken_up(tmp_path: Path):
    out = tmp_path / "abs.jsonl"
    half = dict(list(SOME.items())[:3])
    run(job_of("CPU", half), out, workers=1)
    told: list[tuple[int, int]] = []
    record = run(job_of("CPU", SOME), out, resume=True, workers=1, progress=lambda d, n, _: told.append((d, n)))
    assert told[0] == (3, len(SOME))
    assert told[-1] == (len(SOME), len(SOME))
    assert len(told) == len(SOME) - 3 + 1
    assert set(record.measurements) == set(SOME)
    assert {one.outcome for key, one in record.measurements.items() if key.dtype == "f32"} == {Outcome.RIGHT}
    assert set(read_lines(out).measurements) == set(SOME)


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path):
    out = tmp_path / "abs.jsonl"
    out.write_text("")
    with pytest.raises(OptionError, match="--resume"):
        run(job_of("CPU", SOME), out)


def test_measurements_of_another_openvino_are_not_mixed(tmp_path: Path):
    out = tmp_path / "abs.jsonl"
    out.write_text(json.dumps({"about": {"device": "CPU", "openvino": "2021.1"}}) + "\n")
    with pytest.raises(OptionError, match=r"openvino 2021\.1"):
        run(job_of("CPU", SOME), out, resume=True)


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(DeviceNotFound, match="TPU"):
        check_device("TPU")


def test_an_operator_without_probes_is_named():
    with pytest.raises(OptionError, match="NoSuchOperator"):
        chosen(["NoSuchOperator"])
