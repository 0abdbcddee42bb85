"""``ovpart ops``: the table shown, measured and checked."""

from __future__ import annotations

import json

from ovpart.capability.table import load_table


def test_list_names_every_operator_with_its_answers(ovpart_cli):
    done = ovpart_cli("ops", "list", "--json")
    rows = {row["op"]: row for row in json.loads(done.out)}
    assert done.code == 0
    assert set(rows) == set(load_table().operators())
    assert rows["Relu"]["supported"] >= 1


def test_show_gives_lines_of_the_table(ovpart_cli):
    done = ovpart_cli("ops", "show", "Resize")
    assert done.code == 0
    assert all(line.startswith("op_support.yaml:") for line in done.out.splitlines())
    assert "antialias" in done.out


def test_show_of_an_unknown_operator_ends_with_2(ovpart_cli):
    assert ovpart_cli("ops", "show", "NoSuchOperator").code == 2


def test_probe_measures_and_finds_the_table_right(ovpart_cli, tmp_path):
    out = tmp_path / "not.jsonl"
    done = ovpart_cli("ops", "probe", "--device", "CPU", "--op", "Not", "--out", out, "--workers", "1")
    assert done.code == 0, done.out
    assert "cases:" in done.out
    assert "sent to the device, and not right there" not in done.out
    assert len(out.read_text().splitlines()) == 1 + 7


def test_probe_of_a_device_that_is_not_there_ends_with_4(ovpart_cli):
    assert ovpart_cli("ops", "probe", "--device", "TPU", "--op", "Sign").code == 4


def test_check_measures_again_and_says_what_drifted(ovpart_cli):
    done = ovpart_cli("ops", "check", "--op", "Not", "--workers", "1", "--json")
    told = json.loads(done.out)
    assert done.code == 0
    assert told["cases"] > 0
    assert (told["lost"], told["changed"]) == ([], [])
    assert told["about"]["device"] == "CPU"


def test_coverage_is_printed(ovpart_cli):
    done = ovpart_cli("ops", "coverage")
    assert done.code == 0
    assert "operator × version × dtype" in done.out.splitlines()[0]
