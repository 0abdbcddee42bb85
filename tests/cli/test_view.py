"""``ovpart view``: a page, with and without a run."""

from __future__ import annotations

import html5lib
import numpy as np


def page_of(path):
    text = path.read_text(encoding="utf-8")
    html5lib.HTMLParser(strict=True).parse(text)
    return text


def test_the_page_stands_beside_the_model_and_needs_no_engine(ovpart_cli, split_model):
    done = ovpart_cli("view", split_model, "--min-gain", "0", "--device", "NPU")
    assert done.code == 0, done.err
    page = split_model.with_name(f"{split_model.stem}_report.html")
    assert done.out.strip() == str(page)
    text = page_of(page)
    assert "LabelEncoder" in text
    assert "<dt>profiled</dt>" not in text


def test_the_page_of_a_run_tells_of_times_and_engines(ovpart_cli, split_model, tmp_path):
    np.save(tmp_path / "x.npy", np.eye(4, dtype=np.float32))
    page = tmp_path / "page.html"
    given = f"x={tmp_path / 'x.npy'}"
    done = ovpart_cli("view", split_model, "--min-gain", "0", "--run", "--input", given, "--out", page)
    assert done.code == 0, done.err
    text = page_of(page)
    assert "<dt>profiled</dt>" in text
    assert "<dt>openvino</dt>" in text


def test_what_would_have_no_effect_is_refused(ovpart_cli, split_model, tmp_path):
    done = ovpart_cli("view", split_model, "--shape", "x=2,4")
    assert (done.code, "no effect without --run" in done.err) == (2, True)
    done = ovpart_cli("view", split_model, "--out", tmp_path / "page.pdf")
    assert (done.code, "must end in .html" in done.err) == (2, True)
    done = ovpart_cli("view", split_model, "--strict")
    assert (done.code, "strict" in done.err) == (2, True)
