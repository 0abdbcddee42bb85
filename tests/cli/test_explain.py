"""``ovpart explain``: one node's place, in words."""

from __future__ import annotations


def test_a_node_by_its_name_and_by_its_output(ovpart_cli, split_model):
    by_name = ovpart_cli("explain", split_model, "call", "--min-gain", "0")
    by_output = ovpart_cli("explain", split_model, "label", "--min-gain", "0")
    assert by_name.code == 0
    assert by_name.out == by_output.out
    assert "onnxruntime CPU" in by_name.out
    assert "rule: op_support.yaml:" in by_name.out


def test_a_misspelt_node_is_a_usage_error_with_a_proposal(ovpart_cli, split_model):
    done = ovpart_cli("explain", split_model, "chose")
    assert done.code == 2
    assert "Did you mean 'choose'?" in done.err
    assert done.out == ""
