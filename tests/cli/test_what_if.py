"""``ovpart what-if``: figures as text and as JSON."""

from __future__ import annotations

import json


def test_an_operator_that_would_be_supported(ovpart_cli, split_model):
    done = ovpart_cli("what-if", split_model, "--min-gain", "0", "--if", "LabelEncoder", "--json")
    assert done.code == 0, done.err
    data = json.loads(done.out)
    (supposed,) = data["suppositions"]
    assert len(supposed["nodes"]) == 1
    assert supposed["then"]["clusters"] == 1 < data["now"]["clusters"]
    assert supposed["then"]["coverage"] == 1.0
    assert data["left"] == []


def test_every_reason_without_names_on_a_device_that_is_not_there(ovpart_cli, split_model):
    done = ovpart_cli("what-if", split_model, "--min-gain", "0", "--device", "GPU")
    assert done.code == 0, done.err
    assert "device GPU" in done.out
    assert "coverage" in done.out


def test_a_name_that_means_nothing_ends_with_2(ovpart_cli, split_model):
    done = ovpart_cli("what-if", split_model, "--if", "LabelEncoderr")
    assert (done.code, "means no node" in done.err) == (2, True)
