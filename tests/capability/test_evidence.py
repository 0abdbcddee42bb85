from __future__ import annotations

import json
import warnings

import pytest

from ovpart.capability.demotion import Demotion
from ovpart.capability.evidence import Evidence, evidence_for, read_evidence
from ovpart.errors import OvpartWarning

RECORD = Evidence(
    "f" * 32, "CPU", {"openvino": "openvino 1"}, "{}",
    (Demotion("y", "openvino", "compile", "no\nregisters", "CPU"),),
    (("abc", "openvino", "CPU"),),
)  # fmt: skip


def test_a_record_comes_back_from_its_file_as_it_was(tmp_path):
    (tmp_path / "e.json").write_text(RECORD.to_json())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_evidence(tmp_path / "e.json")
    assert found == RECORD
    assert found.path == tmp_path / "e.json"


def test_what_is_new_is_added_and_the_first_words_stay():
    more = RECORD.with_more(
        [Demotion("y", "openvino", "run", "later", "CPU"), Demotion("z", "openvino", "run", "died", "CPU")],
        [("abc", "openvino", "CPU"), ("def", "openvino", "CPU")],
    )
    assert [(d.node, d.words) for d in more.demotions] == [("y", "no\nregisters"), ("z", "died")]
    assert [row[0] for row in more.passed] == ["abc", "def"]


def test_a_trial_that_could_not_be_held_is_no_evidence():
    assert RECORD.with_more([Demotion("z", "openvino", "trial", "no process", "CPU")]) == RECORD


def test_no_file_is_no_evidence_and_no_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_evidence(tmp_path / "none.json") is None


def broken(change):
    document = json.loads(RECORD.to_json())
    change(document)
    return json.dumps(document)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[1]", "null", "\x00\xff", "[" * 100_000,
        broken(lambda d: d.pop("demotions")),
        broken(lambda d: d.update(ovpart_evidence=2)),
        broken(lambda d: d.update(surprise=1)),
        broken(lambda d: d["demotions"][0].update(stage="perhaps")),
        broken(lambda d: d["demotions"].append(7)),
        broken(lambda d: d.update(passed=[["a"]])),
    ],
)  # fmt: skip
def test_a_corrupt_file_is_ignored_with_a_warning(tmp_path, text):
    path = tmp_path / "e.json"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.warns(OvpartWarning, match=r"e\.json is ignored: "):
        assert read_evidence(path) is None


def test_a_folder_is_no_evidence(tmp_path):
    with pytest.warns(OvpartWarning, match="no regular file"):
        assert read_evidence(tmp_path) is None


def test_evidence_of_something_else_is_ignored_with_a_warning(tmp_path):
    (tmp_path / "e.json").write_text(RECORD.to_json())
    assert evidence_for(str(tmp_path / "e.json"), "f" * 32, "CPU") == RECORD
    assert evidence_for(RECORD, "f" * 32, "CPU") is RECORD
    with pytest.warns(OvpartWarning, match="of another model"):
        assert evidence_for(RECORD, "0" * 32, "CPU") is None
    with pytest.warns(OvpartWarning, match="of device 'CPU', not of 'GPU'"):
        assert evidence_for(RECORD, "f" * 32, "GPU") is None
    with pytest.warns(OvpartWarning, match="no such file"):
        assert evidence_for(str(tmp_path / "none.json"), "f" * 32, "CPU") is None
